/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a row fails and what that means; how a transaction ends.
 *
 *	forward, before a pivot   turn round: the failed row first, then all entered ones
 *	  nothing entered yet     refused
 *	  a guest was asked and   pending: it may still give the device, so bringing that
 *	  has not answered        online again would be a promise that we cannot keep
 *	forward, beyond a pivot   again, RETRY_MAX times, then stuck
 *	on the way back           stuck: recursive failures cannot be handled sensibly
 */
#include "engine_private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void end_finish(struct engine *e, enum txn_end end, const struct ls_err *err)
{
	e->t->end = end;
	if (err)
		e->t->reason = *err;
	hold_release(e);
}

bool end_reached(struct engine *e)
{
	enum txn_end end = !e->t->walk.rollback ? END_DONE
			   : e->t->entered	? END_UNDONE
						: END_REFUSED;

	if (!e->t->walk.rollback && effort_turn(e))
		return true;
	end_finish(e, effort_end(e->t, end), NULL);
	return false;
}

static bool stuck(struct engine *e, const struct ls_err *err)
{
	const char *row = e->visit.row < 0 ? "of the look" : engine_row(e)->name;
	struct txn *t = e->t;
	struct ls_err both = *err;

	t->walk.stuck = true;
	if (t->walk.rollback)
		ls_err_set(&both, t->reason.code, "%.120s; taking it back failed in row %s: %.110s",
			   t->reason.text, row, err->text);
	else if (t->crossed)
		ls_err_prefix(&both, "row %s, beyond the point of no return", row);
	end_finish(e, END_STUCK, &both);
	return false;
}

static bool retry_forward(struct engine *e, const struct ls_err *err)
{
	if (e->now_ms < e->visit.again_ms) { /* a hint came before the time of the next try */
		visit_wait(e, 0);
		return false;
	}
	if (e->retries++ == RETRY_MAX)
		return stuck(e, err);
	e->visit.asked = false;
	e->visit.replied.code = 0;
	e->visit.late = false;
	e->visit.losses = 0;
	e->visit.silent_ms = 0;
	e->visit.again_ms = e->now_ms + RETRY_MS;
	e->visit.limit_ms = e->visit.again_ms + engine_row(e)->limit_ms;
	visit_wait(e, 0);
	return false;
}

/*
 * Behind the last row that was entered: that of the failure, which may be half done, or
 * one beyond it, of a walk that has begun again (boot.c).
 */
static void go_behind_entered(struct engine *e)
{
	struct step ahead = e->t->walk;
	int row;

	while ((row = step_next(&ahead)) >= 0) {
		step_done(&ahead);
		if (row_entered(e, row))
			e->t->walk.at = ahead.at;
	}
}

static bool turn_round(struct engine *e, const struct ls_err *err)
{
	struct txn *t = e->t;
	int row = step_next(&t->walk);

	assert(row >= 0); /* where all rows are done, none can fail */
	t->reason = *err;
	act_tell(e, TELL_ROLLBACK, row_at(e, row)->name, err->text);
	go_behind_entered(e);
	step_rollback(&t->walk, false);
	e->visit.row = -1;
	return true;
}

/* The guest was asked for a device of the row, and may still give it. */
static bool pends(const struct engine *e)
{
	const struct step *walk = &e->t->walk;
	int row = step_next(walk);

	if (row < 0 || row_at(e, row)->mark != MARK_PENDS || walk->dir != STEP_DOWN ||
	    walk->rollback || !row_entered(e, row))
		return false;
	if (e->visit.row != row) /* a hold is being visited */
		return true;
	return (e->undone || e->visit.silent_ms) && !e->visit.replied.code;
}

void end_add_words(const struct txn *t, struct ls_err *err)
{
	static const char between[] = "; the guest's kernel says: ";
	struct ls_err ours = *err;
	size_t words = strlen(between) + strlen(t->guest_says);

	if (t->guest_says[0])
		ls_err_set(err, ours.code, "%.*s%s%s", (int)(sizeof(err->text) - 1 - words),
			   ours.text, between, t->guest_says);
}

bool end_row_failed(struct engine *e, const struct ls_err *err)
{
	struct txn *t = e->t;
	struct ls_err said = *err;

	if (e->visit.hold)
		return end_hold_failed(e, e->visit.row, err);
	act_tell(e, TELL_ROW_FAILED, engine_row(e)->name, err->text);
	if (t->crossed)
		return retry_forward(e, err);
	if (t->walk.rollback)
		return hold_again(e) || stuck(e, err);
	end_add_words(t, &said);
	return turn_round(e, &said);
}

bool end_hold_failed(struct engine *e, int row, const struct ls_err *err)
{
	struct txn *t = e->t;

	act_tell(e, TELL_ROW_FAILED, row_at(e, row)->name, err->text);
	if (e->visit.row == row && e->visit.replied.code && !hold_nobody(&e->visit.replied))
		e->touched &= ~(1u << row); /* refused, and seen not to be held */
	if (!t->entered && !t->walk.rollback) {
		end_finish(e, END_REFUSED, err);
		return false;
	}
	e->visit.row = -1;
	hold_waived(e, row);
	if (t->crossed || t->walk.rollback)
		return true;
	if (pends(e)) {
		end_finish(e, END_PENDING, err);
		return false;
	}
	return turn_round(e, err);
}

static void late_text(const struct engine *e, struct ls_err *err)
{
	const char *name = engine_row(e)->name;
	unsigned long long took_ms = e->now_ms - e->visit.since_ms;

	if (e->visit.silent_ms)
		ls_err_set(err, -ETIMEDOUT, "%s: %s has not answered for %llu ms", name,
			   e->visit.unseen ? e->visit.unseen : "QEMU",
			   (unsigned long long)(e->now_ms - e->heard_ms));
	else
		ls_err_set(err, -ETIMEDOUT, "%s: %u of %u not %s after %llu ms", name, e->undone,
			   e->visit.hold ? 1 : e->t->n, e->visit.dir == STEP_UP ? "there" : "gone",
			   took_ms);
	if (e->deadline_ms && e->visit.limit_ms == e->deadline_ms)
		ls_err_prefix(err, "the time for the whole is over");
}

bool end_row_late(struct engine *e, const struct view *v)
{
	const struct row *r = engine_row(e);
	struct ls_err err;

	if (r->late && !e->visit.unseen)
		r->late(e->t, v, &err);
	else
		late_text(e, &err);
	if (!e->visit.silent_ms && effort_late(e, v, &err))
		return false;
	if (!e->visit.hold && pends(e)) {
		effort_left_pending(e, v);
		end_finish(e, END_PENDING, &err);
		return false;
	}
	return end_row_failed(e, &err);
}

bool end_partly(struct engine *e, const struct ls_err *err)
{
	act_tell(e, TELL_ROW_FAILED, engine_row(e)->name, err->text);
	end_finish(e, END_PARTIAL, err);
	return false;
}

void end_never_back(struct engine *e)
{
	struct txn *t = e->t;

	if (e->cancelled || t->walk.rollback)
		act_tell(e, TELL_WARN, "", "not taken back: what is complete would be lost");
	e->cancelled = false;
	if (!t->walk.rollback)
		return;
	t->walk = step_to(t->walk.at, (int)t->table->n);
	t->walk.from = (int)t->table->holds; /* as on record: it began there */
	t->reason = (struct ls_err){ 0 };
	e->visit.row = -1;
}

bool end_cancel(struct engine *e)
{
	struct txn *t = e->t;
	struct ls_err err;

	e->cancelled = false;
	if (t->walk.rollback)
		return true;
	if (t->crossed) {
		act_tell(e, TELL_WARN, engine_row(e)->name,
			 "too late to cancel: it can only go forward now");
		return true;
	}
	ls_err_set(&err, -ECANCELED, "cancelled");
	if (!t->entered || pends(e)) {
		end_finish(e, t->entered ? END_PENDING : END_REFUSED, &err);
		return false;
	}
	return turn_round(e, &err);
}

void end_blind(struct engine *e)
{
	struct ls_err err;

	ls_err_set(&err, -ENOTCONN, "no look at the guest has come back %u times in a row",
		   e->blind);
	if (!e->t->entered)
		end_finish(e, END_REFUSED, &err);
	else
		stuck(e, &err);
}
