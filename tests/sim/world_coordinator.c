/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The coordinator in the world: carries out what the engine asks for, hands it what
 * happens, and dies when it is told to.
 */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS	   2 /* from the request to the moment that is seen */
#define ANSWER_MS  3 /* from there to the one who asked */
#define REPLY_MS   10
#define DISK_MS	   4
#define LATE_MS	   60000
#define CHANNEL_MS 100	 /* between two looks whether an agent reads its channel */
#define UNREAD_MS  20000 /* until nobody waits for that any more */

/* ---- events to the engine ---------------------------------------------- */

void world_event(struct world *w, struct event ev)
{
	if (!w->e)
		return;
	ev.now_ms = w->now_ms;
	engine_event(w->e, &ev);
	world_drain(w);
}

static void on_hint(struct world *w, const struct later *l)
{
	(void)l;
	world_event(w, (struct event){ .kind = EV_HINT });
}

void world_changed(struct world *w)
{
	if (!w->no_hints)
		world_later(w, 1 + w->hint_ms,
			    (struct later){ .fn = on_hint, .coordinator = true, .line = true });
}

static void on_cancel(struct world *w, const struct later *l)
{
	(void)l;
	world_say(w, "cancel\n");
	world_event(w, (struct event){ .kind = EV_CANCEL });
}

static void on_lost(struct world *w, const struct later *l)
{
	(void)l;
	world_say(w, "connection lost\n");
	world_forget(w, true);
	world_event(w, (struct event){ .kind = EV_LOST });
}

static void on_reply(struct world *w, const struct later *l)
{
	struct item_err bad[64];
	unsigned n = 0;

	for (unsigned i = 0; i < 64; i++)
		if (l->level >> i & 1)
			bad[n++] = (struct item_err){ i, l->err };
	world_event(
		w,
		(struct event){
			.kind = EV_REPLY, .req = l->req, .err = l->err, .bad = bad, .n_bad = n });
}

void world_cancel(struct world *w, uint64_t in_ms)
{
	world_later(w, in_ms,
		    (struct later){ .fn = on_cancel, .coordinator = true, .exact = true });
}

void world_lose(struct world *w, uint64_t in_ms)
{
	world_later(w, in_ms, (struct later){ .fn = on_lost, .coordinator = true, .exact = true });
}

static void on_written(struct world *w, const struct later *l)
{
	if (!l->err.code)
		strcpy(w->disk, w->writing);
	w->written_ahead = false;
	world_event(w, (struct event){ .kind = l->err.code ? EV_WRITE_FAILED : EV_WRITTEN,
				       .req = l->req,
				       .err = l->err });
}

/* ---- looks -------------------------------------------------------------- */

static void on_seen(struct world *w, const struct later *l)
{
	if (l->req != w->look)
		return;
	w->view.look = l->req;
	world_event(w, (struct event){ .kind = EV_OBSERVED, .view = &w->view });
}

static void on_look(struct world *w, const struct later *l)
{
	if (l->req != w->look)
		return;
	world_forget_view(&w->view);
	for (int side = 0; side < SIDE_COUNT; side++)
		world_look(w, (enum side)side, &w->view.vm[side]);
	world_later(
		w, ANSWER_MS + w->look_ms,
		(struct later){ .fn = on_seen, .coordinator = true, .line = true, .req = l->req });
	w->look_ms = 0;
}

static void on_old(struct world *w, const struct later *l)
{
	(void)l;
	w->old.look = w->look - 1;
	world_event(w, (struct event){ .kind = EV_OBSERVED, .view = &w->old });
}

void world_shows_old(struct world *w, uint64_t in_ms)
{
	world_later(w, in_ms, (struct later){ .fn = on_old, .coordinator = true, .exact = true });
}

/* ---- the coordinator: one action each ----------------------------------- */

static void do_look(struct world *w, const struct action *a)
{
	w->look = a->req;
	world_later(
		w, LOOK_MS,
		(struct later){ .fn = on_look, .coordinator = true, .line = true, .req = a->req });
}

static void do_write(struct world *w, const struct action *a)
{
	struct later l = { .fn = on_written, .coordinator = true, .req = a->req };

	w->writes++;
	if (txn_save(w->t, w->writing, sizeof(w->writing)) <= 0)
		world_fail(w, "the transaction has no record");
	w->written_ahead = true;
	if (w->writes == w->fail_write || (w->fail_writes && w->writes > w->fail_write) ||
	    w->write_now)
		ls_err_set(&l.err, -ENOSPC, "no space left on the journal's disk");
	w->unrecorded |= l.err.code != 0;
	w->write_now = false;
	world_later(w, DISK_MS, l);
}

/* A request leaves only after the record of its row is on disk. */
static void check_on_record(struct world *w)
{
	const struct row *r = engine_row(w->e);
	unsigned row = (unsigned)(r - w->t->table->rows);
	struct txn *disk = NULL;

	if (r->journalled && w->t->end == END_NONE && !w->unrecorded && !w->disk[0])
		world_fail(w, "%s was asked for before anything was on record", r->name);
	if (row < w->t->table->holds || w->unrecorded)
		return;
	world_record(w, &disk);
	if (!(disk->entered & 1u << row) || disk->walk.rollback != w->t->walk.rollback)
		world_fail(w, "row %s was asked for before it was on record", r->name);
	txn_free(disk);
}

static bool fails(const struct world *w, enum verb verb)
{
	return verb == w->fail_verb[0] || verb == w->fail_verb[1];
}

static void say_ask(struct world *w, const struct action *a)
{
	world_say(w, "%-14s %s", engine_row(w->e)->name, verb_name(a->verb));
	for (unsigned i = 0; i < a->n && w->t->op != OP_MIGRATE; i++) {
		if (engine_row(w->e)->mark == MARK_HOLD)
			continue;
		else if (w->t->op == OP_CPU)
			world_say(w, " cpu%d", w->t->items[a->todo[i]].slot);
		else if (w->t->items[a->todo[i]].id[0])
			world_say(w, " %s", w->t->items[a->todo[i]].id);
	}
	world_say(w, "\n");
}

/* After the commit the window is where the guest is. */
static enum side whom(const struct world *w, const struct action *a)
{
	bool window = a->verb == VERB_WINDOW_OPEN || a->verb == VERB_WINDOW_CLOSE;

	return window && w->t->crossed ? SIDE_DST : a->side;
}

/* *ret_bad: bit by item. */
static int carry_out(struct world *w, const struct action *a, struct ls_err *err, uint64_t *ret_bad)
{
	int r = 0, first = 0;

	for (unsigned i = 0; i < a->n; i++) {
		r = world_ask(w, a->verb, whom(w, a), a->todo[i], a->level[a->todo[i]]);
		first = first ? first : r;
		*ret_bad |= r ? UINT64_C(1) << a->todo[i] : 0;
	}
	if (first)
		ls_err_set(err, first, "%s: %s", verb_name(a->verb), strerror(-first));
	return first;
}

/* To an agent that is away: it lies in the channel until the next one reads it. */
static bool is_unread(const struct world *w, const struct action *a)
{
	const struct w_qemu *q = &w->qemu[whom(w, a)];

	return world_needs_lock(a->verb) && w->agent == AGENT_LOCKSTEP && q->run == VM_RUNNING &&
	       !q->agent_up;
}

/* Who comes has no lock for it. */
static void on_channel(struct world *w, const struct later *l)
{
	struct later reply = *l;

	if (!w->qemu[l->side].agent_up && w->now_ms < l->level) {
		world_later(w, CHANNEL_MS, *l);
		return;
	}
	reply.fn = on_reply;
	reply.level = 0;
	if (w->qemu[l->side].agent_up)
		ls_err_set(&reply.err, -EPERM, "the lock is not held");
	else
		ls_err_set(&reply.err, -ETIMEDOUT, "no answer");
	world_later(w, REPLY_MS, reply);
}

static void do_ask(struct world *w, const struct action *a)
{
	struct later l = { .fn = on_reply, .coordinator = true, .line = true, .req = a->req };
	enum w_reply fault = ++w->asks == w->fault_at ? w->fault : w->reply_now;
	uint64_t in_ms = fault == REPLY_LATE ? LATE_MS : REPLY_MS;
	bool heard, silent = world_is_silent(w, whom(w, a));

	check_on_record(w);
	say_ask(w, a);
	if (fails(w, a->verb))
		fault = REPLY_ERROR;
	w->reply_now = REPLY_GOOD;
	heard = fault != REPLY_ERROR && fault != REPLY_FALSE_OK && fault != REPLY_DROPPED;
	if (!heard || (silent && (fault == REPLY_LATE || fault == REPLY_FALSE_ERROR)))
		w->kept_a_hold |= w->t->end != END_NONE; /* not tried again, or not in time */
	if (heard && is_unread(w, a)) {
		l.fn = on_channel;
		l.side = (int)whom(w, a);
		l.level = w->now_ms + UNREAD_MS;
	} else if (silent) {
		ls_err_set(&l.err, -ETIMEDOUT, "%s: no answer", verb_name(a->verb));
	} else if (heard) {
		carry_out(w, a, &l.err, &l.level);
	}
	if (fault == REPLY_ERROR || fault == REPLY_FALSE_ERROR)
		ls_err_set(&l.err, -EIO, "%s: it was made to fail", verb_name(a->verb));
	if (fault == REPLY_LOST || fault == REPLY_DROPPED)
		l.fn = on_lost;
	world_later(w, in_ms, l);
	if (fault == REPLY_TWICE)
		world_later(w, in_ms + 1, l);
}

static void do_tell(struct world *w, const struct action *a)
{
	static const char *const told[] = {
		[TELL_ROW_DONE] = "done", [TELL_ROW_FAILED] = "failed:", [TELL_WARN] = "warning:"
	};

	if (a->tell == TELL_ROLLBACK)
		world_say(w, "turning round at %s\n", a->row);
	else if (a->tell != TELL_ROW && a->tell != TELL_ACCEPTED)
		world_say(w, "%-14s %s%s%s\n", a->row, told[a->tell], a->text[0] ? " " : "",
			  a->text);
}

/* Of a guest that stands still the time does, too; an agent that is away comes back. */
static void end_leases(struct world *w, const struct later *l)
{
	bool again = false;

	for (int side = 0; side < SIDE_COUNT; side++) {
		struct w_qemu *q = &w->qemu[side];

		if (q->lock_until <= w->now_ms)
			world_guest_ask(w, VERB_GUEST_UNLOCK, (enum side)side, 0, 0);
		if (q->window_until <= w->now_ms)
			world_guest_ask(w, VERB_WINDOW_CLOSE, (enum side)side, 0, 0);
		again |= q->run != VM_GONE && ((q->lock[0] && q->lock_until != UINT64_MAX) ||
					       (q->window[0] && q->window_until != UINT64_MAX));
	}
	if (again)
		world_later(w, W_LEASE_MS, *l);
}

/* Nobody renews any more. */
static void leases_run_out(struct world *w)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		w->qemu[side].lock_until = w->now_ms + W_LEASE_MS;
		w->qemu[side].window_until = w->now_ms + W_LEASE_MS;
	}
	world_later(w, W_LEASE_MS, (struct later){ .fn = end_leases, .exact = true });
}

static void do_end(struct world *w)
{
	leases_run_out(w);
	w->over = true;
	w->disk[0] = '\0';
	world_say(w, "end: %s\n", txn_end_name(w->t->end));
}

static void do_action(struct world *w, const struct action *a)
{
	switch (a->kind) {
	case ACT_LOOK:
		do_look(w, a);
		break;
	case ACT_WRITE:
		do_write(w, a);
		break;
	case ACT_ASK:
		do_ask(w, a);
		break;
	case ACT_TIMER:
		w->timer_ms = a->at_ms;
		break;
	case ACT_TELL:
		do_tell(w, a);
		break;
	case ACT_END:
		do_end(w);
		break;
	}
}

/* What was on its way is lost, but for a record that is kept. */
static void crash(struct world *w)
{
	world_say(w, "coordinator dies\n");
	w->crash_now = false;
	if (w->written_ahead && w->keep)
		strcpy(w->disk, w->writing);
	w->dead = true;
	leases_run_out(w);
}

void world_drain(struct world *w)
{
	unsigned n = 0;
	struct action a;

	while (!w->dead && engine_next(w->e, &a)) {
		if (w->seams)
			w->seams->action(w, &a);
		do_action(w, &a);
		n++;
		w->actions++;
		if (w->actions == w->cancel_at)
			world_cancel(w, 0);
		if (w->actions == w->lose_at)
			world_lose(w, 0);
		if (w->actions == w->crash_at || w->crash_now)
			crash(w);
	}
	w->most = n > w->most ? n : w->most;
}
