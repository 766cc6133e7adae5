/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Items that cannot be had. All or nothing: the first of them turns the walk round. Best
 * effort: they are dropped from the set, the smaller set goes on record, and the walk goes
 * on; at its end those that were dropped are taken back to where they were, alone.
 *
 * A device that the guest was asked for and neither gave nor refused is dropped as well
 * when its time is over, and not taken back: it may still go.
 */
#include "engine_private.h"

#include <errno.h>
#include <string.h>

/* How many are still in, not counting those of @lost. */
static unsigned left(const struct txn *t, const bool *lost)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += t->items[i].state == ITEM_IN && !(lost && lost[i]);
	return n;
}

static unsigned count(const struct txn *t, enum item_state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += t->items[i].state == state;
	return n;
}

static bool may_drop(const struct engine *e)
{
	return e->t->best_effort && !e->visit.hold && !e->t->walk.rollback && !e->t->crossed;
}

/* It was asked for, and whoever has it is about to let it go. */
static bool may_still_go(const struct engine *e, const struct view *v, unsigned item)
{
	const struct row *r = engine_row(e);

	return r->mark == MARK_PENDS && e->visit.dir == STEP_DOWN && e->visit.asked &&
	       !r->full(e->t, v, item);
}

static bool undone(const struct engine *e, const struct view *v, unsigned item)
{
	const struct row *r = engine_row(e);
	uint64_t goal = e->t->items[item].goal;

	if (e->t->items[item].state != ITEM_IN)
		return false;
	return e->visit.dir == STEP_UP ? r->full(e->t, v, item) < goal
				       : r->any(e->t, v, item) > goal;
}

/* On record before anything else happens; the look after it judges the smaller set. */
static void go_on_without(struct engine *e)
{
	e->visit.first = false; /* the row was asked for */
	e->visit.replied.code = 0;
	e->hinted = true;
	act_write(e, PH_WRITE);
}

static void drop(struct engine *e, unsigned item, enum item_state state)
{
	struct item *it = &e->t->items[item];
	struct ls_err err = it->why;
	char name[ITEM_NAME_BYTES];

	it->state = state;
	txn_item_name(e->t, item, name);
	ls_err_prefix(&err, "going on without %s", name);
	act_tell(e, TELL_WARN, engine_row(e)->name, err.text);
}

/* They are of this item if it is alone, and if none that was dropped before has them. */
static void add_words(const struct txn *t, const bool *lost, unsigned item)
{
	for (unsigned i = 0; i < t->n; i++)
		if ((lost[i] && i != item) || strstr(t->items[i].why.text, t->guest_says))
			return;
	end_add_words(t, &t->items[item].why);
}

/* Return: true when the walk goes on without those that are @lost, each with its why. */
static bool drop_all(struct engine *e, const bool *lost)
{
	if (!may_drop(e) || !left(e->t, lost))
		return false;
	for (unsigned i = 0; i < e->t->n; i++) {
		if (!lost[i])
			continue;
		add_words(e->t, lost, i);
		drop(e, i, ITEM_DROPPED);
	}
	go_on_without(e);
	return true;
}

bool effort_refused(struct engine *e, const struct view *v, bool *ret_more)
{
	const struct row *r = engine_row(e);
	bool lost[LS_CPUS_MAX + LS_MEM_DEVICES_MAX] = { false };
	struct ls_err err, first = { 0 };

	if (!r->refused || e->visit.hold || e->t->walk.rollback || !e->visit.asked)
		return false;
	for (unsigned i = 0; i < e->t->n; i++) {
		if (e->t->items[i].state != ITEM_IN || r->refused(e->t, v, i, &err) >= 0)
			continue;
		lost[i] = true;
		e->t->items[i].why = err;
		first = first.code ? first : err;
	}
	if (!first.code)
		return false;
	*ret_more = drop_all(e, lost) ? false : end_row_failed(e, &first);
	return true;
}

bool effort_failed(struct engine *e, const struct view *v)
{
	bool lost[LS_CPUS_MAX + LS_MEM_DEVICES_MAX] = { false }, any = false;

	for (unsigned i = 0; i < e->t->n && !e->visit.hold && !e->t->walk.rollback; i++) {
		if (!e->failed[i].code || !undone(e, v, i))
			continue;
		lost[i] = any = true;
		e->t->items[i].why = e->failed[i];
	}
	return any && drop_all(e, lost);
}

bool effort_late(struct engine *e, const struct view *v, const struct ls_err *why)
{
	bool lost[LS_CPUS_MAX + LS_MEM_DEVICES_MAX] = { false };
	unsigned waiting = 0, n = 0;

	for (unsigned i = 0; i < e->t->n && may_drop(e); i++) {
		lost[i] = undone(e, v, i);
		n += lost[i];
		waiting += lost[i] && may_still_go(e, v, i);
	}
	if (!n || !(left(e->t, lost) || (waiting && count(e->t, ITEM_DROPPED))))
		return false;
	for (unsigned i = 0; i < e->t->n; i++) {
		if (!lost[i])
			continue;
		e->t->items[i].why = *why;
		drop(e, i, may_still_go(e, v, i) ? ITEM_PENDING : ITEM_DROPPED);
	}
	go_on_without(e);
	return true;
}

/* What stopped the first of them. */
static void say_why(struct txn *t)
{
	char name[ITEM_NAME_BYTES];

	for (unsigned i = 0; i < t->n; i++) {
		if (t->items[i].state == ITEM_IN)
			continue;
		txn_item_name(t, i, name);
		ls_err_set(&t->reason, t->items[i].why.code, "%u of %u done; %s: %.180s",
			   left(t, NULL), t->n, name, t->items[i].why.text);
		return;
	}
}

bool effort_turn(struct engine *e)
{
	struct txn *t = e->t;
	int last = t->walk.dir == STEP_UP ? t->walk.at - 1 : t->walk.at;

	say_why(t);
	if (t->walk.rollback || !count(t, ITEM_DROPPED) || !t->entered)
		return false;
	t->partial = true;
	act_tell(e, TELL_ROLLBACK, row_at(e, last)->name, t->reason.text);
	step_rollback(&t->walk, false);
	e->visit.row = -1;
	return true;
}

void effort_left_pending(struct engine *e, const struct view *v)
{
	for (unsigned i = 0; i < e->t->n; i++)
		if (undone(e, v, i))
			e->t->items[i].state = ITEM_PENDING;
}

enum txn_end effort_end(const struct txn *t, enum txn_end end)
{
	if (count(t, ITEM_PENDING)) /* whatever became of the others: it may still go */
		return END_PENDING;
	return t->partial ? END_PARTIAL : end;
}
