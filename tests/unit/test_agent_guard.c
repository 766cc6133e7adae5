/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard: its verdict, what it reads out of /proc, and, where fanotify may be used,
 * its thread at work on files that look like sysfs.
 */
#include "../../guest-agent/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <qmp.h>

#include "fake_sysfs.h"

#define BOUND_MS 10000 /* on hanging */

/* ---- the verdict ------------------------------------------------------------ */

static enum guard_verdict expected(enum guard_mode mode, bool engaged, struct guard_open o)
{
	if (o.own || !engaged || !o.writes)
		return GUARD_ALLOW;
	if (o.hook || mode == GUARD_REFUSE)
		return GUARD_DENY;
	return mode == GUARD_HOLD ? GUARD_WAIT : GUARD_ALLOW;
}

/* Every mode, lock state and kind of opener: readers, ourselves and free times pass. */
static void test_when_somebody_opens_then_the_verdict_is_the_tables(void **state)
{
	struct guard_open o;
	int mode, bits;

	(void)state;
	for (mode = 0; mode < GUARD_MODE_COUNT; mode++)
		for (bits = 0; bits < 16; bits++) {
			o = (struct guard_open){ bits & 1, bits & 2, bits & 4 };
			assert_int_equal(guard_judge((enum guard_mode)mode, bits & 8, &o),
					 expected((enum guard_mode)mode, bits & 8, o));
		}
}

/* Names go both ways; "advisory" is a finding and cannot be asked for. */
static void test_when_a_mode_is_named_then_it_is_that_mode(void **state)
{
	static const enum guard_mode modes[] = { GUARD_OFF, GUARD_WATCH, GUARD_REFUSE, GUARD_HOLD };
	enum guard_mode got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(guard_mode_parse(guard_mode_name(modes[i]), &got), 0);
		assert_int_equal(got, modes[i]);
	}
	assert_int_equal(guard_mode_parse("advisory", &got), -EINVAL);
	assert_int_equal(guard_mode_parse("Hold", &got), -EINVAL);
	assert_int_equal(guard_mode_parse("", &got), -EINVAL);
}

/* ---- /proc -------------------------------------------------------------------- */

/* Only what is known to read is a reader; whatever else is there counts as a writer. */
static void test_when_a_thread_is_in_a_call_then_only_known_readers_read(void **state)
{
	static const struct {
		const char *args;
		long number;
		int writes;
	} rows[] = {
		{ "0xffffff9c 0x7ffd1234 0x80000 0x0 0x0 0x0 0x7f 0x7e", SYS_openat, 0 },
		{ "0xffffff9c 0x7ffd1234 0x0 0x0 0x0 0x0 0x7f 0x7e", SYS_openat, 0 },
		{ "0xffffff9c 0x7ffd1234 0x8000 0x0 0x0 0x0 0x7f 0x7e", SYS_openat, 0 },
		{ "0xffffff9c 0x7ffd1234 0x241 0x1b6 0x0 0x0 0x7f 0x7e", SYS_openat, 1 },
		{ "0xffffff9c 0x7ffd1234 0x80002 0x0 0x0 0x0 0x7f 0x7e", SYS_openat, 1 },
		{ "0xffffff9c 0x7ffd1234 0x3 0x0 0x0 0x0 0x7f 0x7e", SYS_openat, 1 },
		{ "0xffffff9c 0x7ffd1234", SYS_openat, 1 },
#ifdef SYS_open
		{ "0x7ffd1234 0x0 0x1b6 0x0 0x0 0x0 0x7f 0x7e", SYS_open, 0 },
		{ "0x7ffd1234 0x241 0x0 0x0 0x0 0x0 0x7f 0x7e", SYS_open, 1 },
#endif
		{ "0xffffff9c 0x7ffd1234 0x0 0x18 0x0 0x0 0x7f 0x7e", SYS_openat2, 1 },
		{ "0x4 0x1 0x1 0x1 0x0 0x8 0x7f 0x7e", SYS_io_uring_enter, 1 },
		{ "0x0 0x0 0x0 0x0 0x0 0x0 0x7f 0x7e", SYS_write, 1 },
		{ "0x7f 0x7e", -1, 1 },
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "%ld %s\n", rows[i].number, rows[i].args);
		if (guard_parse_syscall(text) != rows[i].writes)
			fail_msg("%s should be %d", text, rows[i].writes);
	}
	assert_int_equal(guard_parse_syscall(""), 1);
	assert_int_equal(guard_parse_syscall("x"), 1);
	assert_int_equal(guard_parse_syscall("running\n"), -EAGAIN);
}

/* A program may be called anything: its name must not be taken for what follows it. */
static void test_when_a_program_has_a_strange_name_then_its_parent_is_found(void **state)
{
	(void)state;
	assert_int_equal(guard_parse_parent("12 (sh) S 11 12 12 0"), 11);
	assert_int_equal(guard_parse_parent("12 (a) R 7 (b) S 11 12"), 11);
	assert_int_equal(guard_parse_parent("12 (a b)) S 1 12"), 1);
	assert_int_equal(guard_parse_parent("12 (a"), 0);
	assert_int_equal(guard_parse_parent("12 (a)"), 0);
	assert_int_equal(guard_parse_parent(""), 0);
}

/* Only a CPU's own online file is a wish for that CPU. */
static void test_when_a_path_is_a_cpus_online_file_then_it_is_that_cpu(void **state)
{
	(void)state;
	assert_int_equal(guard_parse_cpu("/sys/devices/system/cpu/cpu3/online"), 3);
	assert_int_equal(guard_parse_cpu("/sys/devices/system/cpu/cpu1023/online"), 1023);
	assert_int_equal(guard_parse_cpu("/sys/devices/system/cpu/cpu1024/online"), -1);
	assert_int_equal(guard_parse_cpu("/sys/devices/system/cpu/online"), -1);
	assert_int_equal(guard_parse_cpu("/sys/devices/system/cpu/cpu3/hotplug/target"), -1);
	assert_int_equal(guard_parse_cpu("/sys/devices/system/cpu/cpu3/online (deleted)"), -1);
	assert_int_equal(guard_parse_cpu("/sys/devices/system/cpu/cpufreq/online"), -1);
	assert_int_equal(guard_parse_cpu("/sys/devices/system/memory/memory3/online"), -1);
}

/* A hook's grandchild is the agent's descendant; a stranger is not. */
static void test_when_a_process_descends_from_the_agent_then_it_is_a_child(void **state)
{
	int pipes[2], r = 1;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			r = opener_is_child(getpid(), getppid()) && !opener_is_own(getppid());
			_exit(write(pipes[1], &r, sizeof(r)) != sizeof(r));
		}
		wait(NULL);
		_exit(0);
	}
	assert_true(opener_is_child(pid, getpid()));
	assert_int_equal(read(pipes[0], &r, sizeof(r)), sizeof(r));
	assert_int_equal(r, 1);
	waitpid(pid, NULL, 0);
	assert_false(opener_is_child(getpid(), getpid()));
	assert_true(opener_is_own(getpid()));
	close(pipes[0]);
	close(pipes[1]);
}

/* ---- the lock tells the guard --------------------------------------------------- */

static void count(void *arg, bool held)
{
	int *n = arg;

	n[held]++;
}

/* Taken and given back are told once each; a pinned lock is given back with its last pin. */
static void test_when_the_lock_changes_hands_then_the_guard_is_told_once(void **state)
{
	struct hotplug_lock l;
	int n[2] = { 0 };

	(void)state;
	lock_init(&l, 0);
	lock_on_change(&l, count, n);
	assert_int_equal(lock_take(&l, "t", 1, 1000, 0, NULL), 0);
	assert_int_equal(lock_take(&l, "t", 1, 1000, 0, NULL), 1);
	assert_int_equal(n[true], 1);
	lock_pin(&l, "t", NULL);
	lock_release(&l, "t", NULL);
	assert_int_equal(n[false], 0);
	lock_unpin(&l);
	assert_int_equal(n[false], 1);
	lock_done(&l);
}

/* ---- the window honours ----------------------------------------------------------- */

static struct cpus wishes;

static struct cpus take_wishes(void *arg)
{
	struct cpus taken = wishes;

	(void)arg;
	wishes = (struct cpus){ 0 };
	return taken;
}

static void not_failed(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)err;
	fail_msg("cpu%d: %d", cpu, code);
}

static void open_forced(struct guest *g)
{
	struct window_result result = { .failed = not_failed };

	g->window.intents = take_wishes;
	assert_int_equal(window_admit(&g->window, "t", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	guest_scan(g);
	assert_int_equal(window_open(&g->window, "t", false, &result, NULL), 0);
	assert_int_equal(cpus_count(&result.done), 2);
}

/* The mask minus intents: the CPU that its user set stays, the other goes. */
static void test_when_the_user_sets_a_cpu_in_the_window_then_close_leaves_it(void **state)
{
	struct window_result result = { .failed = not_failed };
	struct guest g;

	(void)state;
	guest_init(&g, 4, 2, 0);
	cpus_add(&wishes, 2); /* older than the window: means nothing to it */
	open_forced(&g);
	cpus_add(&wishes, 3);
	assert_int_equal(window_close(&g.window, "t", &result, NULL), 0);
	assert_true(fake_agrees(&g.kernel, 3, true));
	assert_true(fake_agrees(&g.kernel, 2, false));
	assert_true(cpus_has(&result.done, 2) && cpus_count(&result.done) == 1);
	guest_done(&g);
}

static void ignore_failure(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)cpu;
	(void)code;
	(void)err;
}

/* What is owed when it is tried again: by a close, or by the next window. */
static void pay(struct guest *g, bool next_window)
{
	struct window_result result = { .failed = not_failed };

	if (!next_window) {
		assert_int_equal(window_close(&g->window, "t", &result, NULL), 1);
		return;
	}
	assert_int_equal(window_admit(&g->window, "t", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	guest_scan(g);
	assert_int_equal(window_open(&g->window, "t", false, &result, NULL), 0);
	assert_int_equal(window_close(&g->window, "t", &result, NULL), 0);
}

/* Restore pending, and its user writes to the CPU: whoever tries again leaves it alone. */
static void test_when_the_user_sets_a_pending_cpu_then_the_retry_leaves_it(void **state)
{
	struct window_result result = { .failed = ignore_failure };
	struct guest g;
	int next;

	(void)state;
	for (next = 0; next < 2; next++) {
		guest_init(&g, 4, 2, 0);
		open_forced(&g);
		fake_fail(&g.kernel, "devices/system/cpu/cpu3/online", 0, 1, -EBUSY);
		assert_int_equal(window_close(&g.window, "t", &result, NULL), 0);
		assert_int_equal(g.window.state, WINDOW_PENDING);
		cpus_add(&wishes, 3); /* "1" to a CPU that is online: there is nothing to see */
		pay(&g, next);
		assert_true(fake_agrees(&g.kernel, 3, true));
		assert_true(fake_agrees(&g.kernel, 2, false));
		assert_int_equal(g.window.state, WINDOW_CLOSED);
		guest_done(&g);
	}
}

/* What happened while no agent ran is told as foreign, once, and honoured. */
static void test_when_a_forced_cpu_went_while_no_agent_ran_then_it_is_told(void **state)
{
	struct guest g;
	int before;

	(void)state;
	guest_init(&g, 4, 2, 0);
	open_forced(&g);
	fake_user(&g.kernel, "devices/system/cpu/cpu3/online", "0");
	guest_scan(&g);
	before = g.n_told;
	window_compare(&g.window);
	assert_int_equal(g.n_told, before + 1);
	assert_int_equal(g.told[before].id, 3);
	assert_string_equal(g.told[before].by, "foreign");
	assert_false(cpus_has(&g.window.forced, 3));
	assert_true(cpus_has(&g.window.forced, 2));
	window_compare(&g.window);
	assert_int_equal(g.n_told, before + 1);
	guest_done(&g);
}

/* ---- the thread, on real files ------------------------------------------------------ */

static char root[64];
static struct guard guard;

static void put_file(const char *path, mode_t mode)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	fd = open(full, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	close(fd);
}

/* A guard in this mode, before which nobody is a hook. Skips where that may not be. */
static void start(enum guard_mode mode, unsigned bound_ms)
{
	snprintf(root, sizeof(root), "/tmp/test_guard.XXXXXX");
	assert_non_null(mkdtemp(root));
	put_file("devices/system/cpu/cpu1/online", 0644);
	put_file("bus/acpi/devices/LNXCPU:00/eject", 0200);
	guard_init(&guard);
	if (guard_start(&guard, mode, root, bound_ms) < 0) {
		assert_int_equal(guard.mode, GUARD_ADVISORY);
		print_message("# skipped: fanotify permission events may not be used here\n");
		skip();
	}
	guard.agent = -1;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	guard_stop(&guard);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) != 0;
}

/* Another process opens and writes; its status is the errno. */
static pid_t user(const char *path, int flags)
{
	char full[256];
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(BOUND_MS / 1000);
	snprintf(full, sizeof(full), "%s/%s", root, path);
	fd = open(full, flags | O_CLOEXEC);
	if (fd < 0)
		_exit(errno);
	_exit(flags != O_RDONLY && write(fd, "1", 1) != 1 ? errno : 0);
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void await_held(unsigned n)
{
	uint64_t until_ms = qmp_now_ms() + BOUND_MS;

	while (guard_held_now(&guard) != n && qmp_now_ms() < until_ms)
		usleep(1000);
	assert_int_equal(guard_held_now(&guard), n);
}

#define ONLINE "devices/system/cpu/cpu1/online"
#define EJECT  "bus/acpi/devices/LNXCPU:00/eject"

/* A held writer's write happens after the lock is free, and readers do not wait for it. */
static void test_when_a_writer_is_held_then_readers_pass_and_it_goes_on_later(void **state)
{
	pid_t writer, ejector;

	(void)state;
	start(GUARD_HOLD, 0);
	assert_int_equal(end_of(user(ONLINE, O_WRONLY)), 0);
	guard_engage(&guard, true);
	writer = user(ONLINE, O_WRONLY);
	ejector = user(EJECT, O_WRONLY);
	await_held(2);
	assert_int_equal(end_of(user(ONLINE, O_RDONLY)), 0);
	assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
	guard_engage(&guard, false);
	assert_int_equal(end_of(writer), 0);
	assert_int_equal(end_of(ejector), 0);
	await_held(0);
}

/* Past the bound a writer is refused; another's bound is its own. */
static void test_when_the_bound_is_over_then_the_writer_is_refused(void **state)
{
	(void)state;
	start(GUARD_HOLD, 50);
	guard_engage(&guard, true);
	assert_int_equal(end_of(user(ONLINE, O_RDWR)), EPERM);
	assert_int_equal(end_of(user(EJECT, O_WRONLY)), EPERM);
	await_held(0);
}

static pid_t held_writer(void)
{
	pid_t writer;

	start(GUARD_HOLD, 0);
	guard_engage(&guard, true);
	writer = user(ONLINE, O_WRONLY);
	await_held(1);
	return writer;
}

/* A guard that ends holds nobody. */
static void test_when_the_guard_ends_then_the_held_go_on(void **state)
{
	pid_t writer = held_writer();

	(void)state;
	guard_stop(&guard);
	assert_int_equal(end_of(writer), 0);
}

/* Refused at once while the lock is held, and not otherwise. */
static void test_when_writers_are_refused_then_only_while_the_lock_is_held(void **state)
{
	(void)state;
	start(GUARD_REFUSE, 0);
	assert_int_equal(end_of(user(ONLINE, O_WRONLY)), 0);
	guard_engage(&guard, true);
	assert_int_equal(end_of(user(ONLINE, O_WRONLY)), EPERM);
	assert_int_equal(end_of(user(ONLINE, O_RDONLY)), 0);
}

/* A child of the agent is a hook: waiting would be for ever. */
static void test_when_a_hook_writes_then_it_is_refused_and_not_held(void **state)
{
	(void)state;
	start(GUARD_HOLD, 0);
	guard.agent = getpid();
	guard_engage(&guard, true);
	assert_int_equal(end_of(user(ONLINE, O_WRONLY)), EPERM);
	assert_int_equal(end_of(user(ONLINE, O_RDONLY)), 0);
}

static void *own_write(void *arg)
{
	char full[256];
	int fd;

	(void)arg;
	snprintf(full, sizeof(full), "%s/" ONLINE, root);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	return (void *)(intptr_t)(fd < 0 || write(fd, "1", 1) != 1 || close(fd) < 0);
}

static void write_by_thread(void)
{
	pthread_t thread;
	void *failed;

	assert_int_equal(pthread_create(&thread, NULL, own_write, NULL), 0);
	pthread_join(thread, &failed);
	assert_null(failed);
}

static int wishes_now(void)
{
	struct cpus got = guard_intents(&guard);

	assert_int_equal(cpus_count(&got), cpus_has(&got, 1));
	return cpus_count(&got);
}

/* Wishes are what others wrote, whether the lock is held or not; our own writes are none. */
static void test_when_others_write_then_it_is_a_wish_once(void **state)
{
	int held;

	(void)state;
	start(GUARD_WATCH, 0);
	for (held = 0; held < 2; held++) {
		guard_engage(&guard, held);
		write_by_thread();
		assert_int_equal(end_of(user(ONLINE, O_RDONLY)), 0);
		assert_int_equal(wishes_now(), 0);
		assert_int_equal(end_of(user(ONLINE, O_WRONLY)), 0);
		assert_int_equal(wishes_now(), 1);
		assert_int_equal(wishes_now(), 0);
	}
}

/* In every mode: a held writer's write, once it has happened, is as good a wish. */
static void test_when_a_held_writer_has_written_then_it_is_a_wish(void **state)
{
	pid_t writer = held_writer();

	(void)state;
	assert_int_equal(wishes_now(), 0);
	guard_engage(&guard, false);
	assert_int_equal(end_of(writer), 0);
	assert_int_equal(wishes_now(), 1);
}

static bool news(int ms)
{
	struct pollfd pfd = { guard.news, POLLIN, 0 };
	uint64_t n;

	return poll(&pfd, 1, ms) == 1 && read(guard.news, &n, sizeof(n)) == sizeof(n);
}

/* The trip-wire: any other's write at any time is news, a read or a write of ours is not. */
static void test_when_others_write_then_it_is_news_whatever_the_lock(void **state)
{
	(void)state;
	start(GUARD_WATCH, 0);
	write_by_thread();
	assert_int_equal(end_of(user(ONLINE, O_RDONLY)), 0);
	guard_intents(&guard); /* all that was queued has been seen */
	assert_false(news(0));
	assert_int_equal(end_of(user(EJECT, O_WRONLY)), 0);
	assert_true(news(BOUND_MS));
	put_file("devices/system/cpu/cpu2/online", 0644);
	guard_mark(&guard);
	assert_int_equal(end_of(user("devices/system/cpu/cpu2/online", O_WRONLY)), 0);
	assert_true(news(BOUND_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_somebody_opens_then_the_verdict_is_the_tables),
		cmocka_unit_test(test_when_a_mode_is_named_then_it_is_that_mode),
		cmocka_unit_test(test_when_a_thread_is_in_a_call_then_only_known_readers_read),
		cmocka_unit_test(test_when_a_program_has_a_strange_name_then_its_parent_is_found),
		cmocka_unit_test(test_when_a_path_is_a_cpus_online_file_then_it_is_that_cpu),
		cmocka_unit_test(test_when_a_process_descends_from_the_agent_then_it_is_a_child),
		cmocka_unit_test(test_when_the_lock_changes_hands_then_the_guard_is_told_once),
		cmocka_unit_test(test_when_the_user_sets_a_cpu_in_the_window_then_close_leaves_it),
		cmocka_unit_test(test_when_the_user_sets_a_pending_cpu_then_the_retry_leaves_it),
		cmocka_unit_test(test_when_a_forced_cpu_went_while_no_agent_ran_then_it_is_told),
		cmocka_unit_test_teardown(
			test_when_a_writer_is_held_then_readers_pass_and_it_goes_on_later, stop),
		cmocka_unit_test_teardown(test_when_the_bound_is_over_then_the_writer_is_refused,
					  stop),
		cmocka_unit_test_teardown(test_when_the_guard_ends_then_the_held_go_on, stop),
		cmocka_unit_test_teardown(
			test_when_writers_are_refused_then_only_while_the_lock_is_held, stop),
		cmocka_unit_test_teardown(test_when_a_hook_writes_then_it_is_refused_and_not_held,
					  stop),
		cmocka_unit_test_teardown(test_when_others_write_then_it_is_a_wish_once, stop),
		cmocka_unit_test_teardown(test_when_a_held_writer_has_written_then_it_is_a_wish,
					  stop),
		cmocka_unit_test_teardown(test_when_others_write_then_it_is_news_whatever_the_lock,
					  stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
