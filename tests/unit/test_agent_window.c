/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The migration window: force, restore, leases, restarts, and the interleaving of seed 1. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include <lockstep/err.h>
#include <lockstep/wire.h>

#include "../../guest-agent/cpu.h"
#include "../../guest-agent/model.h"

#define CPU(n) "devices/system/cpu/cpu" #n "/online"

/* The CPUs that an open left out or a close left pending. */
static struct {
	int n;
	int cpu;
	int code;
} failed;

static void on_failed(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)err;
	failed.n++;
	failed.cpu = cpu;
	failed.code = code;
}

static struct window_result result;

static int open_window(struct guest *g, const char *txn, enum window_mode mode, uint64_t lease_ms,
		       struct ls_err *err)
{
	int r = window_admit(&g->window, txn, 1, lease_ms, mode, 0, err);

	memset(&failed, 0, sizeof(failed));
	result = (struct window_result){ .failed = on_failed };
	guest_scan(g);
	return r < 0 ? r : window_open(&g->window, txn, r == 1, &result, err);
}

static int close_window(struct guest *g, const char *txn, struct ls_err *err)
{
	memset(&failed, 0, sizeof(failed));
	result = (struct window_result){ .failed = on_failed };
	guest_scan(g);
	return window_close(&g->window, txn, &result, err);
}

static enum window_state state_of(struct guest *g)
{
	struct window_view v;

	window_look(&g->window, 0, &v);
	return v.state;
}

static bool locked(struct guest *g)
{
	struct lock_view v;

	lock_look(&g->lock, 0, &v);
	return v.held;
}

/* CPUs 0-7, of which 0-3 are online. */
static int setup(void **state)
{
	static struct guest g;

	guest_init(&g, 8, 4, 0);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	guest_done(*state);
	return 0;
}

/* Open brings every present CPU online, close takes the same ones offline again. */
static void test_when_opened_and_closed_then_the_cpus_are_as_before(void **state)
{
	struct guest *g = *state;
	int cpu;

	assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, NULL), 0);
	assert_int_equal(cpus_count(&result.done), 4);
	for (cpu = 0; cpu < 8; cpu++)
		assert_true(fake_agrees(&g->kernel, cpu, true));
	assert_true(locked(g));
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_int_equal(cpus_count(&result.done), 4);
	for (cpu = 0; cpu < 8; cpu++)
		assert_true(fake_agrees(&g->kernel, cpu, cpu < 4));
	assert_false(locked(g));
	assert_int_equal(state_of(g), WINDOW_CLOSED);
}

/* hold takes the lock and touches no CPU; off takes not even the lock. */
static void test_when_not_forced_then_no_cpu_changes(void **state)
{
	struct guest *g = *state;

	assert_int_equal(open_window(g, "m1", WINDOW_HOLD, 1000, NULL), 0);
	assert_true(locked(g));
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_int_equal(open_window(g, "m2", WINDOW_OFF, 1000, NULL), 0);
	assert_false(locked(g));
	assert_int_equal(state_of(g), WINDOW_OPEN);
	assert_int_equal(close_window(g, "m2", NULL), 0);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
}

/* Opening again is a renew that says which CPUs are forced. */
static void test_when_opened_twice_then_already(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_user(&g->kernel, CPU(2), "0"); /* a user's wish, not ours to undo */
	guest_scan(g);
	assert_int_equal(window_admit(&g->window, "m1", 1, 9000, WINDOW_FORCE, 100, NULL), 1);
	assert_int_equal(window_open(&g->window, "m1", true, &result, NULL), 0);
	assert_int_equal(cpus_count(&result.done), 4);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 4);
	assert_int_equal(window_deadline_ms(&g->window), 9100);
}

/* A second close is success; one by another transaction is refused and changes nothing. */
static void test_when_closed_by_the_wrong_one_then_it_stays_open(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	assert_int_equal(close_window(g, "m2", &err), -EPERM);
	assert_string_equal(err.class, LS_CLASS_WRONG_TXN);
	assert_int_equal(state_of(g), WINDOW_OPEN);
	assert_true(fake_agrees(&g->kernel, 7, true));
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_int_equal(close_window(g, "m1", NULL), 1);
	assert_int_equal(cpus_count(&result.done), 0);
}

/* While one is open, nobody else opens one or gets the lock. */
static void test_when_open_then_others_are_refused(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	assert_int_equal(window_admit(&g->window, "m2", 1, 1000, WINDOW_FORCE, 0, &err), -EBUSY);
	assert_string_equal(err.class, LS_CLASS_WINDOW_OPEN);
	assert_int_equal(lock_take(&g->lock, "t1", 1, 1000, 0, &err), -EBUSY);
	assert_string_equal(err.class, LS_CLASS_WINDOW_OPEN);
	assert_int_equal(window_renew(&g->window, "m2", 1000, 0, &err), -EPERM);
	assert_string_equal(err.class, LS_CLASS_WRONG_TXN);
}

/* A lock that another has keeps the window out; nothing was changed. */
static void test_when_the_lock_is_held_then_no_window(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	guest_lock(g, "t1");
	assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, &err), -EBUSY);
	assert_string_equal(err.class, LS_CLASS_LOCK_HELD);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	guest_unlock(g, "t1");
}

/* A CPU that fails: those done are taken back, the lock is free, the class says why. */
static void test_when_a_cpu_cannot_be_forced_then_all_is_undone(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };
	int nth, cpu;

	for (nth = 0; nth < 4; nth++) {
		fake_fail(&g->kernel, "", nth, 1, -EAGAIN);
		assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, &err), -EAGAIN);
		assert_string_equal(err.class, LS_CLASS_NOT_FORCED);
		for (cpu = 0; cpu < 8; cpu++)
			assert_true(fake_agrees(&g->kernel, cpu, cpu < 4));
		assert_int_equal(state_of(g), WINDOW_CLOSED);
		assert_false(locked(g));
	}
}

/* Both views of every CPU, to compare. */
static void views_of(struct guest *g, char *ret_text)
{
	int cpu;

	for (cpu = 0; cpu < 8; cpu++)
		ret_text += sprintf(ret_text, "%d%d ", g->kernel.cpu[cpu].device,
				    g->kernel.cpu[cpu].kernel);
}

/* A CPU with two truths, whichever way: refused before the first write, with the cure. */
static void test_when_a_cpu_is_out_of_step_then_open_changes_nothing(void **state)
{
	struct guest *g = *state;
	char before[64], after[64];
	struct ls_err err = { 0 };
	int cpu;

	for (cpu = 1; cpu < 8; cpu++) {
		g->kernel.cpu[cpu].kernel ^= 1;
		views_of(g, before);
		assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, &err), -EIO);
		views_of(g, after);
		assert_string_equal(after, before);
		assert_string_equal(err.class, LS_CLASS_NOT_FORCED);
		assert_non_null(strstr(err.text, "lockstep-agent doctor --fix"));
		assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
		assert_int_equal(state_of(g), WINDOW_CLOSED);
		assert_false(locked(g));
		g->kernel.cpu[cpu].kernel ^= 1;
	}
	assert_int_equal(open_window(g, "m1", WINDOW_HOLD, 1000, NULL), 0);
}

/* It gets out of step after the look: those done are taken back, it stays as it is. */
static void test_when_a_cpu_gets_out_of_step_meanwhile_then_it_is_not_touched(void **state)
{
	struct guest *g = *state;
	char before[64], after[64];

	window_admit(&g->window, "m1", 1, 1000, WINDOW_FORCE, 0, NULL);
	guest_scan(g);
	g->kernel.cpu[6].device = true;
	views_of(g, before);
	result = (struct window_result){ .failed = on_failed };
	assert_int_equal(window_open(&g->window, "m1", false, &result, NULL), -EIO);
	views_of(g, after);
	assert_string_equal(after, before);
	assert_int_equal(fake_writes(&g->kernel, CPU(6), NULL), 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
}

/* Brought online by its user between the look and the force: not close's to take away. */
static void test_when_a_user_is_faster_than_open_then_close_leaves_it(void **state)
{
	struct guest *g = *state;

	window_admit(&g->window, "m1", 1, 1000, WINDOW_FORCE, 0, NULL);
	guest_scan(g);
	fake_user(&g->kernel, CPU(6), "1");
	result = (struct window_result){ .failed = on_failed };
	assert_int_equal(window_open(&g->window, "m1", false, &result, NULL), 0);
	assert_int_equal(cpus_count(&result.done), 3);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_true(fake_agrees(&g->kernel, 6, true));
	assert_true(fake_agrees(&g->kernel, 7, false));
}

/* The number of the event with this CPU and state; -1: there was none. */
static int told_at(const struct guest *g, int cpu, const char *state, const char *by)
{
	int i;

	for (i = 0; i < g->n_told; i++)
		if (g->told[i].id == cpu && !strcmp(g->told[i].state, state) &&
		    !strcmp(g->told[i].by, by))
			return i;
	return -1;
}

/* What a user does while many CPUs are forced or restored is told between two of them. */
static void test_when_a_user_changes_something_meanwhile_then_it_is_told_soon(void **state)
{
	struct guest *g = *state;
	int cpu;

	window_admit(&g->window, "m1", 1, 1000, WINDOW_FORCE, 0, NULL);
	guest_scan(g);
	fake_user(&g->kernel, CPU(2), "0");
	model_set_stale(&g->model);
	result = (struct window_result){ .failed = on_failed };
	assert_int_equal(window_open(&g->window, "m1", false, &result, NULL), 0);
	assert_in_range(told_at(g, 2, "offline", "foreign"), 0, told_at(g, 5, "online", "agent"));
	fake_user(&g->kernel, CPU(2), "1");
	model_set_stale(&g->model);
	assert_int_equal(window_close(&g->window, "m1", &result, NULL), 0);
	assert_in_range(told_at(g, 2, "online", "foreign"), 0, told_at(g, 6, "offline", "agent"));
	for (cpu = 0; cpu < 8; cpu++)
		assert_true(fake_agrees(&g->kernel, cpu, cpu < 4));
}

static struct cpus wishes_cpu4(void *arg)
{
	struct cpus set = { 0 };

	(void)arg;
	cpus_add(&set, 4);
	return set;
}

/* What its user has set while the window opened is not taken back with the rest. */
static void test_when_an_open_fails_then_the_users_wish_stands(void **state)
{
	struct guest *g = *state;

	g->window.intents = wishes_cpu4;
	fake_fail(&g->kernel, CPU(6), 0, 1, -EAGAIN);
	assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, NULL), -EAGAIN);
	assert_true(fake_agrees(&g->kernel, 4, true));
	assert_true(fake_agrees(&g->kernel, 5, false));
	assert_int_equal(state_of(g), WINDOW_CLOSED);
}

/* A CPU that SMT control forbids is left out and said so; the window opens. */
static void test_when_smt_forbids_a_cpu_then_it_is_left_out(void **state)
{
	struct guest *g = *state;

	fake_fail(&g->kernel, CPU(5), 0, 1, -EPERM);
	assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, NULL), 0);
	assert_int_equal(failed.n, 1);
	assert_int_equal(failed.cpu, 5);
	assert_int_equal(failed.code, -EPERM);
	assert_int_equal(cpus_count(&result.done), 3);
	fake_fail(&g->kernel, "none", 0, 0, 0);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_int_equal(fake_writes(&g->kernel, CPU(5), "0"), 0);
}

/* What cannot be restored is pending; the lock is free; a later close tries again. */
static void test_when_a_cpu_cannot_be_restored_then_pending(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_int_equal(failed.n, 1);
	assert_int_equal(failed.cpu, 6);
	assert_int_equal(state_of(g), WINDOW_PENDING);
	assert_false(locked(g));
	assert_int_equal(close_window(g, "m1", NULL), 1);
	assert_true(fake_agrees(&g->kernel, 6, false));
	assert_int_equal(state_of(g), WINDOW_CLOSED);
}

/* A pending CPU is still owed when the next window opens, and its close pays. */
static void test_when_pending_then_the_next_window_restores_it(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
	close_window(g, "m1", NULL);
	assert_int_equal(open_window(g, "m2", WINDOW_FORCE, 1000, NULL), 0);
	assert_int_equal(close_window(g, "m2", NULL), 0);
	assert_true(fake_agrees(&g->kernel, 6, false));
}

static void assert_owed_to(struct guest *g, const char *txn)
{
	struct window_view v;

	window_look(&g->window, 0, &v);
	assert_int_equal(v.state, WINDOW_PENDING);
	assert_int_equal(v.mode, WINDOW_FORCE);
	assert_string_equal(v.txn, txn);
	assert_true(cpus_has(&v.forced, 6));
	assert_false(locked(g));
}

/* An open that is refused while a restore is pending leaves it to whose it was. */
static void test_when_pending_and_an_open_is_refused_then_it_is_owed_as_before(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
	close_window(g, "m1", NULL);
	g->kernel.cpu[3].kernel = false; /* out of step: refused before anything is tried */
	assert_int_equal(open_window(g, "m2", WINDOW_FORCE, 1000, NULL), -EIO);
	assert_owed_to(g, "m1");
	g->kernel.cpu[3].kernel = true;
	assert_int_equal(close_window(g, "m2", NULL), -EPERM);
	assert_int_equal(close_window(g, "m1", NULL), 1);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	assert_true(fake_agrees(&g->kernel, 6, false));
}

/* Pending, and its user or another transaction sets it: nothing is owed any more. */
static void test_when_pending_and_somebody_sets_it_then_it_stays_so(void **state)
{
	struct guest *g = *state;
	int by_request;

	for (by_request = 0; by_request < 2; by_request++) {
		open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
		fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
		close_window(g, "m1", NULL);
		assert_int_equal(state_of(g), WINDOW_PENDING);
		if (by_request) {
			window_forget(&g->window, "t1", 6);
		} else {
			fake_user(&g->kernel, CPU(6), "0");
			guest_scan(g);
			window_honour(&g->window); /* as after every scan */
			fake_user(&g->kernel, CPU(6), "1");
		}
		assert_int_equal(state_of(g), WINDOW_CLOSED);
		assert_int_equal(close_window(g, "m1", NULL), 1);
		assert_true(fake_agrees(&g->kernel, 6, true));
		fake_user(&g->kernel, CPU(6), "0");
	}
}

/* Every close fails at every CPU: never more than that CPU is pending, the lock is free. */
static void test_when_any_cpu_fails_at_close_then_only_it_is_pending(void **state)
{
	struct guest *g = *state;
	int nth, cpu, left;

	for (nth = 0; nth < 4; nth++) {
		assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, NULL), 0);
		fake_fail(&g->kernel, "", nth, 1, -EIO);
		assert_int_equal(close_window(g, "m1", NULL), 0);
		for (left = 0, cpu = 4; cpu < 8; cpu++)
			left += !fake_agrees(&g->kernel, cpu, false);
		assert_int_equal(left, 1);
		assert_false(locked(g));
		close_window(g, "m1", NULL);
	}
}

/* The first lease is cut; its end is acted on once; a renew before it counts. */
static void test_when_the_lease_ends_then_it_is_told_once(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 60000, NULL);
	assert_false(window_expire(&g->window, LS_LEASE_FIRST_MAX_MS - 1));
	assert_int_equal(window_renew(&g->window, "m1", 60000, 4000, NULL), 0);
	assert_false(window_expire(&g->window, 63999));
	assert_true(window_expire(&g->window, 64000));
	assert_false(window_expire(&g->window, 64001));
	assert_int_equal(window_renew(&g->window, "m1", 1000, 64001, NULL), -ENOLCK);
	assert_int_equal(close_window(g, NULL, NULL), 0);
	assert_true(fake_agrees(&g->kernel, 7, false));
	assert_false(locked(g));
}

/* It ends while a close is on its way already, and somebody else opens: that one stays. */
static void test_when_the_lease_ended_too_late_then_the_next_window_stays(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_HOLD, 1000, NULL);
	assert_true(window_expire(&g->window, 1000));
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_int_equal(open_window(g, "m2", WINDOW_HOLD, 1000, NULL), 0);
	assert_int_equal(close_window(g, NULL, NULL), 1);
	assert_int_equal(state_of(g), WINDOW_OPEN);
	assert_int_equal(close_window(g, "m2", NULL), 0);
}

/* The close could not be started: the end is told once more. */
static void test_when_the_close_cannot_start_then_the_lease_ends_again(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_HOLD, 1000, NULL);
	assert_true(window_expire(&g->window, 1000));
	window_expire_again(&g->window, 1500);
	assert_int_equal(window_deadline_ms(&g->window), 1500);
	assert_true(window_expire(&g->window, 1500));
	assert_int_equal(close_window(g, NULL, NULL), 0);
}

/* The lease ends while the open still waits for its turn: it opens nothing. */
static void test_when_the_lease_ends_before_the_work_then_nothing_is_forced(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	window_admit(&g->window, "m1", 1, 1000, WINDOW_FORCE, 0, NULL);
	assert_true(window_expire(&g->window, 1000));
	assert_int_equal(window_open(&g->window, "m1", false, &result, &err), -ENOLCK);
	assert_string_equal(err.class, LS_CLASS_NOT_HELD);
	assert_int_equal(close_window(g, NULL, NULL), 0);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
	assert_false(locked(g));
}

/* What the owner itself asks for in the window is not undone by its close. */
static void test_when_the_owner_decides_then_close_leaves_it(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	window_forget(&g->window, "m2", 4);
	window_forget(&g->window, "m1", 5);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_true(fake_agrees(&g->kernel, 4, false));
	assert_true(fake_agrees(&g->kernel, 5, true));
}

/* A CPU that was unplugged inside the window needs no restoring. */
static void test_when_a_forced_cpu_is_gone_then_close_is_content(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	g->kernel.cpu[7].present = false;
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_int_equal(failed.n, 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
}

/* ---- seed 1 ------------------------------------------------------------------ */

/*
 * The switch: a CPU bus that goes around the driver core, as the migration code of the
 * seed did. It asks the mask only, and brings CPUs up and down with cpu_up() and
 * cpu_down() instead of device_online() and device_offline().
 */
static int around_look(struct device *dev, struct ls_err *err)
{
	int r = cpu_bus.look(dev, err);

	dev->online = dev->kernel;
	return r;
}

static int around(struct device *dev, const char *value)
{
	struct guest *g = (struct guest *)((char *)dev->model - offsetof(struct guest, model));
	char path[64];
	int r;

	snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/online", dev->id);
	g->kernel.bypass = true;
	r = fake_user(&g->kernel, path, value);
	g->kernel.bypass = false;
	return r;
}

static int around_online(struct device *dev, struct ls_err *err)
{
	(void)err;
	return around(dev, "1");
}

static int around_offline(struct device *dev, struct ls_err *err)
{
	(void)err;
	return around(dev, "0");
}

static const struct device_bus around_bus = { "cpu",	   "cpu",	  HOOK_CPU,
					      around_look, around_online, around_offline };

static void go_around_the_driver_core(struct guest *g)
{
	size_t i;

	g->model.set[DEVICE_CPU].bus = &around_bus;
	for (i = 0; i < g->model.set[DEVICE_CPU].n; i++)
		g->model.set[DEVICE_CPU].dev[i]->bus = &around_bus;
}

/* The four steps: offline by a user, window, online by the user, end of the window. */
static void replay_seed_1(struct guest *g)
{
	fake_user(&g->kernel, CPU(3), "0");
	assert_int_equal(open_window(g, "m1", WINDOW_FORCE, 1000, NULL), 0);
	assert_true(g->kernel.cpu[3].kernel);
	assert_int_equal(fake_user(&g->kernel, CPU(3), "1"), 0);
	assert_int_equal(close_window(g, "m1", NULL), 0);
}

/* Through the driver core both views agree at the end, and the user's next echo works. */
static void test_when_seed_1_is_replayed_then_no_desync(void **state)
{
	struct guest *g = *state;

	replay_seed_1(g);
	assert_true(fake_agrees(&g->kernel, 3, false));
	fake_user(&g->kernel, CPU(3), "1");
	assert_true(fake_agrees(&g->kernel, 3, true));
}

/* Around the driver core: online for it, dead in fact, and an echo cannot bring it back. */
static void test_when_seed_1_goes_around_the_driver_core_then_the_symptom(void **state)
{
	struct guest *g = *state;

	go_around_the_driver_core(g);
	replay_seed_1(g);
	assert_true(g->kernel.cpu[3].device);
	assert_false(g->kernel.cpu[3].kernel);
	assert_int_equal(fake_user(&g->kernel, CPU(3), "1"), 0);
	assert_false(g->kernel.cpu[3].kernel);
}

/* ---- over a restart ------------------------------------------------------------ */

static char dir[] = "/tmp/lockstep-window-XXXXXX";

static int setup_dir(void **state)
{
	setup(state);
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	persist_init(&((struct guest *)*state)->persist, dir, NULL);
	return 0;
}

static int teardown_dir(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/state.json", dir);
	unlink(path);
	rmdir(dir);
	return teardown(state);
}

/* The agent is killed, another one starts: all it has is the record. */
static void restart(struct guest *g, uint64_t now_ms)
{
	window_done(&g->window);
	lock_done(&g->lock);
	lock_init(&g->lock, 0);
	window_init(&g->window, &g->model, &g->lock, &g->persist);
	window_load(&g->window, now_ms);
}

/* A restarted agent knows the window, has its lock, and closes it as it should be. */
static void test_when_restarted_then_the_window_goes_on(void **state)
{
	struct guest *g = *state;
	struct window_view v;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	restart(g, 50000);
	window_look(&g->window, 50000, &v);
	assert_int_equal(v.state, WINDOW_OPEN);
	assert_string_equal(v.txn, "m1");
	assert_int_equal(cpus_count(&v.forced), 4);
	assert_int_equal(v.left_ms, LS_LEASE_FIRST_MAX_MS);
	assert_true(locked(g));
	assert_int_equal(lock_take(&g->lock, "t1", 1, 1000, 50000, NULL), -EBUSY);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_true(fake_agrees(&g->kernel, 7, false));
	assert_true(fake_agrees(&g->kernel, 3, true));
}

/* The state directory is removed while the agent runs: the next window is recorded all the same. */
static void test_when_the_directory_was_removed_then_the_window_is_recorded(void **state)
{
	struct guest *g = *state;

	assert_int_equal(rmdir(dir), 0);
	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_OPEN);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_true(fake_agrees(&g->kernel, 7, false));
}

/* Killed in the middle of forcing: the mask was on disk before the first write. */
static void test_when_killed_while_forcing_then_close_restores_all(void **state)
{
	struct guest *g = *state;
	char path[64];
	int nth, cpu;

	for (nth = 0; nth <= 4; nth++) {
		open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
		for (cpu = 4 + nth; cpu < 8; cpu++) { /* those it had not come to */
			snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/online", cpu);
			fake_user(&g->kernel, path, "0");
		}
		restart(g, 0);
		assert_int_equal(close_window(g, "m1", NULL), 0);
		for (cpu = 0; cpu < 8; cpu++)
			assert_true(fake_agrees(&g->kernel, cpu, cpu < 4));
	}
}

/* The highest epoch outlives the agent, too. */
static void test_when_restarted_then_the_epoch_is_known(void **state)
{
	struct guest *g = *state;

	lock_take(&g->lock, "t1", 12, 1000, 0, NULL);
	window_save(&g->window);
	restart(g, 0);
	assert_false(locked(g));
	assert_int_equal(lock_take(&g->lock, "t2", 11, 1000, 0, NULL), -ESTALE);
}

/* Also one that came with a window that was refused. */
static void test_when_a_window_was_refused_then_its_epoch_is_known(void **state)
{
	struct guest *g = *state;

	lock_take(&g->lock, "t1", 1, 1000, 0, NULL);
	assert_int_equal(window_admit(&g->window, "m1", 12, 1000, WINDOW_HOLD, 0, NULL), -EBUSY);
	restart(g, 0);
	assert_int_equal(lock_take(&g->lock, "t2", 11, 1000, 0, NULL), -ESTALE);
}

/* A record of another boot is nothing: its CPUs have long been renumbered. */
static void test_when_another_boot_then_the_record_is_nothing(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	strcpy(g->persist.boot_id, "another");
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	assert_false(locked(g));
}

/* Restore-pending outlives a restart. */
static void test_when_restarted_while_pending_then_still_pending(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
	close_window(g, "m1", NULL);
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_PENDING);
	assert_false(locked(g));
	assert_int_equal(close_window(g, "m1", NULL), 1);
	assert_true(fake_agrees(&g->kernel, 6, false));
}

static struct rlimit room;

/* Files have room for this many bytes, until leave_room(). */
static void take_room(rlim_t bytes)
{
	struct rlimit less;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
	less = (struct rlimit){ bytes, room.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
}

static void leave_room(void)
{
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
}

/* Whatever room there is: a window is recorded with its CPUs, or refused and nothing changes. */
static void test_when_it_cannot_be_recorded_then_no_window(void **state)
{
	struct guest *g = *state;
	int refused = 0, opened = 0, bytes, r;
	struct ls_err err;

	for (bytes = 1; bytes < 256; bytes++) {
		err = (struct ls_err){ 0 };
		g->kernel.n_writes = 0;
		take_room((rlim_t)bytes);
		r = open_window(g, "m1", WINDOW_FORCE, 1000, &err);
		leave_room();
		opened += r == 0;
		if (r < 0) {
			refused++;
			assert_string_equal(err.class, LS_CLASS_NOT_RECORDED);
			assert_non_null(strstr(err.text, dir));
			assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
			assert_false(locked(g));
		}
		restart(g, 0);
		assert_int_equal(state_of(g), r < 0 ? WINDOW_CLOSED : WINDOW_OPEN);
		assert_int_equal(close_window(g, "m1", NULL), r < 0);
		assert_true(fake_agrees(&g->kernel, 7, false));
	}
	assert_true(refused > 100 && opened > 50);
}

/* What keeps nothing need not be kept: a guest whose disk is full can still migrate. */
static void test_when_it_cannot_be_recorded_then_off_opens(void **state)
{
	struct guest *g = *state;

	take_room(1);
	assert_int_equal(open_window(g, "m1", WINDOW_HOLD, 1000, NULL), -EFBIG);
	assert_false(locked(g));
	assert_int_equal(open_window(g, "m1", WINDOW_OFF, 1000, NULL), 0);
	leave_room();
	assert_int_equal(close_window(g, "m1", NULL), 0);
}

/* Who had the lock before has it still, and its lease. */
static void test_when_the_owner_of_the_lock_is_refused_then_it_keeps_it(void **state)
{
	struct guest *g = *state;

	assert_int_equal(lock_take(&g->lock, "m1", 1, 1000, 0, NULL), 0);
	take_room(1);
	assert_int_equal(open_window(g, "m1", WINDOW_HOLD, 1000, NULL), -EFBIG);
	leave_room();
	assert_true(locked(g));
	assert_int_equal(lock_deadline_ms(&g->lock), 1000);
}

/* No room for the record of the close: the one that says "open" does not stay. */
static void test_when_the_close_cannot_be_saved_then_an_old_record_is_not_kept(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	take_room(1);
	close_window(g, "m1", NULL);
	leave_room();
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	assert_false(locked(g));
}

/* Pending, and somebody took it offline while no agent ran: told, and nothing is owed. */
static void test_when_a_pending_cpu_went_while_no_agent_ran_then_nothing_is_owed(void **state)
{
	struct guest *g = *state;
	int before;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
	close_window(g, "m1", NULL);
	fake_user(&g->kernel, CPU(6), "0");
	guest_scan(g);
	restart(g, 0);
	before = g->n_told;
	window_compare(&g->window);
	assert_int_equal(g->n_told, before + 1);
	assert_int_equal(g->told[before].id, 6);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
}

/* A damaged record, whatever is in it, ends nothing and opens nothing. */
static void test_when_the_record_is_damaged_then_closed(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "7", "{\"state\":1}" };
	struct guest *g = *state;
	char path[64], whole[256];
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/state.json", dir);
	for (i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(whole, sizeof(whole),
			 "{\"boot-id\":\"%s\",\"epoch\":-1,\"state\":99,\"mode\":-4,\"forced\":[-1,"
			 "5000,\"x\"]}",
			 g->persist.boot_id);
		f = fopen(path, "w");
		fputs(i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : whole, f);
		fclose(f);
		restart(g, 0);
		assert_int_equal(state_of(g), WINDOW_CLOSED);
		assert_false(locked(g));
	}
	assert_int_equal(lock_take(&g->lock, "t1", 0, 1000, 0, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define D(name) cmocka_unit_test_setup_teardown(name, setup_dir, teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_opened_and_closed_then_the_cpus_are_as_before),
		T(test_when_not_forced_then_no_cpu_changes),
		T(test_when_opened_twice_then_already),
		T(test_when_closed_by_the_wrong_one_then_it_stays_open),
		T(test_when_open_then_others_are_refused),
		T(test_when_the_lock_is_held_then_no_window),
		T(test_when_a_cpu_cannot_be_forced_then_all_is_undone),
		T(test_when_a_cpu_is_out_of_step_then_open_changes_nothing),
		T(test_when_a_cpu_gets_out_of_step_meanwhile_then_it_is_not_touched),
		T(test_when_a_user_is_faster_than_open_then_close_leaves_it),
		T(test_when_a_user_changes_something_meanwhile_then_it_is_told_soon),
		T(test_when_an_open_fails_then_the_users_wish_stands),
		T(test_when_smt_forbids_a_cpu_then_it_is_left_out),
		T(test_when_a_cpu_cannot_be_restored_then_pending),
		T(test_when_pending_then_the_next_window_restores_it),
		T(test_when_pending_and_somebody_sets_it_then_it_stays_so),
		T(test_when_pending_and_an_open_is_refused_then_it_is_owed_as_before),
		T(test_when_any_cpu_fails_at_close_then_only_it_is_pending),
		T(test_when_the_lease_ends_then_it_is_told_once),
		T(test_when_the_lease_ended_too_late_then_the_next_window_stays),
		T(test_when_the_close_cannot_start_then_the_lease_ends_again),
		T(test_when_the_lease_ends_before_the_work_then_nothing_is_forced),
		T(test_when_the_owner_decides_then_close_leaves_it),
		T(test_when_a_forced_cpu_is_gone_then_close_is_content),
		T(test_when_seed_1_is_replayed_then_no_desync),
		T(test_when_seed_1_goes_around_the_driver_core_then_the_symptom),
		D(test_when_restarted_then_the_window_goes_on),
		D(test_when_the_directory_was_removed_then_the_window_is_recorded),
		D(test_when_killed_while_forcing_then_close_restores_all),
		D(test_when_restarted_then_the_epoch_is_known),
		D(test_when_a_window_was_refused_then_its_epoch_is_known),
		D(test_when_another_boot_then_the_record_is_nothing),
		D(test_when_restarted_while_pending_then_still_pending),
		D(test_when_the_close_cannot_be_saved_then_an_old_record_is_not_kept),
		D(test_when_it_cannot_be_recorded_then_no_window),
		D(test_when_it_cannot_be_recorded_then_off_opens),
		D(test_when_the_owner_of_the_lock_is_refused_then_it_keeps_it),
		D(test_when_the_record_is_damaged_then_closed),
		D(test_when_a_pending_cpu_went_while_no_agent_ran_then_nothing_is_owed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
