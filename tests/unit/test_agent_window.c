/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The migration window opens and closes: whose it is, and what it forces. */
#include "window_fixture.h"

#include <errno.h>
#include <stdio.h>

/* ---- whose it is ----------------------------------------------------------- */

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

/* ---- CPUs that do not follow, and their users ------------------------------ */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WINDOW_TEST(test_when_opened_and_closed_then_the_cpus_are_as_before),
		WINDOW_TEST(test_when_not_forced_then_no_cpu_changes),
		WINDOW_TEST(test_when_opened_twice_then_already),
		WINDOW_TEST(test_when_closed_by_the_wrong_one_then_it_stays_open),
		WINDOW_TEST(test_when_open_then_others_are_refused),
		WINDOW_TEST(test_when_the_lock_is_held_then_no_window),
		WINDOW_TEST(test_when_a_cpu_cannot_be_forced_then_all_is_undone),
		WINDOW_TEST(test_when_a_cpu_is_out_of_step_then_open_changes_nothing),
		WINDOW_TEST(test_when_a_cpu_gets_out_of_step_meanwhile_then_it_is_not_touched),
		WINDOW_TEST(test_when_a_user_is_faster_than_open_then_close_leaves_it),
		WINDOW_TEST(test_when_a_user_changes_something_meanwhile_then_it_is_told_soon),
		WINDOW_TEST(test_when_an_open_fails_then_the_users_wish_stands),
		WINDOW_TEST(test_when_smt_forbids_a_cpu_then_it_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
