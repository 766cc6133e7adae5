/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CPU table: the rows that a CPU walks down to come online and up to go
 * offline.
 *
 *	OFFLINE
 *	  kernel:online   control   write cpuN/online; verify attribute and mask
 *	-> ap:alive       on CPU    a thread pinned there says that it runs there
 *	ONLINE
 *
 * Rows are synchronous. A row that fails has cleaned up after itself; then exactly
 * the rows already done are undone, in reverse, each once. An undo that fails ends
 * the walk where it stands (stuck): recursive failures cannot be handled sensibly.
 */
#ifndef AGENT_CPUHP_H
#define AGENT_CPUHP_H

#include <stdbool.h>

struct device;
struct ls_err;

/**
 * struct cpuhp_step - One row
 * @name:      "subsystem:what"
 * @startup:   on the way up; NULL: nothing to do
 * @teardown:  on the way down; NULL: nothing to do
 * @on_cpu:    the work happens on the CPU itself
 * @cant_stop: cannot fail, in either direction
 *
 * Callbacks return 0, 1 (done, but it could not be verified) or -errno, and clean
 * up after themselves before they fail. -EINPROGRESS says that the kernel has not
 * come back: the walk ends at once, and nothing is undone.
 */
struct cpuhp_step {
	const char *name;
	int (*startup)(struct device *dev, struct ls_err *err);
	int (*teardown)(struct device *dev, struct ls_err *err);
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
 * @fail:        the next visit of this row fails once with -EAGAIN; -1 none
 * @failed_row:  of the last walk that failed
 * @failed_code: its negative errno; 0: none has failed
 * @unverified:  a row of the last walk up could not be verified
 * @stuck:       an undo failed; the next look at the CPU decides where it stands
 */
struct cpuhp_cpu {
	int at;
	int fail;
	int failed_row;
	int failed_code;
	bool unverified;
	bool stuck;
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

/* The real table; its rows are in cpu.c. */
extern const struct cpuhp_table cpuhp_table;

#endif
