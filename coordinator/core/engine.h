/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine: takes events, gives out actions, walks one transaction over its table.
 *
 * DOC: theory
 *
 * The engine never reads a clock, a socket or a file. Whoever drives it (the command
 * line, the daemon, the simulator) hands it what has happened and carries out what
 * it asks for; time comes with each event.
 *
 * The cycle of a row is LOOK, WRITE, ASK, LOOK:
 *
 *	LOOK   read the whole vector; done already? next row. Note the level before.
 *	WRITE  put the row on record; nothing is asked before that has been written
 *	ASK    one verb for those items that are not there yet; the reply is a hint
 *	LOOK   a look that began after the reply decides: done, not yet, or impossible
 *
 * "Not yet" waits for something to happen (HINT), for the deadline, or for the next
 * poll where nothing tells. A failed row turns the walk round: it is visited first
 * on the way back, because it may be half done, then every row that was entered,
 * down to the level that it had before. A failure on the way back, or beyond a
 * pivot, ends as stuck. On every end the holds are given back in reverse.
 *
 * Whoever drives the engine takes all its actions before the next event, and answers
 * each LOOK, WRITE and ASK in a bounded time, be it with a failure.
 *
 * Replies and events are never believed: what decides is an observation that began
 * after the request was answered. So lost events, lost connections and crashes all
 * come out the same way: look again.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "table.h"
#include "txn.h"

enum event_kind {
	EV_OBSERVED,	 /* @view: the answer to ACT_LOOK number view->look */
	EV_REPLY,	 /* to ACT_ASK number @req: @err.code 0 or why not; -EAGAIN: not yet */
	EV_LOST,	 /* a connection has gone: what was under way is void, a look too */
	EV_HINT,	 /* something has happened, or a connection is back: look */
	EV_WRITTEN,	 /* the record of ACT_WRITE number @req is on disk */
	EV_WRITE_FAILED, /* it is not, and @err says why */
	EV_TIMER,	 /* the time of the last ACT_TIMER has come */
	EV_CANCEL,	 /* somebody wants it undone; too late beyond a pivot */
};

/* Of a reply: what was wrong with one of the items that were asked for. */
struct item_err {
	unsigned item;
	struct ls_err err;
};

/**
 * struct event - Something that has happened
 * @kind:   see above
 * @now_ms: when, on the driver's clock, which never goes back
 * @req:    EV_REPLY, EV_WRITTEN, EV_WRITE_FAILED
 * @view:   EV_OBSERVED; borrowed for the call
 * @err:    code 0 unless something failed
 * @bad:    EV_REPLY: which items failed, @n_bad of them, as far as it is known; borrowed
 */
struct event {
	enum event_kind kind;
	uint64_t now_ms;
	uint32_t req;
	const struct view *view;
	struct ls_err err;
	const struct item_err *bad;
	unsigned n_bad;
};

enum action_kind {
	ACT_LOOK,  /* observe; answer with EV_OBSERVED or EV_LOST */
	ACT_WRITE, /* txn_save() and store; answer with EV_WRITTEN or EV_WRITE_FAILED */
	ACT_ASK,   /* @verb; answer with EV_REPLY or EV_LOST */
	ACT_TIMER, /* send EV_TIMER at @at_ms; replaces the timer before; 0: none */
	ACT_TELL,  /* for whoever asked and for the log */
	ACT_END,   /* over: txn->end and txn->reason are final, nothing is held */
};

enum tell { TELL_ACCEPTED, TELL_ROW, TELL_ROW_DONE, TELL_ROW_FAILED, TELL_ROLLBACK, TELL_WARN };

/**
 * struct action - Something to do; actions are carried out in order
 * @kind:   see above
 * @req:    number of the look, write or ask
 * @verb:   ACT_ASK: what, of @side, for the @n items in @todo (indices into
 *          txn->items), to bring each to @level[that index]; borrowed until the next event
 * @at_ms:  ACT_TIMER
 * @tell:   ACT_TELL: what, about the row @row, with its duration @took_ms, and @text
 */
struct action {
	enum action_kind kind;
	uint32_t req;
	enum verb verb;
	enum side side;
	const unsigned *todo;
	unsigned n;
	const uint64_t *level;
	uint64_t at_ms;
	enum tell tell;
	const char *row;
	uint64_t took_ms;
	char text[LS_ERR_TEXT_BYTES];
};

struct engine;

/**
 * engine_new() - Walk a transaction from where it stands
 * @t:           new, or loaded from a record; borrowed
 * @now_ms:      the driver's clock
 * @deadline_ms: on that clock, for the transaction as a whole; 0 none
 *
 * Return: NULL when out of memory.
 */
struct engine *engine_new(struct txn *t, uint64_t now_ms, uint64_t deadline_ms);
void engine_free(struct engine *e);

void engine_event(struct engine *e, const struct event *ev);

/* Take the next action. Return: false when there is none until the next event. */
bool engine_next(struct engine *e, struct action *ret_action);

/* The row being visited, NULL when the walk is over; for display. */
const struct row *engine_row(const struct engine *e);

#endif
