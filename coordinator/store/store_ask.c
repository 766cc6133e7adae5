/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the store may be asked: each question is checked, and becomes a job of its own memory.
 */
#include <errno.h>
#include <string.h>

#include "../core/txn.h"
#include "store_private.h"

/* ---- making a job ---------------------------------------------------------------- */

/* The strings of a job stand behind it, where @at goes on. */
struct strings {
	char *at;
};

static size_t room(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static void keep(struct strings *s, const char **text)
{
	size_t n = room(*text);

	if (n)
		*text = memcpy(s->at, *text, n);
	s->at += n;
}

struct job *job_copy(const struct job *from)
{
	const struct store_record *r = &from->record;
	size_t n = sizeof(*from) + room(r->txn) + room(r->guest) + room(r->op) + room(r->row) +
		   room(r->text) + room(r->ended) + room(r->reason) + room(r->boot) +
		   room(from->item);
	struct job *job = sqlite3_malloc64(n);
	struct strings s;

	if (!job)
		return NULL;
	s.at = (char *)(job + 1);
	*job = *from;
	job->bytes = n;
	keep(&s, &job->record.txn);
	keep(&s, &job->record.guest);
	keep(&s, &job->record.op);
	keep(&s, &job->record.row);
	keep(&s, &job->record.text);
	keep(&s, &job->record.ended);
	keep(&s, &job->record.reason);
	keep(&s, &job->record.boot);
	keep(&s, &job->item);
	return job;
}

/* ---- what may be asked ---------------------------------------------------------- */

/* Nothing is cut: what is too long for its place is refused. */
static int check(const char *what, const char *text, size_t size, struct ls_err *err)
{
	size_t n = text ? strnlen(text, size) : 0;

	if (n && n < size)
		return 0;
	return ls_err_set(err, -EINVAL, "journal: %s %.60s: must have 1 to %zu bytes", what,
			  text ? text : "(none)", size - 1);
}

static int check_optional(const char *what, const char *text, size_t size, struct ls_err *err)
{
	return text ? check(what, text, size, err) : 0;
}

static int check_record(const struct store_record *r, struct ls_err *err)
{
	int bad = check("transaction", r->txn, LS_TXN_BYTES, err);

	if (!bad)
		bad = check("guest", r->guest, LS_NAME_BYTES, err);
	if (!bad)
		bad = check("operation", r->op, STORE_WORD_BYTES, err);
	if (!bad)
		bad = check("row", r->row, STORE_WORD_BYTES, err);
	if (!bad)
		bad = check("text", r->text, TXN_RECORD_MAX, err);
	if (!bad)
		bad = check_optional("end", r->ended, STORE_WORD_BYTES, err);
	if (!bad)
		bad = check_optional("reason", r->reason, LS_ERR_TEXT_BYTES, err);
	return bad ? bad : check("boot id", r->boot, STORE_BOOT_BYTES, err);
}

int store_write(struct store *s, const struct store_record *record, store_done_fn done, void *arg,
		struct ls_err *err)
{
	struct job job = { .kind = JOB_WRITE, .record = *record, .done = done, .arg = arg };
	int r = check_record(record, err);

	return r ? r : store_submit(s, &job, err);
}

int store_pending_set(struct store *s, const struct store_pending *p, store_done_fn done, void *arg,
		      struct ls_err *err)
{
	struct job job = {
		.kind = JOB_PENDING_SET,
		.record = { .guest = p->guest, .txn = p->txn, .realtime_ms = p->since_ms },
		.item = p->item,
		.slot = p->slot,
		.done = done,
		.arg = arg,
	};
	int r = check("guest", p->guest, LS_NAME_BYTES, err);

	if (!r)
		r = check("item", p->item, LS_NAME_BYTES, err);
	if (!r)
		r = check("transaction", p->txn, LS_TXN_BYTES, err);
	return r ? r : store_submit(s, &job, err);
}

int store_pending_clear(struct store *s, const char *guest, const char *item, store_done_fn done,
			void *arg, struct ls_err *err)
{
	struct job job = { .kind = JOB_PENDING_CLEAR,
			   .record = { .guest = guest },
			   .item = item,
			   .done = done,
			   .arg = arg };
	int r = check("guest", guest, LS_NAME_BYTES, err);

	if (!r)
		r = check_optional("item", item, LS_NAME_BYTES, err);
	return r ? r : store_submit(s, &job, err);
}

int store_forget(struct store *s, const char *txn, store_done_fn done, void *arg,
		 struct ls_err *err)
{
	struct job job = { .kind = JOB_FORGET, .record = { .txn = txn }, .done = done, .arg = arg };
	int r = check("transaction", txn, LS_TXN_BYTES, err);

	return r ? r : store_submit(s, &job, err);
}

int store_list(struct store *s, const struct store_filter *filter, store_txns_fn fn, void *arg,
	       struct ls_err *err)
{
	struct job job = { .kind = JOB_LIST,
			   .record = { .guest = filter->guest, .ended = filter->ended },
			   .limit = filter->limit,
			   .txns = fn,
			   .arg = arg };
	int r = check_optional("guest", filter->guest, LS_NAME_BYTES, err);

	if (!job.limit || job.limit > STORE_LIST_MAX)
		job.limit = STORE_LIST_MAX;
	if (!r && filter->ended && filter->ended[0])
		r = check("end", filter->ended, STORE_WORD_BYTES, err);
	return r ? r : store_submit(s, &job, err);
}

int store_show(struct store *s, const char *txn, store_txns_fn fn, void *arg, struct ls_err *err)
{
	struct job job = { .kind = JOB_SHOW, .record = { .txn = txn }, .txns = fn, .arg = arg };
	int r = check("transaction", txn, LS_TXN_BYTES, err);

	return r ? r : store_submit(s, &job, err);
}
