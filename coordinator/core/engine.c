/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine's two ends: actions out, events in. engine.h has the theory.
 */
#include "engine_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- actions ---------------------------------------------------------- */

static struct action *push(struct engine *e, enum action_kind kind)
{
	struct action *a = &e->queue[e->tail++ % ACTIONS_MAX];

	assert(e->tail - e->head <= ACTIONS_MAX);
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	return a;
}

bool engine_next(struct engine *e, struct action *ret_action)
{
	if (e->head == e->tail)
		return false;
	*ret_action = e->queue[e->head++ % ACTIONS_MAX];
	return true;
}

void act_tell(struct engine *e, enum tell tell, const char *row, const char *text)
{
	struct action *a = push(e, ACT_TELL);

	a->tell = tell;
	a->row = row;
	a->took_ms = e->now_ms - e->visit.since_ms;
	snprintf(a->text, sizeof(a->text), "%s", text);
}

void act_look(struct engine *e)
{
	e->phase = PH_LOOK;
	e->hinted = false;
	push(e, ACT_LOOK)->req = ++e->number;
}

void act_write(struct engine *e, enum phase phase)
{
	e->phase = phase;
	push(e, ACT_WRITE)->req = ++e->number;
}

void act_ask(struct engine *e, enum phase phase, const struct row *r, enum verb verb)
{
	struct action *a = push(e, ACT_ASK);

	e->phase = phase;
	memset(e->failed, 0, e->t->n * sizeof(*e->failed));
	a->req = ++e->number;
	a->verb = verb;
	a->side = r->side;
	a->todo = e->todo;
	a->n = e->n_todo;
	a->level = e->level;
}

void act_end(struct engine *e)
{
	e->phase = PH_OVER;
	e->visit.row = -1;
	push(e, ACT_END);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a ? b : !b ? a : a < b ? a : b;
}

void act_timer(struct engine *e, uint64_t poll_ms)
{
	uint64_t limit_ms = e->visit.late ? 0 : e->visit.limit_ms;

	push(e, ACT_TIMER)->at_ms = sooner(limit_ms, poll_ms ? e->now_ms + poll_ms : 0);
}

/* ---- events ----------------------------------------------------------- */

static void on_written(struct engine *e)
{
	if (e->phase == PH_CLOSE) {
		act_end(e);
		return;
	}
	if (!e->accepted && !e->visit.hold) {
		act_tell(e, TELL_ACCEPTED, engine_row(e)->name, "");
		e->accepted = true;
	}
	visit_written(e);
}

/* Worse than no record is to stop half way back, or beyond a pivot: there a look decides. */
static bool goes_on_unrecorded(const struct engine *e)
{
	bool at_pivot = e->visit.first && engine_row(e)->mark == MARK_PIVOT;

	return e->t->walk.rollback || (e->t->crossed && !at_pivot);
}

static void on_write_failed(struct engine *e, const struct ls_err *err)
{
	if (e->phase == PH_CLOSE || goes_on_unrecorded(e)) {
		act_tell(e, TELL_WARN, e->visit.row < 0 ? "" : engine_row(e)->name, err->text);
		on_written(e);
		return;
	}
	if (e->visit.first) { /* nothing was asked: as if it had never been entered */
		e->t->entered = e->visit.entered_was;
		e->t->crossed = false;
	}
	if (end_row_failed(e, err))
		act_look(e);
}

/* On the way back who cannot be reached is asked again until the row's time is over. */
static bool not_tried(const struct engine *e, const struct ls_err *err)
{
	return err->code == -EAGAIN || (e->t->walk.rollback && !e->visit.hold && hold_nobody(err));
}

/* A verb that could not be tried yet is one that was not asked. */
static void on_reply(struct engine *e, const struct event *ev)
{
	const struct ls_err *err = &ev->err;

	if (e->phase == PH_RELEASE) {
		hold_released(e, err);
		return;
	}
	e->visit.replied = *err;
	e->visit.named = ev->n_bad;
	for (unsigned i = 0; i < ev->n_bad; i++)
		e->failed[ev->bad[i].item] = ev->bad[i].err;
	if (not_tried(e, err)) {
		e->visit.replied.code = 0;
		e->visit.asked = false;
		e->visit.again_ms = e->now_ms + RETRY_MS;
	}
	act_look(e);
}

/* Once at once: it may have been another connection. Then in the rhythm of a silent side. */
static void look_lost(struct engine *e)
{
	if (++e->blind == 1) {
		act_look(e);
	} else if (e->blind <= BLIND_MAX) {
		e->phase = PH_WAIT;
		act_timer(e, SILENT_POLL_MS);
	} else {
		end_blind(e);
	}
}

static void on_lost(struct engine *e)
{
	struct ls_err err;

	e->hinted = true;
	e->visit.losses += e->phase == PH_ASK;
	e->visit.asked = false;
	e->visit.replied.code = 0;
	if (e->phase == PH_RELEASE || (e->phase == PH_LOOK && e->releasing)) {
		ls_err_set(&err, -EPIPE, "the connection was lost before it could be given back");
		hold_released(e, &err);
	} else if (e->phase == PH_LOOK) {
		look_lost(e);
	} else if (e->phase == PH_ASK || e->phase == PH_WAIT) {
		act_look(e);
	}
}

static void on_timer(struct engine *e)
{
	struct ls_err err;

	if (e->visit.limit_ms && e->now_ms >= e->visit.limit_ms)
		e->visit.late = true;
	if (e->phase == PH_WAIT || (e->phase == PH_ASK && e->visit.late)) {
		act_look(e);
	} else if (e->phase == PH_RELEASE && e->visit.late) {
		ls_err_set(&err, -ETIMEDOUT, "could not be given back in time");
		hold_released(e, &err);
	} else if (!e->visit.late) {
		act_timer(e, 0);
	}
}

static void on_hint(struct engine *e)
{
	e->hinted = true;
	if (e->phase == PH_WAIT)
		act_look(e);
}

static bool answers_this(const struct engine *e, const struct event *ev)
{
	switch (ev->kind) {
	case EV_OBSERVED:
		return e->phase == PH_LOOK && ev->view->look == e->number;
	case EV_REPLY:
		return (e->phase == PH_ASK || e->phase == PH_RELEASE) && ev->req == e->number;
	case EV_WRITTEN:
	case EV_WRITE_FAILED:
		return (e->phase == PH_WRITE || e->phase == PH_CLOSE) && ev->req == e->number;
	default:
		return e->phase != PH_OVER;
	}
}

static void dispatch(struct engine *e, const struct event *ev)
{
	switch (ev->kind) {
	case EV_OBSERVED:
		visit_judge(e, ev->view);
		break;
	case EV_REPLY:
		on_reply(e, ev);
		break;
	case EV_WRITTEN:
		on_written(e);
		break;
	case EV_WRITE_FAILED:
		on_write_failed(e, &ev->err);
		break;
	case EV_LOST:
		on_lost(e);
		break;
	case EV_TIMER:
		on_timer(e);
		break;
	case EV_CANCEL:
		e->cancelled = true;
		on_hint(e);
		break;
	case EV_HINT:
		on_hint(e);
		break;
	}
}

void engine_event(struct engine *e, const struct event *ev)
{
	e->now_ms = ev->now_ms;
	if (answers_this(e, ev)) /* else a late answer to something given up */
		dispatch(e, ev);
}

/* ---- life ------------------------------------------------------------- */

/* From a record: it was accepted then, and its holds may still be held. */
static void resume(struct engine *e)
{
	e->accepted = e->t->entered;
	e->touched = (1u << e->t->table->holds) - 1;
}

struct engine *engine_new(struct txn *t, uint64_t now_ms, uint64_t deadline_ms)
{
	struct engine *e = calloc(1, sizeof(*e));

	assert(t->n > 0 && t->table->n <= TXN_ROWS_MAX);
	if (!e)
		return NULL;
	e->t = t;
	e->now_ms = e->heard_ms = now_ms;
	e->deadline_ms = deadline_ms;
	e->visit.row = -1;
	e->todo = calloc(t->n, sizeof(*e->todo));
	e->level = calloc(t->n, sizeof(*e->level));
	e->failed = calloc(t->n, sizeof(*e->failed));
	if (!e->todo || !e->level || !e->failed) {
		engine_free(e);
		return NULL;
	}
	t->holds = step_to(0, (int)t->table->holds);
	if (t->loaded)
		resume(e);
	if (t->end == END_NONE)
		act_look(e);
	else
		act_end(e);
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	free(e->todo);
	free(e->level);
	free(e->failed);
	free(e);
}

const struct row *engine_row(const struct engine *e)
{
	return e->visit.row < 0 ? NULL : row_at(e, e->visit.row);
}
