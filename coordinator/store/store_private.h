/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the parts of the store: store_ask.c makes jobs of what is asked, store.c queues
 * and answers them, store_jobs.c does them in the words of store_sql.c, and store_schema.c
 * opens the file that they are done on.
 *
 * All memory of the store comes from SQLite's allocator: a test that lets the Nth
 * allocation fail reaches both.
 */
#ifndef COORDINATOR_STORE_PRIVATE_H
#define COORDINATOR_STORE_PRIVATE_H

#include <limits.h>

#include <sqlite3.h>

#include "store.h"

#define STORE_FILE "journal.db"

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_TXN,
	ST_STEP,
	ST_SWEEP,
	ST_PENDING_SET,
	ST_PENDING_CLEAR,
	ST_PENDING_OF,
	ST_FORGET,
	ST_IS_OPEN,
	ST_LIST,
	ST_SHOW,
	ST_STEPS,
	ST_OPEN,
	ST_PENDING,
	ST_COUNT
};

/* One file, used by one thread at a time. */
struct db {
	int lock; /* held while the file is ours */
	char path[PATH_MAX];
	sqlite3 *sql;
	sqlite3_stmt *statement[ST_COUNT];
	int log_pages;		  /* of the write-ahead log, at the last commit */
	_Atomic uint64_t commits; /* since it was opened; other threads read it */
	int log_pages_max;	  /* then it is cut */
};

enum job_kind { JOB_WRITE, JOB_PENDING_SET, JOB_PENDING_CLEAR, JOB_FORGET, JOB_LIST, JOB_SHOW };

/**
 * struct job - Something to do, and then its answer
 * @kind:    see above
 * @bytes:   that it takes of the queue
 * @record:  JOB_WRITE; others use its txn, guest and ended; strings stand behind the job
 * @old_ms:  JOB_WRITE: what ended before this is too old; 0 none
 * @item:    JOB_PENDING_*, with @slot
 * @limit:   JOB_LIST
 * @done:    how it is answered, or @txns; with @arg
 * @next_out: the loop's list of what the thread has
 * @due_us:  when it is answered at the latest
 * @told:    it has been: only its memory is still needed
 * @err:     the answer
 * @result:  @n of them for @txns
 */
struct job {
	enum job_kind kind;
	size_t bytes;
	struct job *next;
	struct store_record record;
	uint64_t old_ms;
	const char *item;
	int slot;
	unsigned limit;
	store_done_fn done;
	store_txns_fn txns;
	void *arg;
	struct job *next_out;
	uint64_t due_us;
	bool told;
	struct ls_err err;
	struct store_txn *result;
	unsigned n;
};

/* ---- store_ask.c ---------------------------------------------------------- */

/* The same, with its strings behind it; sqlite3_free() takes all. NULL: no memory. */
struct job *job_copy(const struct job *from);

/* ---- store.c -------------------------------------------------------------- */

/* @wanted is copied. Return: 0; -EAGAIN, -ENOMEM. */
int store_submit(struct store *s, const struct job *wanted, struct ls_err *err);

/* ---- store_schema.c ------------------------------------------------------- */

int db_open(struct db *db, const char *dir, struct ls_err *err);
void db_close(struct db *db);

/* Why the last call on the file failed with SQLite's @code. Return: a negative errno. */
int db_error(const struct db *db, int code, const char *doing, struct ls_err *err);

/* ---- store_sum.c ---------------------------------------------------------- */

/* What a row of txn is summed over: columns, or the numbers of its parameters. */
#define DB_SUM_COLUMNS "sum_of(id, guest, op, ended, reason, keep, seq, deadline_ms, text)"
#define DB_SUM_VALUES  "sum_of(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9, ?10)"

/* Let SQL say sum_of(). Return: SQLite's code. */
int db_add_sum(struct db *db);

/* ---- store_sql.c ---------------------------------------------------------- */

int db_prepare(struct db *db);

int db_each_open(struct db *db, int (*fn)(void *arg, const struct store_txn *t), void *arg,
		 struct ls_err *err);
int db_each_pending(struct db *db, int (*fn)(void *arg, const struct store_pending *p), void *arg,
		    struct ls_err *err);

void store_txns_free(struct store_txn *txns, unsigned n);

/* ---- store_jobs.c --------------------------------------------------------- */

/* Do all of them: what changes something in one transaction, then what reads. */
void db_run(struct db *db, struct job *jobs);

/* Between groups, when nobody waits: keep the write-ahead log short. */
void db_tidy(struct db *db);

#endif
