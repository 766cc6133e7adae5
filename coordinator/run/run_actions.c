/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine on an event loop. Each action of the engine is one case here, each thing
 * that happens becomes one event; there is no decision in this file.
 */
#include "run_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <qmp.h>

void run_event(struct run *run, struct event ev)
{
	if (!run->e || run->over)
		return;
	ev.now_ms = qmp_now_ms();
	engine_event(run->e, &ev);
	if (!run->pumping)
		run_pump(run);
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
		run_event(run, (struct event){ .kind = EV_OBSERVED, .view = &run->view });
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

void run_look_sides(struct run *run, uint32_t number)
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

	*q = (struct request){ .run = run, .number = number, .pending = 1, .next = run->requests };
	run->requests = q;
	return q;
}

void run_request_free(struct request *q)
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
		run_event(run, ev);
	run_request_free(q);
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
	run_request_free(q);
	if (!over)
		run_event(run, ev);
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
	run_event(arg, (struct event){ .kind = EV_TIMER });
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
		run_look_sides(run, a->req);
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

void run_pump(struct run *run)
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
	run_event(run, (struct event){ .kind = EV_HINT });
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
	run_event(run, (struct event){ .kind = EV_LOST });
}

struct hv_listener run_listener(struct run *run)
{
	return (struct hv_listener){ on_hint, on_lost, run, on_said };
}
