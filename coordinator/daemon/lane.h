/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest of the daemon: its claim, its connections, its queue of requests.
 *
 * DOC: theory
 *
 * A lane never waits: each step begins something and is called when that has come.
 *
 *	AWAY ── connected, looked ──► nothing left behind? ── yes ──► READY ◄──► BUSY
 *	 ▲ ▲                                 │ no                       │
 *	 │ └── looks again, later ◄── RECOVERING (a process of its own) │
 *	 └──────────────────── the monitor is lost ◄────────────────────┘
 *
 * While it is not READY or BUSY, requests are refused at once with the reason. The claim
 * is held as long as there is a connection, so nobody else works on the guest; whatever
 * else holds it is told as the reason.
 *
 * One lane's silence is nobody else's: all waits are timers of its own.
 */
#ifndef COORDINATOR_LANE_H
#define COORDINATOR_LANE_H

#include <systemd/sd-event.h>

#include "../core/vm.h"
#include "../run/guests.h"
#include "../run/wish.h"

struct board;
struct json_object;
struct lane;
struct metrics;
struct txn;

enum lane_state { LANE_AWAY, LANE_RECOVERING, LANE_READY, LANE_BUSY, LANE_STATE_COUNT };

const char *lane_state_name(enum lane_state s);

/**
 * struct lane_job - One request
 * @id:         of the transaction that it becomes
 * @wish:       what was asked
 * @owner:      whoever asked, for lane_ops.event; never read here
 * @timeout_ms: for the operation as a whole; 0 as long as its rows allow
 */
struct lane_job {
	char id[LS_TXN_BYTES];
	struct wish wish;
	uint64_t owner;
	unsigned timeout_ms;
};

/**
 * struct lane_record - What is to be on disk before the next request leaves
 * @t, @row, @text: as run_ops.record; @seq: rises
 */
struct lane_record {
	const struct txn *t;
	const char *row, *text;
	unsigned seq;
};

/**
 * struct lane_unplug - A device that the guest was asked for and has not given
 * @item: its id in QEMU; @slot: -1 none; @txn: that asked; @since_ms: CLOCK_REALTIME
 */
struct lane_unplug {
	char item[LS_NAME_BYTES];
	int slot;
	char txn[LS_TXN_BYTES];
	uint64_t since_ms;
};

uint64_t lane_real_ms(void); /* CLOCK_REALTIME */

#define LANE_UNPLUGS_MAX (LS_CPUS_MAX + LS_MEM_DEVICES_MAX)

/* What became of a transaction that was found interrupted. */
enum lane_left { LANE_LEFT_NOTHING, LANE_LEFT_ENDED, LANE_LEFT_PENDING, LANE_LEFT_STUCK };

/**
 * struct lane_ops - Who hears how a request goes
 * @event: an object of report.h, borrowed. The first is "accepted" (it is on record),
 *         "error" (refused: nothing was changed; the last, too) or "end" (it was so
 *         already); the last is "now": what is true afterwards, "text" and "vm"
 * @record: as run_ops.record, but @done is always called; NULL: nobody keeps it
 * @ready: the guest is reached, and nothing interrupted is left in it, since it was ended,
 *         or could not be; NULL allowed
 * @away: it is not reached, for the reason that lane_away() tells; NULL allowed
 * @unplug: an unplug is pending, or is not any more; NULL allowed
 * @board: where it publishes what it knows
 * @metrics: where it counts; NULL: nobody does
 */
struct lane_ops {
	void (*event)(void *arg, const struct lane *l, const struct lane_job *j,
		      struct json_object *o);
	void (*record)(void *arg, const struct lane *l, const struct lane_record *record,
		       void (*done)(void *done_arg, const struct ls_err *err), void *done_arg);
	void (*ready)(void *arg, const struct lane *l, enum lane_left left);
	void (*away)(void *arg, const struct lane *l);
	void (*unplug)(void *arg, const struct lane *l, const struct lane_unplug *u, bool pending);
	void *arg;
	struct board *board;
	struct metrics *metrics;
};

/**
 * struct lane_limits - Of one lane; borrowed, may change at any time
 * @queue:          requests that wait, at most
 * @reconnect_ms:   between two attempts, at most; they begin at LANE_RETRY_MS
 */
struct lane_limits {
	unsigned queue;
	unsigned reconnect_ms;
};

#define LANE_RETRY_MS 500

/* @guest is copied; connects at once. Return: NULL when out of memory. */
struct lane *lane_new(sd_event *loop, const struct guest *guest, const struct lane_limits *limits,
		      const struct lane_ops *ops);

/* What runs is left to the journal: whoever comes next takes it back. */
void lane_free(struct lane *l);

/**
 * lane_ask() - Put a request into the queue
 * @job: copied; @id is given here
 *
 * Return: 0, its events come later, from the loop; -EPIPE the guest cannot be reached
 * now; -EBUSY too many wait, or the lane is closed.
 */
int lane_ask(struct lane *l, const struct lane_job *job, struct ls_err *err,
	     char ret_id[LS_TXN_BYTES]);

/**
 * lane_go_on() - Take up a transaction that has ended stuck or pending
 * @t:     as txn_load() gave it; consumed, even on failure
 * @seq:   of its newest record
 * @undo:  take it back; else forward
 * @job:   who asked, and for how long; id and wish are those of @t
 *
 * Return: as lane_ask() and txn_reopen(); its id is its own.
 */
int lane_go_on(struct lane *l, struct txn *t, unsigned seq, bool undo, const struct lane_job *job,
	       struct ls_err *err);

/**
 * struct lane_doctor - What the doctor is to do
 * @fix:        heal what disagrees
 * @timeout_ms: for the agent; 0: what it takes at most
 */
struct lane_doctor {
	bool fix;
	unsigned timeout_ms;
};

/**
 * lane_doctor() - Name what disagrees in the guest
 * @fn:  called once, later: the findings of doctor.h, borrowed; @err with a code if the
 *       doctor could not do it
 *
 * Return: as lane_ask(); -EBUSY while the guest is somebody's.
 */
typedef void (*lane_doctor_fn)(void *arg, struct json_object *findings, const struct ls_err *err);
int lane_doctor(struct lane *l, const struct lane_doctor *how, lane_doctor_fn fn, void *arg,
		struct ls_err *err);

/**
 * lane_cancel() - Take a request back
 * @id: NULL: the one that runs
 *
 * Return: 0; -ENOENT there is none of that name.
 */
int lane_cancel(struct lane *l, const char *id, struct ls_err *err);

/* What is on record: before the first look, or in ready(). */
void lane_expect_unplug(struct lane *l, const struct lane_unplug *u);

/* The transaction's pending unplugs are taken for none from now on. */
void lane_forget(struct lane *l, const char *txn);

/* No more requests: those that wait are refused, the one that runs goes on. */
void lane_close(struct lane *l);

const struct guest *lane_guest(const struct lane *l);
enum lane_state lane_state(const struct lane *l);

/* Why it is away; NULL: it is not, or it is being connected for the first time. */
const struct ls_err *lane_away(const struct lane *l);

/* One line of the list; and all that was seen last, never waiting for the guest. */
struct json_object *lane_summary(const struct lane *l);
struct json_object *lane_status(const struct lane *l);

#endif
