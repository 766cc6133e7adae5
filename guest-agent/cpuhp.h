/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CPU table: the rows that a CPU walks down the page to come online and up to go
 * offline.
 *
 *	offline
 *	  hooks:check     control   programs may veto; undone by telling them so
 *	  kernel:online   control   write cpuN/online; verify attribute and mask
 *	  worker:unpark   control   the CPU's worker accepts again: the kick point
 *	-> ap:alive       on CPU    the worker runs where it should
 *	-> ap:clock       on CPU    the CPU's clock is not behind the control side's
 *	-> hooks:online   on CPU    programs are told; on the way down they may veto
 *	online
 *
 * Rows below the kick point run on the control side, the others in the CPU's own
 * worker. A row that fails has cleaned up after itself; then exactly the rows already
 * done are undone, in reverse, each once:
 *
 *  - the worker has undone its rows before it answers
 *  - a take-down that fails below the kick point unparks the worker first: that is the
 *    undo of worker:unpark. Then the worker undoes its rows, on its CPU
 *  - the undo of a row may be something else than its reverse: who was told that a CPU
 *    will go is told once that it stays, and is not told that it came
 *  - an undo that fails ends the walk where it stands (stuck): recursive failures cannot
 *    be handled sensibly
 *
 * A row that may not run where it should proves nothing: unverified, not failed.
 */
#ifndef AGENT_CPUHP_H
#define AGENT_CPUHP_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct ls_err;

/* What a row does: 0, 1 (done, but it could not be verified) or -errno. */
typedef int cpuhp_fn(struct device *dev, struct ls_err *err);

/**
 * struct cpuhp_step - One row
 * @name:          "subsystem:what"
 * @startup:       on the way up; NULL: nothing to do
 * @teardown:      on the way down; NULL: nothing to do
 * @undo_startup:  when a way up is given up; NULL: @teardown
 * @undo_teardown: when a way down is given up; NULL: @startup
 * @on_cpu:        run by the CPU's worker; such rows come last
 * @cant_stop:     cannot fail, in either direction
 *
 * Callbacks clean up after themselves before they fail. -EINPROGRESS says that the
 * kernel has not come back: the walk ends at once, and nothing is undone.
 */
struct cpuhp_step {
	const char *name;
	cpuhp_fn *startup;
	cpuhp_fn *teardown;
	cpuhp_fn *undo_startup;
	cpuhp_fn *undo_teardown;
	bool on_cpu;
	bool cant_stop;
};

struct cpuhp_table {
	const struct cpuhp_step *steps;
	int n;
};

/**
 * struct cpuhp_cpu - Where one CPU's table stands
 * @at:          rows done
 * @target:      what @at was to become in the last walk
 * @walked:      there was one
 * @walking:     there is one
 * @fail:        the next visit of this row fails once with -EAGAIN; -1 none
 * @failed_row:  of the last walk that failed
 * @failed_code: its negative errno; 0: none has failed
 * @unverified:  a row of the last walk up could not be verified
 * @stuck:       an undo failed
 * @kicked_ns:   control side's clock when the worker was last asked
 */
struct cpuhp_cpu {
	int at;
	int target;
	bool walked;
	bool walking;
	int fail;
	int failed_row;
	int failed_code;
	bool unverified;
	bool stuck;
	int64_t kicked_ns;
};

/**
 * cpuhp_walk() - Take a CPU to another row of its table
 * @table: rows in the order of coming up
 * @dev:   the CPU
 * @goal:  rows done afterwards: 0 offline, table->n online
 * @err:   the first failure, and what became of the rollback
 *
 * Return: 0, or the first failure's -errno after the rollback.
 */
int cpuhp_walk(const struct cpuhp_table *table, struct device *dev, int goal, struct ls_err *err);

/**
 * cpuhp_seen() - A look at a CPU tells where it stands, unless it is under way or stuck
 * @changed: it is not as it was at the last look: what it was stuck in is over
 */
void cpuhp_seen(struct device *dev, bool changed);

/* A row's index by its name; -1: there is none. */
int cpuhp_row(const struct cpuhp_table *table, const char *name);

/* Where a CPU stands that has done this many rows: "offline", the last of them, "online". */
const char *cpuhp_at_name(const struct cpuhp_table *table, int at);

/* The real table; its rows are in cpu_rows.c. */
extern const struct cpuhp_table cpuhp_table;

#endif
