/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drives the engine: carries its actions out on the guests, brings back what happens.
 */
#ifndef COORDINATOR_RUN_H
#define COORDINATOR_RUN_H

#include <systemd/sd-event.h>

#include "../core/engine.h"
#include "guests.h"

/**
 * struct run_ops - Who hears how it goes
 * @tell:     an ACT_TELL of the engine
 * @progress: a look while a migration transfers
 * @record:   one more place for each record, beside QEMU: of @t, at @row ("end" if none),
 *            the last one if t->end is set; @done takes @done_arg and is called once, at
 *            once or later, unless the run has been freed; NULL: there is none
 * @hint:     something happened to a guest by itself, with a transaction or without
 * @lost:     a monitor's connection is gone, the same
 */
struct run_ops {
	void (*tell)(void *arg, const struct txn *t, const struct action *a);
	void (*progress)(void *arg, const struct vm_progress *p, enum vm_mig mig);
	void (*record)(void *arg, const struct txn *t, const char *row, const char *text,
		       void (*done)(void *done_arg, const struct ls_err *err), void *done_arg);
	void (*hint)(void *arg, const char *what);
	void (*lost)(void *arg);
	void *arg;
};

struct run;

/**
 * run_new() - The guests of one command
 * @loop: event loop
 * @src:  the guest; borrowed
 * @dst:  where it is to go; NULL unless it migrates; borrowed
 * @ops:  copied; NULL: nobody wants to know
 *
 * Return: NULL when out of memory.
 */
struct run *run_new(sd_event *loop, const struct guest *src, const struct guest *dst,
		    const struct run_ops *ops);
void run_free(struct run *run);

/**
 * run_look() - Look once, and wait for it
 * @run: no transaction may be under way
 * @err: why a guest did not answer
 *
 * Return: 0; -errno of the connection that failed; the view is run_view().
 */
int run_look(struct run *run, struct ls_err *err);

/*
 * The same without waiting: @fn is called from the loop when the view is there. A
 * transaction that begins before that takes its place.
 */
typedef void (*run_looked_fn)(void *arg);
void run_look_start(struct run *run, run_looked_fn fn, void *arg);

/* Why the last look got no answer; 0 if it got one. */
int run_look_error(const struct run *run, struct ls_err *err);
const struct view *run_view(const struct run *run);

/* The hypervisor connection of a side; run->side stays valid for the run's life. */
struct hv *run_hv(const struct run *run, enum side side);

/**
 * run_start() - Begin to walk a transaction; never blocks
 * @t:           new (gets its epoch) or loaded; borrowed until its end
 * @deadline_ms: qmp_now_ms() clock; 0 none
 * @fn:          called once, later, from the loop, when t->end is final: the run may be
 *               freed there, or given the next transaction
 *
 * Return: 0; -errno, and @fn is not called.
 */
typedef void (*run_ended_fn)(void *arg, struct txn *t);
int run_start(struct run *run, struct txn *t, uint64_t deadline_ms, run_ended_fn fn, void *arg);

/* Above every epoch that the guest has seen: what was asked before it is void. */
void run_set_epoch(const struct run *run, struct txn *t);

/* The same for a program that has nothing else to do. Return: 0 (whatever the end), -errno. */
int run_txn(struct run *run, struct txn *t, uint64_t deadline_ms);

/* The same for a transaction whose coordinator died: back, unless it can only go forward. */
int run_undo(struct run *run, struct txn *t, uint64_t deadline_ms);

/**
 * run_join() - Add the other QEMU of an interrupted migration
 * @side: which one it is; if SIDE_SRC, the one that the run began with is the destination
 * @g:    where it is; must live as long as the run
 */
void run_join(struct run *run, enum side side, const struct guest *g);

/* Ask for it to be taken back; from a signal's handler in the loop. */
void run_cancel(struct run *run);

#endif
