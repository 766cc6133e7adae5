/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions behind the table in verbs.c, by file.
 */
#ifndef HARNESS_VERBS_H
#define HARNESS_VERBS_H

#include "args.h"

/* verbs_guest.c */
int verb_guest(struct args *a);
int verb_alias(struct args *a);
int verb_console(struct args *a);
int verb_offline(struct args *a);
int verb_online(struct args *a);
int verb_agent(struct args *a);

/* verbs_command.c */
int verb_qmp(struct args *a);
int verb_ask(struct args *a);
int verb_lockstep(struct args *a);
int verb_lockstepd(struct args *a);
int verb_background(struct args *a);
int verb_daemon(struct args *a);
int verb_await(struct args *a);
int verb_wait(struct args *a);
int verb_kill_all(struct args *a);

#endif
