/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine's migrations: the gate, the commit, and that the guest never runs twice.
 */
#include "story_fixture.h"

static void test_when_a_guest_migrates_then_commit_before_it_runs_there(void **state)
{
	(void)state;
	goes_well(MIGRATE, "migration good");
}

static void test_when_a_migration_fails_before_the_gate_then_the_source_goes_on(void **state)
{
	(void)state;
	fails_and_undoes(MIGRATE, VERB_MIGRATE_CONTINUE, "migration failed at the gate");
}

/* Beyond the commit there is no way back: tried again, then stuck, the source never runs. */
static void test_when_the_destination_does_not_run_then_stuck_and_the_source_stands(void **state)
{
	struct world *w = failing(MIGRATE, VERB_CONT, VERB_NONE);

	(void)state;
	assert_end(w, END_STUCK);
	assert_trace(w, "beyond the pivot");
	world_wait(w, 30000);
	assert_int_not_equal(w->qemu[SIDE_SRC].run, VM_RUNNING);
	world_free(w);
}

/* It fails a few times and works then: done. */
static void test_when_it_works_at_the_third_try_beyond_the_pivot_then_done(void **state)
{
	const struct scenario *s = &scenarios[MIGRATE];
	struct world *w = failing(MIGRATE, VERB_CONT, VERB_NONE);

	(void)state;
	wait_for(w,
		 "cont\ndst:run        failed: cont: it was made to fail\ndst:run        cont\n");
	w->fail_verb[0] = VERB_NONE;
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	world_free(w);
}

/* The status of an earlier migration that was cancelled says nothing about this one. */
static void test_when_an_earlier_migration_was_cancelled_then_this_one_works(void **state)
{
	const struct scenario *s = &scenarios[MIGRATE];
	struct world *w = world_with(s);

	(void)state;
	w->qemu[SIDE_SRC].mig = MIG_CANCELLED;
	world_wish(w, s);
	assert_end(w, END_DONE);
	world_free(w);
}

/* The guest came by a migration of its own; QEMU says yes to the next, and begins none. */
static void test_when_an_earlier_migration_is_complete_then_this_one_is_not_waited_for(void **state)
{
	struct world *w = world_with(&scenarios[MIGRATE]);

	(void)state;
	w->qemu[SIDE_SRC].mig = MIG_COMPLETED;
	world_wish(w, &scenarios[MIGRATE]);
	wait_for(w, "dst:incoming   done");
	w->reply_now = REPLY_FALSE_OK;
	assert_end(w, END_UNDONE);
	assert_said(w, "QEMU took the request and there is no migration");
	world_free(w);
}

/* What a DIMM that went late has left in QEMU is nothing that the other one lacks. */
static void test_when_a_backend_has_no_device_then_the_inventories_are_the_same(void **state)
{
	struct vm_mem left = { .kind = VM_DIMM, .slot = -1, .id = "d", .backend = "m" };
	struct vm has = { .mems = &left, .n_mems = 1 }, lacks = { 0 };
	char text[128];

	(void)state;
	assert_true(vm_same_inventory(&has, &lacks, text, sizeof(text)));
	assert_true(vm_same_inventory(&lacks, &has, text, sizeof(text)));
	left.plugged = true;
	assert_false(vm_same_inventory(&has, &lacks, text, sizeof(text)));
	assert_false(vm_same_inventory(&lacks, &has, text, sizeof(text)));
}

/* A device that may go in the middle is waited for, be it a vCPU or a DIMM; then nothing begins. */
static void test_when_an_unplug_is_pending_then_it_does_not_begin(void **state)
{
	(void)state;
	for (int dimm = 0; dimm <= 1; dimm++) {
		struct world *w = world_with(&scenarios[MIGRATE]);

		world_has_dimm(w, "ls-old-7", 512 * W_MIB);
		for (unsigned i = 0; i < W_MEMS && dimm; i++)
			w->qemu[SIDE_SRC].mems[i].removing =
				!strcmp(w->qemu[SIDE_SRC].mems[i].id, "ls-old-7");
		w->qemu[SIDE_SRC].cpus[1].removing = !dimm;
		world_wish(w, &scenarios[MIGRATE]);
		assert_end(w, END_REFUSED);
		assert_said(w,
			    dimm ? "asked for ls-old-7 and has not answered" : "has not answered");
		assert_int_equal(times(w, "migrate-incoming"), 0);
		assert_int_equal(w->qemu[SIDE_SRC].run, VM_RUNNING);
		world_free(w);
	}
}

/* Somebody continues the source behind our back: the destination is never started. */
static void test_when_somebody_starts_the_source_then_the_destination_stays(void **state)
{
	const struct scenario *s = &scenarios[MIGRATE];
	struct world *w = failing(MIGRATE, VERB_SURRENDER, VERB_NONE);

	(void)state;
	wait_for(w, "surrender");
	w->qemu[SIDE_SRC].run = VM_RUNNING;
	w->fail_verb[0] = VERB_NONE;
	assert_end(w, END_STUCK);
	assert_false(w->qemu[SIDE_DST].ran);
	assert_int_equal(times(w, "dst:run"), 0);
	(void)s;
	world_free(w);
}

/* A vCPU appears at the destination while the memory goes over: the gate stays shut. */
static void test_when_the_devices_differ_at_the_gate_then_undone(void **state)
{
	const struct scenario *s = &scenarios[MIGRATE];
	struct world *w = world_with(s);

	(void)state;
	world_wish(w, s);
	wait_for(w, "src:migrate    migrate\n");
	world_wait(w, 100);
	w->qemu[SIDE_DST].cpus[6].plugged = true;
	assert_end(w, END_UNDONE);
	assert_int_equal(times(w, "migrate-continue"), 0);
	assert_all_is_before(w);
	world_free(w);
}

/*
 * The record says that the commit was not reached, and the guest runs at the destination
 * all the same: whatever happened, the source is not started as well.
 */
static void test_when_it_runs_there_already_then_taking_back_is_stuck(void **state)
{
	const struct scenario *s = &scenarios[MIGRATE];
	struct world *w = world_with(s);

	(void)state;
	world_wish(w, s);
	wait_for(w, "migrate-continue");
	w->crash_at = w->actions + 1;
	assert_end(w, END_NONE);
	world_wait(w, 100);
	w->qemu[SIDE_DST].run = VM_RUNNING;
	w->qemu[SIDE_DST].ran = true;
	assert_true(world_restart(w, true));
	assert_end(w, END_STUCK);
	assert_int_equal(w->qemu[SIDE_SRC].run, VM_POSTMIGRATE);
	world_free(w);
}

/*
 * Taken back, and then the source dies: the only guest is at the destination, and it can
 * only go on. What is on record then can be read by the next coordinator, too.
 */
static void test_when_the_way_back_turns_round_again_then_another_can_go_on(void **state)
{
	struct world *w = world_with(&scenarios[MIGRATE]);

	(void)state;
	world_wish(w, &scenarios[MIGRATE]);
	wait_for(w, "migrate-continue");
	world_cancel(w, 55); /* complete there, and the source does not know it yet */
	wait_for(w, "resume source");
	world_kill(w, SIDE_SRC);
	wait_for(w, "what is complete would be lost");
	w->crash_at = w->actions + 4;
	assert_end(w, END_NONE);
	assert_true(world_restart(w, false));
	assert_end(w, END_DONE);
	assert_int_equal(w->qemu[SIDE_DST].run, VM_RUNNING);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_a_guest_migrates_then_commit_before_it_runs_there),
		cmocka_unit_test(
			test_when_a_migration_fails_before_the_gate_then_the_source_goes_on),
		cmocka_unit_test(
			test_when_the_destination_does_not_run_then_stuck_and_the_source_stands),
		cmocka_unit_test(test_when_it_works_at_the_third_try_beyond_the_pivot_then_done),
		cmocka_unit_test(test_when_an_earlier_migration_was_cancelled_then_this_one_works),
		cmocka_unit_test(
			test_when_an_earlier_migration_is_complete_then_this_one_is_not_waited_for),
		cmocka_unit_test(
			test_when_a_backend_has_no_device_then_the_inventories_are_the_same),
		cmocka_unit_test(test_when_an_unplug_is_pending_then_it_does_not_begin),
		cmocka_unit_test(test_when_somebody_starts_the_source_then_the_destination_stays),
		cmocka_unit_test(test_when_the_devices_differ_at_the_gate_then_undone),
		cmocka_unit_test(test_when_it_runs_there_already_then_taking_back_is_stuck),
		cmocka_unit_test(test_when_the_way_back_turns_round_again_then_another_can_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
