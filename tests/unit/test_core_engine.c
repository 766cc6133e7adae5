/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine, one story a test. The traces that it must leave are those of
 * docs/steps.md: a block there is what the test of its name expects, to the letter.
 */
#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define STEPS "docs/steps.md" /* tests run from the top of the tree */

/* The block of docs/steps.md below the line "<!-- trace: NAME -->"; caller frees. */
static char *documented(const char *name)
{
	FILE *f = fopen(STEPS, "r");
	char marker[80], line[256], *block = calloc(1, 8192);
	int fences = -1;

	if (!f)
		fail_msg("%s cannot be read: run this from the top of the tree", STEPS);
	snprintf(marker, sizeof(marker), "<!-- trace: %s -->\n", name);
	while (fences < 2 && fgets(line, sizeof(line), f)) {
		if (!strcmp(line, marker))
			fences = 0;
		else if (fences >= 0 && !strncmp(line, "```", 3))
			fences++;
		else if (fences == 1)
			strncat(block, line, 8191 - strlen(block));
	}
	fclose(f);
	if (fences != 2)
		fail_msg("%s has no trace \"%s\"", STEPS, name);
	return block;
}

static void assert_trace(const struct world *w, const char *name)
{
	char *want = documented(name);

	if (strcmp(want, w->trace)) {
		fprintf(stderr, "\"%s\" was\n%s.\n", name, w->trace); /* cmocka cuts long texts */
		fail_msg("it is not what %s says of \"%s\"", STEPS, name);
	}
	free(want);
}

static void assert_end(struct world *w, enum txn_end want)
{
	enum txn_end end = world_run(w);

	if (end != want)
		fail_msg("ended %s, not %s\n%s", txn_end_name(end), txn_end_name(want), w->trace);
}

static void assert_said(const struct world *w, const char *what)
{
	if (!strstr(w->trace, what))
		fail_msg("nobody said \"%s\"\n%s", what, w->trace);
}

static unsigned times(const struct world *w, const char *what)
{
	unsigned n = 0;

	for (const char *at = w->trace; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

static void assert_all_is_before(struct world *w)
{
	world_wait(w, 30000);
	world_check_as_before(w);
	world_check_no_holds(w);
}

/* Until the trace says @what; a transaction that ends without ever saying it has failed. */
static void wait_for(struct world *w, const char *what)
{
	while (!strstr(w->trace, what)) {
		if (w->over || w->now_ms > 600000)
			fail_msg("it never came to \"%s\"\n%s", what, w->trace);
		world_wait(w, 1);
	}
}

/* ---- good ---------------------------------------------------------------- */

static void goes_well(int which, const char *trace)
{
	const struct scenario *s = &scenarios[which];
	struct world *w = world_with(s);

	world_wish(w, s);
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	world_wait(w, 30000);
	assert_true(s->reached(w));
	world_check_no_holds(w);
	assert_trace(w, trace);
	world_free(w);
}

/* Down the page: holds, QEMU, guest; the holds back in reverse. */
static void test_when_vcpus_are_plugged_then_host_rows_before_guest_rows(void **state)
{
	(void)state;
	goes_well(PLUG_CPUS, "good up");
}

/* The same table up the page. */
static void test_when_vcpus_are_unplugged_then_guest_rows_before_host_rows(void **state)
{
	(void)state;
	goes_well(UNPLUG_CPUS, "good down");
}

/* virtio-mem grows in pieces: it is asked for each piece that has come. */
static void test_when_memory_is_added_then_online_piece_by_piece(void **state)
{
	(void)state;
	goes_well(ADD_MEMORY, "memory up");
}

static void test_when_memory_is_removed_then_offline_before_it_goes(void **state)
{
	(void)state;
	goes_well(REMOVE_MEMORY, "memory down");
}

static void test_when_a_guest_migrates_then_commit_before_it_runs_there(void **state)
{
	(void)state;
	goes_well(MIGRATE, "migration good");
}

/* The coordinator dies after it has plugged; who takes over reads the record and goes on. */
static void test_when_another_takes_over_then_it_goes_on_from_the_record(void **state)
{
	const struct scenario *s = &scenarios[PLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	world_wish(w, s);
	wait_for(w, "device_add");
	w->crash_at = w->actions + 1;
	assert_end(w, END_NONE);
	world_wait(w, 10000);
	assert_true(world_restart(w, false));
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	assert_trace(w, "crash");
	world_free(w);
}

/* ---- failures ------------------------------------------------------------ */

static struct world *failing(int which, enum verb a, enum verb b)
{
	struct world *w = world_with(&scenarios[which]);

	w->fail_verb[0] = a;
	w->fail_verb[1] = b;
	world_wish(w, &scenarios[which]);
	return w;
}

static void fails_and_undoes(int which, enum verb verb, const char *trace)
{
	struct world *w = failing(which, verb, VERB_NONE);
	enum txn_end end = world_run(w);

	if (end != END_UNDONE && end != END_REFUSED)
		fail_msg("%s fails: ended %s\n%s", verb_name(verb), txn_end_name(end), w->trace);
	assert_all_is_before(w);
	if (trace)
		assert_trace(w, trace);
	world_free(w);
}

/* The last row fails: it is looked at first, then what was plugged goes again. */
static void test_when_going_up_fails_then_taken_back(void **state)
{
	(void)state;
	fails_and_undoes(PLUG_CPUS, VERB_CPU_ONLINE, "failed up");
}

/* The guest refuses: its vCPUs are brought online again, and it is told why. */
static void test_when_the_guest_refuses_then_online_again(void **state)
{
	const struct scenario *s = &scenarios[UNPLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	w->mood = GUEST_REFUSES;
	world_wish(w, s);
	assert_end(w, END_UNDONE);
	for (unsigned i = 0; i < W_CPUS; i++)
		w->before[SIDE_SRC].cpus[i].refused = w->qemu[SIDE_SRC].cpus[i].refused;
	assert_all_is_before(w);
	assert_trace(w, "failed down");
	world_free(w);
}

/* Every verb of every table fails in turn: forward rows before a pivot, and the holds. */
static void test_when_any_row_fails_then_all_is_as_before(void **state)
{
	static const struct {
		int which;
		enum verb verb;
	} rows[] = {
		{ PLUG_CPUS, VERB_CLAIM },
		{ PLUG_CPUS, VERB_GUEST_LOCK },
		{ PLUG_CPUS, VERB_CPU_ADD },
		{ UNPLUG_CPUS, VERB_CPU_OFFLINE },
		{ UNPLUG_CPUS, VERB_CPU_DEL },
		{ ADD_MEMORY, VERB_BACKEND_ADD },
		{ ADD_MEMORY, VERB_DIMM_ADD },
		{ ADD_MEMORY, VERB_MEM_REQUEST },
		{ ADD_MEMORY, VERB_MEM_ONLINE },
		{ REMOVE_MEMORY, VERB_MEM_OFFLINE },
		{ REMOVE_MEMORY, VERB_MEM_REQUEST },
		{ REMOVE_MEMORY, VERB_DIMM_DEL },
		{ REMOVE_MEMORY, VERB_BACKEND_DEL },
		{ MIGRATE, VERB_CLAIM },
		{ MIGRATE, VERB_PARAMS_SET },
		{ MIGRATE, VERB_WINDOW_OPEN },
		{ MIGRATE, VERB_MIRROR },
		{ MIGRATE, VERB_INCOMING },
		{ MIGRATE, VERB_MIGRATE },
		{ MIGRATE, VERB_MIGRATE_CONTINUE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fails_and_undoes(rows[i].which, rows[i].verb, NULL);
	print_message("# %zu rows failed\n", sizeof(rows) / sizeof(rows[0]));
}

/* ... and then its undo fails, too: stuck there, with the holds given back. */
static void test_when_any_undo_fails_then_stuck_and_nothing_held(void **state)
{
	static const struct {
		int which;
		enum verb row, undo;
	} pairs[] = {
		{ PLUG_CPUS, VERB_CPU_ONLINE, VERB_CPU_DEL },
		{ UNPLUG_CPUS, VERB_CPU_DEL, VERB_CPU_ONLINE },
		{ ADD_MEMORY, VERB_DIMM_ADD, VERB_BACKEND_DEL },
		{ ADD_MEMORY, VERB_MEM_ONLINE, VERB_DIMM_DEL },
		{ ADD_MEMORY, VERB_MEM_ONLINE, VERB_BACKEND_DEL },
		{ REMOVE_MEMORY, VERB_DIMM_DEL, VERB_MEM_ONLINE },
		{ REMOVE_MEMORY, VERB_BACKEND_DEL, VERB_DIMM_ADD },
		{ MIGRATE, VERB_INCOMING, VERB_QUIT },
		{ MIGRATE, VERB_MIGRATE_CONTINUE, VERB_SRC_RESUME },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct world *w = failing(pairs[i].which, pairs[i].row, pairs[i].undo);

		assert_end(w, END_STUCK);
		assert_int_equal(times(w, verb_name(pairs[i].undo)) > 0, true);
		world_wait(w, 10000);
		if (pairs[i].undo !=
		    VERB_SRC_RESUME) /* else the guest stands still, and its agent */
			world_check_no_holds(w);
		world_free(w);
	}
	print_message("# %zu undos failed\n", sizeof(pairs) / sizeof(pairs[0]));
}

static void test_when_an_undo_fails_then_it_stops_there(void **state)
{
	struct world *w = failing(PLUG_CPUS, VERB_CPU_ONLINE, VERB_CPU_DEL);

	(void)state;
	assert_end(w, END_STUCK);
	assert_trace(w, "failed undo");
	world_free(w);
}

/* The guest says nothing: pending, and what it was asked for stays offline. */
static void test_when_the_guest_is_silent_then_pending(void **state)
{
	const struct scenario *s = &scenarios[UNPLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	w->mood = GUEST_SILENT;
	world_wish(w, s);
	assert_end(w, END_PENDING);
	assert_trace(w, "pending");
	world_check_no_holds(w);
	assert_false(w->qemu[SIDE_SRC].cpus[3].kernel);
	world_free(w);
}

/* Cancelled while the guest thinks: it may still give it, so nothing is taken back. */
static void test_when_cancelled_while_the_guest_thinks_then_pending(void **state)
{
	const struct scenario *s = &scenarios[UNPLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	w->mood = GUEST_SILENT;
	world_wish(w, s);
	wait_for(w, "device_del");
	w->cancel_at = w->actions + 2;
	assert_end(w, END_PENDING);
	assert_true(w->now_ms < 5000);
	world_check_no_holds(w);
	world_free(w);
}

/* What the guest refused last week is no answer to today's question. */
static void test_when_an_old_refusal_shows_then_it_does_not_count(void **state)
{
	const struct scenario *s = &scenarios[UNPLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	w->qemu[SIDE_SRC].cpus[3].refused = true;
	world_wish(w, s);
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	world_free(w);
}

/*
 * virtio-mem follows a part of the way down, and the row that failed is not the one that
 * brings memory online: it is taken back all the same, online and all.
 */
static void test_when_a_shrink_stops_half_way_then_grown_again_and_online(void **state)
{
	struct world *w = world_new();
	struct ls_err err;

	(void)state;
	world_has_virtio_mem(w, 512 * W_MIB);
	w->lazy = 256 * W_MIB;
	assert_int_equal(world_memory(w, W_BOOT, &err), 0);
	wait_for(w, "turning round");
	w->lazy = 0;
	assert_end(w, END_UNDONE);
	assert_all_is_before(w);
	world_free(w);
}

/* ---- migration ------------------------------------------------------------ */

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

/* ---- holds ---------------------------------------------------------------- */

static struct world *until_said(const char *what)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	world_wish(w, &scenarios[PLUG_CPUS]);
	wait_for(w, what);
	return w;
}

/* The agent forgets the lock: it is taken again before anything else. */
static void test_when_a_hold_is_lost_then_taken_again(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	w->qemu[SIDE_SRC].lock[0] = '\0';
	assert_end(w, END_DONE);
	assert_said(w, "guest:lock     warning: lost; taking it again\n");
	assert_int_equal(times(w, "guest:lock     lock\n"), 2);
	world_check_no_holds(w);
	world_free(w);
}

/* Somebody else has the lock now: back without it, and the claim is given back. */
static void test_when_a_hold_is_lost_for_good_then_back_without_it(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	strcpy(w->qemu[SIDE_SRC].lock, "somebody");
	assert_end(w, END_UNDONE);
	world_wait(w, 30000);
	assert_string_equal(w->qemu[SIDE_SRC].claim, "");
	world_check_as_before(w);
	world_free(w);
}

/* The first hold is lost for good: those behind it are still given back. */
static void test_when_the_claim_is_lost_for_good_then_the_lock_is_given_back(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	strcpy(w->qemu[SIDE_SRC].claim, "somebody");
	assert_end(w, END_UNDONE);
	assert_string_equal(w->qemu[SIDE_SRC].claim, "somebody");
	assert_string_equal(w->qemu[SIDE_SRC].lock, "");
	world_free(w);
}

/* Lost at every look, for ever: it ends. */
static void test_when_a_hold_is_lost_again_and_again_then_it_ends(void **state)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	(void)state;
	w->fail_verb[0] = VERB_CPU_ONLINE; /* so that it stays in one row */
	world_wish(w, &scenarios[PLUG_CPUS]);
	while (!w->over && w->now_ms < 600000) {
		world_wait(w, 1);
		w->qemu[SIDE_SRC].lock[0] = '\0';
	}
	assert_true(w->over);
	world_free(w);
}

/* Another coordinator has the claim: refused at once, nothing was on record. */
static void test_when_the_claim_is_taken_then_refused(void **state)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	(void)state;
	strcpy(w->qemu[SIDE_SRC].claim, "somebody");
	world_wish(w, &scenarios[PLUG_CPUS]);
	assert_end(w, END_REFUSED);
	assert_string_equal(w->qemu[SIDE_SRC].claim, "somebody");
	assert_int_equal(times(w, "unclaim"), 0);
	assert_int_equal(w->writes, 1); /* the closing one */
	world_free(w);
}

/* ---- agents ---------------------------------------------------------------- */

static void with_agent(enum vm_agent agent, int which)
{
	const struct scenario *s = &scenarios[which];
	struct world *w = world_with(s);

	w->agent = agent;
	world_wish(w, s);
	assert_end(w, END_DONE);
	assert_int_equal(times(w, "guest:lock"), 0);
	world_free(w);
}

/* With qemu-ga alone, and with nobody in the guest, it works in a reduced form. */
static void test_when_the_guest_has_a_lesser_agent_then_no_lock_and_done(void **state)
{
	(void)state;
	with_agent(AGENT_QGA, PLUG_CPUS);
	with_agent(AGENT_QGA, UNPLUG_CPUS);
	with_agent(AGENT_NONE, PLUG_CPUS);
	with_agent(AGENT_NONE, UNPLUG_CPUS);
}

/* QEMU is gone in the middle: lost, said at once, and nobody is asked for anything. */
static void test_when_qemu_ends_then_lost(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	w->qemu[SIDE_SRC].run = VM_GONE;
	assert_end(w, END_LOST);
	assert_true(w->now_ms < 5000);
	world_free(w);
}

static unsigned next_look(struct engine *e)
{
	struct action a;
	unsigned look = 0;

	while (engine_next(e, &a))
		look = a.kind == ACT_LOOK ? a.req : look;
	return look;
}

/* Answers to something that was given up are dropped, and so is what comes after the end. */
static void test_when_an_answer_is_late_then_dropped(void **state)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);
	struct txn *t = txn_new(OP_VCPUS, "t", 1, true);
	struct engine *e = engine_new(t, 1000, 0);
	struct view v = { .look = next_look(e) };
	unsigned again;

	(void)state;
	t->items[0].goal = 1;
	world_look(w, SIDE_SRC, &v.vm[SIDE_SRC]);
	engine_event(e, &(struct event){ .kind = EV_LOST, .now_ms = 1001 });
	again = next_look(e);
	assert_true(again > v.look);
	engine_event(e, &(struct event){ .kind = EV_OBSERVED, .now_ms = 1002, .view = &v });
	assert_int_equal(next_look(e), 0);
	assert_null(engine_row(e));
	v.look = again;
	engine_event(e, &(struct event){ .kind = EV_OBSERVED, .now_ms = 1003, .view = &v });
	assert_string_equal(engine_row(e)->name, "claim");
	next_look(e);
	engine_event(e, &(struct event){ .kind = EV_REPLY, .now_ms = 1004, .req = again });
	assert_int_equal(next_look(e), 0);
	engine_free(e);
	txn_free(t);
	vm_done(&v.vm[SIDE_SRC]);
	world_free(w);
}

/* A record of something that is over is closed, and nothing else. */
static void test_when_a_finished_record_is_found_then_only_closed(void **state)
{
	struct txn *t = txn_new(OP_VCPUS, "t", 1, true);
	struct engine *e;
	struct action a;

	(void)state;
	t->loaded = true;
	t->end = END_STUCK;
	e = engine_new(t, 1000, 0);
	assert_true(engine_next(e, &a));
	assert_int_equal(a.kind, ACT_END);
	assert_false(engine_next(e, &a));
	assert_null(engine_row(e));
	engine_free(e);
	txn_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_vcpus_are_plugged_then_host_rows_before_guest_rows),
		cmocka_unit_test(test_when_vcpus_are_unplugged_then_guest_rows_before_host_rows),
		cmocka_unit_test(test_when_memory_is_added_then_online_piece_by_piece),
		cmocka_unit_test(test_when_memory_is_removed_then_offline_before_it_goes),
		cmocka_unit_test(test_when_a_guest_migrates_then_commit_before_it_runs_there),
		cmocka_unit_test(test_when_another_takes_over_then_it_goes_on_from_the_record),
		cmocka_unit_test(test_when_going_up_fails_then_taken_back),
		cmocka_unit_test(test_when_the_guest_refuses_then_online_again),
		cmocka_unit_test(test_when_any_row_fails_then_all_is_as_before),
		cmocka_unit_test(test_when_any_undo_fails_then_stuck_and_nothing_held),
		cmocka_unit_test(test_when_an_undo_fails_then_it_stops_there),
		cmocka_unit_test(test_when_the_guest_is_silent_then_pending),
		cmocka_unit_test(test_when_cancelled_while_the_guest_thinks_then_pending),
		cmocka_unit_test(test_when_an_old_refusal_shows_then_it_does_not_count),
		cmocka_unit_test(test_when_a_shrink_stops_half_way_then_grown_again_and_online),
		cmocka_unit_test(
			test_when_a_migration_fails_before_the_gate_then_the_source_goes_on),
		cmocka_unit_test(
			test_when_the_destination_does_not_run_then_stuck_and_the_source_stands),
		cmocka_unit_test(test_when_it_works_at_the_third_try_beyond_the_pivot_then_done),
		cmocka_unit_test(test_when_an_earlier_migration_was_cancelled_then_this_one_works),
		cmocka_unit_test(test_when_somebody_starts_the_source_then_the_destination_stays),
		cmocka_unit_test(test_when_it_runs_there_already_then_taking_back_is_stuck),
		cmocka_unit_test(test_when_the_devices_differ_at_the_gate_then_undone),
		cmocka_unit_test(test_when_a_hold_is_lost_then_taken_again),
		cmocka_unit_test(test_when_a_hold_is_lost_for_good_then_back_without_it),
		cmocka_unit_test(test_when_the_claim_is_lost_for_good_then_the_lock_is_given_back),
		cmocka_unit_test(test_when_a_hold_is_lost_again_and_again_then_it_ends),
		cmocka_unit_test(test_when_the_claim_is_taken_then_refused),
		cmocka_unit_test(test_when_the_guest_has_a_lesser_agent_then_no_lock_and_done),
		cmocka_unit_test(test_when_qemu_ends_then_lost),
		cmocka_unit_test(test_when_an_answer_is_late_then_dropped),
		cmocka_unit_test(test_when_a_finished_record_is_found_then_only_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
