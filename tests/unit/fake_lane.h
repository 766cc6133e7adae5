/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lane over a run that is none: the test answers looks, ends transactions, and loses the
 * monitor when it wants to. The linker gives the lane's calls of run.h to fake_lane.c
 * (__wrap_...), and those of the claim, the journal in QEMU, and posix_spawn().
 */
#ifndef FAKE_LANE_H
#define FAKE_LANE_H

#include <stdbool.h>

#include "../../coordinator/daemon/board.h"
#include "../../coordinator/daemon/lane_private.h"
#include "../../coordinator/hv/hv.h"

/**
 * struct fake_lane - What the lane sees, what it has asked, and what it has said
 * @ops:       of its run; @runs: how many are made and not freed; @claims: the same
 * @looked:    a look is out; @store: the journal in QEMU is being read
 * @t, @ended: a transaction runs; @cancels: how often it was asked back
 * @away:      no look is answered
 * @expected:  unplugs that the connection was told of
 * @heals:     a doctor is out, for @heals_ms; @deadline_ms: of the transaction
 * @exit:      of the recovery; @spawned: how many
 * @said:      events, "REQUEST EVENT END;" each
 * @readies, @left: of lane_ops.ready; @aways: of lane_ops.away; @pending: of lane_ops.unplug
 * @seq, @done, @done_arg: of the last record
 */
struct fake_lane {
	sd_event *loop;
	struct lane *lane;
	struct board *board;
	struct run_ops ops;
	int runs, claims;
	struct view view;
	struct vm_cpu cpus[4];
	run_looked_fn looked;
	void *looked_arg;
	hv_value_fn store, heals;
	void *store_arg, *heals_arg;
	struct txn *t;
	run_ended_fn ended;
	void *ended_arg;
	unsigned cancels, expected, spawned, readies, aways, seq, heals_ms;
	uint64_t deadline_ms;
	bool away;
	int exit, pending;
	enum lane_left left;
	char said[4096];
	void (*done)(void *arg, const struct ls_err *err);
	void *done_arg;
};

extern struct fake_lane fake;

/* All that is to be done now is done. */
void fake_turn(void);

/* The look that is out is over. */
void fake_look(void);

/* Until the lane looks again, by a timer of its own. */
void fake_await_look(void);

/* The journal in QEMU has a record, or none. */
void fake_record(bool there);

/* Looked at, and nothing left behind. */
void fake_make_ready(void);

/* Return: as lane_ask(); @owner tells requests apart in what is said. */
int fake_ask(unsigned owner, unsigned vcpus, char ret_id[LS_TXN_BYTES]);

/* Asked, looked at, and run; then its end. */
void fake_begin(unsigned owner, unsigned vcpus);
void fake_end(enum txn_end end);

/* No more and no less has been said since the last time. */
void fake_assert_said(const char *what);

/* A vCPU is in the slot, online. */
void fake_plug(unsigned slot);

/* Four slots, two of them plugged; the lane has not looked yet. */
int fake_setup(void **state);
int fake_teardown(void **state);
#define LANE_TEST(fn) cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)

#endif
