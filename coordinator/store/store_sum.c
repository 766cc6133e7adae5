/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sum over each transaction's row, made and checked in SQL by a function of ours.
 *
 * SQLite's pages have none. A file that has been cut short while its log was there is
 * read as zeros behind its end, and a page of zeros in the middle of a long text is no
 * damage in SQLite's eyes. It is in ours: a transaction would go on from it. The sum
 * (FNV-1a, 64 bits) is against damage, not against somebody who wants to deceive.
 */
#include "store_private.h"

#define FNV_BEGIN 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

static uint64_t add(uint64_t sum, const unsigned char *p, int n)
{
	for (int i = 0; i < n; i++)
		sum = (sum ^ p[i]) * FNV_PRIME;
	return sum;
}

/* Kind and end of a value are part of it: ("ab", NULL) is not ("a", "b"). */
static void sum_of(sqlite3_context *c, int n, sqlite3_value **values)
{
	uint64_t sum = FNV_BEGIN;

	for (int i = 0; i < n; i++) {
		unsigned char kind = (unsigned char)sqlite3_value_type(values[i]);
		const unsigned char *text = sqlite3_value_text(values[i]);

		if (!text && kind != SQLITE_NULL) {
			sqlite3_result_error_nomem(c);
			return;
		}
		sum = add(sum, text, text ? sqlite3_value_bytes(values[i]) : 0);
		sum = add(sum, &kind, 1);
	}
	sqlite3_result_int64(c, (sqlite3_int64)sum);
}

int db_add_sum(struct db *db)
{
	return sqlite3_create_function(db->sql, "sum_of", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
				       NULL, sum_of, NULL, NULL);
}
