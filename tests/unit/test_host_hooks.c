/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's hooks: which programs are run, what they are told, and that none of them is
 * waited for without end.
 */
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

#include <lockstep/log.h>
#include <qmp.h>

#include "../../coordinator/hv/hooks.h"

static char dir[] = "/tmp/lockstep-hooks-XXXXXX";
static char logged[4096];
static sd_event *loop;

void log_sink(int priority, const char *fmt, ...)
{
	size_t n = strlen(logged);
	va_list ap;

	(void)priority;
	va_start(ap, fmt);
	vsnprintf(logged + n, sizeof(logged) - n, fmt, ap);
	va_end(ap);
}

static void program(const char *name, mode_t mode, const char *body)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
	(void)state;
	logged[0] = '\0';
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv(HOOKS_DIR_ENV, dir, 1);
	return sd_event_new(&loop) < 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	sd_event_unref(loop);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void note_over(void *arg)
{
	bool *over = arg;

	*over = true;
}

/* Return: how long it took. */
static uint64_t tell(void)
{
	struct hook_call call = { "vm1", "t1", 3, "101 102" };
	uint64_t since_ms = qmp_now_ms();
	bool over = false;
	struct hooks *h = hooks_tell(loop, &call, note_over, &over);

	while (!over)
		assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
	hooks_free(h);
	return qmp_now_ms() - since_ms;
}

/* Without a program nobody is asked for threads. */
static void test_when_there_is_none_then_said(void **state)
{
	(void)state;
	assert_false(hooks_any());
	tell();
	program("10-a", 0755, "exit 0");
	assert_true(hooks_any());
	assert_string_equal(logged, "");
}

/* In the order of their names; a status is a warning, and the next one runs. */
static void test_when_told_then_each_knows_what_happened(void **state)
{
	(void)state;
	program("20-b", 0755, "echo second >&2; exit 2");
	program("10-a", 0755,
		"echo \"$*|$LOCKSTEP_GUEST|$LOCKSTEP_TXN|$LOCKSTEP_THREADS|$(env | wc -l)\" >&2\n"
		"exit 1");
	tell();
	assert_non_null(
		strstr(logged, "vm1: hook 10-a: status 1: post plug cpu 3|vm1|t1|101 102|"));
	assert_non_null(strstr(logged, "vm1: hook 20-b: status 2: second"));
	assert_true(strstr(logged, "10-a") < strstr(logged, "20-b"));
}

/* What others can change, or is no program, is not run. */
static void test_when_a_file_is_no_hook_then_not_run(void **state)
{
	(void)state;
	program("10-writable", 0777, "echo ran >&2; exit 1");
	program("20-not-executable", 0644, "echo ran >&2; exit 1");
	program(".30-hidden", 0755, "echo ran >&2; exit 1");
	program("40-old.dpkg-old", 0755, "echo ran >&2; exit 1");
	assert_false(hooks_any());
	tell();
	assert_null(strstr(logged, "ran"));
	assert_non_null(strstr(logged, "hook 10-writable: not run"));
}

/* It has its time, and so has what it has started; its output can be anything. */
static void test_when_one_does_not_end_then_killed_and_the_next_runs(void **state)
{
	uint64_t took_ms;

	(void)state;
	program("10-slow", 0755, "sleep 1000 & sleep 1000");
	program("20-next", 0755, "printf 'a\\033[31m\\n' >&2; exit 1");
	program("30-much", 0755, "head -c 1000000 /dev/zero >&2; exit 0");
	took_ms = tell();
	assert_in_range(took_ms, HOOK_MS, HOOK_MS + 30000);
	assert_non_null(strstr(logged, "hook 10-slow: killed: no end within 5000 ms"));
	assert_non_null(strstr(logged, "hook 20-next: status 1: a?[31m"));
}

/* Whoever has asked may go: what runs is killed with it. */
static void test_when_let_go_then_killed(void **state)
{
	struct hook_call call = { "vm1", "t1", 3, "101" };
	uint64_t since_ms = qmp_now_ms();
	bool over = false;

	(void)state;
	program("10-slow", 0755, "sleep 1000");
	hooks_free(hooks_tell(loop, &call, note_over, &over));
	assert_false(over);
	assert_in_range(qmp_now_ms() - since_ms, 0, HOOK_MS - 1);
}

int main(void)
{
#define HOOK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		HOOK_TEST(test_when_there_is_none_then_said),
		HOOK_TEST(test_when_told_then_each_knows_what_happened),
		HOOK_TEST(test_when_a_file_is_no_hook_then_not_run),
		HOOK_TEST(test_when_one_does_not_end_then_killed_and_the_next_runs),
		HOOK_TEST(test_when_let_go_then_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
