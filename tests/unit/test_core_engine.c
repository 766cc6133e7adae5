/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine, one story a test: changes that go well, that fail, that are taken back.
 */
#include <errno.h>

#include "story_fixture.h"

/* ---- good ------------------------------------------------------------------ */

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

/* Only what is offline is asked for, and QEMU for nothing. */
static void test_when_cpus_are_brought_online_then_by_the_guest_alone(void **state)
{
	(void)state;
	goes_well(CPUS_ONLINE, "cpus online");
}

static void test_when_cpus_are_taken_offline_then_they_stay_plugged(void **state)
{
	(void)state;
	goes_well(CPUS_OFFLINE, "cpus offline");
}

/* Of all memory devices the one that was named, and no other row has anything to do. */
static void test_when_a_dimm_is_named_then_only_that_goes(void **state)
{
	(void)state;
	goes_well(REMOVE_DIMM, "DIMM down");
}

static void test_when_a_device_is_named_then_only_that_shrinks(void **state)
{
	(void)state;
	goes_well(RESIZE_DEVICE, "device down");
}

/* No lock of the guest's is needed: no device comes or goes. */
static void test_when_the_balloon_is_filled_then_the_guest_follows(void **state)
{
	(void)state;
	goes_well(FILL_BALLOON, "balloon");
}

/* What it gave stays, and the end says how much that is. */
static void test_when_the_guest_cannot_spare_more_then_partial(void **state)
{
	struct world *w = world_with(&scenarios[FILL_BALLOON]);

	(void)state;
	w->lazy = 384 * W_MIB;
	world_wish(w, &scenarios[FILL_BALLOON]);
	assert_end(w, END_PARTIAL);
	assert_said(w, "followed to 384 MiB, not 256 MiB");
	assert_int_equal(w->qemu[SIDE_SRC].balloon, 384 * W_MIB);
	world_check_no_holds(w);
	assert_trace(w, "balloon partly");
	world_free(w);
}

/* Though it has not moved at all: it is asked for what it had, or it would follow later. */
static void test_when_cancelled_before_the_guest_moves_then_asked_for_what_it_had(void **state)
{
	struct world *w = world_with(&scenarios[FILL_BALLOON]);

	(void)state;
	w->lazy = W_BOOT;
	world_wish(w, &scenarios[FILL_BALLOON]);
	wait_for(w, "balloon");
	world_event(w, (struct event){ .kind = EV_CANCEL, .now_ms = w->now_ms });
	world_drain(w);
	assert_end(w, END_UNDONE);
	assert_int_equal(w->qemu[SIDE_SRC].balloon_goal, W_BOOT);
	assert_all_is_before(w);
	world_free(w);
}

/* What cannot be had is dropped, the rest is done, and only then taken back what was begun. */
static void test_when_best_effort_and_one_is_broken_then_the_others_are_plugged(void **state)
{
	(void)state;
	goes_well(PLUG_SOME, "some plugged");
}

static void test_when_best_effort_and_one_is_refused_then_it_is_online_again(void **state)
{
	(void)state;
	goes_well(UNPLUG_SOME, "some unplugged");
}

/* The kernel's words go to the one that it refuses now, and not to who is refused after it. */
static void test_when_best_effort_then_the_words_are_of_the_one_that_is_refused(void **state)
{
	const char *words = "CPU 3 has 13 vectors, 2 available. Cannot disable CPU";
	const struct scenario *s = &scenarios[UNPLUG_SOME];

	(void)state;
	for (unsigned refused = 1; refused <= 2; refused++) {
		struct world *w = world_with(s);
		unsigned told = 0;

		if (refused == 2)
			w->qemu[SIDE_SRC].cpus[4].mood = GUEST_REFUSES;
		w->kernel_says = words;
		world_wish(w, s);
		wait_for(w, "end: partial");
		for (unsigned i = 0; i < w->t->n; i++)
			told += strstr(w->t->items[i].why.text, words) != NULL;
		assert_int_equal(told, 1);
		assert_string_equal(w->t->guest_says, words);
		world_free(w);
	}
}

/* One says nothing: it is left as it is, since it may still go. The refused one is not. */
static void test_when_best_effort_and_one_is_silent_then_pending(void **state)
{
	const struct scenario *s = &scenarios[UNPLUG_SOME];
	struct world *w = world_with(s);

	(void)state;
	w->qemu[SIDE_SRC].cpus[4].mood = GUEST_SILENT;
	world_wish(w, s);
	wait_for(w, "pending");
	world_wait(w, 30000);
	assert_true(w->qemu[SIDE_SRC].cpus[4].plugged);
	assert_false(w->qemu[SIDE_SRC].cpus[4].kernel);
	assert_true(w->qemu[SIDE_SRC].cpus[3].kernel);
	assert_false(w->qemu[SIDE_SRC].cpus[2].plugged);
	world_check_no_holds(w);
	assert_string_equal(txn_item_result(w->t, 0), "pending"); /* the highest slot first */
	assert_string_equal(txn_item_result(w->t, 1), "refused");
	assert_string_equal(txn_item_result(w->t, 2), "done");
	world_free(w);
}

/* Who takes over then asks for no more than what is still in. */
static void test_when_an_item_is_dropped_then_the_smaller_set_is_on_record(void **state)
{
	const struct scenario *s = &scenarios[UNPLUG_SOME];
	struct world *w = world_with(s);
	struct txn *t;

	(void)state;
	world_wish(w, s);
	wait_for(w, "qemu:cpu       done");
	assert_int_equal(txn_load(w->disk, NULL, &t), 0);
	assert_int_equal(t->items[0].state, ITEM_IN);
	assert_int_equal(t->items[1].state, ITEM_DROPPED);
	assert_int_equal(t->items[1].why.code, -EPERM);
	txn_free(t);
	world_free(w);
}

/* None of it can be had: nothing is partial about that. */
static void test_when_best_effort_and_all_fail_then_undone(void **state)
{
	const struct scenario *s = &scenarios[PLUG_SOME];
	struct world *w = world_with(s);

	(void)state;
	w->broken = 0x1c;
	world_wish(w, s);
	assert_end(w, END_UNDONE);
	assert_all_is_before(w);
	world_free(w);
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

/* ---- failures -------------------------------------------------------------- */

/* The last row fails: it is looked at first, then what was plugged goes again. */
static void test_when_going_up_fails_then_taken_back(void **state)
{
	(void)state;
	fails_and_undoes(PLUG_CPUS, VERB_CPU_ONLINE, "failed up");
}

/* What was offline before goes offline again; what was online is left alone. */
static void test_when_cpus_do_not_come_online_then_each_is_as_before(void **state)
{
	(void)state;
	fails_and_undoes(CPUS_ONLINE, VERB_CPU_ONLINE, "cpus failed");
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

/* Its kernel has printed why: that is told with it. */
static void test_when_the_kernel_said_why_then_it_is_told(void **state)
{
	const char *words = "CPU 3 has 13 vectors, 2 available. Cannot disable CPU";

	(void)state;
	for (int ours = 0; ours <= 1; ours++) {
		const struct scenario *s = &scenarios[UNPLUG_CPUS];
		struct world *w = world_with(s);

		w->mood = GUEST_REFUSES;
		if (ours)
			w->kernel_says = words;
		world_wish(w, s);
		wait_for(w, "end: undone");
		assert_string_equal(w->t->guest_says, ours ? words : "");
		assert_int_equal(strstr(w->t->reason.text, words) != NULL, ours);
		assert_non_null(strstr(w->t->reason.text, "refused to give up"));
		world_free(w);
	}
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
		{ CPUS_ONLINE, VERB_GUEST_LOCK },
		{ CPUS_ONLINE, VERB_CPU_ONLINE },
		{ CPUS_OFFLINE, VERB_CPU_OFFLINE },
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

/*
 * The coordinator dies between the record of an unplug and the request. Taken back, the guest
 * may have been asked, so it is: else it would be pending, and nobody would ever give it.
 */
static void test_when_dead_before_the_request_then_asked_before_it_pends(void **state)
{
	const struct scenario *s = &scenarios[UNPLUG_CPUS];
	enum txn_end end = END_NONE;
	unsigned pending = 0;
	struct world *w;

	(void)state;
	for (unsigned at = 1; end == END_NONE; at++) {
		w = world_with(s);
		w->crash_at = at;
		world_wish(w, s);
		end = world_run(w);
		world_wait(w, 10000);
		if (end == END_NONE && world_restart(w, true) && world_run(w) == END_PENDING) {
			assert_true(times(w, "device_del") > 0);
			pending++;
		}
		world_free(w);
	}
	assert_true(pending > 0);
}

/* What is stuck is taken up from its last record, with the trouble gone. */
static void takes_up(int which, enum verb row, enum verb undo, bool back)
{
	struct world *w = failing(which, row, undo);
	struct w_qemu before[SIDE_COUNT];
	struct ls_err err;
	struct txn *t;

	assert_end(w, END_STUCK);
	world_wait(w, 10000);
	w->fail_verb[0] = w->fail_verb[1] = VERB_NONE;
	assert_int_equal(txn_load(w->writing, &err, &t), 0);
	assert_string_equal(txn_item_result(t, 0), "stuck");
	assert_int_equal(txn_reopen(t, back, &err), 0);
	assert_int_equal(!t->reason.text[0], !back); /* it is told, and kept */
	t->epoch += 2; /* another transaction had the guest in between */
	memcpy(before, w->before, sizeof(before));
	world_begin(w, t);
	memcpy(w->before, before, sizeof(before));
	if (back)
		world_event(w, (struct event){ .kind = EV_CANCEL });
	assert_end(w, back ? END_UNDONE : END_DONE);
	if (back)
		assert_all_is_before(w);
	else
		assert_true(scenarios[which].reached(w));
	world_wait(w, 10000);
	world_check_no_holds(w);
	world_free(w);
}

static void test_when_stuck_then_taken_up_either_way(void **state)
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
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		takes_up(pairs[i].which, pairs[i].row, pairs[i].undo, true);
		takes_up(pairs[i].which, pairs[i].row, pairs[i].undo, false);
	}
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

/* ---- what comes late ------------------------------------------------------- */

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
		cmocka_unit_test(test_when_cpus_are_brought_online_then_by_the_guest_alone),
		cmocka_unit_test(test_when_cpus_are_taken_offline_then_they_stay_plugged),
		cmocka_unit_test(
			test_when_best_effort_and_one_is_broken_then_the_others_are_plugged),
		cmocka_unit_test(test_when_best_effort_and_one_is_refused_then_it_is_online_again),
		cmocka_unit_test(
			test_when_best_effort_then_the_words_are_of_the_one_that_is_refused),
		cmocka_unit_test(test_when_best_effort_and_one_is_silent_then_pending),
		cmocka_unit_test(test_when_an_item_is_dropped_then_the_smaller_set_is_on_record),
		cmocka_unit_test(test_when_best_effort_and_all_fail_then_undone),
		cmocka_unit_test(test_when_a_dimm_is_named_then_only_that_goes),
		cmocka_unit_test(test_when_a_device_is_named_then_only_that_shrinks),
		cmocka_unit_test(test_when_the_balloon_is_filled_then_the_guest_follows),
		cmocka_unit_test(test_when_the_guest_cannot_spare_more_then_partial),
		cmocka_unit_test(
			test_when_cancelled_before_the_guest_moves_then_asked_for_what_it_had),
		cmocka_unit_test(test_when_another_takes_over_then_it_goes_on_from_the_record),
		cmocka_unit_test(test_when_going_up_fails_then_taken_back),
		cmocka_unit_test(test_when_cpus_do_not_come_online_then_each_is_as_before),
		cmocka_unit_test(test_when_the_guest_refuses_then_online_again),
		cmocka_unit_test(test_when_the_kernel_said_why_then_it_is_told),
		cmocka_unit_test(test_when_any_row_fails_then_all_is_as_before),
		cmocka_unit_test(test_when_any_undo_fails_then_stuck_and_nothing_held),
		cmocka_unit_test(test_when_stuck_then_taken_up_either_way),
		cmocka_unit_test(test_when_dead_before_the_request_then_asked_before_it_pends),
		cmocka_unit_test(test_when_an_undo_fails_then_it_stops_there),
		cmocka_unit_test(test_when_the_guest_is_silent_then_pending),
		cmocka_unit_test(test_when_cancelled_while_the_guest_thinks_then_pending),
		cmocka_unit_test(test_when_an_old_refusal_shows_then_it_does_not_count),
		cmocka_unit_test(test_when_a_shrink_stops_half_way_then_grown_again_and_online),
		cmocka_unit_test(test_when_an_answer_is_late_then_dropped),
		cmocka_unit_test(test_when_a_finished_record_is_found_then_only_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
