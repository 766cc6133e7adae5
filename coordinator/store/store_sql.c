/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the store says in SQL, how values go in and out, and what is read at the start.
 */
#include "store_sql.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

struct values sql_begin(const struct db *db, enum statement which)
{
	return (struct values){ .st = db->statement[which] };
}

void sql_text(struct values *v, const char *s)
{
	if (!v->r)
		v->r = sqlite3_bind_text(v->st, ++v->at, s, -1, SQLITE_STATIC);
}

void sql_number(struct values *v, uint64_t n)
{
	if (!v->r)
		v->r = sqlite3_bind_int64(v->st, ++v->at, (sqlite3_int64)n);
}

int sql_end(struct values *v)
{
	int r = sqlite3_reset(v->st);

	sqlite3_clear_bindings(v->st);
	return v->r ? v->r : r;
}

int sql_run(struct values *v)
{
	if (!v->r)
		sqlite3_step(v->st);
	return sql_end(v);
}

int sql_run_plain(const struct db *db, enum statement which)
{
	struct values v = sql_begin(db, which);

	return sql_run(&v);
}

bool sql_more(struct values *v)
{
	return !v->r && sqlite3_step(v->st) == SQLITE_ROW;
}

uint64_t sql_take_number(struct values *v, int column)
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
	t.seq = (unsigned)sql_take_number(v, 5);
	t.keep = sql_take_number(v, 6) != 0;
	t.began_ms = sql_take_number(v, 7);
	t.changed_ms = sql_take_number(v, 8);
	t.deadline_ms = sql_take_number(v, 9);
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

int sql_read_txns(struct values *v, bool with_text, struct job *job)
{
	while (sql_more(v)) {
		if (!grow((void **)&job->result, job->n, sizeof(*job->result)))
			v->r = SQLITE_NOMEM;
		else
			take_txn(v, with_text, &job->result[job->n++]);
	}
	return sql_end(v);
}

int sql_read_steps(struct db *db, struct store_txn *t)
{
	struct values v = sql_begin(db, ST_STEPS);

	sql_text(&v, t->id);
	sql_number(&v, STORE_STEPS_MAX);
	while (sql_more(&v)) {
		struct store_step *s;

		if (!grow((void **)&t->steps, t->n_steps, sizeof(*t->steps))) {
			v.r = SQLITE_NOMEM;
			break;
		}
		s = &t->steps[t->n_steps++];
		s->seq = (unsigned)sql_take_number(&v, 0);
		take_text(&v, 1, s->row, sizeof(s->row));
		take_text(&v, 2, s->boot, sizeof(s->boot));
		s->boottime_ms = sql_take_number(&v, 3);
		s->realtime_ms = sql_take_number(&v, 4);
	}
	return sql_end(&v);
}

/* ---- at the start ---------------------------------------------------------------- */

int db_each_open(struct db *db, int (*fn)(void *arg, const struct store_txn *t), void *arg,
		 struct ls_err *err)
{
	struct values v = sql_begin(db, ST_OPEN);
	int n = 0, r = 0, code;

	while (r >= 0 && sql_more(&v)) {
		struct store_txn t;

		take_txn(&v, true, &t);
		if (!v.r) {
			r = fn(arg, &t);
			n++;
		}
		txn_clear(&t);
	}
	code = sql_end(&v);
	if (code)
		return db_error(db, code, "not read", err);
	return r < 0 ? r : n;
}

int db_each_pending(struct db *db, int (*fn)(void *arg, const struct store_pending *p), void *arg,
		    struct ls_err *err)
{
	struct values v = sql_begin(db, ST_PENDING);
	int n = 0, r = 0, code;

	while (r >= 0 && sql_more(&v)) {
		struct store_pending p = { .slot = (int)(int64_t)sql_take_number(&v, 2) };

		take_text(&v, 0, p.guest, sizeof(p.guest));
		take_text(&v, 1, p.item, sizeof(p.item));
		take_text(&v, 3, p.txn, sizeof(p.txn));
		p.since_ms = sql_take_number(&v, 4);
		if (!v.r) {
			r = fn(arg, &p);
			n++;
		}
	}
	code = sql_end(&v);
	if (code)
		return db_error(db, code, "not read", err);
	return r < 0 ? r : n;
}
