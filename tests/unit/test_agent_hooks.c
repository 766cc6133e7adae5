/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks: real programs in a real directory. Each is a few lines of shell that write
 * down that they were called, and how.
 */
#include "fake_sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <lockstep/err.h>
#include <lockstep/wire.h>
#include <qmp.h>

#include "../../guest-agent/hook_memory.h"
#include "../../guest-agent/hooks.h"
#include "../../guest-agent/memory.h"

#define PATIENCE_MS 20000 /* for a hook that is to end by itself: only a bound on hanging */
#define SHORT_MS    200	  /* for one that is not */

/* The directory of this test, the file that hooks write to, and the hooks. */
static struct {
	char dir[64];
	char trace[80];
	struct hooks *hooks;
} t;

static const int cpu3[] = { 3 };
static const struct hook_event offline_cpu3 = { HOOK_OFFLINE, HOOK_CPU, cpu3, 1, "t7", -1 };
static const struct hook_event online_cpu3 = { HOOK_ONLINE, HOOK_CPU, cpu3, 1, "t7", -1 };

static void put_file(const char *name, mode_t mode, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", t.dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* A hook that writes "name arguments" down, and then does what @more says. */
static void put_hook(const char *name, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text), "#!/bin/sh\necho \"${0##*/} $*\" >>%s\n%s\n", t.trace, more);
	put_file(name, 0755, text);
}

/* What was written down since the last time. */
static const char *trace(void)
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

static int setup(void **state)
{
	(void)state;
	strcpy(t.dir, "/tmp/test-hooks-XXXXXX");
	if (!mkdtemp(t.dir))
		return -1;
	snprintf(t.trace, sizeof(t.trace), "%s/.trace", t.dir);
	t.hooks = hooks_new(t.dir, PATIENCE_MS);
	return t.hooks ? 0 : -1;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	hooks_free(t.hooks);
	snprintf(command, sizeof(command), "rm -rf %s", t.dir);
	return system(command);
}

static void hurry(void)
{
	hooks_free(t.hooks);
	t.hooks = hooks_new(t.dir, SHORT_MS);
	assert_non_null(t.hooks);
}

/* ---- which are run, and how -------------------------------------------------- */

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
	put_file("a", 0755, "#!/bin/sh\n");
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
	put_file("a", 0755,
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

/* ---- which are not run -------------------------------------------------------- */

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

/* ---- vetoes --------------------------------------------------------------------- */

/* A veto ends the questions; those that had said yes are told, the last one first. */
static void test_when_one_vetoes_then_those_before_it_are_undone_in_reverse(void **state)
{
	struct ls_err err = { 0 };

	(void)state;
	put_hook("1", "");
	put_hook("2", "");
	put_hook("3", "if [ $1 = check ]; then echo 'the database runs there' >&2; exit 4; fi");
	put_hook("4", "");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, &err), -ECANCELED);
	assert_string_equal(err.text, "hook 3 refuses: the database runs there");
	assert_string_equal(err.class, LS_CLASS_HOOK_VETO);
	assert_string_equal(trace(), "1 check offline cpu 3\n2 check offline cpu 3\n"
				     "3 check offline cpu 3\n2 undocheck offline cpu 3\n"
				     "1 undocheck offline cpu 3\n");
}

/* What had passed is told once that it does not happen, and only if it did not. */
static void test_when_it_does_not_happen_then_undocheck_comes_once(void **state)
{
	(void)state;
	put_hook("1", "");
	put_hook("2", "");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, NULL), 0);
	trace();
	hooks_undocheck(t.hooks, &offline_cpu3);
	assert_string_equal(trace(), "2 undocheck offline cpu 3\n1 undocheck offline cpu 3\n");
	hooks_undocheck(t.hooks, &offline_cpu3);
	assert_string_equal(trace(), "");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, NULL), 0);
	hooks_run(t.hooks, HOOK_POST, &offline_cpu3);
	trace();
	hooks_undocheck(t.hooks, &offline_cpu3);
	assert_string_equal(trace(), "");
}

/* A window asks for itself and then for each CPU: the CPU's promise is not the window's. */
static void test_when_a_window_and_a_cpu_have_passed_then_each_has_its_own_undocheck(void **state)
{
	const struct hook_event open = { HOOK_ONLINE, HOOK_WINDOW, NULL, 0, "t7", -1 };

	(void)state;
	put_hook("1", "");
	assert_int_equal(hooks_check(t.hooks, &open, NULL), 0);
	assert_int_equal(hooks_check(t.hooks, &online_cpu3, NULL), 0);
	hooks_run(t.hooks, HOOK_POST, &online_cpu3);
	trace();
	hooks_undocheck(t.hooks, &open);
	assert_string_equal(trace(), "1 undocheck open window\n");
}

/* News cannot be vetoed: a hook that fails at pre or post changes nothing. */
static void test_when_news_fail_then_the_others_hear_them_all_the_same(void **state)
{
	(void)state;
	put_hook("1", "exit 1");
	put_hook("2", "");
	hooks_run(t.hooks, HOOK_PRE, &offline_cpu3);
	assert_string_equal(trace(), "1 pre offline cpu 3\n2 pre offline cpu 3\n");
}

/* @more vetoes; return the message that the host's user gets. */
static const char *message_of(const char *more)
{
	static struct ls_err err;
	char text[1024];

	snprintf(text, sizeof(text), "[ $1 = check ] || exit 0\n%s", more);
	put_hook("a", text);
	err = (struct ls_err){ 0 };
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, &err), -ECANCELED);
	return err.text;
}

/* Of what a hook says only the first line goes to the host, without control characters. */
static void test_when_a_message_is_wild_then_it_is_one_printable_line(void **state)
{
	(void)state;
	assert_string_equal(message_of("printf 'no\\nsecond\\n' >&2; exit 1"),
			    "hook a refuses: no");
	assert_string_equal(message_of("printf 'a\\033[2Jb\\tc\\377' >&2; exit 1"),
			    "hook a refuses: a?[2Jb?c?");
	assert_string_equal(message_of("echo to stdout; exit 3"),
			    "hook a refuses: ended with status 3");
	assert_string_equal(message_of("kill -KILL $$"), "hook a refuses: ended by signal 9");
}

/* A message of a megabyte is cut, and nobody waits for the rest to be written. */
static void test_when_a_message_is_long_then_it_is_cut(void **state)
{
	const char *text;

	(void)state;
	text = message_of("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
	assert_int_equal(strlen(text), strlen("hook a refuses: ") + HOOK_MESSAGE_BYTES - 1);
	assert_string_equal(text + strlen(text) - 3, "xxx");
}

/* A file that the kernel cannot run vetoes: a safety check that is broken is not a yes. */
static void test_when_a_hook_cannot_be_run_then_that_is_a_veto(void **state)
{
	struct ls_err err = { 0 };

	(void)state;
	put_file("a", 0755, "no program\n");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, &err), -ECANCELED);
	assert_string_equal(err.text, "hook a refuses: Exec format error");
}

/* ---- deadlines -------------------------------------------------------------------- */

/* What is dead and not yet fetched by its parent is not alive. */
static bool is_alive(int pid)
{
	char path[64], line[128] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return line[0] && !strstr(line, ") Z");
}

/* A hook that does not answer is killed with what it has started, and vetoes. */
static void test_when_a_hook_hangs_then_its_group_is_killed(void **state)
{
	uint64_t until = qmp_now_ms() + PATIENCE_MS;
	struct ls_err err = { 0 };
	const char *text;
	int pid;

	(void)state;
	hurry();
	put_hook("a", "sleep 1000 & echo $! >>${0%/*}/.trace; wait");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, &err), -ECANCELED);
	assert_string_equal(err.text, "hook a refuses: no answer within 200 ms");
	text = trace();
	assert_int_equal(sscanf(text, "a check offline cpu 3\n%d", &pid), 1);
	while (is_alive(pid) && qmp_now_ms() < until)
		sched_yield();
	assert_false(is_alive(pid));
}

/* What a hook leaves behind does not hold its answer up, even with its standard error. */
static void test_when_a_hook_leaves_a_child_then_nobody_waits_for_it(void **state)
{
	uint64_t since = qmp_now_ms();

	(void)state;
	put_hook("a", "sleep 1000 &");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, NULL), 0);
	assert_true(qmp_now_ms() - since < PATIENCE_MS);
}

/* ---- whose it is -------------------------------------------------------------------- */

static void *ask_hooks(void *arg)
{
	return (void *)(intptr_t)hooks_check(arg, &offline_cpu3, NULL);
}

static int read_pid(const char *name)
{
	char path[160];
	FILE *f;
	int pid = 0;

	snprintf(path, sizeof(path), "%s/%s", t.dir, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d\n", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

/*
 * While a hook runs, it and its children are ours, and we are not; afterwards nobody is.
 * The hook waits on a pipe until the test has looked.
 */
static void test_when_a_hook_runs_then_it_and_its_children_are_known(void **state)
{
	char fifo[96];
	pthread_t thread;
	int self, kid, fd;

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s/.fifo", t.dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	put_hook("a",
		 "cd ${0%/*}\nset -m\nsleep 1000 & echo $! >.kid\necho $$ >.self\nread x <.fifo");
	assert_int_equal(pthread_create(&thread, NULL, ask_hooks, t.hooks), 0);
	fd = open(fifo, O_WRONLY | O_CLOEXEC); /* when the hook is there */
	self = read_pid(".self");
	kid = read_pid(".kid");
	assert_true(self > 0 && kid > 0);
	assert_true(hooks_is_ours(self));
	assert_true(hooks_is_ours(kid));
	assert_false(hooks_is_ours(getpid()));
	close(fd);
	pthread_join(thread, NULL);
	assert_false(hooks_is_ours(self));
	assert_false(hooks_is_ours(kid));
	kill(kid, SIGKILL); /* it had a process group of its own */
}

/* ---- around changes ------------------------------------------------------------------- */

static void guest_with_hooks(struct guest *g)
{
	guest_init(g, 4, 3, 4);
	g->model.hooks = t.hooks;
	hooks_set_txn(t.hooks, "t1");
	guest_lock(g, "t1");
}

/* A CPU that changes is asked about, and the news come before and after. */
static void test_when_a_cpu_goes_offline_then_check_pre_and_post_are_told(void **state)
{
	static struct guest g;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	assert_int_equal(device_offline(guest_cpu(&g, 2), NULL), 0);
	assert_string_equal(trace(), "a check offline cpu 2\na pre offline cpu 2\n"
				     "a post offline cpu 2\n");
	assert_int_equal(device_offline(guest_cpu(&g, 2), NULL), 1);
	assert_string_equal(trace(), "");
	guest_done(&g);
}

/* A veto is an error with the hook's words, and the kernel was not asked. */
static void test_when_a_hook_vetoes_a_cpu_then_nothing_was_written(void **state)
{
	static struct guest g;
	struct ls_err err = { 0 };

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "echo busy >&2; exit 1");
	assert_int_equal(device_offline(guest_cpu(&g, 2), &err), -ECANCELED);
	assert_non_null(strstr(err.text, "hook a refuses: busy"));
	assert_int_equal(fake_writes(&g.kernel, NULL, NULL), 0);
	assert_true(fake_agrees(&g.kernel, 2, true));
	guest_done(&g);
}

/* The kernel refuses after all had agreed: they are told, and their promise is undone. */
static void test_when_the_kernel_refuses_then_failed_and_undocheck_are_told(void **state)
{
	static struct guest g;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	fake_fail(&g.kernel, "", 0, 1, -EBUSY);
	assert_true(device_offline(guest_cpu(&g, 2), NULL) < 0);
	assert_string_equal(trace(), "a check offline cpu 2\na pre offline cpu 2\n"
				     "a failed offline cpu 2\na undocheck offline cpu 2\n");
	guest_done(&g);
}

static void no_failure(void *arg, const struct device *dev, int code, const struct ls_err *err)
{
	(void)arg;
	(void)dev;
	(void)code;
	(void)err;
}

/* Of a batch that half fails, each block is told of once, in the phase that fits it. */
static void test_when_a_batch_is_done_in_part_then_each_block_has_its_phase(void **state)
{
	struct memory_result result = { .failed = no_failure };
	static struct guest g;
	struct hook_memory b;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	fake_fail(&g.kernel, "devices/system/memory/memory1/state", 0, 1, -ENOMEM);
	assert_int_equal(
		hook_memory_begin(&b, &g.model, 0, (int64_t)FAKE_BLOCK_MB * 3 << 20, true, NULL),
		0);
	memory_range(&g.model, 0, (int64_t)FAKE_BLOCK_MB * 3 << 20, "online_movable", &result);
	hook_memory_end(&b);
	assert_string_equal(trace(), "a check online memory 0 1 2\na pre online memory 0 1 2\n"
				     "a failed online memory 1\na undocheck online memory 1\n"
				     "a post online memory 0 2\n");
	guest_done(&g);
}

static void no_cpu(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)cpu;
	(void)code;
	(void)err;
}

/* A window that a hook does not allow is closed again, and the lock is free. */
static void test_when_a_hook_vetoes_a_window_then_it_is_closed_and_the_lock_free(void **state)
{
	struct window_result result = { .failed = no_cpu };
	struct ls_err err = { 0 };
	struct window_view v;
	struct lock_view l;
	static struct guest g;

	(void)state;
	guest_init(&g, 4, 3, 0);
	g.model.hooks = t.hooks;
	put_hook("a", "[ $1 != check ] || exit 1");
	assert_int_equal(window_admit(&g.window, "t1", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	assert_int_equal(window_open(&g.window, "t1", false, &result, &err), -ECANCELED);
	window_look(&g.window, 0, &v);
	lock_look(&g.lock, 0, &l);
	assert_int_equal(v.state, WINDOW_CLOSED);
	assert_false(l.held);
	assert_int_equal(fake_writes(&g.kernel, NULL, NULL), 0);
	guest_done(&g);
}

/* Open and close of a window that has no CPU to force. */
static void test_when_a_window_opens_and_closes_then_both_are_told(void **state)
{
	struct window_result result = { .failed = no_cpu };
	static struct guest g;

	(void)state;
	guest_init(&g, 4, 4, 0);
	g.model.hooks = t.hooks;
	put_hook("a", "");
	assert_int_equal(window_admit(&g.window, "t1", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	assert_int_equal(window_open(&g.window, "t1", false, &result, NULL), 0);
	assert_string_equal(trace(), "a check open window\na pre open window\n"
				     "a post open window\n");
	assert_int_equal(window_close(&g.window, "t1", &result, NULL), 0);
	assert_string_equal(trace(), "a pre close window\na post close window\n");
	guest_done(&g);
}

/* ---- a write that comes back late ---------------------------------------------------- */

static sem_t back;

static void on_out(void *arg, int change)
{
	(void)arg;
	if (change < 0)
		sem_post(&back);
}

/* The kernel does not come back from the next write to this file. */
static void start_late(struct guest *g, const char *path)
{
	guest_with_hooks(g);
	put_hook("a", "");
	put_hook("b", "");
	g->model.cpu_ms = g->model.memory_ms = 5;
	g->kernel.hang_deaf = true;
	strcpy(g->kernel.hang, path);
	sem_init(&back, 0, 0);
	sysfs_on_out(g->sysfs, on_out, NULL);
}

/* It does, and somebody looks. */
static void come_back(struct guest *g)
{
	fake_release(&g->kernel);
	while (sem_wait(&back) < 0)
		;
	sysfs_on_out(g->sysfs, NULL, NULL);
	guest_scan(g);
}

/*
 * Up and down, done after all, failed, or the CPU gone meanwhile: who had agreed hears the
 * end of it once, and not before it is known.
 */
static void test_when_a_write_comes_back_late_then_its_end_is_told_once(void **state)
{
	enum end { DONE, FAILED, GONE, END_COUNT };
	static const char *const told[2][END_COUNT] = {
		{ "a post offline cpu 2\nb post offline cpu 2\n",
		  "a failed offline cpu 2\nb failed offline cpu 2\n"
		  "b undocheck offline cpu 2\na undocheck offline cpu 2\n",
		  "a post offline cpu 2\nb post offline cpu 2\n" },
		{ "a post online cpu 3\nb post online cpu 3\n",
		  "a failed online cpu 3\nb failed online cpu 3\n"
		  "b undocheck online cpu 3\na undocheck online cpu 3\n",
		  "a failed online cpu 3\nb failed online cpu 3\n"
		  "b undocheck online cpu 3\na undocheck online cpu 3\n" },
	};
	const char *path[2] = { "devices/system/cpu/cpu2/online",
				"devices/system/cpu/cpu3/online" };
	static struct guest g;
	struct device *dev;
	char before[64];
	int up, end;

	(void)state;
	for (up = 0; up < 2; up++)
		for (end = DONE; end < END_COUNT; end++) {
			start_late(&g, path[up]);
			dev = guest_cpu(&g, 2 + up);
			if (end == FAILED)
				fake_fail(&g.kernel, path[up], 0, 1, -EBUSY);
			assert_int_equal(up ? device_online(dev, NULL) : device_offline(dev, NULL),
					 -EINPROGRESS);
			snprintf(before, sizeof(before), "pre %s cpu %d\n",
				 up ? "online" : "offline", 2 + up);
			assert_non_null(strstr(trace(), before));
			guest_scan(&g); /* it is still there */
			assert_int_equal(up ? device_online(dev, NULL) : device_offline(dev, NULL),
					 -EBUSY);
			assert_string_equal(trace(), "");
			if (end == GONE)
				g.kernel.cpu[2 + up].present = false;
			come_back(&g);
			assert_string_equal(trace(), told[up][end]);
			guest_scan(&g);
			assert_string_equal(trace(), "");
			guest_done(&g);
		}
}

/* One block of a batch is late: the others have their ends now, it has its own later. */
static void test_when_a_block_is_late_then_its_end_is_its_own(void **state)
{
	struct memory_result result = { .failed = no_failure };
	const int64_t three = (int64_t)FAKE_BLOCK_MB * 3 << 20;
	static struct guest g;
	struct hook_memory b;

	(void)state;
	start_late(&g, "devices/system/memory/memory1/state");
	assert_int_equal(hook_memory_begin(&b, &g.model, 0, three, true, NULL), 0);
	memory_range(&g.model, 0, three, "online_movable", &result);
	trace();
	hook_memory_end(&b);
	assert_string_equal(trace(), "a failed online memory 2\nb failed online memory 2\n"
				     "b undocheck online memory 2\na undocheck online memory 2\n"
				     "a post online memory 0\nb post online memory 0\n");
	assert_int_equal(hook_memory_begin(&b, &g.model, 0, three, true, NULL), 0);
	assert_string_equal(trace(), "a check online memory 2\nb check online memory 2\n"
				     "a pre online memory 2\nb pre online memory 2\n");
	hook_memory_end(&b);
	trace();
	come_back(&g);
	assert_string_equal(trace(), "a post online memory 1\nb post online memory 1\n");
	guest_done(&g);
}

/* An undo failed, and the walk stands in the middle: told for what the CPU is. */
static void test_when_an_undo_fails_then_the_end_is_told(void **state)
{
	static struct guest g;
	struct device *dev;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	dev = guest_cpu(&g, 3);
	dev->hp.fail = cpuhp_row(g.model.cpuhp, "ap:alive");
	fake_fail(&g.kernel, "devices/system/cpu/cpu3/online", 1, 1, -EBUSY);
	assert_int_equal(device_online(dev, NULL), -EAGAIN);
	assert_true(dev->hp.stuck);
	assert_string_equal(trace(), "a check online cpu 3\na pre online cpu 3\n"
				     "a post online cpu 3\n");
	guest_scan(&g);
	assert_string_equal(trace(), "");
	guest_done(&g);
}

#define HOOK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
		HOOK_TEST(test_when_one_vetoes_then_those_before_it_are_undone_in_reverse),
		HOOK_TEST(test_when_it_does_not_happen_then_undocheck_comes_once),
		HOOK_TEST(test_when_a_window_and_a_cpu_have_passed_then_each_has_its_own_undocheck),
		HOOK_TEST(test_when_news_fail_then_the_others_hear_them_all_the_same),
		HOOK_TEST(test_when_a_message_is_wild_then_it_is_one_printable_line),
		HOOK_TEST(test_when_a_message_is_long_then_it_is_cut),
		HOOK_TEST(test_when_a_hook_cannot_be_run_then_that_is_a_veto),
		HOOK_TEST(test_when_a_hook_hangs_then_its_group_is_killed),
		HOOK_TEST(test_when_a_hook_leaves_a_child_then_nobody_waits_for_it),
		HOOK_TEST(test_when_a_hook_runs_then_it_and_its_children_are_known),
		HOOK_TEST(test_when_a_cpu_goes_offline_then_check_pre_and_post_are_told),
		HOOK_TEST(test_when_a_hook_vetoes_a_cpu_then_nothing_was_written),
		HOOK_TEST(test_when_the_kernel_refuses_then_failed_and_undocheck_are_told),
		HOOK_TEST(test_when_a_batch_is_done_in_part_then_each_block_has_its_phase),
		HOOK_TEST(test_when_a_hook_vetoes_a_window_then_it_is_closed_and_the_lock_free),
		HOOK_TEST(test_when_a_window_opens_and_closes_then_both_are_told),
		HOOK_TEST(test_when_a_write_comes_back_late_then_its_end_is_told_once),
		HOOK_TEST(test_when_a_block_is_late_then_its_end_is_its_own),
		HOOK_TEST(test_when_an_undo_fails_then_the_end_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
