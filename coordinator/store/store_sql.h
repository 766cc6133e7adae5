/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statements with their values, for store_jobs.c. All codes are SQLite's; the first that is
 * no success stays, and nothing is done after it.
 *
 *	struct values v = sql_begin(db, ST_STEPS);
 *	sql_text(&v, id);                      the values of its parameters, in order
 *	while (sql_more(&v))                   or sql_run(), where nothing is answered
 *		n = sql_take_number(&v, 0);
 *	r = sql_end(&v);
 */
#ifndef COORDINATOR_STORE_SQL_H
#define COORDINATOR_STORE_SQL_H

#include "store_private.h"

/**
 * struct values - A statement, and its values one after the other
 */
struct values {
	sqlite3_stmt *st;
	int at, r;
};

struct values sql_begin(const struct db *db, enum statement which);
void sql_text(struct values *v, const char *s);
void sql_number(struct values *v, uint64_t n);
bool sql_more(struct values *v);
uint64_t sql_take_number(struct values *v, int column);
int sql_end(struct values *v);

/* A statement that answers nothing, with or without values. */
int sql_run(struct values *v);
int sql_run_plain(const struct db *db, enum statement which);

/* All that the statement answers, into @job's result. */
int sql_read_txns(struct values *v, bool with_text, struct job *job);

/* The rows that @t went through, the last STORE_STEPS_MAX of them. */
int sql_read_steps(struct db *db, struct store_txn *t);

#endif
