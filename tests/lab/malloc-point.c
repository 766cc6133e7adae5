/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into lockstepd: one exact allocation fails.
 *
 *	LD_PRELOAD=malloc-point.so LOCKSTEP_MALLOC_POINT=N LOCKSTEP_MALLOC_LOG=FILE lockstepd
 *
 * Allocations of all threads are counted from the first SIGUSR2 on. The Nth finds no memory,
 * and FILE says whose it was. Programs that lockstepd starts are left alone.
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t begun;
static atomic_uint count;
static unsigned point;
static const char *log_path;

/* libc's own, which are not looked up: dlsym() allocates. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void on_begin(int sig)
{
	(void)sig;
	begun = 1;
}

__attribute__((constructor)) static void init(void)
{
	const char *n = getenv("LOCKSTEP_MALLOC_POINT");

	log_path = getenv("LOCKSTEP_MALLOC_LOG");
	point = n ? (unsigned)atoi(n) : 0;
	unsetenv("LD_PRELOAD");
	signal(SIGUSR2, on_begin);
}

static bool fails(void)
{
	void *frames[16];
	int fd;

	if (!begun || atomic_fetch_add(&count, 1) + 1 != point)
		return false;
	fd = log_path ? open(log_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		backtrace_symbols_fd(frames, backtrace(frames, 16), fd);
	if (fd >= 0)
		close(fd);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved */
void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved */
void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}
