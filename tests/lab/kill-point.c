/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into lockstepd by the harness ("kill-points"): SIGKILL at one exact point.
 *
 *	LD_PRELOAD=kill-point.so LOCKSTEP_KILL_POINT=N LOCKSTEP_KILL_LOG=FILE lockstepd
 *
 * A point is where something is about to leave the process: a message (send) to QEMU, to
 * the agent or to a client, or a write of the journal that is to reach the disk (fsync,
 * fdatasync). They are counted from the first client of the control socket on. Before the
 * Nth of them the process is killed, and FILE says what it was. So killed before the N+1st
 * is killed after the Nth.
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

static atomic_bool begun;
static atomic_uint points;

static void note(const char *what, const void *buf, size_t len)
{
	const char *path = getenv("LOCKSTEP_KILL_LOG");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s %.*s", what, (int)(len < 100 ? strcspn(buf, "\r\n") : 100),
		len ? (const char *)buf : "");
	close(fd);
}

static void point(const char *what, const void *buf, size_t len)
{
	const char *n = getenv("LOCKSTEP_KILL_POINT");

	if (!begun || !n || atomic_fetch_add(&points, 1) + 1 != (unsigned)atoi(n))
		return;
	note(what, buf, len);
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
