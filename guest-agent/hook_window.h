/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks around the migration window. It may be vetoed when it opens; when it closes,
 * it closes: what a migration holds must be let go of.
 */
#ifndef AGENT_HOOK_WINDOW_H
#define AGENT_HOOK_WINDOW_H

struct hooks;
struct ls_err;

/* check and pre of open: 0, -ECANCELED (HookVeto). */
int hook_window_opens(struct hooks *h, const char *txn, struct ls_err *err);
/* What came of it: post; or failed and undocheck, if @result is negative. */
void hook_window_opened(struct hooks *h, const char *txn, int result);

/* pre of close, and its post. */
void hook_window_closes(struct hooks *h, const char *txn);
void hook_window_closed(struct hooks *h, const char *txn);

#endif
