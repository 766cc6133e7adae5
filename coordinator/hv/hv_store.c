/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal of a command without a daemon: records kept in QEMU itself.
 *
 * A record is the data of a "secret" object, lockstep-journal-N. QEMU takes it
 * atomically, keeps it when we are killed, and loses it together with the guest that
 * it is about. A new record is added under the next number, and the old ones are
 * deleted when QEMU has it: so there is always a whole one, and the highest counts.
 *
 * The first line says which side of a migration the QEMU is that holds it.
 */
#include "hv_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum job_kind { JOB_READ, JOB_WRITE, JOB_CLEAR };

/**
 * struct job - One access to the journal; ends with its batch
 * @data:  JOB_WRITE: what to write
 * @found: JOB_READ: what was read
 * @reply: for JOB_WRITE and JOB_CLEAR; @value for JOB_READ
 */
struct job {
	struct hv *hv;
	struct batch *b;
	enum job_kind kind;
	char *data;
	struct json_object *found;
	hv_reply_fn reply;
	hv_value_fn value;
	void *arg;
};

static void journal_id(char *buf, size_t len, unsigned seq)
{
	snprintf(buf, len, JOURNAL_PREFIX "%u", seq);
}

/* ---- what is there already ---------------------------------------------- */

static void note_numbers(struct hv *hv, const struct qmp_property *list, size_t n)
{
	unsigned seq;

	hv->journal_first = hv->journal_seq = 0;
	for (size_t i = 0; i < n; i++) {
		if (sscanf(list[i].name, JOURNAL_PREFIX "%u", &seq) != 1 || !seq)
			continue;
		if (!hv->journal_first || seq < hv->journal_first)
			hv->journal_first = seq;
		if (seq > hv->journal_seq)
			hv->journal_seq = seq;
	}
	hv->journal_known = true;
}

static void on_deleted(struct qmp *q, struct json_object *value, const struct ls_err *err,
		       void *arg)
{
	(void)q, (void)value, (void)err; /* one that was not there is no failure */
	batch_done(arg);
}

/* @b waits for it; NULL: nobody does, the record that counts is there. */
static void delete_up_to(struct hv *hv, unsigned last, struct batch *b)
{
	char id[64];

	while (hv->journal_first && hv->journal_first <= last) {
		journal_id(id, sizeof(id), hv->journal_first++);
		if (b)
			batch_add_fn(b, &hv->monitor, "object-del", qmp_args_id(id), on_deleted);
		else
			conn_submit(&hv->monitor, "object-del", qmp_args_id(id), NULL, NULL, NULL);
	}
	if (hv->journal_first > hv->journal_seq)
		hv->journal_first = 0;
}

/* ---- the three accesses -------------------------------------------------- */

static void on_record(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct batch *b = arg;
	struct job *j = b->arg;

	(void)q;
	if (err)
		batch_fail(b, err);
	else if (b->fn && json_object_is_type(value, json_type_string))
		j->found = json_object_get(value);
	batch_done(b);
}

static void on_added(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct batch *b = arg;
	struct hv *hv = b->hv;

	(void)q, (void)value;
	if (err) {
		batch_fail(b, err);
	} else if (hv->journal_first) {
		delete_up_to(hv, hv->journal_seq - 1, NULL);
	}
	if (!err)
		hv->journal_first = hv->journal_seq;
	batch_done(b);
}

static void act(struct job *j)
{
	struct hv *hv = j->hv;
	char id[64], path[96];

	switch (j->kind) {
	case JOB_READ:
		snprintf(path, sizeof(path), "/objects/" JOURNAL_PREFIX "%u", hv->journal_seq);
		if (hv->journal_seq)
			batch_add_fn(j->b, &hv->monitor, "qom-get", qmp_args_qom_get(path, "data"),
				     on_record);
		break;
	case JOB_WRITE:
		journal_id(id, sizeof(id), ++hv->journal_seq);
		batch_add_fn(j->b, &hv->monitor, "object-add",
			     qmp_args_object_add_secret(id, j->data), on_added);
		break;
	case JOB_CLEAR:
		delete_up_to(hv, hv->journal_seq, j->b);
		break;
	}
}

static void on_list(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct batch *b = arg;
	struct qmp_property *list;
	struct ls_err bad;
	size_t n;

	(void)q;
	if (!err && qmp_decode_properties(value, &bad, &list, &n) < 0)
		err = &bad;
	if (err) {
		batch_fail(b, err);
	} else {
		note_numbers(b->hv, list, n);
		free(list);
		if (b->fn) /* not given up meanwhile */
			act(b->arg);
	}
	batch_done(b);
}

/* ---- life of an access ---------------------------------------------------- */

static void on_over(void *arg, const struct ls_err *err)
{
	struct job *j = arg;

	if (j->reply)
		j->reply(j->arg, err);
	else
		j->value(j->arg, err->code ? NULL : j->found, err->code ? err : NULL);
	json_object_put(j->found);
	free(j->data);
	free(j);
}

static void begin(struct hv *hv, const struct job *job)
{
	struct job *j = malloc(sizeof(*j));

	*j = *job;
	j->hv = hv;
	j->b = batch_new(hv, on_over, j);
	if (hv->journal_known && j->kind == JOB_WRITE)
		act(j);
	else
		batch_add_fn(j->b, &hv->monitor, "qom-list", qmp_args_qom_list("/objects"),
			     on_list);
	batch_done(j->b);
}

void hv_store_read(struct hv *hv, hv_value_fn fn, void *arg)
{
	begin(hv, &(struct job){ .kind = JOB_READ, .value = fn, .arg = arg });
}

void hv_store_write(struct hv *hv, enum side side, const char *record, hv_reply_fn fn, void *arg)
{
	struct job job = { .kind = JOB_WRITE, .reply = fn, .arg = arg };

	if (asprintf(&job.data, "side %s\n%s", side == SIDE_SRC ? "src" : "dst", record) < 0)
		abort();
	begin(hv, &job);
}

void hv_store_clear(struct hv *hv, hv_reply_fn fn, void *arg)
{
	if (hv->gone) {
		batch_done(batch_new(hv, fn, arg)); /* the journal went with it */
		return;
	}
	begin(hv, &(struct job){ .kind = JOB_CLEAR, .reply = fn, .arg = arg });
}

/* ---- without a record ------------------------------------------------------ */

static void on_given_back(struct qmp *q, struct json_object *value, const struct ls_err *err,
			  void *arg)
{
	(void)q, (void)value, (void)err; /* it may not have held it */
	batch_done(arg);
}

static void give_back(struct batch *b, enum ls_wire_command command, const char *txn)
{
	struct json_object *args = json_object_new_object();

	json_object_object_add(args, "txn", json_object_new_string(txn));
	batch_add_fn(b, &b->hv->agent, ls_wire[command].name, args, on_given_back);
}

void hv_break_claim(struct hv *hv, const char *txn, hv_reply_fn fn, void *arg)
{
	struct batch *b = batch_new(hv, fn, arg);

	if (hv->agent.is_ready && hv->kind == AGENT_LOCKSTEP) {
		give_back(b, LS_WIRE_WINDOW_CLOSE, txn);
		give_back(b, LS_WIRE_UNLOCK, txn);
	}
	batch_add(b, &hv->monitor, "object-del", qmp_args_id(CLAIM_ID));
	batch_done(b);
}
