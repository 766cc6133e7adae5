/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The window's end: what a close owes and pays, leases, and the interleaving of seed 1. */
#include "window_fixture.h"

#include <errno.h>
#include <stdio.h>

#include "../../guest-agent/cpu.h"

/* ---- what is owed ---------------------------------------------------------- */

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

/* ---- leases ---------------------------------------------------------------- */

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

/* ---- seed 1 ---------------------------------------------------------------- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WINDOW_TEST(test_when_a_cpu_cannot_be_restored_then_pending),
		WINDOW_TEST(test_when_pending_then_the_next_window_restores_it),
		WINDOW_TEST(test_when_pending_and_an_open_is_refused_then_it_is_owed_as_before),
		WINDOW_TEST(test_when_pending_and_somebody_sets_it_then_it_stays_so),
		WINDOW_TEST(test_when_any_cpu_fails_at_close_then_only_it_is_pending),
		WINDOW_TEST(test_when_the_owner_decides_then_close_leaves_it),
		WINDOW_TEST(test_when_a_forced_cpu_is_gone_then_close_is_content),
		WINDOW_TEST(test_when_the_lease_ends_then_it_is_told_once),
		WINDOW_TEST(test_when_the_lease_ended_too_late_then_the_next_window_stays),
		WINDOW_TEST(test_when_the_close_cannot_start_then_the_lease_ends_again),
		WINDOW_TEST(test_when_the_lease_ends_before_the_work_then_nothing_is_forced),
		WINDOW_TEST(test_when_seed_1_is_replayed_then_no_desync),
		WINDOW_TEST(test_when_seed_1_goes_around_the_driver_core_then_the_symptom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
