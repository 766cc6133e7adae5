/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine hit at every point: each scenario, each action, each fault. Every cell
 * must end in a named end, and in a world that fits it.
 */
#include "../sim/world.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

static unsigned cells;

/* What may come out of a cell. */
enum { MAY_UNDO = 1, MAY_PEND = 2, MAY_STICK = 4 };

static void check_undone(struct world *w)
{
	world_check_as_before(w);
	world_check_no_holds(w);
}

/* Every walk of such a one goes back, too, and what fails there is not tried again. */
static unsigned on_the_way_back(const struct scenario *s)
{
	return s->partial ? MAY_STICK : 0;
}

static enum txn_end good_end(const struct scenario *s)
{
	return s->partial ? END_PARTIAL : END_DONE;
}

/* The end must be one of those allowed, and the world, once it has settled, must fit it. */
static void check_end(struct world *w, const struct scenario *s, enum txn_end end, unsigned may)
{
	world_wait(w, 30000);
	w->silent_until[SIDE_SRC] = w->silent_until[SIDE_DST] = 0;
	cells++;
	world_check_old_is_there(w);
	world_check_no_holds(w);
	if (end == END_DONE && !s->reached(w))
		fail_msg("%s: done, and not as it was wanted\n%s", s->name, w->trace);
	else if (end == END_PARTIAL && s->partial)
		world_check_each_whole(w);
	else if (end == END_UNDONE || end == END_REFUSED)
		check_undone(w);
	if (end == good_end(s) || ((end == END_UNDONE || end == END_REFUSED) && (may & MAY_UNDO)) ||
	    (end == END_PARTIAL && (may & MAY_UNDO) && s->partly) ||
	    (end == END_PENDING && (may & MAY_PEND) && s->removes) ||
	    (end == END_STUCK && (may & MAY_STICK)))
		return;
	fail_msg("%s: ended %s\n%s", s->name, txn_end_name(end), w->trace);
}

static unsigned actions_of(const struct scenario *s, unsigned *ret_asks, unsigned *ret_writes)
{
	struct world *w = world_with(s);
	unsigned n;

	world_wish(w, s);
	assert_int_equal(world_run(w), good_end(s));
	check_end(w, s, good_end(s), 0);
	assert_true(s->reached(w));
	n = w->actions;
	if (ret_asks)
		*ret_asks = w->asks;
	if (ret_writes)
		*ret_writes = w->writes;
	world_free(w);
	return n;
}

static void said(const char *what)
{
	print_message("# %s: %u cells\n", what, cells);
	cells = 0;
}

/* ---- crashes ------------------------------------------------------------ */

/* Somebody takes over, soon or after the leases; what was not on record never began. */
static void take_over(struct world *w, const struct scenario *s, unsigned after_ms, bool take_back)
{
	enum txn_end end = END_REFUSED;

	world_wait(w, after_ms);
	if (world_restart(w, take_back))
		end = world_run(w);
	else
		world_forget_the_dead(w);
	check_end(w, s, end, take_back ? MAY_UNDO | MAY_PEND : MAY_UNDO);
}

static void crash_after(const struct scenario *s, unsigned action, unsigned how)
{
	struct world *w = world_with(s);

	w->crash_at = action;
	w->keep = how & 1;
	world_wish(w, s);
	if (world_run(w) == END_NONE)
		take_over(w, s, how & 2 ? 20000 : 50, how & 4);
	world_free(w);
}

static void crash_everywhere(const struct scenario *s)
{
	unsigned n = actions_of(s, NULL, NULL);

	for (unsigned action = 1; action <= n; action++)
		for (unsigned how = 0; how < 8; how++)
			crash_after(s, action, how);
}

/*
 * The coordinator dies after any of its actions, the record on its way reaches the disk
 * or does not, another one takes over at once or after the leases have run out, and goes
 * on or takes it back: it ends done or undone, nothing is left half way, no hold is kept.
 */
static void test_when_the_coordinator_dies_anywhere_then_another_ends_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++)
		crash_everywhere(&scenarios[i]);
	said("crash, take over");
}

static void crash_twice(const struct scenario *s, unsigned first, unsigned second)
{
	struct world *w = world_with(s);

	w->crash_at = first;
	w->keep = true;
	world_wish(w, s);
	world_run(w);
	world_wait(w, 50);
	if (world_restart(w, first % 2)) {
		w->crash_at = second;
		if (world_run(w) == END_NONE)
			take_over(w, s, 50, second % 2);
	}
	world_free(w);
}

/* The one who took over dies as well, on the way forward or on the way back. */
static void test_when_the_next_one_dies_too_then_the_third_ends_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++) {
		unsigned n = actions_of(&scenarios[i], NULL, NULL);

		for (unsigned first = 2; first <= n; first += 3)
			for (unsigned second = 1; second <= n; second += 3)
				crash_twice(&scenarios[i], first, second);
	}
	said("crash twice");
}

static void lose_the_journal(const struct scenario *s, unsigned action)
{
	struct world *w = world_with(s);
	struct ls_err err = { 0 };
	enum txn_end end = END_NONE;

	w->crash_at = action;
	world_wish(w, s);
	world_run(w);
	w->disk[0] = '\0';
	w->crash_at = 0;
	world_forget_the_dead(w);
	if (s->wish(w, &err) == 0)
		end = world_run(w);
	world_wait(w, 30000);
	world_check_old_is_there(w);
	/* What a lost record had begun with an item that is dropped is now as it was before. */
	if (s != &scenarios[MIGRATE] && !s->another && !s->partial && !s->reached(w))
		fail_msg("%s: asked again, %s: %s\n%s", s->name, txn_end_name(end), err.text,
			 w->trace);
	cells++;
	world_free(w);
}

/*
 * Even the journal is gone: who asks for the same again gets it. A migration may be
 * refused then, but never do two sides run, and a source that was given up stays so.
 */
static void test_when_the_journal_is_lost_then_asking_again_gets_there(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++) {
		unsigned n = actions_of(&scenarios[i], NULL, NULL);

		for (unsigned action = 1; action <= n; action++)
			lose_the_journal(&scenarios[i], action);
	}
	said("journal lost");
}

/* ---- cancels, connections, silence -------------------------------------- */

static void cancel_after(const struct scenario *s, unsigned action)
{
	struct world *w = world_with(s);

	w->cancel_at = action;
	world_wish(w, s);
	check_end(w, s, world_run(w), MAY_UNDO | MAY_PEND);
	world_free(w);
}

/* Whoever asked thinks better of it at any moment. */
static void test_when_cancelled_anywhere_then_undone_or_too_late(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++) {
		unsigned n = actions_of(&scenarios[i], NULL, NULL);

		for (unsigned action = 1; action <= n; action++)
			cancel_after(&scenarios[i], action);
	}
	said("cancel");
}

static void lose_after(const struct scenario *s, unsigned action)
{
	struct world *w = world_with(s);

	w->lose_at = action;
	world_wish(w, s);
	check_end(w, s, world_run(w), 0);
	world_free(w);
}

/* All connections break at any moment, and come back: it is done all the same. */
static void test_when_connections_break_anywhere_then_done(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++) {
		unsigned n = actions_of(&scenarios[i], NULL, NULL);

		for (unsigned action = 1; action <= n; action++)
			lose_after(&scenarios[i], action);
	}
	said("connection lost");
}

static void silence(const struct scenario *s, uint64_t at_ms, uint64_t for_ms, unsigned may)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		struct world *w = world_with(s);

		w->silent_from[side] = at_ms;
		w->silent_until[side] = at_ms + for_ms;
		world_wish(w, s);
		w->kept_a_hold = for_ms > 100000;
		check_end(w, s, world_run(w), may);
		world_free(w);
	}
}

/* A QEMU says nothing for two seconds, from any moment on: that is waited out. */
static void test_when_a_qemu_is_silent_for_a_moment_then_done(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++)
		for (uint64_t at_ms = 1001; at_ms < 1900; at_ms += 13)
			silence(&scenarios[i], at_ms, 2000,
				MAY_UNDO | on_the_way_back(&scenarios[i]));
	said("silence, short");
}

/* A QEMU never says anything again: no guess is made, and it comes to an end. */
static void test_when_a_qemu_is_silent_for_ever_then_it_ends(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++)
		for (uint64_t at_ms = 1001; at_ms < 1900; at_ms += 41)
			silence(&scenarios[i], at_ms, 900000000, MAY_UNDO | MAY_PEND | MAY_STICK);
	said("silence, for ever");
}

/* Nobody ever tells that something happened: limits and polls are enough. */
static void test_when_all_hints_are_lost_then_done(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++) {
		struct world *w = world_with(&scenarios[i]);

		w->no_hints = true;
		world_wish(w, &scenarios[i]);
		check_end(w, &scenarios[i], world_run(w), 0);
		world_free(w);
	}
	said("no hints");
}

/* ---- replies ------------------------------------------------------------- */

static void reply(const struct scenario *s, unsigned nth, enum w_reply fault)
{
	struct world *w = world_with(s);

	w->fault_at = nth;
	w->fault = fault;
	world_wish(w, s);
	check_end(w, s, world_run(w), MAY_UNDO | MAY_PEND | on_the_way_back(s));
	world_free(w);
}

/* Any one reply is lost, late, or a lie, good news or bad. */
static void test_when_any_reply_is_wrong_then_the_look_decides(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++) {
		unsigned asks;

		actions_of(&scenarios[i], &asks, NULL);
		for (unsigned nth = 1; nth <= asks; nth++)
			for (int fault = REPLY_LOST; fault < REPLY_COUNT; fault++)
				reply(&scenarios[i], nth, (enum w_reply)fault);
	}
	said("replies");
}

/* ---- the journal's disk --------------------------------------------------- */

static void write_fails(const struct scenario *s, unsigned nth, bool from_then_on)
{
	struct world *w = world_with(s);

	w->fail_write = nth;
	w->fail_writes = from_then_on;
	world_wish(w, s);
	check_end(w, s, world_run(w), MAY_UNDO);
	world_free(w);
}

/* A record cannot be written: nothing is asked without it, but for taking back. */
static void test_when_a_record_cannot_be_written_then_undone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SCENARIOS; i++) {
		unsigned writes;

		actions_of(&scenarios[i], NULL, &writes);
		for (unsigned nth = 1; nth <= writes; nth++)
			for (int more = 0; more < 2; more++)
				write_fails(&scenarios[i], nth, more);
	}
	said("journal's disk");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_the_coordinator_dies_anywhere_then_another_ends_it),
		cmocka_unit_test(test_when_the_next_one_dies_too_then_the_third_ends_it),
		cmocka_unit_test(test_when_the_journal_is_lost_then_asking_again_gets_there),
		cmocka_unit_test(test_when_cancelled_anywhere_then_undone_or_too_late),
		cmocka_unit_test(test_when_connections_break_anywhere_then_done),
		cmocka_unit_test(test_when_a_qemu_is_silent_for_a_moment_then_done),
		cmocka_unit_test(test_when_a_qemu_is_silent_for_ever_then_it_ends),
		cmocka_unit_test(test_when_all_hints_are_lost_then_done),
		cmocka_unit_test(test_when_any_reply_is_wrong_then_the_look_decides),
		cmocka_unit_test(test_when_a_record_cannot_be_written_then_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
