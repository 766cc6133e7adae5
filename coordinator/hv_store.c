/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal of a command without a daemon: records kept in QEMU itself.
 *
 * A record is the data of a "secret" object, lockstep-journal-N. QEMU takes it
 * atomically, keeps it when we are killed, and loses it together with the guest that
 * it is about. A new record is added under the next number before the old one is
 * deleted, so there is always a whole one; the highest number counts.
 */
#include "hv_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void journal_id(char *buf, size_t len, unsigned seq)
{
	snprintf(buf, len, JOURNAL_PREFIX "%u", seq);
}

void hv_store_write(struct hv *hv, const char *record, hv_reply_fn fn, void *arg)
{
	struct batch *b = batch_new(hv, fn, arg);
	char id[64], old[64];

	journal_id(old, sizeof(old), hv->journal_seq);
	journal_id(id, sizeof(id), ++hv->journal_seq);
	batch_add(b, &hv->monitor, "object-add", qmp_args_object_add_secret(id, record));
	/* The old one: that there is none is no failure. */
	if (hv->monitor.is_ready && hv->journal_seq > 1)
		conn_submit(&hv->monitor, "object-del", qmp_args_id(old), NULL, NULL, NULL);
	batch_done(b);
}

void hv_store_clear(struct hv *hv, hv_reply_fn fn, void *arg)
{
	struct batch *b = batch_new(hv, fn, arg);
	char id[64];

	if (hv->journal_seq && !hv->gone && hv->monitor.is_ready) {
		journal_id(id, sizeof(id), hv->journal_seq);
		batch_add(b, &hv->monitor, "object-del", qmp_args_id(id));
	}
	batch_done(b);
}

/* ---- reading ----------------------------------------------------------- */

struct reading {
	struct hv *hv;
	hv_value_fn fn;
	void *arg;
};

static void over(struct reading *r, struct json_object *value, const struct ls_err *err)
{
	r->fn(r->arg, value, err);
	free(r);
}

static void on_record(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	(void)q;
	over(arg, err || !json_object_is_type(value, json_type_string) ? NULL : value, err);
}

static void on_list(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct reading *r = arg;
	struct qmp_property *list;
	struct ls_err bad;
	char path[96];
	unsigned seq;
	size_t n;

	(void)q;
	if (err || qmp_decode_properties(value, &bad, &list, &n) < 0) {
		over(r, NULL, err ? err : &bad);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (sscanf(list[i].name, JOURNAL_PREFIX "%u", &seq) == 1 &&
		    seq > r->hv->journal_seq)
			r->hv->journal_seq = seq;
	free(list);
	snprintf(path, sizeof(path), "/objects/" JOURNAL_PREFIX "%u", r->hv->journal_seq);
	if (!r->hv->journal_seq)
		over(r, NULL, NULL);
	else if (conn_submit(&r->hv->monitor, "qom-get", qmp_args_qom_get(path, "data"), on_record,
			     r, &bad) < 0)
		over(r, NULL, &bad);
}

void hv_store_read(struct hv *hv, hv_value_fn fn, void *arg)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct ls_err err;

	if (!r)
		abort();
	*r = (struct reading){ hv, fn, arg };
	if (!hv->monitor.is_ready ||
	    conn_submit(&hv->monitor, "qom-list", qmp_args_qom_list("/objects"), on_list, r, NULL) <
		    0) {
		ls_err_set(&err, -ENOTCONN, "%s: not connected", hv->monitor.address);
		over(r, NULL, &err);
	}
}
