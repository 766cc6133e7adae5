/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The doctor: what it names, what it heals, and that it only tells unless told to heal. */
#include "fake_sysfs.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <lockstep/err.h>
#include <lockstep/wire.h>

#include "../../guest-agent/doctor.h"

#define CPU1_TARGET "devices/system/cpu/cpu1/hotplug/target"
#define CPU1_ONLINE "devices/system/cpu/cpu1/online"

static struct {
	int n;
	char kind[16];
	int id;
	char text[512];
	bool healed;
} found;

static void on_finding(void *arg, const struct finding *f)
{
	(void)arg;
	found.n++;
	snprintf(found.kind, sizeof(found.kind), "%s", f->kind);
	found.id = f->id;
	snprintf(found.text, sizeof(found.text), "%s", f->text);
	found.healed = f->healed;
}

static int visit(struct guest *g, bool fix, struct ls_err *err)
{
	const struct doctor d = {
		.model = &g->model,
		.lock = &g->lock,
		.window = &g->window,
		.fix = fix,
		.report = on_finding,
	};

	memset(&found, 0, sizeof(found));
	guest_scan(g);
	return doctor_run(&d, err);
}

static int setup(void **state)
{
	static struct guest g;

	guest_init(&g, 4, 3, 2);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	guest_done(*state);
	return 0;
}

/* A healthy guest has no findings, and healing it changes nothing. */
static void test_when_all_is_well_then_nothing_is_found(void **state)
{
	struct guest *g = *state;

	assert_int_equal(visit(g, false, NULL), 0);
	assert_int_equal(found.n, 0);
	assert_int_equal(visit(g, true, NULL), 0);
	assert_int_equal(found.n, 0);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
}

/* Online for the driver core, dead in fact: named, and untouched without fix. */
static void test_when_dead_in_fact_then_it_is_named(void **state)
{
	struct guest *g = *state;

	fake_user(&g->kernel, CPU1_TARGET, "0");
	assert_int_equal(visit(g, false, NULL), 0);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.kind, "cpu");
	assert_int_equal(found.id, 1);
	assert_false(found.healed);
	assert_non_null(strstr(found.text, "cpu1 is online for the driver core"));
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
	assert_int_equal(guest_cpu(g, 1)->hp.at, 0);
}

/* It is healed by offline, then online, and ends online. */
static void test_when_dead_in_fact_then_fix_brings_it_back(void **state)
{
	struct guest *g = *state;

	fake_user(&g->kernel, CPU1_TARGET, "0");
	assert_int_equal(visit(g, true, NULL), 0);
	assert_int_equal(found.n, 1);
	assert_true(found.healed);
	assert_true(fake_agrees(&g->kernel, 1, true));
	assert_string_equal(g->kernel.write[0].value, "0");
	assert_string_equal(g->kernel.write[1].value, "1");
	assert_int_equal(g->kernel.n_writes, 2);
	visit(g, false, NULL);
	assert_int_equal(found.n, 0);
}

/*
 * One CPU runs: the kernel takes none offline, so offline-then-online cannot heal the other.
 * It is started around the driver core, which has it online already.
 */
static void test_when_one_cpu_runs_then_the_dead_one_is_started(void **state)
{
	struct guest *g = *state;

	g->kernel.cpu[2].kernel = g->kernel.cpu[2].device = false;
	fake_user(&g->kernel, CPU1_TARGET, "0");
	assert_int_equal(visit(g, true, NULL), 0);
	assert_int_equal(found.n, 1);
	assert_true(found.healed);
	assert_true(fake_agrees(&g->kernel, 1, true));
	assert_int_equal(fake_writes(&g->kernel, CPU1_TARGET, "236"), 1);
	visit(g, false, NULL);
	assert_int_equal(found.n, 0);
}

/* A CPU that came after the boot cannot be started so: what to do is said. */
static void test_when_it_cannot_be_started_then_what_to_do_is_said(void **state)
{
	struct guest *g = *state;

	g->kernel.cpu[2].kernel = g->kernel.cpu[2].device = false;
	fake_user(&g->kernel, CPU1_TARGET, "0");
	g->kernel.cpu[1].late = true;
	assert_int_equal(visit(g, true, NULL), 0);
	assert_false(found.healed);
	assert_non_null(strstr(found.text, "bring another CPU online, then heal again"));
	g->kernel.cpu[2].kernel = g->kernel.cpu[2].device = true;
	visit(g, true, NULL);
	assert_true(found.healed);
	assert_true(fake_agrees(&g->kernel, 1, true));
}

/* Running in fact, offline for the driver core: online, then offline, and ends offline. */
static void test_when_running_unknown_then_fix_takes_it_down(void **state)
{
	struct guest *g = *state;

	g->kernel.cpu[3].kernel = true;
	assert_int_equal(visit(g, true, NULL), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.id, 3);
	assert_true(found.healed);
	assert_true(fake_agrees(&g->kernel, 3, false));
	assert_string_equal(g->kernel.write[0].value, "1");
	assert_string_equal(g->kernel.write[1].value, "0");
}

/* What cannot be healed says why, is not called healed, and leaves the lock free. */
static void test_when_healing_fails_then_it_says_so(void **state)
{
	struct guest *g = *state;
	struct lock_view v;

	fake_user(&g->kernel, CPU1_TARGET, "0");
	fake_fail(&g->kernel, CPU1_ONLINE, 1, 1, -EAGAIN);
	assert_int_equal(visit(g, true, NULL), 0);
	assert_false(found.healed);
	assert_non_null(strstr(found.text, "healing failed"));
	lock_look(&g->lock, 0, &v);
	assert_false(v.held);
}

/* The doctor waits for nobody: with the lock held it refuses to heal, and still tells. */
static void test_when_the_lock_is_held_then_no_healing(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	fake_user(&g->kernel, CPU1_TARGET, "0");
	guest_lock(g, "t1");
	assert_int_equal(visit(g, true, &err), -EBUSY);
	assert_string_equal(err.class, LS_CLASS_LOCK_HELD);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
	assert_int_equal(visit(g, false, NULL), 0);
	assert_int_equal(found.n, 1);
	guest_unlock(g, "t1");
}

static void ignore(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)cpu;
	(void)code;
	(void)err;
}

/* A CPU that a window could not restore is found, and restored by fix. */
static void test_when_restore_is_pending_then_it_is_found_and_done(void **state)
{
	struct guest *g = *state;
	struct window_result result = { .failed = ignore };

	window_admit(&g->window, "m1", 1, 1000, WINDOW_FORCE, 0, NULL);
	assert_int_equal(window_open(&g->window, "m1", false, &result, NULL), 0);
	fake_fail(&g->kernel, "devices/system/cpu/cpu3/online", 0, 2, -EBUSY);
	assert_int_equal(window_close(&g->window, "m1", &result, NULL), 0);

	visit(g, false, NULL);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.kind, "window");
	assert_int_equal(found.id, 3);
	visit(g, true, NULL);
	assert_false(found.healed);
	visit(g, true, NULL);
	assert_true(found.healed);
	assert_true(fake_agrees(&g->kernel, 3, false));
	visit(g, false, NULL);
	assert_int_equal(found.n, 0);
}

/* A window past its lease, whose close has not come through, is named. */
static void test_when_a_window_is_stale_then_it_is_named(void **state)
{
	struct guest *g = *state;

	window_admit(&g->window, "m1", 1, 1000, WINDOW_HOLD, 0, NULL);
	visit(g, false, NULL);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.kind, "window");
	assert_int_equal(found.id, -1);
}

/* A block that is neither here nor there is named. */
static void test_when_a_block_is_in_between_then_it_is_named(void **state)
{
	struct guest *g = *state;

	g->kernel.block[1].state = "going-offline\n";
	visit(g, false, NULL);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.kind, "memory");
	assert_int_equal(found.id, 1);
	assert_non_null(strstr(found.text, "going-offline"));
}

/* A CPU whose write has not come back is named, not touched. */
static void test_when_a_write_is_out_then_it_is_named(void **state)
{
	struct guest *g = *state;

	g->model.cpu_ms = 20;
	strcpy(g->kernel.hang, "devices/system/cpu/cpu3/online");
	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 3), NULL), -EINPROGRESS);
	guest_unlock(g, "t1");
	visit(g, true, NULL);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.id, 3);
	assert_non_null(strstr(found.text, "not come back"));
	fake_release(&g->kernel);
	while (sysfs_outs(g->sysfs))
		sched_yield();
}

/* More CPUs than there are numbers for: the others are managed, and the doctor says so. */
static void test_when_there_are_too_many_cpus_then_it_is_said(void **state)
{
	struct guest *g = *state;

	fake_put(&g->kernel, "devices/system/cpu/present", "0-1026");
	fake_put(&g->kernel, "devices/system/cpu/online", "0-2,1024-1025");
	assert_int_equal(visit(g, false, NULL), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.id, -1);
	assert_non_null(strstr(found.text, "this guest has 3 CPUs beyond the 1024"));
	assert_true(guest_cpu(g, 2)->online && guest_cpu(g, 2)->kernel);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_all_is_well_then_nothing_is_found),
		T(test_when_dead_in_fact_then_it_is_named),
		T(test_when_dead_in_fact_then_fix_brings_it_back),
		T(test_when_one_cpu_runs_then_the_dead_one_is_started),
		T(test_when_it_cannot_be_started_then_what_to_do_is_said),
		T(test_when_running_unknown_then_fix_takes_it_down),
		T(test_when_healing_fails_then_it_says_so),
		T(test_when_the_lock_is_held_then_no_healing),
		T(test_when_restore_is_pending_then_it_is_found_and_done),
		T(test_when_a_window_is_stale_then_it_is_named),
		T(test_when_a_block_is_in_between_then_it_is_named),
		T(test_when_a_write_is_out_then_it_is_named),
		T(test_when_there_are_too_many_cpus_then_it_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
