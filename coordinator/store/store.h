/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's journal: what has been asked, how far it has come, how it ended.
 *
 * DOC: store
 *
 * One SQLite file in the state directory, which outlives the daemon and the host's
 * power. SQLite has the write-ahead log, the checksums and the recovery that a journal
 * needs; what is added here is that nobody waits for a disk:
 *
 *	loop      store_write() ... done()        never blocks, never on the disk
 *	thread    takes all that waits, one SQL transaction, one fsync
 *
 * Nor does anybody wait for ever: a disk that stands still fails what was asked of it
 * after a time. When it comes back, all is written in the order in which it came.
 *
 * done() without an error means that the record is on disk: the request which it
 * announces may leave (journal before action). With an error nothing is promised, not
 * even that the record is gone: a crash right after may show it. The engine looks at
 * the world before it believes a record, so that is harmless.
 *
 * What is in the file stands in docs/journal.md. It has no secrets: ids, addresses of
 * sockets, sizes, and what QEMU and the guest have said.
 *
 * A file that is damaged or newer is refused and not touched: it may be all that is
 * known about a guest that stands still.
 */
#ifndef COORDINATOR_STORE_H
#define COORDINATOR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <lockstep/err.h>
#include <lockstep/limits.h>

#define STORE_LIST_MAX	 1000 /* transactions in one answer */
#define STORE_STEPS_MAX	 1000 /* the newest steps of one transaction */
#define STORE_WORD_BYTES 32   /* an operation, a row, an end; with the final NUL */
#define STORE_BOOT_BYTES 40   /* a boot id: 36 characters */

struct store;

/**
 * struct store_limits - What the store may take
 * @queue_jobs:  that have not been answered yet
 * @queue_bytes: of them together
 * @keep_days:   an ended transaction is deleted after this time; 0: never
 * @answer_ms:   what has not been done after this time is answered with -ETIMEDOUT
 * @log_pages:   of 4 KiB: a longer write-ahead log is written back; as it was at
 *               store_open()
 */
struct store_limits {
	unsigned queue_jobs;
	size_t queue_bytes;
	unsigned keep_days;
	unsigned answer_ms;
	unsigned log_pages;
};

/**
 * struct store_record - A transaction at the entry of a row, or at its end
 * @txn:         its id
 * @guest:       whose; stays the same
 * @op:          what kind
 * @row:         being entered
 * @seq:         rises with each record of the transaction
 * @text:        everything needed to go on: replaces the one before
 * @ended:       how; NULL: open
 * @keep:        not to be deleted by age: somebody has to decide something about it
 * @reason:      in words; NULL none
 * @boot:        boot id of the host: @boottime_ms means nothing in another boot
 * @boottime_ms: CLOCK_BOOTTIME
 * @realtime_ms: CLOCK_REALTIME; the store has no clock of its own
 * @deadline_ms: of the transaction, on CLOCK_BOOTTIME; 0 none
 */
struct store_record {
	const char *txn, *guest, *op, *row;
	unsigned seq;
	const char *text;
	const char *ended;
	bool keep;
	const char *reason;
	const char *boot;
	uint64_t boottime_ms, realtime_ms, deadline_ms;
};

/* One record of a transaction, as far as it is kept when the next one has come. */
struct store_step {
	unsigned seq;
	char row[STORE_WORD_BYTES];
	char boot[STORE_BOOT_BYTES];
	uint64_t boottime_ms, realtime_ms;
};

/**
 * struct store_txn - A transaction read back; fields as in struct store_record
 * @ended:      "" while it is open
 * @began_ms:   CLOCK_REALTIME of its first record, @changed_ms of its newest
 * @text:       NULL in a list
 * @steps:      @n_steps of them, oldest first; NULL but in store_show()
 */
struct store_txn {
	char id[LS_TXN_BYTES];
	char guest[LS_NAME_BYTES];
	char op[STORE_WORD_BYTES];
	char ended[STORE_WORD_BYTES];
	char reason[LS_ERR_TEXT_BYTES];
	unsigned seq;
	bool keep;
	uint64_t began_ms, changed_ms, deadline_ms;
	char *text;
	struct store_step *steps;
	unsigned n_steps;
};

/**
 * struct store_pending - A device that the guest was asked for and has not given
 * @guest:    whose
 * @item:     id in QEMU
 * @slot:     vCPU or DIMM slot; -1 none
 * @txn:      that asked
 * @since_ms: CLOCK_REALTIME
 */
struct store_pending {
	char guest[LS_NAME_BYTES];
	char item[LS_NAME_BYTES];
	int slot;
	char txn[LS_TXN_BYTES];
	uint64_t since_ms;
};

/* @err->code is 0 when it is on disk; borrowed for the call. */
typedef void (*store_done_fn)(void *arg, const struct ls_err *err);
/* @n transactions, borrowed for the call; @err as above. */
typedef void (*store_txns_fn)(void *arg, const struct store_txn *txns, unsigned n,
			      const struct ls_err *err);

/**
 * store_open() - Create or open the journal of a state directory
 * @loop:      on which everything is answered
 * @dir:       made, for nobody else, if it is not there
 * @limits:    copied
 * @err:       says what is wrong with which file and what to run
 * @ret_store: on success
 *
 * Return: 0, -EBUSY (another daemon has it; @err says which), -ENOTSUP (a newer
 * lockstepd wrote it), -EUCLEAN (damaged, or no journal), another -errno. Nothing
 * that was there is changed when it fails.
 */
int store_open(sd_event *loop, const char *dir, const struct store_limits *limits,
	       struct ls_err *err, struct store **ret_store);

/**
 * store_close() - Write what waits, answer all, close
 * @s: may be NULL; not from a callback of its own
 *
 * Waits for the disk, but no longer than answer_ms: then what it has not taken is answered
 * with -ETIMEDOUT, and the directory is free when the disk has come back. Return: NULL.
 */
struct store *store_close(struct store *s);

/* New limits, from now on. */
void store_set_limits(struct store *s, const struct store_limits *limits);

/**
 * store_write() - Put a record on disk
 * @s:      store
 * @record: copied
 * @done:   called once, later, on the loop
 * @arg:    for @done
 * @err:    when it is refused at once
 *
 * A record that is no newer than the one on disk, or of another guest, is answered
 * with -ESTALE.
 *
 * Return: 0 and @done will be called; -EINVAL (too long), -EAGAIN (too many wait),
 * -ENOMEM: and it will not.
 */
int store_write(struct store *s, const struct store_record *record, store_done_fn done, void *arg,
		struct ls_err *err);

/* An unplug is pending; known already: replaced. Return: as store_write(). */
int store_pending_set(struct store *s, const struct store_pending *p, store_done_fn done, void *arg,
		      struct ls_err *err);

/* It is not any more; @item NULL: nothing of that guest is. Return: as store_write(). */
int store_pending_clear(struct store *s, const char *guest, const char *item, store_done_fn done,
			void *arg, struct ls_err *err);

/**
 * store_forget() - Delete an ended transaction, its steps, and what is pending for it
 *
 * Answered with -ENOENT, or -EBUSY while it is open. Return: as store_write().
 */
int store_forget(struct store *s, const char *txn, store_done_fn done, void *arg,
		 struct ls_err *err);

/**
 * struct store_filter - Which transactions to list
 * @guest: NULL: of any
 * @ended: NULL: however they ended, open ones too; "": open ones only
 * @limit: at most; 0: STORE_LIST_MAX
 */
struct store_filter {
	const char *guest, *ended;
	unsigned limit;
};

/* Newest change first. Return: as store_write(). */
int store_list(struct store *s, const struct store_filter *filter, store_txns_fn fn, void *arg,
	       struct ls_err *err);

/* One, with text and steps; answered with -ENOENT. Return: as store_write(). */
int store_show(struct store *s, const char *txn, store_txns_fn fn, void *arg, struct ls_err *err);

/**
 * store_each_open() - What a daemon that died has left open, oldest first
 * @s:   before anything was asked of it
 * @fn:  called for each; the argument is borrowed. A negative return ends it
 * @arg: for @fn
 * @err: when the journal cannot be read
 *
 * Blocks. Return: how many, what @fn returned, or -errno.
 */
int store_each_open(struct store *s, int (*fn)(void *arg, const struct store_txn *t), void *arg,
		    struct ls_err *err);

/* The same for what is pending. */
int store_each_pending(struct store *s, int (*fn)(void *arg, const struct store_pending *p),
		       void *arg, struct ls_err *err);

/* How often the disk has confirmed something since it was opened. Context: any thread. */
uint64_t store_commits(const struct store *s);

#endif
