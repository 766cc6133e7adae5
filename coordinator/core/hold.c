/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Holds: what a transaction must have in its hands while it walks.
 *
 * Each look shows whether all of them are still there; one that is not is taken again
 * before anything else happens, a bounded number of times. One that cannot be had
 * again turns the walk round, and the way back does without it. Where that is refused
 * (the agent switches nothing without the lock) it is tried again, for half a minute:
 * whoever has it may be done by then. Whatever may be held is given back at the end, in
 * reverse, on every end. Where nobody can be reached to take it (after a migration the
 * agent needs a moment to answer from the destination) a look brings the connection
 * back, and it is tried again for RELEASE_MS. What cannot be given back is a warning,
 * because its lease does it.
 */
#include "engine_private.h"

#include <errno.h>

static unsigned bit(int row)
{
	return 1u << row;
}

int hold_wanting(const struct engine *e)
{
	for (unsigned h = 0; h < e->t->table->holds; h++)
		if (!((e->held | e->waived) & bit((int)h)))
			return (int)h;
	return -1;
}

/* The cursor is what the levels see: at its goal, an agent's silence is no loss. */
static void show(struct engine *e)
{
	int h = hold_wanting(e);

	e->t->holds.at = h < 0 ? e->t->holds.goal : h;
}

void hold_taken(struct engine *e, int row)
{
	e->held |= bit(row);
	show(e);
}

void hold_waived(struct engine *e, int row)
{
	e->waived |= bit(row);
	show(e);
}

bool hold_again(struct engine *e)
{
	uint64_t pause_ms;
	int h;

	if (!e->waived || !e->visit.replied.code || e->retries >= RETRY_MAX)
		return false;
	e->waived = 0;
	h = hold_wanting(e);
	act_tell(e, TELL_WARN, row_at(e, h)->name, "the way back needs it; trying it again");
	pause_ms = HOLD_AGAIN_MS << e->retries++;
	visit_begin(e, h, true);
	e->visit.again_ms = e->now_ms + pause_ms;
	e->visit.limit_ms += pause_ms;
	return true;
}

static unsigned find_lost(struct engine *e, const struct view *v)
{
	unsigned lost = 0;

	e->t->holds.at = e->t->holds.goal;
	for (unsigned h = 0; h < e->t->table->holds; h++)
		if ((e->held & bit((int)h)) && !row_at(e, (int)h)->full(e->t, v, 0))
			lost |= bit((int)h);
	e->held &= ~lost;
	show(e);
	return lost;
}

bool hold_check(struct engine *e, const struct view *v)
{
	unsigned lost = step_next(&e->t->walk) < 0 ? 0 : find_lost(e, v);
	struct ls_err err;

	for (int h = 0; lost >> h; h++) {
		if (!(lost & bit(h)))
			continue;
		e->visit.row = -1;
		if (e->retries++ < RETRY_MAX) {
			act_tell(e, TELL_WARN, row_at(e, h)->name, "lost; taking it again");
			continue;
		}
		ls_err_set(&err, -ENOLCK, "%s was lost again and again", row_at(e, h)->name);
		if (!end_hold_failed(e, h, &err))
			return false;
	}
	return true;
}

void hold_release(struct engine *e)
{
	int row = (int)e->t->table->holds - 1;

	while (row >= 0 && !(e->touched & bit(row)))
		row--;
	if (row < 0) {
		e->visit = (struct visit){ .row = -1 };
		e->t->holds.at = 0;
		act_timer(e, 0);
		act_write(e, PH_CLOSE);
		return;
	}
	if (!e->releasing)
		e->visit =
			(struct visit){ .since_ms = e->now_ms, .limit_ms = e->now_ms + RELEASE_MS };
	e->visit.row = row;
	e->visit.hold = e->releasing = true;
	e->todo[0] = 0;
	e->n_todo = 1;
	e->level[0] = 0;
	act_timer(e, 0);
	act_ask(e, PH_RELEASE, row_at(e, row), row_at(e, row)->down);
}

bool hold_nobody(const struct ls_err *err)
{
	return err->code == -ENOTCONN || err->code == -EPIPE || err->code == -ETIMEDOUT;
}

void hold_released(struct engine *e, const struct ls_err *err)
{
	if (hold_nobody(err) && !e->guest_gone && e->now_ms + RELEASE_POLL_MS < e->visit.limit_ms) {
		e->phase = PH_WAIT;
		act_timer(e, RELEASE_POLL_MS);
		return;
	}
	if (err->code)
		act_tell(e, TELL_WARN, engine_row(e)->name, err->text);
	e->touched &= ~bit(e->visit.row);
	e->releasing = false;
	hold_release(e);
}
