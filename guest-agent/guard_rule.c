/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's verdict, and what it reads out of /proc.
 */
#include "guard_rule.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <lockstep/limits.h>

static const char *const mode_names[] = {
	[GUARD_OFF] = "off",	   [GUARD_ADVISORY] = "advisory", [GUARD_WATCH] = "watch",
	[GUARD_REFUSE] = "refuse", [GUARD_HOLD] = "hold",
};
static_assert(sizeof(mode_names) / sizeof(mode_names[0]) == GUARD_MODE_COUNT, "a name each");

const char *guard_mode_name(enum guard_mode mode)
{
	return mode_names[mode];
}

int guard_mode_parse(const char *name, enum guard_mode *ret_mode)
{
	int i;

	for (i = 0; i < GUARD_MODE_COUNT; i++) {
		if (i == GUARD_ADVISORY || strcmp(name, mode_names[i]) != 0)
			continue;
		*ret_mode = (enum guard_mode)i;
		return 0;
	}
	return -EINVAL;
}

/* What a mode does to a writer that is not one of us, while the lock is held. */
static const enum guard_verdict on_writer[] = {
	[GUARD_OFF] = GUARD_ALLOW,   [GUARD_ADVISORY] = GUARD_ALLOW, [GUARD_WATCH] = GUARD_ALLOW,
	[GUARD_REFUSE] = GUARD_DENY, [GUARD_HOLD] = GUARD_WAIT,
};
static_assert(sizeof(on_writer) / sizeof(on_writer[0]) == GUARD_MODE_COUNT, "a verdict each");

enum guard_verdict guard_judge(enum guard_mode mode, bool engaged, const struct guard_open *open)
{
	if (open->own || !engaged || !open->writes)
		return GUARD_ALLOW;
	if (open->hook)
		return GUARD_DENY;
	return on_writer[mode];
}

/* Which argument of a system call holds the flags of an open. */
static const struct {
	long number;
	int flags_at;
} opens[] = {
#ifdef SYS_open
	{ SYS_open, 1 },
#endif
	{ SYS_openat, 2 },
};

/* "257 0xffffff9c 0x7ffc1000 0x80000 ...": the @at-th argument, from 0. */
static long argument(const char *text, int at)
{
	char *end;
	int i;

	for (i = 0; i <= at; i++) {
		text = strchr(text, ' ');
		if (!text)
			return O_ACCMODE;
		text++;
	}
	at = (int)strtoul(text, &end, 16);
	return end == text ? O_ACCMODE : at;
}

int guard_parse_syscall(const char *text)
{
	char *end;
	long number;
	size_t i;

	if (!strncmp(text, "running", 7))
		return -EAGAIN;
	number = strtol(text, &end, 10);
	if (end == text || *end != ' ')
		return 1;
	for (i = 0; i < sizeof(opens) / sizeof(opens[0]); i++)
		if (number == opens[i].number)
			return (argument(text, opens[i].flags_at) & O_ACCMODE) != O_RDONLY;
	return 1;
}

/* "12 (a (strange) name) S 11 ...": the name may hold anything, brackets too. */
pid_t guard_parse_parent(const char *text)
{
	const char *p = strrchr(text, ')');

	if (!p || strnlen(p, 5) < 5)
		return 0;
	return (pid_t)strtol(p + 3, NULL, 10);
}

int guard_parse_cpu(const char *path)
{
	const char *dir = strstr(path, "/cpu/cpu");
	char *end;
	long cpu;

	if (!dir || dir[8] < '0' || dir[8] > '9')
		return -1;
	cpu = strtol(dir + 8, &end, 10);
	return strcmp(end, "/online") || cpu >= LS_CPUS_MAX ? -1 : (int)cpu;
}
