/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One hook from its start to its end: a process group of its own, no shell, a clean
 * environment, a deadline, and the first line of what it says on standard error.
 */
#ifndef AGENT_HOOK_RUN_H
#define AGENT_HOOK_RUN_H

#include "hooks.h"

/**
 * struct hook_how - Which program, and how
 * @dir:         where it is
 * @name:        in @dir
 * @txn:         for LOCKSTEP_TXN
 * @phase:       what it is told
 * @deadline_ms: from now; then its process group gets SIGKILL
 * @stop:        when this can be read, it gets that at once; -1: nothing
 */
struct hook_how {
	const char *dir;
	const char *name;
	const char *txn;
	enum hook_phase phase;
	unsigned deadline_ms;
	int stop;
};

/**
 * struct hook_answer - What it said
 * @message: its first line, printable; or why it did not answer
 */
struct hook_answer {
	char message[HOOK_MESSAGE_BYTES];
};

const char *hook_phase_name(enum hook_phase phase);

/**
 * hook_run() - Run one program
 *
 * What it leaves in its process group is killed when it ends.
 * Context: one at a time in the process: a second caller waits for the first.
 * Return: 0; -ECANCELED (its status was not 0), -ETIMEDOUT, -ESHUTDOWN (@stop), or -errno
 *         (not started), each with @ret_answer filled in.
 */
int hook_run(const struct hook_how *how, const struct hook_event *ev,
	     struct hook_answer *ret_answer);

#endif
