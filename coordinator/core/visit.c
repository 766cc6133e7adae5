/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cycle of a row: LOOK, WRITE, ASK, LOOK. One row against one view.
 */
#include "engine_private.h"

#include <errno.h>
#include <string.h>

/* ---- which row, and what is to do in it ------------------------------- */

/* A hold that is wanting, else the row of the walk, else -1. */
static int next_row(struct engine *e, bool *ret_hold)
{
	struct step *walk = &e->t->walk;
	int row = step_next(walk) < 0 ? -1 : hold_wanting(e);

	*ret_hold = row >= 0;
	if (row >= 0)
		return row;
	while ((row = step_next(walk)) >= 0 && walk->rollback && !row_entered(e, row))
		step_done(walk); /* never entered: nothing to take back */
	return row;
}

static uint64_t target(const struct engine *e, unsigned item)
{
	const struct txn *t = e->t;

	if (e->visit.hold)
		return 1;
	if (!t->walk.rollback)
		return t->items[item].state == ITEM_IN ? t->items[item].goal : LEVEL_ALL;
	if (t->items[item].state == ITEM_PENDING ||
	    (t->partial && t->items[item].state != ITEM_DROPPED))
		return LEVEL_ALL;
	return txn_before(t, (unsigned)e->visit.row)[item];
}

/* Asked once on the way back, whatever can be seen: see struct row. */
static bool must_be_sure(const struct engine *e)
{
	return !e->visit.hold && e->t->walk.rollback && !e->visit.asked && !e->visit.late;
}

static bool to_be_sure(const struct engine *e, unsigned item)
{
	const struct row *r = engine_row(e);
	item_fn sure = e->visit.dir == STEP_UP ? r->sure_up : r->sure_down;

	return must_be_sure(e) && sure && sure(e->t, item) &&
	       e->level[item] != e->t->items[item].goal;
}

/* What was said to be wrong with an item that is where it should be by now is not wrong. */
static void forgive(struct engine *e, unsigned item)
{
	if (!e->visit.named || !e->failed[item].code)
		return;
	e->failed[item].code = 0;
	if (--e->visit.named == 0)
		e->visit.replied.code = 0;
}

/* Fill in what is still to do in the row, and a sum that changes when anything in it does. */
static void measure(struct engine *e, const struct view *v)
{
	const struct row *r = engine_row(e);
	unsigned n = e->visit.hold ? 1 : e->t->n;
	bool up = e->visit.dir == STEP_UP, undone;

	e->sum = 0;
	e->undone = e->n_todo = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t want = target(e, i);
		uint64_t is = up ? r->full(e->t, v, i) : r->any(e->t, v, i);
		uint64_t ready = up && r->ready ? r->ready(e->t, v, i) : 1;

		e->level[i] = want;
		e->sum = e->sum * 31 + is * 2 + ready;
		if (want == LEVEL_ALL)
			continue;
		undone = up ? is < want : is > want;
		e->undone += undone;
		if (!undone)
			forgive(e, i);
		if (!undone && !to_be_sure(e, i))
			continue;
		if (ready || !undone) /* what is to be taken back may not even show yet */
			e->todo[e->n_todo++] = i;
	}
}

static uint64_t limit_of(const struct engine *e, const struct row *r)
{
	const struct txn *t = e->t;
	uint64_t limit_ms = r->limit_ms;

	if (!limit_ms && t->walk.rollback)
		limit_ms = ROLLBACK_ROW_MS;
	limit_ms += limit_ms ? e->now_ms : 0;
	if (t->walk.rollback || t->crossed || !e->deadline_ms)
		return limit_ms;
	return limit_ms && limit_ms < e->deadline_ms ? limit_ms : e->deadline_ms;
}

void visit_begin(struct engine *e, int row, bool hold)
{
	e->visit = (struct visit){
		.row = row,
		.hold = hold,
		.dir = hold ? STEP_UP : e->t->walk.dir,
		.since_ms = e->now_ms,
		.limit_ms = limit_of(e, row_at(e, row)),
	};
}

/* ---- entering and leaving --------------------------------------------- */

static void note_before(struct engine *e, const struct view *v)
{
	struct txn *t = e->t;
	const struct row *r = engine_row(e);
	uint64_t *before = txn_before(t, (unsigned)e->visit.row);

	for (unsigned i = 0; i < t->n; i++)
		before[i] = t->walk.dir == STEP_UP ? r->any(t, v, i) : r->full(t, v, i);
}

/* The first time: what is there now is what a rollback goes back to. */
static void enter(struct engine *e, const struct view *v)
{
	struct txn *t = e->t;

	if (row_entered(e, e->visit.row))
		return;
	note_before(e, v);
	e->visit.first = true;
	e->visit.entered_was = t->entered;
	t->entered |= 1u << e->visit.row | e->passed;
	/* On record with the row itself: a crash must not find it only half crossed. */
	t->crossed |= engine_row(e)->mark == MARK_PIVOT && t->walk.dir == STEP_UP;
}

/*
 * Found done. In a removal its level is noted all the same: when a later row fails,
 * what comes back must get as far as it was (memory that a guest gave and takes
 * again has to be brought online again). A pivot that was found crossed is crossed.
 */
static void pass(struct engine *e, const struct view *v)
{
	struct txn *t = e->t;

	if (t->walk.rollback)
		return;
	if (engine_row(e)->mark == MARK_PIVOT && t->walk.dir == STEP_UP)
		t->crossed = true;
	if (t->walk.dir == STEP_UP || row_entered(e, e->visit.row))
		return;
	note_before(e, v);
	e->passed |= 1u << e->visit.row;
}

static void done(struct engine *e, const struct view *v)
{
	if (e->visit.asked)
		act_tell(e, TELL_ROW_DONE, engine_row(e)->name, "");
	if (e->visit.hold) {
		hold_taken(e, e->visit.row);
	} else {
		pass(e, v);
		step_done(&e->t->walk);
		e->retries = 0;
	}
	e->visit.row = -1;
}

/* ---- asking and waiting ----------------------------------------------- */

void visit_wait(struct engine *e, uint64_t poll_ms)
{
	uint64_t pause_ms = e->visit.again_ms > e->now_ms ? e->visit.again_ms - e->now_ms : 0;

	if (e->hinted) {
		act_look(e);
		return;
	}
	if (pause_ms && (!poll_ms || pause_ms < poll_ms))
		poll_ms = pause_ms;
	e->phase = PH_WAIT;
	act_timer(e, poll_ms);
}

static enum verb verb_now(const struct engine *e)
{
	const struct row *r = engine_row(e);

	return e->visit.dir == STEP_UP ? r->up : r->down;
}

/* Ask for what can be asked for; nothing of it may be ready yet. */
static void ask(struct engine *e)
{
	const struct row *r = engine_row(e);

	if (!e->n_todo) {
		visit_wait(e, r->poll_ms ? r->poll_ms : POLL_MS);
		return;
	}
	if (e->visit.hold)
		e->touched |= 1u << e->visit.row;
	e->visit.asked = true;
	e->visit.seen = e->sum;
	e->visit.replied.code = 0;
	act_timer(e, 0);
	act_tell(e, TELL_ROW, r->name, verb_name(verb_now(e)));
	act_ask(e, PH_ASK, r, verb_now(e));
}

void visit_written(struct engine *e)
{
	e->visit.recorded = true;
	if (e->hinted)
		act_look(e);
	else
		ask(e);
}

static void write_or_ask(struct engine *e, const struct view *v)
{
	if (e->visit.recorded || (e->visit.hold && !engine_row(e)->journalled)) {
		ask(e);
		return;
	}
	if (!e->visit.hold)
		enter(e, v);
	act_write(e, PH_WRITE);
}

/* ---- judging ---------------------------------------------------------- */

/* Who would have to be seen to judge the row, and was not; NULL: nobody. */
static const char *unseen(const struct engine *e, const struct view *v)
{
	const struct row *r = engine_row(e);
	const struct vm *vm = &v->vm[r->side];

	if (!vm->answers && vm->run != VM_GONE)
		return "QEMU";
	return r->seen && !r->seen(e->t, v) ? "the guest's agent" : NULL;
}

/* Neither there nor gone: bounded by the row's limit, or by our own where it has none. */
static bool not_seen(struct engine *e, const struct view *v)
{
	struct visit *at = &e->visit;

	if (!at->silent_ms)
		at->silent_ms = e->now_ms;
	if (at->late || (!at->limit_ms && e->now_ms - at->silent_ms >= SILENT_MAX_MS))
		return end_row_late(e, v);
	visit_wait(e, SILENT_POLL_MS);
	return false;
}

static bool lost_too_often(struct engine *e)
{
	struct ls_err err;

	ls_err_set(&err, -EPIPE, "the connection was lost %u times while asking", e->visit.losses);
	return end_row_failed(e, &err);
}

/* Who has been asked to give a device is not asked a second time because another gave one. */
static bool may_ask_again(const struct engine *e, const struct row *r)
{
	return r->again && !(r->mark == MARK_PENDS && e->visit.dir == STEP_DOWN);
}

static bool partly(struct engine *e, const struct view *v)
{
	struct ls_err err;

	engine_row(e)->partly(e->t, v, &err);
	return end_partly(e, &err);
}

static bool not_done(struct engine *e, const struct view *v)
{
	const struct visit *at = &e->visit;
	const struct row *r = engine_row(e);
	bool again = may_ask_again(e, r) && e->sum != at->seen;
	bool wanted = verb_now(e) != VERB_NONE && (!at->asked || again) && !at->late;

	if (wanted && at->losses > LOSSES_MAX)
		return lost_too_often(e);
	if (wanted && e->now_ms >= at->again_ms) {
		write_or_ask(e, v);
		return false;
	}
	if (at->replied.code && !again)
		return !effort_failed(e, v) && end_row_failed(e, &at->replied);
	if (at->late && r->partly && !e->t->walk.rollback)
		return partly(e, v);
	if (at->late)
		return end_row_late(e, v);
	visit_wait(e, r->poll_ms ? r->poll_ms : POLL_MS);
	return false;
}

/*
 * On record that the guest would be asked, and then the coordinator died: nobody knows
 * whether it was. What is not taken back because the guest may give it has to be asked for.
 */
static bool perhaps_not_asked(const struct engine *e)
{
	const struct txn *t = e->t;

	return t->loaded && !t->walk.rollback && t->walk.dir == STEP_DOWN && !e->visit.hold &&
	       engine_row(e)->mark == MARK_PENDS && row_entered(e, e->visit.row) && e->undone &&
	       !e->visit.unseen && !e->visit.asked && !e->visit.late;
}

static bool judge_row(struct engine *e, const struct view *v)
{
	const struct row *r = engine_row(e);
	struct ls_err err;
	bool more;

	e->visit.unseen = unseen(e, v);
	if (!e->visit.unseen) {
		e->visit.silent_ms = 0;
		e->heard_ms = e->now_ms;
		if (r->check && (e->visit.asked || !r->asked_first) &&
		    r->check(e->t, v, e->t->walk.rollback, &err) < 0)
			return end_row_failed(e, &err);
		if (effort_refused(e, v, &more))
			return more;
	}
	measure(e, v);
	/* What is to be taken back needs the holds as much as going on does. */
	if (e->cancelled && !(e->visit.hold && e->t->entered) && !perhaps_not_asked(e))
		return end_cancel(e);
	if (e->visit.unseen)
		return not_seen(e, v);
	if (e->undone || (e->n_todo && must_be_sure(e)))
		return not_done(e, v);
	done(e, v);
	return true;
}

/* Return: true when there is more to judge with the same view. */
static bool judge_next(struct engine *e, const struct view *v)
{
	bool hold;
	int row = next_row(e, &hold);

	if (row < 0)
		return end_reached(e);
	if (e->visit.row != row || e->visit.hold != hold)
		visit_begin(e, row, hold);
	if (e->visit.limit_ms && e->now_ms >= e->visit.limit_ms)
		e->visit.late = true;
	return judge_row(e, v);
}

/* Return: true when the world still has what the transaction is about. */
static bool alive(struct engine *e, const struct view *v)
{
	enum txn_end end = END_NONE;
	struct ls_err err;

	if (e->t->table->alive)
		end = e->t->table->alive(e->t, v, &err);
	if (end == END_NONE)
		return true;
	end_finish(e, end, &err);
	return false;
}

/* While something is taken from it; on the way back they would be about something else. */
static void note_words(struct engine *e, const struct vm *vm)
{
	if (vm->kernel_says[0] && !e->t->walk.rollback && !strcmp(vm->lock_txn, e->t->id))
		memcpy(e->t->guest_says, vm->kernel_says, sizeof(e->t->guest_says));
}

void visit_judge(struct engine *e, const struct view *v)
{
	e->blind = 0;
	note_words(e, &v->vm[SIDE_SRC]);
	e->guest_gone = v->vm[e->t->crossed ? SIDE_DST : SIDE_SRC].run == VM_GONE;
	if (e->t->end != END_NONE) {
		hold_release(e);
		return;
	}
	if (!alive(e, v))
		return;
	if (e->t->table->only_forward && e->t->table->only_forward(e->t, v))
		end_never_back(e);
	if (e->t->table->boots && !boot_check(e, v))
		return;
	if (!hold_check(e, v))
		return;
	while (judge_next(e, v))
		;
}
