/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks that are asked: what a veto is, who hears of it, how long an answer may take, and
 * whose the programs are meanwhile.
 */
#include "hook_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <lockstep/err.h>
#include <lockstep/wire.h>
#include <qmp.h>

/* ---- vetoes ---------------------------------------------------------------- */

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
	put_file(t.dir, "a", 0755, "no program\n");
	assert_int_equal(hooks_check(t.hooks, &offline_cpu3, &err), -ECANCELED);
	assert_string_equal(err.text, "hook a refuses: Exec format error");
}

/* ---- deadlines ------------------------------------------------------------- */

#define SHORT_MS 200 /* for a hook that is not to end by itself */

static void hurry(void)
{
	hooks_free(t.hooks);
	t.hooks = hooks_new(t.dir, SHORT_MS);
	assert_non_null(t.hooks);
}

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

/* ---- whose it is ----------------------------------------------------------- */

/* Of the other thread; to be read when it has ended. */
static struct ls_err refused;

static void *ask_hooks(void *arg)
{
	return (void *)(intptr_t)hooks_check(arg, &offline_cpu3, &refused);
}

static const char *fifo(void)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/.fifo", t.dir);
	return path;
}

static void make_fifo(void)
{
	assert_int_equal(mkfifo(fifo(), 0600), 0);
}

/* When the hook is there, which reads it. */
static int open_fifo(void)
{
	return open(fifo(), O_WRONLY | O_CLOEXEC);
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
	pthread_t thread;
	int self, kid, fd;

	(void)state;
	make_fifo();
	put_hook("a",
		 "cd ${0%/*}\nset -m\nsleep 1000 & echo $! >.kid\necho $$ >.self\nread x <.fifo");
	assert_int_equal(pthread_create(&thread, NULL, ask_hooks, t.hooks), 0);
	fd = open_fifo();
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

/* ---- the agent ends ---------------------------------------------------------- */

#define NEWS_MS 1000 /* enough to write a line down, on a busy machine too */

/* The hook that runs then is killed with its group, and has failed. */
static void test_when_the_agent_ends_then_the_hook_that_runs_ends(void **state)
{
	uint64_t until = qmp_now_ms() + PATIENCE_MS;
	pthread_t thread;
	int kid, fd;
	void *r;

	(void)state;
	make_fifo();
	put_hook("a", "cd ${0%/*}\nsleep 1000 & echo $! >.kid\nread x <.fifo; wait");
	assert_int_equal(pthread_create(&thread, NULL, ask_hooks, t.hooks), 0);
	fd = open_fifo();
	kid = read_pid(".kid");
	assert_true(kid > 0 && is_alive(kid));
	hooks_stop(t.hooks, until);
	pthread_join(thread, &r);
	close(fd);
	assert_int_equal((intptr_t)r, -ECANCELED);
	assert_string_equal(refused.text, "hook a refuses: killed: the agent ends");
	while (is_alive(kid) && qmp_now_ms() < until)
		sched_yield();
	assert_false(is_alive(kid));
}

/* Those that hear what came of it are run while there is time, and have no more than that. */
static void test_when_the_agent_ends_then_the_news_have_little_time(void **state)
{
	uint64_t since = qmp_now_ms();

	(void)state;
	put_hook("a", "sleep 1000");
	hooks_stop(t.hooks, since + NEWS_MS);
	hooks_run(t.hooks, HOOK_FAILED, &offline_cpu3);
	assert_in_range(qmp_now_ms() - since, NEWS_MS, PATIENCE_MS - 1);
	hooks_run(t.hooks, HOOK_FAILED, &offline_cpu3); /* none is left */
	assert_string_equal(trace(), "a failed offline cpu 3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		HOOK_TEST(test_when_the_agent_ends_then_the_hook_that_runs_ends),
		HOOK_TEST(test_when_the_agent_ends_then_the_news_have_little_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
