/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The doctor: names every disagreement in the guest, and heals on request.
 *
 * A CPU on which driver core and kernel disagree is healed the way a person would:
 * by taking it, through the driver core, to the other state and back. It ends where
 * the driver core said it was, because that is what somebody last asked for.
 */
#ifndef AGENT_DOCTOR_H
#define AGENT_DOCTOR_H

#include <stdbool.h>

struct hotplug_lock;
struct ls_err;
struct model;
struct window;

/**
 * struct finding - One disagreement
 * @kind:   "cpu", "memory", "window", "lock"
 * @id:     guest CPU or memory block, -1 none
 * @text:   one sentence
 * @healed: fixed, and verified
 */
struct finding {
	const char *kind;
	int id;
	const char *text;
	bool healed;
};

/**
 * struct doctor - What to examine, and who is told
 * @model:  scanned just before
 * @lock:   taken for the healing
 * @window: for what it left behind
 * @fix:    heal; otherwise nothing is changed
 * @report: gets each finding; it is borrowed for the call
 * @arg:    for @report
 */
struct doctor {
	struct model *model;
	struct hotplug_lock *lock;
	struct window *window;
	bool fix;
	void (*report)(void *arg, const struct finding *finding);
	void *arg;
};

/**
 * doctor_run() - Examine, and heal if told to
 *
 * Context: transaction thread, without the lock.
 * Return: 0, -EBUSY (to be fixed, but somebody has the lock: LockHeld, WindowOpen).
 */
int doctor_run(const struct doctor *d, struct ls_err *err);

#endif
