/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks: which programs are run, in which order and how, and which are not.
 */
#include "hook_fixture.h"

#include <fcntl.h>
#include <signal.h>

#include <lockstep/hookdir.h>
#include <lockstep/wire.h>

/* ---- which are run, and how ------------------------------------------------ */

/* Without hooks, without a directory and with an empty one there is nothing to ask. */
static void test_when_there_are_no_hooks_then_everything_may_happen(void **state)
{
	struct hooks *none = hooks_new("/nonexistent/hooks.d", PATIENCE_MS);

	(void)state;
	assert_int_equal(hooks_check(NULL, &offline_cpu3, NULL), 0);
	assert_int_equal(hooks_check(none, &offline_cpu3, NULL), 0);
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, NULL), 0);
	hooks_run(none, HOOK_PRE, &offline_cpu3);
	hooks_undocheck(NULL, &offline_cpu3);
	hooks_free(none);
}

/* Programs run in the order of their names, whatever the directory's. */
static void test_when_there_are_several_then_they_run_by_name(void **state)
{
	(void)state;
	put_hook("20-b", "");
	put_hook("10-a", "");
	put_hook("30-c", "");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, NULL), 0);
	assert_string_equal(trace(), "10-a check offline cpu 3\n20-b check offline cpu 3\n"
				     "30-c check offline cpu 3\n");
}

/* Each phase, action and kind has its word, and a window has no ids. */
static void test_when_a_phase_is_told_then_the_words_are_the_documented_ones(void **state)
{
	static const int blocks[] = { 32, 33 };
	const struct hook_event memory = { HOOK_ONLINE, HOOK_MEMORY, blocks, 2, "t7", -1 };
	const struct hook_event open = { HOOK_ONLINE, HOOK_WINDOW, NULL, 0, "t7", -1 };
	const struct hook_event shut = { HOOK_OFFLINE, HOOK_WINDOW, NULL, 0, "t7", -1 };

	(void)state;
	put_hook("a", "");
	hooks_run(t.hooks, HOOK_PRE, &online_cpu3);
	hooks_run(t.hooks, HOOK_POST, &memory);
	hooks_run(t.hooks, HOOK_FAILED, &open);
	hooks_run(t.hooks, HOOK_PRE, &shut);
	assert_string_equal(trace(), "a pre online cpu 3\na post online memory 32 33\n"
				     "a failed open window\na pre close window\n");
}

/* The environment is what docs/hooks.md lists, and nothing of the agent's own. */
static void test_when_a_hook_runs_then_its_environment_is_the_documented_one(void **state)
{
	char want[512];

	(void)state;
	put_file(t.dir, "a", 0755, "#!/bin/sh\n");
	setenv("SECRET", "of the agent", 1);
	put_hook("a",
		 "env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort >>${0%/*}/.trace");
	hooks_run(t.hooks, HOOK_PRE, &offline_cpu3);
	unsetenv("SECRET");
	snprintf(want, sizeof(want),
		 "a pre offline cpu 3\nLOCKSTEP_ACTION=offline\nLOCKSTEP_DEADLINE_MS=%d\n"
		 "LOCKSTEP_KIND=cpu\nLOCKSTEP_PHASE=pre\nLOCKSTEP_TXN=t7\n"
		 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
		 PATIENCE_MS);
	assert_string_equal(trace(), want);
}

/* No descriptor of the agent, its directory and its ignored signals are not passed on. */
static void test_when_a_hook_runs_then_it_inherits_nothing(void **state)
{
	int leak = dup2(STDERR_FILENO, 77); /* without O_CLOEXEC */

	(void)state;
	assert_int_equal(leak, 77);
	signal(SIGPIPE, SIG_IGN);
	put_hook("a", "exec 2>>${0%/*}/.trace >&2\npwd\n"
		      "[ ! -e /proc/$$/fd/77 ] || echo leak\n"
		      "sed -n 's/^SigIgn.*\\(.......\\)$/ignored \\1/p' /proc/$$/status");
	hooks_run(t.hooks, HOOK_PRE, &offline_cpu3);
	signal(SIGPIPE, SIG_DFL);
	close(leak);
	/* Signals 1 to 28: 32 and 33 are the C library's, and may come ignored from our parent.
	 */
	assert_string_equal(trace(), "a pre offline cpu 3\n/\nignored 0000000\n");
}

/* 65536 blocks, as many as a request can name, arrive as so many arguments. */
static void test_when_a_batch_is_as_large_as_can_be_then_all_ids_arrive(void **state)
{
	static int ids[LS_BLOCKS_MAX];
	const struct hook_event ev = { HOOK_ONLINE, HOOK_MEMORY, ids, LS_BLOCKS_MAX, "t7", -1 };
	int i;

	(void)state;
	for (i = 0; i < LS_BLOCKS_MAX; i++)
		ids[i] = i;
	put_file(t.dir, "a", 0755,
		 "#!/bin/sh\nshift 3\nfor last; do :; done\n"
		 "echo $# $1 $last >${0%/*}/.trace\n");
	assert_int_equal(hooks_check(t.hooks, &ev, NULL), 0);
	assert_string_equal(trace(), "65536 0 65535\n");
}

/* A pinned hook runs on that CPU and on no other. */
static void test_when_a_cpu_is_given_then_the_hook_is_pinned_there(void **state)
{
	struct hook_event ev = online_cpu3;

	(void)state;
	ev.cpu = 0;
	put_hook("a", "grep Cpus_allowed_list /proc/$$/status | tr -s '\\t' ' ' >>${0%/*}/.trace");
	hooks_run(t.hooks, HOOK_POST, &ev);
	assert_string_equal(trace(), "a post online cpu 3\nCpus_allowed_list: 0\n");
}

/* ---- which are not run ----------------------------------------------------- */

/* Whatever others than root could change is not run. */
static void test_when_others_can_change_a_file_then_it_is_not_run(void **state)
{
	char from[160], to[160];

	(void)state;
	put_hook("group-writable", "");
	put_hook("world-writable", "");
	put_hook("not-executable", "");
	put_hook("of-another", "");
	put_hook(".hidden", "");
	put_hook("backup~", "");
	put_hook("good.dpkg-old", "");
	put_hook("good", "");
	snprintf(to, sizeof(to), "%s/group-writable", t.dir);
	assert_int_equal(chmod(to, 0775), 0);
	snprintf(to, sizeof(to), "%s/world-writable", t.dir);
	assert_int_equal(chmod(to, 0757), 0);
	snprintf(to, sizeof(to), "%s/not-executable", t.dir);
	assert_int_equal(chmod(to, 0644), 0);
	snprintf(to, sizeof(to), "%s/of-another", t.dir);
	if (chown(to, 12345, 12345) < 0)
		unlink(to); /* only root can make one */
	snprintf(from, sizeof(from), "%s/good", t.dir);
	snprintf(to, sizeof(to), "%s/link", t.dir);
	assert_int_equal(symlink(from, to), 0);
	snprintf(to, sizeof(to), "%s/folder", t.dir);
	assert_int_equal(mkdir(to, 0755), 0);
	hooks_run(t.hooks, HOOK_PRE, &offline_cpu3);
	assert_string_equal(trace(), "good pre offline cpu 3\n");
}

/* A directory that others can write to could hold anything by the time it is run. */
static void test_when_others_can_change_the_directory_then_nothing_is_run(void **state)
{
	(void)state;
	put_hook("a", "exit 1");
	assert_int_equal(chmod(t.dir, 0777), 0);
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, NULL), 0);
	assert_string_equal(trace(), "");
}

/* More programs than there is room for: the first ones by the directory's order run. */
static void test_when_there_are_too_many_then_the_rest_is_not_run(void **state)
{
	char name[16];
	int i, lines = 0;
	const char *p;

	(void)state;
	for (i = 0; i < HOOKS_MAX + 3; i++) {
		snprintf(name, sizeof(name), "%03d", i);
		put_hook(name, "");
	}
	hooks_run(t.hooks, HOOK_PRE, &offline_cpu3);
	for (p = trace(); (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, HOOKS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOOK_TEST(test_when_there_are_no_hooks_then_everything_may_happen),
		HOOK_TEST(test_when_there_are_several_then_they_run_by_name),
		HOOK_TEST(test_when_a_phase_is_told_then_the_words_are_the_documented_ones),
		HOOK_TEST(test_when_a_hook_runs_then_its_environment_is_the_documented_one),
		HOOK_TEST(test_when_a_hook_runs_then_it_inherits_nothing),
		HOOK_TEST(test_when_a_batch_is_as_large_as_can_be_then_all_ids_arrive),
		HOOK_TEST(test_when_a_cpu_is_given_then_the_hook_is_pinned_there),
		HOOK_TEST(test_when_others_can_change_a_file_then_it_is_not_run),
		HOOK_TEST(test_when_others_can_change_the_directory_then_nothing_is_run),
		HOOK_TEST(test_when_there_are_too_many_then_the_rest_is_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
