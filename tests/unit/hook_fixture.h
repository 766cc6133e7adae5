/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks for the agent's tests: real programs in a real directory. Each is a few lines of
 * shell that write down that they were called, and how.
 */
#ifndef HOOK_FIXTURE_H
#define HOOK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../guest-agent/hooks.h"
#include "put_file.h"

#define PATIENCE_MS 20000 /* for a hook that is to end by itself: only a bound on hanging */

/* The directory of this test, the file that hooks write to, and the hooks. */
static struct {
	char dir[64];
	char trace[80];
	struct hooks *hooks;
} t;

static const int cpu3[] = { 3 };
static const struct hook_event offline_cpu3 = { HOOK_OFFLINE, HOOK_CPU, cpu3, 1, "t7", -1 };
static const struct hook_event online_cpu3 = { HOOK_ONLINE, HOOK_CPU, cpu3, 1, "t7", -1 };

/* A hook that writes "name arguments" down, and then does what @more says. */
static inline void put_hook(const char *name, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text), "#!/bin/sh\necho \"${0##*/} $*\" >>%s\n%s\n", t.trace, more);
	put_file(t.dir, name, 0755, text);
}

/* What was written down since the last time. */
static inline const char *trace(void)
{
	static char text[8192];
	FILE *f = fopen(t.trace, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	unlink(t.trace);
	text[n] = '\0';
	return text;
}

static inline int setup(void **state)
{
	(void)state;
	strcpy(t.dir, "/tmp/test-hooks-XXXXXX");
	if (!mkdtemp(t.dir))
		return -1;
	snprintf(t.trace, sizeof(t.trace), "%s/.trace", t.dir);
	t.hooks = hooks_new(t.dir, PATIENCE_MS);
	return t.hooks ? 0 : -1;
}

static inline int teardown(void **state)
{
	char command[96];

	(void)state;
	hooks_free(t.hooks);
	snprintf(command, sizeof(command), "rm -rf %s", t.dir);
	return system(command);
}

#define HOOK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
