/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lane reaches its guest, and works off what it is asked, one after the other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../coordinator/cli/cli.h"
#include "fake_lane.h"

#define GO_ON_MS 5000

/* ---- reaching the guest -------------------------------------------------------------- */

/* Looked at, nothing left behind: ready. Before that a request is refused with the reason. */
static void test_when_connected_then_ready(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	assert_int_equal(fake_ask(1, 3, id), -EPIPE);
	fake_make_ready();
	assert_int_equal(fake.readies, 1);
	assert_int_equal(fake.left, LANE_LEFT_NOTHING);
	assert_int_equal(fake.claims, 1);
}

/* The claim is let go of at once, those that wait are told, and it is tried again. */
static void test_when_lost_then_refused_and_tried_again(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	assert_null(lane_away(fake.lane)); /* not yet */
	fake_make_ready();
	assert_null(lane_away(fake.lane));
	assert_int_equal(fake_ask(1, 3, id), 0);
	fake.ops.lost(fake.ops.arg);
	assert_int_equal(lane_state(fake.lane), LANE_AWAY);
	assert_int_equal(fake.aways, 1);
	assert_int_equal(fake.claims, 0);
	fake_assert_said("1 error ;");
	fake_await_look();
	fake_make_ready();
	assert_int_equal(fake.readies, 2);
}

/* Each end of the recovery: what becomes of the transaction that it was about. */
static void test_when_something_is_left_then_recovered_by_a_process(void **state)
{
	static const struct {
		int exit;
		enum lane_left left;
	} ends[] = { { XC_OK, LANE_LEFT_ENDED },
		     { XC_PENDING, LANE_LEFT_PENDING },
		     { XC_STUCK, LANE_LEFT_STUCK },
		     { XC_REACH, LANE_LEFT_NOTHING } };

	(void)state;
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		fake.exit = ends[i].exit;
		fake_look();
		fake_record(true);
		assert_int_equal(lane_state(fake.lane), LANE_RECOVERING);
		fake_await_look();
		assert_int_equal(fake.spawned, i + 1);
		fake_make_ready();
		assert_int_equal(fake.left, ends[i].left);
		fake.ops.lost(fake.ops.arg);
		fake_await_look();
	}
}

/* ---- requests ---------------------------------------------------------------------- */

/* One at a time, in order, each planned upon a look of its own; no more than max-queue wait. */
static void test_when_many_ask_then_one_after_the_other(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	fake_make_ready();
	fake_begin(1, 3);
	assert_int_equal(fake_ask(2, 4, id), 0);
	assert_int_equal(fake_ask(3, 2, id), 0);
	assert_int_equal(fake_ask(4, 4, id), -EBUSY);
	fake_turn();
	assert_null(fake.looked);
	fake_plug(2);
	fake_end(END_DONE);
	fake_assert_said("1 end done;");
	fake_look(); /* what is true now is told; then the next one looks */
	fake_assert_said("1 now ;");
	fake_look();
	assert_int_equal(fake.t->n, 1);
	assert_int_equal(fake.t->items[0].slot, 3);
	fake_end(END_UNDONE);
	fake_look();
	fake_assert_said("2 end undone;2 now ;");
	fake_look();
	assert_int_equal(fake.t->walk.dir, STEP_DOWN);
}

/* It is so already: an end without a transaction; it cannot be: refused, nothing begins. */
static void test_when_there_is_nothing_to_do_then_ended_at_once(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	fake_make_ready();
	assert_int_equal(fake_ask(1, 2, id), 0);
	assert_int_equal(fake_ask(2, 99, id), 0);
	fake_turn();
	fake_look();
	fake_assert_said("1 end done;1 now ;");
	fake_look();
	fake_assert_said("2 error ;");
	assert_null(fake.t);
	assert_int_equal(lane_state(fake.lane), LANE_READY);
}

/* One that waits is taken out of the queue, one that looks does not begin, one that runs is
 * asked back. */
static void test_when_cancelled_then_wherever_it_is(void **state)
{
	char id[LS_TXN_BYTES], waits[LS_TXN_BYTES];
	struct ls_err err;

	(void)state;
	fake_make_ready();
	fake_begin(1, 3);
	assert_int_equal(fake_ask(2, 4, waits), 0);
	assert_int_equal(lane_cancel(fake.lane, waits, &err), 0);
	fake_assert_said("2 error ;");
	assert_int_equal(lane_cancel(fake.lane, waits, &err), -ENOENT);
	assert_int_equal(lane_cancel(fake.lane, NULL, &err), 0);
	assert_int_equal(fake.cancels, 1);
	fake_end(END_UNDONE);
	fake_look();
	assert_int_equal(fake_ask(3, 3, id), 0);
	fake_turn();
	assert_int_equal(lane_cancel(fake.lane, id, &err), 0);
	fake.said[0] = '\0';
	fake_look();
	fake_assert_said("3 error ;");
	assert_null(fake.t);
}

/* Nothing is planned before the guest's agent has answered; whoever asked is told of it once. */
static void test_when_the_agent_is_silent_then_waited_for_at_most_so_long(void **state)
{
	struct vm *vm = &fake.view.vm[SIDE_SRC];
	struct lane_job job = { .owner = 1, .timeout_ms = 10000 };
	char id[LS_TXN_BYTES];
	struct ls_err err;

	(void)state;
	fake_make_ready();
	job.wish = (struct wish){ .kind = WISH_VCPUS, .value = 3, .node = NODE_ANY };
	vm->has_agent = true;
	vm->agent_answers = false;
	assert_int_equal(lane_ask(fake.lane, &job, &err, id), 0);
	fake_turn();
	fake_look();
	fake_await_look();
	fake_look();
	fake_assert_said("1 warning ;");
	fake_await_look();
	vm->agent_answers = true;
	fake_look();
	assert_non_null(fake.t);
	fake_end(END_DONE);
	fake_look();
	fake.said[0] = '\0';
	vm->agent_answers = false;
	job.timeout_ms = 1;
	assert_int_equal(lane_ask(fake.lane, &job, &err, id), 0);
	fake_turn();
	sd_event_run(fake.loop, 10000); /* all the time that it was given */
	fake_look();
	fake_assert_said("1 error ;");
	assert_null(fake.t);
}

/* What a loss means for what runs the engine decides; then the lane is away. */
static void test_when_lost_in_the_middle_then_away_after_the_end(void **state)
{
	(void)state;
	fake_make_ready();
	fake_begin(1, 3);
	fake.ops.lost(fake.ops.arg);
	assert_int_equal(lane_state(fake.lane), LANE_BUSY);
	fake_end(END_LOST);
	fake_look();
	assert_int_equal(lane_state(fake.lane), LANE_AWAY);
}

static void note_done(void *arg, const struct ls_err *err)
{
	unsigned *n = arg;

	(void)err;
	++*n;
}

/* Records are numbered; one that is written after its run has gone tells nobody. */
static void test_when_a_record_is_late_then_nobody_is_told(void **state)
{
	const struct ls_err good = { 0 };
	unsigned told = 0;

	(void)state;
	fake_make_ready();
	fake_begin(1, 3);
	fake.ops.record(fake.ops.arg, fake.t, "claim", "text", note_done, &told);
	fake.done(fake.done_arg, &good);
	assert_int_equal(told, 1);
	fake.ops.record(fake.ops.arg, fake.t, "qemu:cpu", "text", note_done, &told);
	assert_int_equal(fake.seq, 2);
	lane_free(fake.lane);
	fake.done(fake.done_arg, &good);
	assert_int_equal(told, 1);
	fake.lane = NULL;
}

/* A transaction that has ended goes on under its id, with the next number, back or forward. */
static void test_when_gone_on_with_then_from_where_it_was(void **state)
{
	unsigned told = 0;
	const struct lane_job job = { .owner = 1, .timeout_ms = GO_ON_MS };
	struct ls_err err;

	(void)state;
	fake_make_ready();
	for (unsigned undo = 0; undo < 2; undo++) {
		struct txn *t = txn_new(OP_VCPUS, "t7", 1, true);

		t->end = END_STUCK;
		assert_int_equal(lane_go_on(fake.lane, t, 7, undo, &job, &err), 0);
		t = txn_new(OP_VCPUS, "t7", 1, true);
		t->end = END_STUCK;
		assert_int_equal(lane_go_on(fake.lane, t, 7, undo, &job, &err), -EBUSY);
		fake_turn();
		fake_look();
		assert_string_equal(fake.t->id, "t7");
		assert_true(fake.deadline_ms != 0);
		assert_int_equal(fake.t->end, END_NONE);
		assert_int_equal(fake.cancels, undo);
		fake.ops.record(fake.ops.arg, fake.t, "claim", "text", note_done, &told);
		assert_int_equal(fake.seq, 8);
		fake.done(fake.done_arg, &(struct ls_err){ 0 });
		fake_end(END_UNDONE);
		fake_look();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LANE_TEST(test_when_connected_then_ready),
		LANE_TEST(test_when_lost_then_refused_and_tried_again),
		LANE_TEST(test_when_something_is_left_then_recovered_by_a_process),
		LANE_TEST(test_when_many_ask_then_one_after_the_other),
		LANE_TEST(test_when_there_is_nothing_to_do_then_ended_at_once),
		LANE_TEST(test_when_cancelled_then_wherever_it_is),
		LANE_TEST(test_when_the_agent_is_silent_then_waited_for_at_most_so_long),
		LANE_TEST(test_when_lost_in_the_middle_then_away_after_the_end),
		LANE_TEST(test_when_a_record_is_late_then_nobody_is_told),
		LANE_TEST(test_when_gone_on_with_then_from_where_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
