/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The jobs of the store, and the groups in which they are done.
 *
 * A failure of the file fails the whole group, which is rolled back. A job that makes
 * no sense (a record that is too old, a transaction that is not there) changes nothing
 * and fails alone.
 */
#include <errno.h>

#include "store_sql.h"

#define SWEEP_MAX 8 /* old transactions deleted along with a group */

/* ---- what changes something -------------------------------------------------- */

static int sweep(struct db *db, uint64_t old_ms)
{
	struct values v = sql_begin(db, ST_SWEEP);

	sql_number(&v, old_ms);
	sql_number(&v, SWEEP_MAX);
	return sql_run(&v);
}

static int write_step(struct db *db, const struct store_record *rec)
{
	struct values v = sql_begin(db, ST_STEP);

	sql_text(&v, rec->txn);
	sql_number(&v, rec->seq);
	sql_text(&v, rec->row);
	sql_text(&v, rec->boot);
	sql_number(&v, rec->boottime_ms);
	sql_number(&v, rec->realtime_ms);
	return sql_run(&v);
}

static int do_write(struct db *db, struct job *job)
{
	const struct store_record *rec = &job->record;
	struct values v = sql_begin(db, ST_TXN);
	int r;

	sql_text(&v, rec->txn);
	sql_text(&v, rec->guest);
	sql_text(&v, rec->op);
	sql_text(&v, rec->ended);
	sql_text(&v, rec->reason);
	sql_number(&v, rec->keep);
	sql_number(&v, rec->seq);
	sql_number(&v, rec->realtime_ms);
	sql_number(&v, rec->deadline_ms);
	sql_text(&v, rec->text);
	r = sql_run(&v);
	if (r)
		return r;
	if (!sqlite3_changes(db->sql)) {
		ls_err_set(
			&job->err, -ESTALE,
			"transaction %s: record %u of guest %s: a newer one is on disk, or it is "
			"another guest's",
			rec->txn, rec->seq, rec->guest);
		return 0;
	}
	r = write_step(db, rec);
	return r || !job->old_ms ? r : sweep(db, job->old_ms);
}

static int do_pending_set(struct db *db, struct job *job)
{
	struct values v = sql_begin(db, ST_PENDING_SET);

	sql_text(&v, job->record.guest);
	sql_text(&v, job->item);
	sql_number(&v, (uint64_t)(int64_t)job->slot);
	sql_text(&v, job->record.txn);
	sql_number(&v, job->record.realtime_ms);
	return sql_run(&v);
}

static int do_pending_clear(struct db *db, struct job *job)
{
	struct values v = sql_begin(db, ST_PENDING_CLEAR);

	sql_text(&v, job->record.guest);
	sql_text(&v, job->item);
	return sql_run(&v);
}

static int delete_by_txn(struct db *db, enum statement which, const char *txn)
{
	struct values v = sql_begin(db, which);

	sql_text(&v, txn);
	return sql_run(&v);
}

static int do_forget(struct db *db, struct job *job)
{
	const char *txn = job->record.txn;
	struct values v = sql_begin(db, ST_IS_OPEN);
	bool known = false, open = false;
	int r;

	sql_text(&v, txn);
	if (sql_more(&v)) {
		known = true;
		open = sql_take_number(&v, 0) != 0;
	}
	r = sql_end(&v);
	if (r)
		return r;
	if (!known)
		ls_err_set(&job->err, -ENOENT, "no transaction %s in the journal", txn);
	else if (open)
		ls_err_set(&job->err, -EBUSY,
			   "transaction %s is open: resume or undo it, then it can be forgotten",
			   txn);
	if (job->err.code)
		return 0;
	r = delete_by_txn(db, ST_PENDING_OF, txn);
	return r ? r : delete_by_txn(db, ST_FORGET, txn);
}

/* ---- what reads ---------------------------------------------------------------- */

static int do_list(struct db *db, struct job *job)
{
	struct values v = sql_begin(db, ST_LIST);

	sql_text(&v, job->record.guest);
	sql_text(&v, job->record.ended);
	sql_number(&v, job->limit);
	return sql_read_txns(&v, false, job);
}

static int do_show(struct db *db, struct job *job)
{
	struct values v = sql_begin(db, ST_SHOW);
	int r;

	sql_text(&v, job->record.txn);
	r = sql_read_txns(&v, true, job);
	if (r)
		return r;
	if (!job->n) {
		ls_err_set(&job->err, -ENOENT, "no transaction %s in the journal", job->record.txn);
		return 0;
	}
	return sql_read_steps(db, job->result);
}

static const struct {
	bool changes;
	int (*fn)(struct db *db, struct job *job);
} kinds[] = {
	[JOB_WRITE] = { true, do_write },
	[JOB_PENDING_SET] = { true, do_pending_set },
	[JOB_PENDING_CLEAR] = { true, do_pending_clear },
	[JOB_FORGET] = { true, do_forget },
	[JOB_LIST] = { false, do_list },
	[JOB_SHOW] = { false, do_show },
};

/* ---- groups -------------------------------------------------------------------- */

/* A rollback that failed, too, is tried again: it would block whatever comes later. */
static void roll_back(struct db *db)
{
	if (!sqlite3_get_autocommit(db->sql))
		sql_run_plain(db, ST_ROLLBACK);
}

static int change(struct db *db, struct job *jobs)
{
	int r;

	roll_back(db);
	r = sql_run_plain(db, ST_BEGIN);
	for (struct job *job = jobs; job && !r; job = job->next)
		if (kinds[job->kind].changes)
			r = kinds[job->kind].fn(db, job);
	return r ? r : sql_run_plain(db, ST_COMMIT);
}

static void fail_all(struct job *jobs, const struct ls_err *err)
{
	for (struct job *job = jobs; job; job = job->next)
		if (kinds[job->kind].changes)
			job->err = *err;
}

static void drop_result(struct job *job)
{
	store_txns_free(job->result, job->n);
	job->result = NULL;
	job->n = 0;
}

void db_run(struct db *db, struct job *jobs)
{
	struct ls_err err = { 0 };
	bool changes = false;
	int r;

	for (struct job *job = jobs; job; job = job->next)
		changes = changes || kinds[job->kind].changes;
	r = changes ? change(db, jobs) : 0;
	if (r) {
		db_error(db, r, "not written", &err);
		roll_back(db);
		fail_all(jobs, &err);
	}
	for (struct job *job = jobs; job; job = job->next) {
		r = kinds[job->kind].changes ? 0 : kinds[job->kind].fn(db, job);
		if (r) {
			db_error(db, r, "not read", &job->err);
			drop_result(job);
		}
	}
}

/*
 * The log is written back and cut, not only written back. What fails here has failed
 * for nobody: the log is whole, and the next group tries again.
 */
void db_tidy(struct db *db)
{
	if (db->log_pages <= db->log_pages_max)
		return;
	if (!sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL))
		db->log_pages = 0;
}
