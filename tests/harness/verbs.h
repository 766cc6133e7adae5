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

/* verbs_kill.c */
int verb_kill_points(struct args *a);

/* verbs_disk.c */
int verb_disk(struct args *a);

/* verbs_command.c: a program of ours; the first words of its command line */
void program_begin(const struct run *r, const char *program, struct argv *ret_argv);

/**
 * program_start() - Start it; everything that it writes down stays in the scenario's directory
 * @more:   environment beside the usual one; NULL none
 * @output: gets the name of the file that it prints to
 */
int program_start(struct args *a, struct argv *argv, const struct argv *more,
		  char output[LS_PATH_BYTES], struct proc **ret_proc);

/* Wait until @p has printed @text; not longer than @with lives, which may be NULL. */
int program_await(struct args *a, const struct proc *p, const struct proc *with, const char *output,
		  const char *text, unsigned within_ms);

#endif
