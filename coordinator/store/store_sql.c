/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the store says in SQL: every job, and what is read at the start.
 *
 * A failure of the file fails the whole group, which is rolled back. A job that makes
 * no sense (a record that is too old, a transaction that is not there) changes nothing
 * and fails alone.
 */
#include "store_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SWEEP_MAX      8  /* old transactions deleted along with a group */
#define LIST_STEP_ROWS 16 /* memory for an answer grows by */
#define COLUMNS                                                                                    \
	"id, guest, op, ifnull(ended, ''), ifnull(reason, ''), seq, keep, began_ms, changed_ms, "  \
	"deadline_ms, text"

static const char *const text_of[ST_COUNT] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_TXN] = "INSERT INTO txn(id, guest, op, ended, reason, keep, seq, began_ms, changed_ms,"
		   " deadline_ms, sum, text)"
		   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, " DB_SUM_VALUES ", ?10)"
		   " ON CONFLICT(id) DO UPDATE SET ended = ?4, reason = ?5, keep = ?6, seq = ?7,"
		   " changed_ms = ?8, deadline_ms = ?9, sum = excluded.sum, text = ?10"
		   " WHERE seq < ?7 AND guest = ?2 AND op = ?3",
	[ST_STEP] = "INSERT INTO step(txn, seq, row, boot, boottime_ms, realtime_ms)"
		    " VALUES(?, ?, ?, ?, ?, ?)",
	[ST_SWEEP] = "DELETE FROM txn WHERE id IN (SELECT id FROM txn WHERE changed_ms < ?"
		     " AND ended IS NOT NULL AND keep = 0 ORDER BY changed_ms LIMIT ?)",
	[ST_PENDING_SET] = "INSERT OR REPLACE INTO pending(guest, item, slot, txn, since_ms)"
			   " VALUES(?, ?, ?, ?, ?)",
	[ST_PENDING_CLEAR] = "DELETE FROM pending WHERE guest = ?1 AND item = ifnull(?2, item)",
	[ST_PENDING_OF] = "DELETE FROM pending WHERE txn = ?",
	[ST_FORGET] = "DELETE FROM txn WHERE id = ?",
	[ST_IS_OPEN] = "SELECT ended IS NULL FROM txn WHERE id = ?",
	[ST_LIST] = "SELECT " COLUMNS " FROM txn WHERE guest = ifnull(?1, guest)"
		    " AND (?2 IS NULL OR ifnull(ended, '') = ?2)"
		    " ORDER BY changed_ms DESC, id DESC LIMIT ?3",
	[ST_SHOW] = "SELECT " COLUMNS " FROM txn WHERE id = ?",
	[ST_STEPS] = "SELECT seq, row, boot, boottime_ms, realtime_ms FROM"
		     " (SELECT * FROM step WHERE txn = ? ORDER BY seq DESC LIMIT ?) ORDER BY seq",
	[ST_OPEN] = "SELECT " COLUMNS " FROM txn WHERE ended IS NULL ORDER BY began_ms, id",
	[ST_PENDING] = "SELECT guest, item, slot, txn, since_ms FROM pending",
};

static int on_commit(void *arg, sqlite3 *sql, const char *name, int pages)
{
	struct db *db = arg;

	(void)sql, (void)name;
	db->log_pages = pages;
	db->commits++;
	return SQLITE_OK;
}

int db_prepare(struct db *db)
{
	int r = 0;

	sqlite3_wal_hook(db->sql, on_commit, db);
	for (int i = 0; i < ST_COUNT && !r; i++)
		r = sqlite3_prepare_v3(db->sql, text_of[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &db->statement[i], NULL);
	return r;
}

/* ---- values in and out ----------------------------------------------------- */

/* The values of a statement, one after the other. */
struct values {
	sqlite3_stmt *st;
	int at, r;
};

static struct values begin(const struct db *db, enum statement which)
{
	return (struct values){ .st = db->statement[which] };
}

static void text(struct values *v, const char *s)
{
	if (!v->r)
		v->r = sqlite3_bind_text(v->st, ++v->at, s, -1, SQLITE_STATIC);
}

static void number(struct values *v, uint64_t n)
{
	if (!v->r)
		v->r = sqlite3_bind_int64(v->st, ++v->at, (sqlite3_int64)n);
}

static int end(struct values *v)
{
	int r = sqlite3_reset(v->st);

	sqlite3_clear_bindings(v->st);
	return v->r ? v->r : r;
}

/* A statement that answers nothing. Return: SQLite's code. */
static int run(struct values *v)
{
	if (!v->r)
		sqlite3_step(v->st);
	return end(v);
}

static int run_plain(const struct db *db, enum statement which)
{
	struct values v = begin(db, which);

	return run(&v);
}

static bool more(struct values *v)
{
	return !v->r && sqlite3_step(v->st) == SQLITE_ROW;
}

static uint64_t take_number(struct values *v, int column)
{
	return (uint64_t)sqlite3_column_int64(v->st, column);
}

static void take_text(struct values *v, int column, char *ret, size_t len)
{
	const unsigned char *s = sqlite3_column_text(v->st, column);

	if (s)
		snprintf(ret, len, "%s", s);
	else
		v->r = SQLITE_NOMEM; /* what may be NULL was made "" by ifnull() */
}

/* ---- transactions read back ------------------------------------------------- */

static void txn_clear(struct store_txn *t)
{
	sqlite3_free(t->text);
	sqlite3_free(t->steps);
}

void store_txns_free(struct store_txn *txns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		txn_clear(&txns[i]);
	sqlite3_free(txns);
}

static void take_txn(struct values *v, bool with_text, struct store_txn *ret)
{
	struct store_txn t = { 0 };

	take_text(v, 0, t.id, sizeof(t.id));
	take_text(v, 1, t.guest, sizeof(t.guest));
	take_text(v, 2, t.op, sizeof(t.op));
	take_text(v, 3, t.ended, sizeof(t.ended));
	take_text(v, 4, t.reason, sizeof(t.reason));
	t.seq = (unsigned)take_number(v, 5);
	t.keep = take_number(v, 6) != 0;
	t.began_ms = take_number(v, 7);
	t.changed_ms = take_number(v, 8);
	t.deadline_ms = take_number(v, 9);
	if (with_text && !v->r) {
		t.text = sqlite3_mprintf("%s", sqlite3_column_text(v->st, 10));
		if (!t.text || (!t.text[0] && sqlite3_column_bytes(v->st, 10)))
			v->r = SQLITE_NOMEM;
	}
	*ret = t;
}

/* Room for one more of @size bytes each. */
static bool grow(void **list, unsigned n, size_t size)
{
	void *p;

	if (n % LIST_STEP_ROWS)
		return true;
	p = sqlite3_realloc64(*list, (n + LIST_STEP_ROWS) * size);
	if (p)
		*list = p;
	return p;
}

static int read_txns(struct values *v, bool with_text, struct job *job)
{
	while (more(v)) {
		if (!grow((void **)&job->result, job->n, sizeof(*job->result)))
			v->r = SQLITE_NOMEM;
		else
			take_txn(v, with_text, &job->result[job->n++]);
	}
	return end(v);
}

static int read_steps(struct db *db, struct store_txn *t)
{
	struct values v = begin(db, ST_STEPS);

	text(&v, t->id);
	number(&v, STORE_STEPS_MAX);
	while (more(&v)) {
		struct store_step *s;

		if (!grow((void **)&t->steps, t->n_steps, sizeof(*t->steps))) {
			v.r = SQLITE_NOMEM;
			break;
		}
		s = &t->steps[t->n_steps++];
		s->seq = (unsigned)take_number(&v, 0);
		take_text(&v, 1, s->row, sizeof(s->row));
		take_text(&v, 2, s->boot, sizeof(s->boot));
		s->boottime_ms = take_number(&v, 3);
		s->realtime_ms = take_number(&v, 4);
	}
	return end(&v);
}

/* ---- what changes something -------------------------------------------------- */

static int sweep(struct db *db, uint64_t old_ms)
{
	struct values v = begin(db, ST_SWEEP);

	number(&v, old_ms);
	number(&v, SWEEP_MAX);
	return run(&v);
}

static int write_step(struct db *db, const struct store_record *rec)
{
	struct values v = begin(db, ST_STEP);

	text(&v, rec->txn);
	number(&v, rec->seq);
	text(&v, rec->row);
	text(&v, rec->boot);
	number(&v, rec->boottime_ms);
	number(&v, rec->realtime_ms);
	return run(&v);
}

static int do_write(struct db *db, struct job *job)
{
	const struct store_record *rec = &job->record;
	struct values v = begin(db, ST_TXN);
	int r;

	text(&v, rec->txn);
	text(&v, rec->guest);
	text(&v, rec->op);
	text(&v, rec->ended);
	text(&v, rec->reason);
	number(&v, rec->keep);
	number(&v, rec->seq);
	number(&v, rec->realtime_ms);
	number(&v, rec->deadline_ms);
	text(&v, rec->text);
	r = run(&v);
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
	struct values v = begin(db, ST_PENDING_SET);

	text(&v, job->record.guest);
	text(&v, job->item);
	number(&v, (uint64_t)(int64_t)job->slot);
	text(&v, job->record.txn);
	number(&v, job->record.realtime_ms);
	return run(&v);
}

static int do_pending_clear(struct db *db, struct job *job)
{
	struct values v = begin(db, ST_PENDING_CLEAR);

	text(&v, job->record.guest);
	text(&v, job->item);
	return run(&v);
}

static int delete_by_txn(struct db *db, enum statement which, const char *txn)
{
	struct values v = begin(db, which);

	text(&v, txn);
	return run(&v);
}

static int do_forget(struct db *db, struct job *job)
{
	const char *txn = job->record.txn;
	struct values v = begin(db, ST_IS_OPEN);
	bool known = false, open = false;
	int r;

	text(&v, txn);
	if (more(&v)) {
		known = true;
		open = take_number(&v, 0) != 0;
	}
	r = end(&v);
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
	struct values v = begin(db, ST_LIST);

	text(&v, job->record.guest);
	text(&v, job->record.ended);
	number(&v, job->limit);
	return read_txns(&v, false, job);
}

static int do_show(struct db *db, struct job *job)
{
	struct values v = begin(db, ST_SHOW);
	int r;

	text(&v, job->record.txn);
	r = read_txns(&v, true, job);
	if (r)
		return r;
	if (!job->n) {
		ls_err_set(&job->err, -ENOENT, "no transaction %s in the journal", job->record.txn);
		return 0;
	}
	return read_steps(db, job->result);
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
		run_plain(db, ST_ROLLBACK);
}

static int change(struct db *db, struct job *jobs)
{
	int r;

	roll_back(db);
	r = run_plain(db, ST_BEGIN);
	for (struct job *job = jobs; job && !r; job = job->next)
		if (kinds[job->kind].changes)
			r = kinds[job->kind].fn(db, job);
	return r ? r : run_plain(db, ST_COMMIT);
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

/* ---- at the start ---------------------------------------------------------------- */

int db_each_open(struct db *db, int (*fn)(void *arg, const struct store_txn *t), void *arg,
		 struct ls_err *err)
{
	struct values v = begin(db, ST_OPEN);
	int n = 0, r = 0, code;

	while (r >= 0 && more(&v)) {
		struct store_txn t;

		take_txn(&v, true, &t);
		if (!v.r) {
			r = fn(arg, &t);
			n++;
		}
		txn_clear(&t);
	}
	code = end(&v);
	if (code)
		return db_error(db, code, "not read", err);
	return r < 0 ? r : n;
}

int db_each_pending(struct db *db, int (*fn)(void *arg, const struct store_pending *p), void *arg,
		    struct ls_err *err)
{
	struct values v = begin(db, ST_PENDING);
	int n = 0, r = 0, code;

	while (r >= 0 && more(&v)) {
		struct store_pending p = { .slot = (int)(int64_t)take_number(&v, 2) };

		take_text(&v, 0, p.guest, sizeof(p.guest));
		take_text(&v, 1, p.item, sizeof(p.item));
		take_text(&v, 3, p.txn, sizeof(p.txn));
		p.since_ms = take_number(&v, 4);
		if (!v.r) {
			r = fn(arg, &p);
			n++;
		}
	}
	code = end(&v);
	if (code)
		return db_error(db, code, "not read", err);
	return r < 0 ? r : n;
}
