/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of each guest, for whoever wants to read it.
 *
 * DOC: theory
 *
 * A lane publishes what it knows as one object that never changes again; a reader takes the
 * newest. Neither waits for the other, nor for a guest: the loop's thread writes and has
 * objects that nobody needs any more freed by liburcu's own thread; "list" and "status" read
 * in the loop, metrics in a thread that answers also when the loop does not.
 *
 *	board ──► guest ──► guest ──► ...        a list, by RCU
 *	            │ now
 *	            ▼
 *	          seen                           replaced as a whole, by RCU
 */
#ifndef COORDINATOR_BOARD_H
#define COORDINATOR_BOARD_H

#include "lane.h"

struct board;
struct board_guest;

/**
 * struct seen - A guest at one moment
 * @name:    of the guest
 * @reason:  LANE_AWAY: why
 * @txn:     that runs; empty: none does
 * @waiting: requests; @unplugs: that are pending
 * @seen_ms: when @vm was seen
 * @vm:      its last view; NULL: there is none
 */
struct seen {
	char name[LS_NAME_BYTES];
	enum lane_state state;
	char reason[LS_ERR_TEXT_BYTES];
	char txn[LS_TXN_BYTES];
	unsigned waiting, unplugs;
	uint64_t seen_ms;
	const struct vm *vm;
};

/* Makes the calling thread, which is the only one to write, a reader. NULL: out of memory. */
struct board *board_new(void);

/* When every guest was removed and nobody reads any more. */
void board_free(struct board *b);

struct board_guest *board_add(struct board *b, const char *name);
void board_remove(struct board_guest *g);

/* @s and its vm are copied; the name is set here. Out of memory: what is known grows old. */
void board_publish(struct board_guest *g, const struct seen *s);

/**
 * board_begin() - Start to read
 *
 * Context: a thread that is registered with RCU; nothing until board_end() blocks.
 */
void board_begin(void);
void board_end(void);

/* The newest, valid until board_end(); never NULL. */
const struct seen *board_seen(struct board_guest *g);

/* @fn for each guest, between board_begin() and board_end(). */
void board_each(struct board *b, void (*fn)(void *arg, const struct seen *s), void *arg);

#endif
