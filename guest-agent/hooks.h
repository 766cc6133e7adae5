/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks: the guest's own programs, told of what is about to happen to a device and
 * asked whether it may. docs/hooks.md is what their authors read.
 *
 *	check      before anything; a status other than 0 vetoes
 *	pre        it is going to happen
 *	post       it has happened
 *	failed     it was tried and taken back
 *	undocheck  for those whose check had passed, in reverse, when it does not happen
 *
 * A NULL struct hooks and an empty directory mean the same: there is nothing to run.
 */
#ifndef AGENT_HOOKS_H
#define AGENT_HOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct hooks;
struct ls_err;

#define HOOKS_DIR	   "/etc/lockstep/hooks.d"
#define HOOK_MESSAGE_BYTES 120	  /* of what a veto tells the host's user, with the final NUL */
#define HOOK_DEADLINE_MS   10000  /* for one program, unless the options say otherwise */
#define HOOK_DEADLINE_MAX  600000 /* milliseconds */

enum hook_phase {
	HOOK_CHECK,
	HOOK_PRE,
	HOOK_POST,
	HOOK_FAILED,
	HOOK_UNDOCHECK,
	HOOK_PHASE_COUNT,
};

/* For a window the two are called open and close. */
enum hook_op { HOOK_ONLINE, HOOK_OFFLINE, HOOK_OP_COUNT };

enum hook_kind { HOOK_CPU, HOOK_MEMORY, HOOK_WINDOW, HOOK_KIND_COUNT };

/**
 * struct hook_event - What happens, to what
 * @op:   online or offline
 * @kind: what the ids number
 * @ids:  CPUs or memory blocks; borrowed; NULL for a window
 * @n:    their number, at most LS_BLOCKS_MAX
 * @txn:  who wants it; NULL: what hooks_set_txn() said
 * @cpu:  pin the programs to this CPU; -1: do not
 */
struct hook_event {
	enum hook_op op;
	enum hook_kind kind;
	const int *ids;
	unsigned n;
	const char *txn;
	int cpu;
};

/**
 * hooks_new() - Know the directory
 * @dir:         copied; it is read anew for each check, pre, post and failed
 * @deadline_ms: for each program; at its end the program's process group is killed
 *
 * Return: NULL when out of memory.
 */
struct hooks *hooks_new(const char *dir, unsigned deadline_ms);
void hooks_free(struct hooks *h);

/**
 * hooks_stop() - The agent ends: no program may outlive it
 * @h:        may be NULL
 * @until_ms: CLOCK_MONOTONIC; those that are still to be told what came of it have so long,
 *            together; later ones are not run
 *
 * The program that runs now is killed with its group, as at its deadline, and has failed.
 * Context: any thread.
 */
void hooks_stop(struct hooks *h, uint64_t until_ms);

/* Whose request the transaction thread is working on; "" nobody's. */
void hooks_set_txn(struct hooks *h, const char *txn);

/**
 * hooks_check() - Ask every program whether this may happen
 * @h:   may be NULL
 * @ev:  what
 * @err: the first line that the program wrote to its standard error
 *
 * The first program that says no, does not answer in time or cannot be run ends the
 * questions, and those that had said yes get an undocheck before this returns.
 *
 * Context: transaction thread or a worker that it waits for; blocks, within the deadlines.
 * Return: 0, -ECANCELED (HookVeto).
 */
int hooks_check(struct hooks *h, const struct hook_event *ev, struct ls_err *err);

/**
 * hooks_undocheck() - It does not happen after all
 *
 * Runs the programs whose check passed in the last hooks_check() of this kind, in
 * reverse, and forgets them: a second call runs nothing.
 */
void hooks_undocheck(struct hooks *h, const struct hook_event *ev);

/**
 * hooks_run() - Tell every program
 * @phase: HOOK_PRE, HOOK_POST or HOOK_FAILED
 *
 * A program that fails is logged and changes nothing: @phase is news, not a question.
 */
void hooks_run(struct hooks *h, enum hook_phase phase, const struct hook_event *ev);

/**
 * hooks_leave_open() - A write has not come back: what it comes to is told later
 *
 * Keeps whose check passed for hooks_end_late(), past other checks of this kind. One
 * device at a time: while one write is in the kernel no other is begun.
 */
void hooks_leave_open(struct hooks *h, enum hook_kind kind);

/* It is over: post if it @happened, otherwise failed, and undocheck for those kept. */
void hooks_end_late(struct hooks *h, const struct hook_event *ev, bool happened);

/**
 * hooks_is_ours() - Whether a thread belongs to the hook that runs now
 * @tid: of any process
 *
 * A hook that writes to sysfs itself would wait for the lock under which it runs: the
 * guard refuses it at once. What has left the hook's session and process group is not
 * known as ours any more.
 *
 * Context: any thread; takes no lock, allocates nothing.
 */
bool hooks_is_ours(pid_t tid);

#endif
