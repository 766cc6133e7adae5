/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client may ask of the journal. The answers come from the store's thread; a call
 * outlives its client.
 */
#include "ctl_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "journal.h"
#include "../report/json.h"
#include "../report/report.h"

_Static_assert(CTL_TXNS_MAX <= STORE_LIST_MAX, "the store lists them all");

static struct json_object *txn_json(const struct store_txn *t)
{
	struct json_object *o = json_object_new_object();

	json_add_str(o, "txn", t->id);
	json_add_str(o, "guest", t->guest);
	json_add_str(o, "operation", t->op);
	json_add_str(o, "end", t->ended);
	json_add_str(o, "reason", t->reason);
	json_add_num(o, "began-ms", t->began_ms);
	json_add_num(o, "changed-ms", t->changed_ms);
	return o;
}

static bool failed(struct qmp_call *call, const struct ls_err *err)
{
	if (err->code)
		qmp_reply_error(call, err->code == -EBUSY ? "BUSY" : "USAGE", "%s", err->text);
	return err->code != 0;
}

/* ---- list ------------------------------------------------------------------------ */

static void on_list(void *arg, const struct store_txn *txns, unsigned n, const struct ls_err *err)
{
	struct json_object *list;

	if (failed(arg, err))
		return;
	list = json_object_new_array();
	for (unsigned i = 0; i < n; i++)
		json_object_array_add(list, txn_json(&txns[i]));
	qmp_reply(arg, list);
}

void do_txn_list(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	const struct store_filter filter = {
		.guest = qmp_get_str(args, "guest", NULL),
		.limit = (unsigned)qmp_get_int(args, "limit", CTL_TXNS),
	};
	struct ls_err err;

	if (store_list(d->store, &filter, on_list, call, &err) < 0)
		failed(call, &err);
}

/* ---- show ------------------------------------------------------------------------- */

static struct json_object *steps_json(const struct store_txn *t)
{
	struct json_object *steps = json_object_new_array();

	for (unsigned i = 0; i < t->n_steps; i++) {
		struct json_object *o = json_object_new_object();

		json_add_str(o, "row", t->steps[i].row);
		json_add_num(o, "at-ms", t->steps[i].realtime_ms);
		json_object_array_add(steps, o);
	}
	return steps;
}

/* What became of each device; of one that runs, or whose end the record has not seen, nobody knows.
 */
static void add_items(struct json_object *o, const struct store_txn *s)
{
	struct txn *t;

	if (!s->text || txn_load(s->text, NULL, &t) < 0)
		return;
	if (!strcmp(s->ended, txn_end_name(t->end)))
		json_object_object_add(o, "items", report_items(t));
	txn_free(t);
}

static void on_show(void *arg, const struct store_txn *txns, unsigned n, const struct ls_err *err)
{
	struct json_object *o;

	(void)n; /* one, or an error */
	if (failed(arg, err))
		return;
	o = txn_json(txns);
	add_items(o, txns);
	json_object_object_add(o, "rows", steps_json(txns));
	json_add_str(o, "record", txns->text ? txns->text : "");
	qmp_reply(arg, o);
}

void do_txn_show(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct ls_err err;

	if (store_show(d->store, qmp_get_str(args, "txn", ""), on_show, call, &err) < 0)
		failed(call, &err);
}

/* ---- resume, undo --------------------------------------------------------------------- */

/**
 * struct go_on - A request whose transaction is being read
 * @job: its client, which may have gone by then
 */
struct go_on {
	struct qmp_call *call;
	struct daemon *d;
	struct lane_job job;
	bool undo;
};

static int check_ended(const struct store_txn *t, const struct lane *l, struct ls_err *err)
{
	if (!l)
		return ls_err_set(err, -ENOENT, "its guest \"%s\" is not here: lockstep list",
				  t->guest);
	if (!t->ended[0])
		return ls_err_set(err, -EBUSY, "it has not ended: wait, or lockstep status %s",
				  t->guest);
	if (strcmp(t->ended, txn_end_name(END_STUCK)) &&
	    strcmp(t->ended, txn_end_name(END_PENDING)))
		return ls_err_set(err, -EALREADY,
				  "it has ended: %s; only what is stuck or pending goes on",
				  t->ended);
	return 0;
}

static int go_on(const struct go_on *g, const struct store_txn *s, struct ls_err *err)
{
	struct lane *l = daemon_find(g->d, s->guest);
	struct txn *t;
	int r = check_ended(s, l, err);

	if (r >= 0)
		r = txn_load(s->text, err, &t);
	if (r < 0)
		return r;
	if (t->op != OP_MIGRATE)
		return lane_go_on(l, t, s->seq, g->undo, &g->job, err);
	txn_free(t);
	return ls_err_set(err, -EINVAL, "a migration is ended by: lockstep recover --qmp %.150s",
			  lane_guest(l)->qmp);
}

static void on_read(void *arg, const struct store_txn *txns, unsigned n, const struct ls_err *err)
{
	struct go_on *g = arg;
	struct ls_err why = { 0 };
	int r;

	(void)n; /* one, or an error */
	if (!failed(g->call, err)) {
		r = go_on(g, txns, &why);
		if (r < 0)
			ctl_fail(g->call, r, &why);
		else
			ctl_remember(g->d->ctl, g->call, txns->id);
	}
	free(g);
}

static void read_txn(struct qmp_call *call, struct json_object *args, struct daemon *d, bool undo)
{
	struct go_on *g = malloc(sizeof(*g));
	struct ls_err err;

	*g = (struct go_on){
		.call = call,
		.d = d,
		.job = { .owner = ctl_client(call)->number,
			 .timeout_ms = (unsigned)qmp_get_int(args, "timeout-ms", 0) },
		.undo = undo,
	};
	if (store_show(d->store, qmp_get_str(args, "txn", ""), on_read, g, &err) < 0) {
		failed(call, &err);
		free(g);
	}
}

void do_txn_resume(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	read_txn(call, args, d, false);
}

void do_txn_undo(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	read_txn(call, args, d, true);
}

/* ---- forget ------------------------------------------------------------------------ */

/* A request that is out: the daemon, too, has to forget. */
struct forget {
	struct qmp_call *call;
	struct daemon *d;
	char txn[LS_TXN_BYTES];
};

static void on_forgotten(void *arg, const struct ls_err *err)
{
	struct forget *f = arg;

	if (!failed(f->call, err)) {
		journal_forgotten(f->d, f->txn);
		qmp_reply(f->call, NULL);
	}
	free(f);
}

void do_txn_forget(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct forget *f = calloc(1, sizeof(*f));
	struct ls_err err;

	f->call = call;
	f->d = d;
	snprintf(f->txn, sizeof(f->txn), "%s", qmp_get_str(args, "txn", ""));
	if (store_forget(d->store, f->txn, on_forgotten, f, &err) < 0)
		on_forgotten(f, &err);
}
