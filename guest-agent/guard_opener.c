/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has opened a marked file, and for what: read from /proc while the kernel holds
 * the thread for our answer. No lock, no allocation.
 */
#include "guard_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#define PROC_BYTES	512
#define ANCESTORS_MAX	64
#define ASLEEP_TRIES	50     /* until the thread has fallen asleep in its open */
#define ASLEEP_PAUSE_NS 100000 /* so at most 5 ms; it is a few instructions away */

/* Return: 0 or -errno; @buf is a string. */
static int proc_read(pid_t tid, const char *file, char *buf, size_t size)
{
	char path[64];
	ls_autoclose int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

/*
 * The event is there a moment before the thread sleeps, and there is nothing that
 * would tell us when it does.
 */
bool opener_writes(pid_t tid)
{
	const struct timespec pause = { .tv_nsec = ASLEEP_PAUSE_NS };
	char text[PROC_BYTES];
	int i, r;

	for (i = 0; i < ASLEEP_TRIES; i++) {
		if (proc_read(tid, "syscall", text, sizeof(text)) < 0)
			return true;
		r = guard_parse_syscall(text);
		if (r >= 0)
			return r;
		nanosleep(&pause, NULL);
	}
	return true;
}

bool opener_is_own(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)tid);
	return access(path, F_OK) == 0;
}

bool opener_is_child(pid_t tid, pid_t ancestor)
{
	char text[PROC_BYTES];
	int i;

	for (i = 0; i < ANCESTORS_MAX && tid > 1; i++) {
		if (proc_read(tid, "stat", text, sizeof(text)) < 0)
			return false;
		tid = guard_parse_parent(text);
		if (tid == ancestor)
			return true;
	}
	return false;
}
