/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into lockstepd by the harness ("kill-points"): SIGKILL at one exact point.
 *
 *	LD_PRELOAD=kill-point.so LOCKSTEP_KILL_POINT=N LOCKSTEP_KILL_LOG=FILE \
 *	[LOCKSTEP_KILL_FROM=KIND|COMMAND] [LOCKSTEP_KILL_STOP=1] lockstepd
 *
 * A point is where something is about to leave the process: a message (send) to QEMU, to
 * the agent or to a client; a write into the journal (write, truncate); a wait for the disk
 * to have it (fsync, fdatasync). What happens between two points nobody else can see, so a
 * death there is a death at the second. Points are counted from the first client of the
 * control socket on, or from the first one of the KIND or command that is named. Before the
 * Nth of them the process is killed, or with STOP stands still until SIGCONT; FILE says what
 * it was.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHOWN 100 /* bytes of a message */

static atomic_bool begun, counted;
static atomic_uint points;

static void note(const char *what, const void *buf, size_t len)
{
	const char *path = getenv("LOCKSTEP_KILL_LOG");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s %.*s", what, (int)(len < SHOWN ? strcspn(buf, "\r\n") : SHOWN),
		len ? (const char *)buf : "");
	close(fd);
}

/* Whether @from is the point's kind, or the command that the message is. */
static bool is(const char *from, const char *what, const void *buf, size_t len)
{
	char text[128];

	snprintf(text, sizeof(text), "\"execute\":\"%s\"", from);
	return !strcmp(from, what) || (len && memmem(buf, len, text, strlen(text)));
}

/* A message is text; of a write there is nothing to read. */
static void point(const char *what, const void *buf, size_t len)
{
	const char *n = getenv("LOCKSTEP_KILL_POINT"), *from = getenv("LOCKSTEP_KILL_FROM");

	if (!begun || !n)
		return;
	counted |= !from || is(from, what, buf, len);
	if (!counted || atomic_fetch_add(&points, 1) + 1 != (unsigned)atoi(n))
		return;
	note(what, buf, len);
	if (getenv("LOCKSTEP_KILL_STOP")) {
		raise(SIGSTOP); /* taken by this very thread; SIGCONT has it go on from here */
		return;
	}
	kill(getpid(), SIGKILL);
	for (;;) /* another thread may be the one that takes it */
		pause();
}

/* libc's declarations have names that are its own. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	int (*real)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
	int r = real(fd, addr, len, flags);

	begun |= r >= 0;
	return r;
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");

	point("send", buf, len);
	return real(fd, buf, len, flags);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");

	point("write", "", 0);
	return real(fd, buf, len, at);
}

int ftruncate64(int fd, off64_t len)
{
	int (*real)(int, off64_t) = dlsym(RTLD_NEXT, "ftruncate64");

	point("truncate", "", 0);
	return real(fd, len);
}

int fsync(int fd)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "fsync");

	point("fsync", "", 0);
	return real(fd);
}

int fdatasync(int fd)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");

	point("fdatasync", "", 0);
	return real(fd);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
