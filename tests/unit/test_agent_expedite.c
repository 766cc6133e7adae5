/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expedited RCU around a batch: set, counted, bounded, and put back on every way out. */
#include "fake_sysfs.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <lockstep/err.h>

#include "../../guest-agent/agent.h"
#include "../../guest-agent/expedite.h"
#include "../../guest-agent/model.h"

#define SWITCH	    "kernel/rcu_expedited"
#define CPU(n)	    "devices/system/cpu/cpu" #n "/online"
#define OFFLINE	    4 /* CPUs that a window forces */
#define PATIENCE_MS 10000

/**
 * struct fixture - A guest whose agent may use the switch
 * @guest:    8 CPUs, of which 4 are online
 * @expedite: as the agent has it
 * @kicks:    how often the loop was told of a deadline
 */
struct fixture {
	struct guest guest;
	struct expedite expedite;
	int kicks;
};

static void on_set(void *arg)
{
	((struct fixture *)arg)->kicks++;
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .kicks = 0 };
	guest_init(&f.guest, 8, 8 - OFFLINE, 0);
	fake_put(&f.guest.kernel, SWITCH, "0\n");
	expedite_init(&f.expedite, f.guest.sysfs, true);
	f.expedite.on_set = on_set;
	f.expedite.on_set_arg = &f;
	f.guest.model.expedite = &f.expedite;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	expedite_done(&f->expedite);
	guest_done(&f->guest);
	return 0;
}

static bool is(struct fixture *f, const char *text)
{
	return fake_has(&f->guest.kernel, SWITCH, text);
}

static int writes(struct fixture *f, const char *value)
{
	return fake_writes(&f->guest.kernel, SWITCH, value);
}

static void note_failed(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)cpu;
	(void)code;
	(void)err;
}

static int open_window(struct fixture *f)
{
	struct window_result result = { .failed = note_failed };
	int r = window_admit(&f->guest.window, "m1", 1, 1000, WINDOW_FORCE, 0, NULL);

	guest_scan(&f->guest);
	return r < 0 ? r : window_open(&f->guest.window, "m1", false, &result, NULL);
}

static int close_window(struct fixture *f)
{
	struct window_result result = { .failed = note_failed };

	guest_scan(&f->guest);
	return window_close(&f->guest.window, "m1", &result, NULL);
}

/* ---- a batch ------------------------------------------------------------------- */

/* The switch is the first thing written and the last, in both directions. */
static void test_when_a_batch_runs_then_the_switch_is_around_it(void **state)
{
	struct fixture *f = *state;
	const struct fake_write *w = f->guest.kernel.write;

	assert_int_equal(open_window(f), 0);
	assert_int_equal(f->guest.kernel.n_writes, OFFLINE + 2);
	assert_string_equal(w[0].path, SWITCH);
	assert_string_equal(w[0].value, "2");
	assert_string_equal(w[OFFLINE + 1].path, SWITCH);
	assert_string_equal(w[OFFLINE + 1].value, "0");
	assert_int_equal(close_window(f), 0);
	assert_int_equal(f->guest.kernel.n_writes, 2 * (OFFLINE + 2));
	assert_string_equal(w[OFFLINE + 2].value, "2");
	assert_string_equal(w[2 * OFFLINE + 3].path, SWITCH);
	assert_true(is(f, "0\n"));
}

/* One CPU alone is not worth interrupting all others. */
static void test_when_one_cpu_changes_then_the_switch_is_left_alone(void **state)
{
	struct fixture *f = *state;
	int cpu;

	for (cpu = 8 - OFFLINE; cpu < 7; cpu++)
		f->guest.kernel.cpu[cpu].present = false;
	assert_int_equal(open_window(f), 0);
	assert_true(fake_agrees(&f->guest.kernel, 7, true));
	assert_int_equal(writes(f, NULL), 0);
}

/* Without the option nothing is written. */
static void test_when_off_then_the_switch_is_left_alone(void **state)
{
	struct fixture *f = *state;

	f->expedite.wanted = false;
	assert_string_equal(expedite_state(&f->expedite), "off");
	assert_int_equal(open_window(f), 0);
	assert_int_equal(writes(f, NULL), 0);
}

/* One batch inside the other: the last to end puts it back. */
static void test_when_batches_nest_then_the_last_puts_it_back(void **state)
{
	struct fixture *f = *state;
	struct expedite *outer = expedite_begin(&f->expedite, 2);
	struct expedite *inner = expedite_begin(&f->expedite, 2);

	assert_int_equal(writes(f, "2"), 1);
	assert_string_equal(expedite_state(&f->expedite), "active");
	expedite_end(inner);
	assert_true(is(f, "2\n"));
	expedite_end(outer);
	assert_true(is(f, "0\n"));
	assert_string_equal(expedite_state(&f->expedite), "on");
}

/*
 * Every write of an open and a close fails, once or from there on: CPUs, their undoing,
 * and the switch itself. In the end, with the loop's help, it is back, and nobody counts.
 */
static void test_when_any_write_fails_then_it_is_put_back(void **state)
{
	struct fixture *f;
	int nth, times;

	for (nth = 0; nth < 2 * (OFFLINE + 2); nth++)
		for (times = 1; times <= 4; times++) {
			teardown(state);
			setup(state);
			f = *state;
			fake_fail(&f->guest.kernel, "", nth, times, -EAGAIN);
			if (open_window(f) == 0)
				close_window(f);
			assert_int_equal(f->expedite.users, 0);
			assert_true(!f->expedite.ours || expedite_deadline_ms(&f->expedite));
			fake_fail(&f->guest.kernel, "", 0, 0, 0);
			expedite_expire(&f->expedite, UINT64_MAX);
			assert_true(is(f, "0\n"));
			assert_false(f->expedite.ours);
		}
}

/* ---- where it is left alone --------------------------------------------------------- */

/* Each of these forbids it, with its own words; and each has a harmless value. */
static void test_when_the_guest_forbids_it_then_it_is_left_alone(void **state)
{
	static const struct {
		const char *path, *forbids, *harmless, *why;
	} rows[] = {
		{ "devices/system/cpu/isolated", "0\n", "\n", "isolated CPUs" },
		{ "devices/system/cpu/isolated", " 2-3\n", "", "isolated CPUs" },
		{ "fs/cgroup/cpuset.cpus.isolated", "3\n", "\n", "by a cpuset" },
		{ "devices/system/cpu/nohz_full", "1-7\n", "  (null)\n", "nohz_full" },
		{ "kernel/realtime", "1\n", "0\n", "realtime" },
		{ "kernel/rcu_normal", "1\n", "0\n", "rcu_normal" },
		{ SWITCH, "1\n", "0\n", "others have set" },
		{ SWITCH, "-1\n", "0\n", "others have set" },
		{ SWITCH, NULL, "0\n", "no rcu_expedited" },
	};
	struct fixture *f = *state;
	struct fake *k = &f->guest.kernel;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int before = writes(f, NULL);

		fake_put(k, rows[i].path, rows[i].forbids);
		assert_non_null(strstr(expedite_state(&f->expedite), rows[i].why));
		expedite_end(expedite_begin(&f->expedite, 2));
		assert_int_equal(writes(f, NULL), before);
		assert_int_equal(expedite_deadline_ms(&f->expedite), 0);
		fake_put(k, rows[i].path, rows[i].harmless);
		assert_string_equal(expedite_state(&f->expedite), "on");
		expedite_end(expedite_begin(&f->expedite, 2));
		assert_int_equal(writes(f, NULL), before + 2);
		fake_put(k, rows[i].path, strcmp(rows[i].path, SWITCH) ? NULL : "0\n");
	}
}

/* What an administrator writes in the middle of a batch stays. */
static void test_when_somebody_else_writes_then_that_stays(void **state)
{
	static const char *const values[] = { "1\n", "0\n" };
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < 2; i++) {
		struct expedite *batch = expedite_begin(&f->expedite, 2);

		assert_true(is(f, "2\n"));
		fake_put(&f->guest.kernel, SWITCH, values[i]);
		expedite_end(batch);
		assert_true(is(f, values[i]));
		assert_false(f->expedite.ours);
		fake_put(&f->guest.kernel, SWITCH, "0\n");
	}
	assert_int_equal(writes(f, "0"), 0);
}

/* ---- time ------------------------------------------------------------------------------ */

/* The loop is told, puts it back in the middle, and nothing sets it again in this batch. */
static void test_when_its_time_is_over_then_the_batch_goes_on_without(void **state)
{
	struct fixture *f = *state;
	uint64_t now_ms = qmp_now_ms(), end_ms;
	struct expedite *batch = expedite_begin(&f->expedite, 2);

	end_ms = expedite_deadline_ms(&f->expedite);
	assert_int_equal(f->kicks, 1);
	assert_in_range(end_ms, now_ms + EXPEDITE_LIMIT_MS, now_ms + EXPEDITE_LIMIT_MS + 1000);
	expedite_expire(&f->expedite, end_ms - 1);
	assert_true(is(f, "2\n"));
	expedite_expire(&f->expedite, end_ms);
	assert_true(is(f, "0\n"));
	assert_int_equal(expedite_deadline_ms(&f->expedite), 0);
	expedite_end(expedite_begin(&f->expedite, 2));
	assert_int_equal(writes(f, "2"), 1);
	expedite_end(batch);
	assert_int_equal(writes(f, "0"), 1);
	expedite_end(expedite_begin(&f->expedite, 2));
	assert_int_equal(writes(f, "2"), 2);
}

/* A switch that the kernel does not come back from: it counts as set until it is seen not to be. */
static void test_when_the_write_hangs_then_it_is_put_back_later(void **state)
{
	struct fixture *f = *state;
	struct fake *k = &f->guest.kernel;
	struct expedite *batch;
	uint64_t until_ms = qmp_now_ms() + PATIENCE_MS;

	snprintf(k->hang, sizeof(k->hang), "%s", SWITCH);
	batch = expedite_begin(&f->expedite, 2);
	expedite_end(batch);
	assert_string_equal(expedite_state(&f->expedite), "active");
	assert_true(expedite_deadline_ms(&f->expedite) > 0);
	fake_release(k);
	while (sysfs_outs(f->guest.sysfs) && qmp_now_ms() < until_ms)
		sched_yield();
	assert_true(is(f, "2\n"));
	expedite_expire(&f->expedite, UINT64_MAX);
	assert_true(is(f, "0\n"));
}

/* ---- the agent's end and start ------------------------------------------------------------ */

/* In the middle of a batch; what begins after it does not set it again. */
static void test_when_the_agent_ends_then_it_is_put_back(void **state)
{
	struct fixture *f = *state;
	struct expedite *batch = expedite_begin(&f->expedite, 2);

	expedite_stop(&f->expedite);
	assert_true(is(f, "0\n"));
	expedite_end(batch);
	expedite_end(expedite_begin(&f->expedite, 2));
	assert_int_equal(writes(f, "2"), 1);
	assert_int_equal(writes(f, "0"), 1);
}

/* An agent that was killed left ours: put back; everything else is somebody else's. */
static void test_when_restored_then_only_what_is_ours(void **state)
{
	struct fixture *f = *state;
	struct fake *k = &f->guest.kernel;
	struct sysfs *s = f->guest.sysfs;
	struct ls_err err = { 0 };

	assert_int_equal(expedite_restore(s, &err), 1);
	fake_put(k, SWITCH, "1\n");
	assert_int_equal(expedite_restore(s, &err), 1);
	fake_put(k, SWITCH, NULL);
	assert_int_equal(expedite_restore(s, &err), 1);
	assert_int_equal(writes(f, NULL), 0);
	fake_put(k, SWITCH, "2\n");
	fake_fail(k, SWITCH, 0, 1, -EROFS);
	assert_int_equal(expedite_restore(s, &err), -EROFS);
	assert_non_null(strstr(err.text, SWITCH));
	assert_int_equal(expedite_restore(s, &err), 0);
	assert_true(is(f, "0\n"));
}

/* The real agent, in a thread; CPUs 0-3 online. */
struct running {
	struct fake kernel;
	struct sysfs *sysfs;
	struct agent agent;
	pthread_t thread;
};

static void *agent_thread(void *arg)
{
	agent_run(arg);
	return NULL;
}

static void start_agent(struct running *g, bool expedite)
{
	const struct agent_options opt = { .method = NULL, .expedite = expedite };

	assert_int_equal(agent_init(&g->agent, &opt, g->sysfs, NULL), 0);
	g->agent.model.workers.ops = &fake_machine;
}

static void stop_agent(struct running *g)
{
	agent_stop(&g->agent);
	pthread_join(g->thread, NULL);
	assert_int_equal(agent_done(&g->agent), 0);
}

static bool comes_to(struct running *g, const char *value)
{
	uint64_t until_ms = qmp_now_ms() + PATIENCE_MS;

	while (!fake_writes(&g->kernel, SWITCH, value) && qmp_now_ms() < until_ms)
		sched_yield();
	return fake_writes(&g->kernel, SWITCH, value) == 1;
}

static void init_running(struct running *g, const char *value)
{
	memset(g, 0, sizeof(*g));
	fake_init(&g->kernel, 4, 4, 0);
	fake_put(&g->kernel, SWITCH, value);
	g->sysfs = sysfs_new_ops(&fake_ops, &g->kernel);
}

static void done_running(struct running *g)
{
	sysfs_free(g->sysfs);
	fake_done(&g->kernel);
}

/* At its start, before anything else, and whatever its own options say. */
static void test_when_started_after_a_kill_then_it_is_put_back(void **state)
{
	static struct running g;

	(void)state;
	init_running(&g, "2\n");
	start_agent(&g, false);
	assert_true(fake_has(&g.kernel, SWITCH, "0\n"));
	assert_int_equal(agent_done(&g.agent), 0);
	fake_put(&g.kernel, SWITCH, "1\n");
	start_agent(&g, true);
	assert_int_equal(agent_done(&g.agent), 0);
	assert_true(fake_has(&g.kernel, SWITCH, "1\n"));
	done_running(&g);
}

/* A CPU that stays in the kernel: the loop, idle until then, puts it back in time. */
static void test_when_a_batch_stands_still_then_the_loop_puts_it_back(void **state)
{
	static const char ask[] = "{\"execute\": \"guest-set-vcpus\", \"arguments\": {\"vcpus\": ["
				  "{\"logical-id\": 2, \"online\": false},"
				  "{\"logical-id\": 3, \"online\": false}]}}\n";
	static struct running g;
	int pair[2];

	(void)state;
	init_running(&g, "0\n");
	snprintf(g.kernel.hang, sizeof(g.kernel.hang), "%s", CPU(2));
	start_agent(&g, true);
	g.agent.expedite.limit_ms = 50;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(agent_serve_fd(&g.agent, pair[1], CLIENT_ROOT), 0);
	assert_int_equal(pthread_create(&g.thread, NULL, agent_thread, &g.agent), 0);
	assert_int_equal(write(pair[0], ask, sizeof(ask) - 1), sizeof(ask) - 1);
	assert_true(comes_to(&g, "2"));
	assert_true(comes_to(&g, "0"));
	assert_true(fake_agrees(&g.kernel, 2, true));
	fake_release(&g.kernel);
	stop_agent(&g);
	close(pair[0]);
	assert_true(fake_has(&g.kernel, SWITCH, "0\n"));
	done_running(&g);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_when_a_batch_runs_then_the_switch_is_around_it),
		TEST(test_when_one_cpu_changes_then_the_switch_is_left_alone),
		TEST(test_when_off_then_the_switch_is_left_alone),
		TEST(test_when_batches_nest_then_the_last_puts_it_back),
		TEST(test_when_any_write_fails_then_it_is_put_back),
		TEST(test_when_the_guest_forbids_it_then_it_is_left_alone),
		TEST(test_when_somebody_else_writes_then_that_stays),
		TEST(test_when_its_time_is_over_then_the_batch_goes_on_without),
		TEST(test_when_the_write_hangs_then_it_is_put_back_later),
		TEST(test_when_the_agent_ends_then_it_is_put_back),
		TEST(test_when_restored_then_only_what_is_ours),
		cmocka_unit_test(test_when_started_after_a_kill_then_it_is_put_back),
		cmocka_unit_test(test_when_a_batch_stands_still_then_the_loop_puts_it_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
