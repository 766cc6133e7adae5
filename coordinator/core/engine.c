/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cycle of a row: LOOK, WRITE, ASK, LOOK. engine.h has the theory.
 */
#include "engine.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTIONS_MAX	32
#define RETRY_MAX	5 /* of a row beyond a pivot, and of a hold that gets lost */
#define RETRY_MS	500
#define SILENT_POLL_MS	250   /* while a side does not answer */
#define ROLLBACK_ROW_MS 60000 /* a row without a limit of its own, on the way back */

enum phase {
	PH_LOOK,    /* a look is out; its answer is judged */
	PH_WRITE,   /* a record is out */
	PH_ASK,	    /* a verb is out */
	PH_WAIT,    /* nothing is out: for a hint, a poll, or the deadline */
	PH_RELEASE, /* giving back a hold */
	PH_CLOSE,   /* the last record is out */
	PH_OVER,
};

/**
 * struct visit - The visit of one row
 * @row:      index in the table; -1: no visit has begun
 * @hold:     it is one of the holds, not part of the walk
 * @dir:      up: towards there; down: towards gone
 * @first:    it was entered by this visit
 * @recorded: its record is written
 * @asked:    its verb was asked, on connections that still stand
 * @replied:  the reply's error, code 0 if it was good
 * @seen:     sum of the levels when it was asked, to notice a change
 * @since_ms: when it began; @limit_ms: when it has failed; 0 never
 * @late:     that time has come: the look under way is the last
 */
struct visit {
	int row;
	bool hold;
	enum step_dir dir;
	bool first, recorded, asked;
	struct ls_err replied;
	uint64_t seen;
	uint64_t since_ms, limit_ms;
	bool late;
};

struct engine {
	struct txn *t;
	enum phase phase;
	uint32_t number; /* of the last look, write or ask */
	bool hinted;	 /* something happened since that look began */
	bool cancelled, accepted;
	uint64_t now_ms, deadline_ms;
	unsigned retries;
	struct visit visit;
	uint64_t sum;
	unsigned undone; /* items of the row that are not where they should be */
	unsigned *todo;	 /* those of them that can be asked for now */
	unsigned n_todo;
	uint64_t *level;
	struct action queue[ACTIONS_MAX];
	unsigned head, tail;
};

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

static void say(struct engine *e, enum tell tell, const char *row, const char *text)
{
	struct action *a = push(e, ACT_TELL);

	a->tell = tell;
	a->row = row;
	a->took_ms = e->now_ms - e->visit.since_ms;
	snprintf(a->text, sizeof(a->text), "%s", text);
}

static void look(struct engine *e)
{
	e->phase = PH_LOOK;
	e->hinted = false;
	push(e, ACT_LOOK)->req = ++e->number;
}

static void record(struct engine *e, enum phase phase)
{
	e->phase = phase;
	push(e, ACT_WRITE)->req = ++e->number;
}

static void ask(struct engine *e, enum phase phase, const struct row *r, enum verb verb)
{
	struct action *a = push(e, ACT_ASK);

	e->phase = phase;
	a->req = ++e->number;
	a->verb = verb;
	a->side = r->side;
	a->todo = e->todo;
	a->n = e->n_todo;
	a->level = e->level;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a ? b : !b ? a : a < b ? a : b;
}

static void arm(struct engine *e, uint64_t poll_ms)
{
	push(e, ACT_TIMER)->at_ms = sooner(e->visit.limit_ms, poll_ms ? e->now_ms + poll_ms : 0);
}

/* ---- the rows --------------------------------------------------------- */

static const struct row *row_at(const struct engine *e, int row)
{
	return &e->t->table->rows[row];
}

const struct row *engine_row(const struct engine *e)
{
	return e->visit.row < 0 ? NULL : row_at(e, e->visit.row);
}

static bool was_entered(const struct txn *t, int row)
{
	return t->entered & (1u << row);
}

/* The hold to take next, else the row of the walk, else -1. Rows never entered need no undo. */
static int next_row(struct txn *t, bool *ret_hold)
{
	int row = step_next(&t->holds);

	*ret_hold = row >= 0;
	if (row >= 0)
		return row;
	while ((row = step_next(&t->walk)) >= 0 && t->walk.rollback && !was_entered(t, row))
		step_done(&t->walk);
	return row;
}

static uint64_t target(const struct engine *e, int row, unsigned item)
{
	const struct txn *t = e->t;

	if (e->visit.hold)
		return 1;
	return t->walk.rollback ? txn_before(t, row)[item] : t->items[item].goal;
}

/* Fill in what is still to do in the row, and a sum that changes when anything in it does. */
static void measure(struct engine *e, const struct view *v)
{
	const struct row *r = engine_row(e);
	unsigned n = e->visit.hold ? 1 : e->t->n;
	bool up = e->visit.dir == STEP_UP;

	e->sum = 0;
	e->undone = e->n_todo = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t want = target(e, e->visit.row, i);
		uint64_t is = up ? r->full(e->t, v, i) : r->any(e->t, v, i);

		bool ready = !up || !r->ready || r->ready(e->t, v, i);

		e->level[i] = want;
		e->sum = e->sum * 31 + is * 2 + ready;
		if (want == LEVEL_ALL || (up ? is >= want : is <= want))
			continue;
		e->undone++;
		if (ready)
			e->todo[e->n_todo++] = i;
	}
}

static void visit_begin(struct engine *e, int row, bool hold)
{
	const struct txn *t = e->t;
	const struct row *r = row_at(e, row);
	unsigned limit_ms = r->limit_ms;

	e->visit = (struct visit){
		.row = row,
		.hold = hold,
		.dir = hold ? STEP_UP : t->walk.dir,
		.since_ms = e->now_ms,
	};
	if (!limit_ms && t->walk.rollback)
		limit_ms = ROLLBACK_ROW_MS;
	e->visit.limit_ms = limit_ms ? e->now_ms + limit_ms : 0;
	if (!t->walk.rollback && !t->crossed)
		e->visit.limit_ms = sooner(e->visit.limit_ms, e->deadline_ms);
}

static void visit_done(struct engine *e)
{
	if (e->visit.asked)
		say(e, TELL_ROW_DONE, engine_row(e)->name, "");
	step_done(e->visit.hold ? &e->t->holds : &e->t->walk);
	e->retries = e->visit.hold ? e->retries : 0;
	e->visit.row = -1;
}

/* ---- the end ---------------------------------------------------------- */

static void release(struct engine *e)
{
	struct txn *t = e->t;
	int row = step_next(&t->holds);

	e->visit = (struct visit){ .row = row, .hold = true, .since_ms = e->now_ms };
	if (row < 0) {
		record(e, PH_CLOSE);
		return;
	}
	e->todo[0] = 0;
	e->n_todo = 1;
	e->level[0] = 0;
	ask(e, PH_RELEASE, engine_row(e), engine_row(e)->down);
}

static void finish(struct engine *e, enum txn_end end, const struct ls_err *err)
{
	struct txn *t = e->t;
	int held = t->holds.at;

	if (e->visit.row >= 0 && e->visit.hold && e->visit.asked)
		held++; /* it may be held although we never saw it */
	t->end = end;
	if (err)
		t->reason = *err;
	push(e, ACT_TIMER);
	t->holds = step_to(held, 0);
	release(e);
}

static void walk_over(struct engine *e)
{
	struct txn *t = e->t;

	if (!t->walk.rollback)
		finish(e, END_DONE, NULL);
	else
		finish(e, t->entered ? END_UNDONE : END_REFUSED, NULL);
}

/* ---- failure ---------------------------------------------------------- */

static void retry_forward(struct engine *e)
{
	e->retries++;
	e->visit.asked = false;
	e->visit.late = false;
	e->visit.limit_ms = e->now_ms + RETRY_MS + row_at(e, e->visit.row)->limit_ms;
	e->phase = PH_WAIT;
	arm(e, RETRY_MS);
}

static void stuck(struct engine *e, const struct ls_err *err)
{
	struct txn *t = e->t;
	struct ls_err both = *err;

	t->walk.stuck = true;
	if (t->walk.rollback)
		ls_err_set(&both, t->reason.code, "%.120s; taking it back failed in row %s: %.110s",
			   t->reason.text, engine_row(e)->name, err->text);
	else
		ls_err_prefix(&both, "row %s, beyond the point of no return", engine_row(e)->name);
	finish(e, END_STUCK, &both);
}

static void turn_round(struct engine *e, const struct ls_err *err)
{
	struct txn *t = e->t;
	int row = e->visit.row;

	t->reason = *err;
	say(e, TELL_ROLLBACK, engine_row(e)->name, err->text);
	step_rollback(&t->walk, was_entered(t, row));
	e->visit.row = -1;
}

/* Return: true when judging is to go on with the same view. */
static bool row_failed(struct engine *e, const struct ls_err *err)
{
	struct txn *t = e->t;

	say(e, TELL_ROW_FAILED, engine_row(e)->name, err->text);
	if (e->visit.hold && !t->walk.rollback && !t->entered) {
		finish(e, END_REFUSED, err);
		return false;
	}
	if (t->crossed && e->retries < RETRY_MAX) {
		retry_forward(e);
		return false;
	}
	if (t->crossed || t->walk.rollback) {
		stuck(e, err);
		return false;
	}
	if (e->visit.hold) /* lost in the middle and not to be had again */
		e->visit.row = step_next(&t->walk);
	t->holds.goal = t->holds.at; /* the way back does without the lost ones */
	turn_round(e, err);
	return true;
}

static bool row_late(struct engine *e)
{
	const struct row *r = engine_row(e);
	struct ls_err err;

	ls_err_set(&err, -ETIMEDOUT, "%s: %u of %u not %s after %llu ms", r->name, e->undone,
		   e->visit.hold ? 1 : e->t->n, e->visit.dir == STEP_UP ? "there" : "gone",
		   (unsigned long long)(e->now_ms - e->visit.since_ms));
	if (r->mark == MARK_PENDS && e->visit.dir == STEP_DOWN && !e->t->walk.rollback &&
	    e->visit.asked && !e->visit.replied.code) {
		finish(e, END_PENDING, &err);
		return false;
	}
	return row_failed(e, &err);
}

/* ---- judging a view --------------------------------------------------- */

/* Return: true when the world still has what the transaction is about. */
static bool alive(struct engine *e, const struct view *v)
{
	struct ls_err err;
	enum txn_end end = END_NONE;

	if (e->t->table->alive)
		end = e->t->table->alive(e->t, v, &err);
	if (end == END_NONE)
		return true;
	finish(e, end, &err);
	return false;
}

/* A hold that was taken and is gone: go back to taking from there, a bounded number of times. */
static void notice_lost_hold(struct engine *e, const struct view *v)
{
	struct txn *t = e->t;

	if (step_next(&t->walk) < 0)
		return;
	for (int h = 0; h < t->holds.at && e->retries < RETRY_MAX; h++) {
		if (row_at(e, h)->full(t, v, 0))
			continue;
		say(e, TELL_WARN, row_at(e, h)->name, "lost; taking it again");
		e->retries++;
		t->holds.at = h;
		e->visit.row = -1;
	}
}

static bool silent(const struct row *r, const struct view *v)
{
	const struct vm *vm = &v->vm[r->side];

	return !vm->answers && vm->run != VM_GONE;
}

static void note_before(struct engine *e, const struct view *v)
{
	struct txn *t = e->t;
	const struct row *r = engine_row(e);

	if (e->visit.hold || was_entered(t, e->visit.row))
		return;
	for (unsigned i = 0; i < t->n; i++)
		txn_before(t, e->visit.row)[i] =
			t->walk.dir == STEP_UP ? r->any(t, v, i) : r->full(t, v, i);
	t->entered |= 1u << e->visit.row;
	e->visit.first = true;
}

static void wait_more(struct engine *e, const struct row *r, bool is_silent)
{
	if (e->hinted) {
		look(e);
		return;
	}
	e->phase = PH_WAIT;
	arm(e, is_silent ? SILENT_POLL_MS : r->poll_ms);
}

static enum verb verb_now(const struct engine *e)
{
	const struct row *r = engine_row(e);

	return e->visit.dir == STEP_UP ? r->up : r->down;
}

/* Ask for what can be asked for; nothing of it may be ready yet. */
static void ask_row(struct engine *e)
{
	const struct row *r = engine_row(e);

	if (!e->n_todo) {
		wait_more(e, r, false);
		return;
	}
	e->visit.asked = true;
	e->visit.seen = e->sum;
	e->visit.replied.code = 0;
	arm(e, 0);
	say(e, TELL_ROW, r->name, verb_name(verb_now(e)));
	ask(e, PH_ASK, r, verb_now(e));
}

static void enter_or_ask(struct engine *e, const struct view *v)
{
	if (e->visit.recorded || e->visit.hold) {
		ask_row(e);
		return;
	}
	note_before(e, v);
	record(e, PH_WRITE);
}

/* The row is not done. Return: true to judge again with the same view. */
static bool not_done(struct engine *e, const struct view *v)
{
	const struct row *r = engine_row(e);
	enum verb verb = verb_now(e);
	bool again = r->again && e->sum != e->visit.seen;

	if (silent(r, v)) {
		if (e->visit.late)
			return row_late(e);
		wait_more(e, r, true);
	} else if (verb != VERB_NONE && (!e->visit.asked || (again && !e->visit.late))) {
		enter_or_ask(e, v);
	} else if (e->visit.replied.code && !again) {
		return row_failed(e, &e->visit.replied);
	} else if (e->visit.late) {
		return row_late(e);
	} else {
		wait_more(e, r, false);
	}
	return false;
}

/* One row against a view. Return: true when there is more to judge with the same view. */
static bool judge_row(struct engine *e, const struct view *v)
{
	const struct row *r;
	struct ls_err err;
	bool hold;
	int row = next_row(e->t, &hold);

	if (row < 0) {
		walk_over(e);
		return false;
	}
	if (e->visit.row != row || e->visit.hold != hold)
		visit_begin(e, row, hold);
	r = engine_row(e);
	if (!silent(r, v) && r->check && r->check(e->t, v, e->t->walk.rollback, &err) < 0)
		return row_failed(e, &err);
	measure(e, v);
	if (!e->undone && !silent(r, v)) {
		visit_done(e);
		return true;
	}
	return not_done(e, v);
}

static bool cancel_now(struct engine *e)
{
	struct ls_err err;
	bool hold;
	int row = next_row(e->t, &hold);

	e->cancelled = false;
	if (e->t->crossed) {
		say(e, TELL_WARN, row < 0 ? "" : row_at(e, row)->name,
		    "too late to cancel: it can only go forward now");
		return true;
	}
	if (e->t->walk.rollback || row < 0)
		return true;
	if (e->visit.row != row)
		visit_begin(e, row, hold);
	ls_err_set(&err, -ECANCELED, "cancelled");
	return row_failed(e, &err);
}

static void judge(struct engine *e, const struct view *v)
{
	if (!alive(e, v) || (e->cancelled && !cancel_now(e)))
		return;
	notice_lost_hold(e, v);
	while (judge_row(e, v))
		;
}

/* ---- events ----------------------------------------------------------- */

static void on_written(struct engine *e)
{
	const struct row *r;

	if (e->phase == PH_CLOSE) {
		e->phase = PH_OVER;
		push(e, ACT_END);
		return;
	}
	r = engine_row(e);
	e->visit.recorded = true;
	if (r->mark == MARK_PIVOT && e->visit.dir == STEP_UP)
		e->t->crossed = true;
	if (!e->accepted)
		say(e, TELL_ACCEPTED, r->name, "");
	e->accepted = true;
	ask_row(e);
}

static void on_write_failed(struct engine *e, const struct ls_err *err)
{
	if (e->phase == PH_CLOSE) {
		say(e, TELL_WARN, "", err->text);
		on_written(e);
		return;
	}
	if (e->t->walk.rollback || e->t->crossed) {
		/* Worse than no record is to stop half way: after a crash a look decides. */
		say(e, TELL_WARN, engine_row(e)->name, err->text);
		on_written(e);
		return;
	}
	if (e->visit.first) /* nothing was asked */
		e->t->entered &= ~(1u << e->visit.row);
	if (row_failed(e, err))
		look(e);
}

static void on_reply(struct engine *e, const struct ls_err *err)
{
	if (e->phase == PH_RELEASE) {
		if (err->code)
			say(e, TELL_WARN, engine_row(e)->name, err->text);
		step_done(&e->t->holds);
		release(e);
		return;
	}
	e->visit.replied = *err;
	look(e);
}

static void on_lost(struct engine *e)
{
	struct ls_err err;

	e->visit.asked = false;
	e->hinted = true;
	if (e->phase == PH_RELEASE) {
		ls_err_set(&err, -EPIPE, "the connection was lost before it could be given back");
		on_reply(e, &err);
	} else if (e->phase == PH_ASK || e->phase == PH_WAIT) {
		look(e);
	}
}

static void on_timer(struct engine *e)
{
	if (e->visit.limit_ms && e->now_ms >= e->visit.limit_ms)
		e->visit.late = true;
	if (e->phase == PH_WAIT || (e->phase == PH_ASK && e->visit.late))
		look(e);
	else
		arm(e, 0);
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

void engine_event(struct engine *e, const struct event *ev)
{
	e->now_ms = ev->now_ms;
	if (!answers_this(e, ev))
		return; /* late answer to something given up */
	switch (ev->kind) {
	case EV_OBSERVED:
		judge(e, ev->view);
		break;
	case EV_REPLY:
		on_reply(e, &ev->err);
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
		/* fall through */
	case EV_HINT:
		e->hinted = true;
		if (e->phase == PH_WAIT)
			look(e);
		break;
	}
}

struct engine *engine_new(struct txn *t, uint64_t now_ms, uint64_t deadline_ms)
{
	struct engine *e = calloc(1, sizeof(*e));

	assert(t->n > 0 && t->table->n <= TXN_ROWS_MAX);
	if (!e)
		return NULL;
	e->t = t;
	e->now_ms = now_ms;
	e->deadline_ms = deadline_ms;
	e->visit.row = -1;
	e->todo = calloc(t->n, sizeof(*e->todo));
	e->level = calloc(t->n, sizeof(*e->level));
	if (!e->todo || !e->level) {
		engine_free(e);
		return NULL;
	}
	t->holds = step_to(0, (int)t->table->holds);
	look(e);
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	free(e->todo);
	free(e->level);
	free(e);
}
