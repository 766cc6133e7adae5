/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest's requests, in order, one at a time.
 */
#include "lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <qmp.h>

#include "daemon_log.h"
#include "../report/dry.h"
#include "../report/exit.h"
#include "../report/json.h"
#include "lane_private.h"
#include "../report/report.h"
#include "../report/show.h"

/* ---- events ---------------------------------------------------------------- */

/* @o is consumed. */
static void emit(struct lane *l, const struct job *q, struct json_object *o)
{
	json_add_str(o, "guest", l->guest.name);
	json_add_str(o, "txn", q->job.id);
	l->ops.event(l->ops.arg, l, &q->job, o);
	json_object_put(o);
}

void lane_emit(struct lane *l, struct json_object *o)
{
	emit(l, l->running, o);
}

static void emit_error(struct lane *l, const struct job *q, int code, const struct ls_err *err)
{
	const struct log_about about = { LOG_REFUSED, l->guest.name, q->job.id, NULL, err };

	log_about(LOG_INFO, &about, "refused: %s", err->text);
	metrics_ended(l->ops.metrics, q->job.wish.kind, END_REFUSED, err);
	emit(l, q, report_error(code, err));
}

void lane_tell(void *arg, const struct txn *t, const struct action *a)
{
	struct lane *l = arg;
	struct json_object *o = report_tell(t, a);
	const struct log_about about = { LOG_ROW, l->guest.name, t->id, a->row, NULL };

	log_about(LOG_INFO, &about, "%s%s%s (%llu ms)", qmp_get_str(o, "event", ""),
		  a->text[0] ? " " : "", a->text, (unsigned long long)a->took_ms);
	if (a->tell == TELL_ROW_DONE || a->tell == TELL_ROW_FAILED)
		metrics_row(l->ops.metrics, a->row, a->took_ms);
	lane_publish(l);
	lane_emit(l, o);
}

/* ---- records ----------------------------------------------------------------- */

static void on_recorded(void *arg, const struct ls_err *err)
{
	struct receipt *p = arg, **at;

	if (p->lane) {
		for (at = &p->lane->receipts; *at != p;)
			at = &(*at)->next;
		*at = p->next;
		if (p->lane->running)
			p->lane->running->on_record |= !err->code;
		p->done(p->arg, err);
	}
	free(p);
}

void lane_record(void *arg, const struct txn *t, const char *row, const char *text,
		 void (*done)(void *done_arg, const struct ls_err *err), void *done_arg)
{
	struct lane *l = arg;
	struct lane_record record = { t, row, text, ++l->running->seq };
	struct receipt *p = malloc(sizeof(*p));

	*p = (struct receipt){ l, done, done_arg, l->receipts };
	l->receipts = p;
	l->ops.record(l->ops.arg, l, &record, on_recorded, p);
}

void lane_run_free(struct lane *l)
{
	for (; l->receipts; l->receipts = l->receipts->next)
		l->receipts->lane = NULL;
	run_free(l->run);
	l->run = NULL;
}

/* ---- one request ------------------------------------------------------------- */

static struct job *unlink_first(struct lane *l)
{
	struct job *q = l->queue;

	l->queue = q->next;
	l->queued--;
	return q;
}

static void job_free(struct job *q)
{
	txn_free(q->txn);
	free(q);
}

static void next(struct lane *l);

void lane_idle(struct lane *l)
{
	if (l->state == LANE_BUSY)
		l->state = LANE_READY;
	lane_publish(l);
	if (l->lost) {
		lane_lost_now(l);
		return;
	}
	next(l);
	lane_refresh_if_hinted(l);
}

static void job_over(struct lane *l)
{
	job_free(l->running);
	l->running = NULL;
	lane_idle(l);
}

/* The look after the end is what the requester is told: never what was hoped for. */
static void on_now(void *arg)
{
	struct lane *l = arg;
	struct json_object *o = report_object("now");
	const struct vm *vm = &run_view(l->run)->vm[SIDE_SRC];
	char *text = NULL;
	size_t len;
	FILE *f;

	l->seen_ms = qmp_now_ms();
	if (l->running->txn)
		lane_unplugs_ended(l, l->running->txn);
	lane_unplugs_seen(l);
	f = vm->answers ? open_memstream(&text, &len) : NULL;
	if (f) {
		show_now(f, l->guest.name, vm, l->running->job.wish.kind);
		fclose(f);
		json_add_str(o, "text", text);
		json_object_object_add(o, "vm", show_vm_json(l->guest.name, vm));
		free(text);
	}
	l->lost |= !vm->answers;
	lane_emit(l, o);
	job_over(l);
}

static void emit_end(struct lane *l, struct json_object *o)
{
	json_object_object_add(o, "on-record", json_object_new_boolean(l->running->on_record));
	lane_emit(l, o);
}

static void on_ended(void *arg, struct txn *t)
{
	struct lane *l = arg;
	const struct log_about about = { LOG_ENDED, l->guest.name, t->id, NULL,
					 t->end == END_DONE ? NULL : &t->reason };

	log_about(LOG_INFO, &about, "%s%s%s", txn_end_name(t->end), t->reason.text[0] ? " " : "",
		  t->reason.text);
	metrics_ended(l->ops.metrics, l->running->job.wish.kind, t->end, &t->reason);
	emit_end(l, report_ended(l->guest.name, t));
	run_look_start(l->run, on_now, l);
}

/* Without a transaction that would tell it. */
static void end_done(struct lane *l)
{
	struct json_object *o = report_object("end");

	json_add_str(o, "operation", wish_verb(l->running->job.wish.kind));
	json_add_str(o, "end", txn_end_name(END_DONE));
	json_add_str(o, "reason", "");
	json_add_num(o, "exit", XC_OK);
	emit_end(l, o);
	on_now(l);
}

static void already_so(struct lane *l)
{
	metrics_ended(l->ops.metrics, l->running->job.wish.kind, END_DONE, NULL);
	end_done(l);
}

/* A dry run: what would be done, and what is. */
static void only_tell(struct lane *l)
{
	lane_emit(l, dry_plan(l->run, l->guest.name, l->running->txn));
	end_done(l);
}

static void refuse(struct lane *l, int code, const struct ls_err *err)
{
	emit_error(l, l->running, code, err);
	job_over(l);
}

/* The look before it: what is planned is planned upon what is true now. */
static void on_looked(void *arg)
{
	struct lane *l = arg;
	struct job *q = l->running;
	struct ls_err err = { 0 };
	int r = run_look_error(l->run, &err), code = XC_REACH;

	l->seen_ms = qmp_now_ms();
	l->lost |= r < 0;
	if (r == 0 && !q->cancelled && !q->txn && lane_awaits_agent(l))
		return;
	if (r == 0 && q->cancelled)
		r = ls_err_set(&err, -ECANCELED, "cancelled before it began");
	if (r == 0 && !q->txn) {
		r = wish_plan(&q->job.wish, &run_view(l->run)->vm[SIDE_SRC], q->job.id, &err,
			      &q->txn);
		code = wish_is_wrong(r) ? XC_USAGE : XC_REFUSED;
	}
	if (r == 0 && q->txn && q->job.wish.dry_run) {
		only_tell(l);
		return;
	}
	if (r == 0 && q->txn)
		r = run_start(l->run, q->txn,
			      q->job.timeout_ms ? q->since_ms + q->job.timeout_ms : 0, on_ended, l);
	if (r == 0 && q->undo)
		run_cancel(l->run);
	if (r < 0)
		refuse(l, code, &err);
	else if (!q->txn)
		already_so(l);
}

void lane_look(struct lane *l)
{
	run_look_start(l->run, on_looked, l);
}

static void next(struct lane *l)
{
	if (l->state != LANE_READY || l->running || !l->queue)
		return;
	l->running = unlink_first(l);
	l->running->since_ms = qmp_now_ms();
	l->state = LANE_BUSY;
	l->looking = false; /* it is replaced */
	lane_publish(l);
	lane_look(l);
}

/* ---- the queue --------------------------------------------------------------- */

/* In a turn of its own: whoever asked has been told the id by then. */
static int on_kick(sd_event_source *s, void *arg)
{
	(void)s;
	next(arg);
	return 0;
}

void lane_kick(struct lane *l)
{
	l->kick = sd_event_source_disable_unref(l->kick);
	if (sd_event_add_defer(l->loop, &l->kick, on_kick, l) < 0)
		abort();
}

int lane_check_open(const struct lane *l, struct ls_err *err)
{
	if (l->closed)
		return ls_err_set(err, -EBUSY, "lockstepd is stopping");
	if (l->state != LANE_READY && l->state != LANE_BUSY)
		return ls_err_set(err, -EPIPE, "the guest is %s: %.180s", lane_state_name(l->state),
				  l->why.text);
	if (l->queued >= l->limits->queue)
		return ls_err_set(
			err, -EBUSY,
			"%u requests wait for this guest already (max-queue): ask again when they "
			"have ended",
			l->queued);
	return 0;
}

/* @q is consumed, even on failure. */
static int enqueue(struct lane *l, struct job *q, struct ls_err *err)
{
	struct job **at = &l->queue;
	int r = q ? lane_check_open(l, err) : ls_err_set(err, -ENOMEM, "out of memory");

	if (r < 0) {
		if (q)
			job_free(q);
		return r;
	}
	while (*at)
		at = &(*at)->next;
	*at = q;
	l->queued++;
	lane_publish(l);
	lane_kick(l);
	return 0;
}

int lane_ask(struct lane *l, const struct lane_job *job, struct ls_err *err,
	     char ret_id[LS_TXN_BYTES])
{
	struct job *q = calloc(1, sizeof(*q));

	if (q) {
		q->job = *job;
		wish_txn_id(q->job.id, sizeof(q->job.id));
		memcpy(ret_id, q->job.id, LS_TXN_BYTES);
	}
	return enqueue(l, q, err);
}

/* It runs already, or waits. */
static bool has(const struct lane *l, const char *id)
{
	const struct job *q = l->queue;

	while (q && strcmp(q->job.id, id))
		q = q->next;
	return q || (l->running && !strcmp(l->running->job.id, id));
}

int lane_go_on(struct lane *l, struct txn *t, unsigned seq, bool undo, const struct lane_job *job,
	       struct ls_err *err)
{
	struct job *q;
	int r = has(l, t->id) ? ls_err_set(err, -EBUSY, "it runs, or waits for its turn")
			      : txn_reopen(t, undo, err);

	if (r < 0) {
		txn_free(t);
		return r;
	}
	q = calloc(1, sizeof(*q));
	if (q) {
		q->job = *job;
		q->job.wish.kind = wish_kind_of(t->op);
		memcpy(q->job.id, t->id, sizeof(q->job.id));
		q->txn = t;
		q->seq = seq;
		q->undo = undo;
	} else {
		txn_free(t);
	}
	return enqueue(l, q, err);
}

void lane_refuse_all(struct lane *l, int code, const struct ls_err *err)
{
	while (l->queue) {
		struct job *q = unlink_first(l);

		emit_error(l, q, code, err);
		job_free(q);
	}
}

int lane_cancel(struct lane *l, const char *id, struct ls_err *err)
{
	if (l->running && (!id || !strcmp(id, l->running->job.id))) {
		l->running->cancelled = true;
		if (l->running->txn)
			run_cancel(l->run);
		return 0;
	}
	for (struct job **at = &l->queue; id && *at; at = &(*at)->next) {
		struct job *q = *at;

		if (strcmp(q->job.id, id))
			continue;
		*at = q->next;
		l->queued--;
		lane_publish(l);
		ls_err_set(err, -ECANCELED, "cancelled before it began");
		emit_error(l, q, XC_REFUSED, err);
		job_free(q);
		return 0;
	}
	return ls_err_set(err, -ENOENT, "no transaction%s%.40s runs or waits here", id ? " " : "",
			  id ? id : "");
}

void lane_jobs_done(struct lane *l)
{
	while (l->queue)
		job_free(unlink_first(l));
	if (l->running)
		job_free(l->running);
	l->running = NULL;
}
