/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine on an event loop. Each action of the engine is one case here, each thing
 * that happens becomes one event; there is no decision in this file.
 */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <qmp.h>

#include "../hv/hv.h"

/*
 * An ask or a write that is out, with its own number: an answer that comes late is the
 * answer to this, whatever is out by then.
 */
struct request {
	struct run *run;
	uint32_t number;
	unsigned pending; /* answers: a record goes to more than one QEMU */
	bool over;	  /* and so is the transaction that it was for */
	struct ls_err err;
	struct item_err *bad;
	unsigned n_bad;
	struct request *next;
};

struct run {
	sd_event *loop;
	struct run_ops ops;
	struct hv *hv[SIDE_COUNT];
	struct view view;
	struct vm fresh[SIDE_COUNT]; /* of the look that is out */
	unsigned looking;	     /* sides that have not answered it */
	uint32_t look;
	struct txn *t;
	struct engine *e;
	struct request *requests;
	sd_event_source *timer, *end;
	bool over, pumping;
	char *record;
	run_ended_fn ended;
	run_looked_fn looked;
	void *ended_arg, *looked_arg;
};

static void pump(struct run *run);

static void event(struct run *run, struct event ev)
{
	if (!run->e || run->over)
		return;
	ev.now_ms = qmp_now_ms();
	engine_event(run->e, &ev);
	if (!run->pumping)
		pump(run);
}

/* ---- looks ------------------------------------------------------------- */

/* While it transfers, and once more when it has: only then the downtime is a measured one. */
static void tell_progress(struct run *run)
{
	const struct vm *src = &run->view.vm[SIDE_SRC];

	if (run->ops.progress && run->t->op == OP_MIGRATE && src->answers &&
	    (vm_mig_under_way(src->mig) || src->mig == MIG_COMPLETED))
		run->ops.progress(run->ops.arg, &src->progress, src->mig);
}

static void look_done(struct run *run)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		vm_done(&run->view.vm[side]);
		run->view.vm[side] = run->fresh[side];
		memset(&run->fresh[side], 0, sizeof(run->fresh[side]));
	}
	run->view.look = run->look;
	if (run->e) {
		tell_progress(run);
		event(run, (struct event){ .kind = EV_OBSERVED, .view = &run->view });
	} else if (run->looked) {
		run_looked_fn fn = ls_steal_ptr(&run->looked);

		fn(run->looked_arg);
	}
}

static void looked(struct run *run, enum side side, struct vm *vm)
{
	vm_done(&run->fresh[side]);
	run->fresh[side] = *vm;
	if (--run->looking == 0)
		look_done(run);
}

static void looked_src(void *arg, struct vm *vm)
{
	looked(arg, SIDE_SRC, vm);
}

static void looked_dst(void *arg, struct vm *vm)
{
	looked(arg, SIDE_DST, vm);
}

static void look(struct run *run, uint32_t number)
{
	run->look = number;
	run->looking = run->hv[SIDE_DST] ? 2 : 1;
	hv_look(run->hv[SIDE_SRC], looked_src, run);
	if (run->hv[SIDE_DST])
		hv_look(run->hv[SIDE_DST], looked_dst, run);
}

/* ---- the other actions -------------------------------------------------- */

static struct request *request_new(struct run *run, uint32_t number)
{
	struct request *q = calloc(1, sizeof(*q));

	if (!q)
		abort(); /* a few hundred bytes */
	*q = (struct request){ .run = run, .number = number, .pending = 1, .next = run->requests };
	run->requests = q;
	return q;
}

static void request_free(struct request *q)
{
	struct request **at = &q->run->requests;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q->bad);
	free(q);
}

static void on_bad(void *arg, unsigned item, const struct ls_err *err)
{
	struct request *q = arg;
	struct item_err *bad = reallocarray(q->bad, q->n_bad + 1, sizeof(*bad));

	if (!bad)
		abort(); /* a few hundred bytes */
	bad[q->n_bad++] = (struct item_err){ item, *err };
	q->bad = bad;
}

static void on_reply(void *arg, const struct ls_err *err)
{
	struct request *q = arg;
	struct run *run = q->run;
	struct event ev = {
		.kind = EV_REPLY, .req = q->number, .err = *err, .bad = q->bad, .n_bad = q->n_bad
	};

	if (!q->over)
		event(run, ev);
	request_free(q);
}

/* After the commit the guest, and its agent with it, is at the destination. */
static enum side whom(const struct run *run, const struct action *a)
{
	bool guest = a->verb == VERB_WINDOW_OPEN || a->verb == VERB_WINDOW_CLOSE;

	return guest && run->t->crossed ? SIDE_DST : a->side;
}

/* A row's time is the request's, too; holds are given back in a time of their own. */
static unsigned limit_of(const struct row *row, enum verb verb)
{
	return !row || (row->mark == MARK_HOLD && verb == row->down) ? 0 : row->limit_ms;
}

static void ask(struct run *run, const struct action *a)
{
	const struct row *row = engine_row(run->e);
	struct hv_request rq = {
		.verb = a->verb,
		.t = run->t,
		.view = &run->view,
		.side = whom(run, a),
		.todo = a->todo,
		.n = a->n,
		.level = a->level,
		.limit_ms = limit_of(row, a->verb),
		.bad = on_bad,
	};

	hv_ask(run->hv[rq.side], &rq, on_reply, request_new(run, a->req));
}

static void on_written(void *arg, const struct ls_err *err)
{
	struct request *q = arg;
	struct run *run = q->run;
	struct event ev = { .req = q->number };
	bool over;

	if (err->code)
		q->err = *err;
	if (--q->pending)
		return;
	ev.kind = q->err.code ? EV_WRITE_FAILED : EV_WRITTEN;
	ev.err = q->err;
	over = q->over;
	request_free(q);
	if (!over)
		event(run, ev);
}

/* Both QEMUs of a migration keep the record: whichever is left can be asked what happened. */
static void write_record(struct run *run, uint32_t number)
{
	const struct row *row = engine_row(run->e);
	bool last = run->t->end != END_NONE;
	int n = txn_save(run->t, run->record, TXN_RECORD_MAX);
	struct request *q = request_new(run, number);

	if (n < 0)
		ls_err_set(&q->err, n, "the transaction cannot be put on record: %s",
			   n == -EINVAL ? "a value has a line break" : "it is too long");
	for (int side = 0; side < SIDE_COUNT && n >= 0; side++) {
		if (!run->hv[side] || run->view.vm[side].run == VM_GONE)
			continue;
		q->pending++;
		if (last)
			hv_store_clear(run->hv[side], on_written, q);
		else
			hv_store_write(run->hv[side], side, run->record, on_written, q);
	}
	if (run->ops.record && n >= 0) {
		q->pending++;
		run->ops.record(run->ops.arg, run->t, row ? row->name : "end", run->record,
				on_written, q);
	}
	on_written(q, &(struct ls_err){ 0 });
}

static int on_timer(sd_event_source *s, uint64_t now, void *arg)
{
	(void)s, (void)now;
	event(arg, (struct event){ .kind = EV_TIMER });
	return 0;
}

static void set_timer(struct run *run, uint64_t at_ms)
{
	run->timer = sd_event_source_disable_unref(run->timer);
	if (at_ms)
		sd_event_add_time(run->loop, &run->timer, CLOCK_MONOTONIC, at_ms * 1000, 1000,
				  on_timer, run);
}

static void carry_out(struct run *run, const struct action *a)
{
	switch (a->kind) {
	case ACT_LOOK:
		look(run, a->req);
		break;
	case ACT_WRITE:
		write_record(run, a->req);
		break;
	case ACT_ASK:
		ask(run, a);
		break;
	case ACT_TIMER:
		set_timer(run, a->at_ms);
		break;
	case ACT_TELL:
		if (run->ops.tell)
			run->ops.tell(run->ops.arg, run->t, a);
		break;
	case ACT_END:
		run->over = true;
		sd_event_source_set_enabled(run->end, SD_EVENT_ONESHOT);
		break;
	}
}

static void pump(struct run *run)
{
	struct action a;

	run->pumping = true;
	while (engine_next(run->e, &a))
		carry_out(run, &a);
	run->pumping = false;
}

static void on_hint(void *arg, const char *what)
{
	struct run *run = arg;

	if (run->ops.hint)
		run->ops.hint(run->ops.arg, what);
	event(run, (struct event){ .kind = EV_HINT });
}

/* At once, ahead of the look that decides: somebody may have waited long for it. */
static void on_said(void *arg, const char *text)
{
	struct run *run = arg;
	const struct row *row = run->e && !run->over ? engine_row(run->e) : NULL;
	struct action a = { .kind = ACT_TELL, .tell = TELL_WARN };

	if (!row || !run->ops.tell)
		return;
	a.row = row->name;
	snprintf(a.text, sizeof(a.text), "%s", text);
	run->ops.tell(run->ops.arg, run->t, &a);
}

static void on_lost(void *arg)
{
	struct run *run = arg;

	if (run->ops.lost)
		run->ops.lost(run->ops.arg);
	event(run, (struct event){ .kind = EV_LOST });
}

/* ---- a transaction -------------------------------------------------------- */

static void put_away(struct run *run)
{
	run->timer = sd_event_source_disable_unref(run->timer);
	run->end = sd_event_source_disable_unref(run->end);
	for (struct request *q = run->requests; q; q = q->next)
		q->over = true;
	engine_free(run->e);
	run->e = NULL;
	free(run->record);
	run->record = NULL;
}

/* In a turn of the loop of its own: the run may be freed, or go on with the next one. */
static int on_end(sd_event_source *s, void *arg)
{
	struct run *run = arg;

	(void)s;
	put_away(run);
	run->ended(run->ended_arg, run->t);
	return 0;
}

static int prepare(struct run *run, uint64_t deadline_ms)
{
	int r = sd_event_add_defer(run->loop, &run->end, on_end, run);

	if (r < 0)
		return r;
	sd_event_source_set_enabled(run->end, SD_EVENT_OFF);
	run->record = malloc(TXN_RECORD_MAX);
	run->e = run->record ? engine_new(run->t, qmp_now_ms(), deadline_ms) : NULL;
	return run->e ? 0 : -ENOMEM;
}

void run_set_epoch(const struct run *run, struct txn *t)
{
	const struct vm *vm = run->view.vm;

	t->epoch = 1;
	for (int side = 0; side < SIDE_COUNT; side++) {
		if (vm[side].epoch >= t->epoch)
			t->epoch = vm[side].epoch + 1;
		if (vm[side].claim_epoch >= t->epoch)
			t->epoch = vm[side].claim_epoch + 1;
	}
}

int run_start(struct run *run, struct txn *t, uint64_t deadline_ms, run_ended_fn fn, void *arg)
{
	int r;

	run->t = t;
	run->over = false;
	run->looked = NULL;
	run->ended = fn;
	run->ended_arg = arg;
	r = prepare(run, deadline_ms);
	if (r < 0) {
		put_away(run);
		return r;
	}
	if (!t->loaded)
		run_set_epoch(run, t);
	for (int side = 0; side < SIDE_COUNT; side++)
		if (run->hv[side])
			hv_expect_lease(run->hv[side], t->id);
	pump(run);
	return 0;
}

void run_cancel(struct run *run)
{
	event(run, (struct event){ .kind = EV_CANCEL });
}

static void note_end(void *arg, struct txn *t)
{
	bool *over = arg;

	(void)t;
	*over = true;
}

static int run_to_the_end(struct run *run, struct txn *t, uint64_t deadline_ms, bool undo)
{
	bool over = false;
	int r = run_start(run, t, deadline_ms, note_end, &over);

	if (r >= 0 && undo)
		run_cancel(run);
	while (!over && r >= 0)
		r = sd_event_run(run->loop, UINT64_MAX);
	if (!over)
		put_away(run);
	return r < 0 ? r : 0;
}

int run_txn(struct run *run, struct txn *t, uint64_t deadline_ms)
{
	return run_to_the_end(run, t, deadline_ms, false);
}

int run_undo(struct run *run, struct txn *t, uint64_t deadline_ms)
{
	return run_to_the_end(run, t, deadline_ms, true);
}

void run_join(struct run *run, enum side side, const struct guest *g)
{
	struct hv_listener l = { on_hint, on_lost, run, on_said };

	if (side == SIDE_SRC && run->hv[SIDE_SRC]) {
		run->hv[SIDE_DST] = run->hv[SIDE_SRC];
		run->view.vm[SIDE_DST] = run->view.vm[SIDE_SRC];
		memset(&run->view.vm[SIDE_SRC], 0, sizeof(struct vm));
	}
	run->hv[side] = hv_new(run->loop, g->name, g->qmp, g->agent, &l);
	if (!run->hv[side])
		abort();
}

int run_look_error(const struct run *run, struct ls_err *err)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		if (!run->hv[side] || run->view.vm[side].answers)
			continue;
		if (err)
			*err = *hv_error(run->hv[side]);
		return hv_error(run->hv[side])->code ? hv_error(run->hv[side])->code : -EPIPE;
	}
	return 0;
}

int run_look(struct run *run, struct ls_err *err)
{
	int r = 0;

	look(run, 0);
	while (run->looking && r >= 0)
		r = sd_event_run(run->loop, UINT64_MAX);
	return r < 0 ? r : run_look_error(run, err);
}

void run_look_start(struct run *run, run_looked_fn fn, void *arg)
{
	run->looked = fn;
	run->looked_arg = arg;
	look(run, 0);
}

const struct view *run_view(const struct run *run)
{
	return &run->view;
}

struct hv *run_hv(const struct run *run, enum side side)
{
	return run->hv[side];
}

struct run *run_new(sd_event *loop, const struct guest *src, const struct guest *dst,
		    const struct run_ops *ops)
{
	struct run *run = calloc(1, sizeof(*run));
	struct hv_listener l = { on_hint, on_lost, run, on_said };

	if (!run)
		return NULL;
	run->loop = sd_event_ref(loop);
	if (ops)
		run->ops = *ops;
	run->hv[SIDE_SRC] = hv_new(loop, src->name, src->qmp, src->agent, &l);
	if (dst)
		run->hv[SIDE_DST] = hv_new(loop, dst->name, dst->qmp, dst->agent, &l);
	if (!run->hv[SIDE_SRC] || (dst && !run->hv[SIDE_DST])) {
		run_free(run);
		return NULL;
	}
	return run;
}

void run_free(struct run *run)
{
	if (!run)
		return;
	for (int side = 0; side < SIDE_COUNT; side++) {
		hv_free(run->hv[side]);
		vm_done(&run->view.vm[side]);
		vm_done(&run->fresh[side]);
	}
	while (run->requests)
		request_free(run->requests);
	put_away(run);
	sd_event_unref(run->loop);
	free(run);
}
