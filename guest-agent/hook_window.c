/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The window's events for hooks.
 */
#include "hook_window.h"

#include "hooks.h"

static struct hook_event event_of(enum hook_op op, const char *txn)
{
	return (struct hook_event){ .op = op, .kind = HOOK_WINDOW, .txn = txn, .cpu = -1 };
}

int hook_window_opens(struct hooks *h, const char *txn, struct ls_err *err)
{
	struct hook_event ev = event_of(HOOK_ONLINE, txn);
	int r = hooks_check(h, &ev, err);

	if (r == 0)
		hooks_run(h, HOOK_PRE, &ev);
	return r;
}

void hook_window_opened(struct hooks *h, const char *txn, int result)
{
	struct hook_event ev = event_of(HOOK_ONLINE, txn);

	if (result >= 0) {
		hooks_run(h, HOOK_POST, &ev);
		return;
	}
	hooks_run(h, HOOK_FAILED, &ev);
	hooks_undocheck(h, &ev);
}

void hook_window_closes(struct hooks *h, const char *txn)
{
	struct hook_event ev = event_of(HOOK_OFFLINE, txn);

	hooks_run(h, HOOK_PRE, &ev);
}

void hook_window_closed(struct hooks *h, const char *txn)
{
	struct hook_event ev = event_of(HOOK_OFFLINE, txn);

	hooks_run(h, HOOK_POST, &ev);
}
