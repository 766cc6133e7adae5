/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon counts, and how Prometheus reads it.
 *
 * Counted by the loop's thread, read by any, without a lock: each number is right, and
 * they belong to nearly the same moment.
 */
#ifndef COORDINATOR_METRICS_H
#define COORDINATOR_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include "../core/txn.h"
#include "../run/wish.h"

struct board;
struct metrics;
struct store;

/* Return: NULL when out of memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/**
 * metrics_ended() - A request has ended
 * @m:    NULL: nobody counts
 * @kind: what was asked
 * @end:  END_REFUSED also for what never became a transaction
 * @why:  of what did not end as END_DONE
 */
void metrics_ended(struct metrics *m, enum wish_kind kind, enum txn_end end,
		   const struct ls_err *why);

/* A row was left, done or failed, after so long. @row: its name, which lives for ever. */
void metrics_row(struct metrics *m, const char *row, uint64_t took_ms);

/**
 * metrics_print() - All of it in Prometheus' text format
 * @board: NULL: no guests
 * @store: NULL: no journal
 *
 * Context: any thread that is registered with RCU.
 */
void metrics_print(FILE *f, const struct metrics *m, struct board *board,
		   const struct store *store);

#endif
