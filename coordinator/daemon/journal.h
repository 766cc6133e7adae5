/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon puts into its store.
 *
 * Each record of a transaction is in two places before its row's verb is asked: in QEMU
 * (hv_store.c), where whoever comes next finds what is to be ended, be it a command or a
 * daemon on another host; and in the store, which knows afterwards what was done and how
 * it ended, also when QEMU is gone.
 */
#ifndef COORDINATOR_JOURNAL_H
#define COORDINATOR_JOURNAL_H

#include "../core/txn.h"
#include "lane.h"
#include "../store/store.h"

struct daemon;

/**
 * journal_open() - Open the store of the state directory; once, before the guests
 *
 * Return: 0; as store_open().
 */
int journal_open(struct daemon *d, struct ls_err *err);
void journal_close(struct daemon *d);

/* The store's limits as the configuration has them now. */
void journal_set_limits(struct daemon *d);

/* A lane_ops.record and a lane_ops.ready; @arg is the daemon. */
void journal_record(void *arg, const struct lane *l, const struct lane_record *record,
		    store_done_fn done, void *done_arg);
void journal_ready(void *arg, const struct lane *l, enum lane_left left);

/* A store_done_fn for what nobody waits for: a failure is logged. */
void journal_done(void *arg, const struct ls_err *err);

/* ---- journal_unplug.c: unplugs that are pending ----------------------------------- */

/* A lane_ops.unplug; @arg is the daemon. */
void journal_unplug(void *arg, const struct lane *l, const struct lane_unplug *u, bool pending);

/* Tell a lane that has just been made what is pending in its guest. */
void journal_expect(const struct daemon *d, struct lane *l);

/* A transaction of this record has ended pending while nobody watched. */
void journal_unplugs_of(struct daemon *d, const char *guest, const char *record);

/* The store has forgotten a transaction, and what was pending for it. */
void journal_forgotten(struct daemon *d, const char *txn);

/* At the start, what is on record; at the end. Return: as store_each_pending(). */
int journal_unplugs_read(struct daemon *d, struct ls_err *err);
void journal_unplugs_done(struct daemon *d);

#endif
