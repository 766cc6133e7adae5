/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Badly behaved agents and monitors, played by the harness.
 */
#ifndef HARNESS_FAKE_H
#define HARNESS_FAKE_H

#include "args.h"

struct fake;

/* "fake-agent GUEST KIND": lockstep finds this one instead of the guest's. */
int verb_fake_agent(struct args *a);

/* "fake-qmp NAME KIND": a guest whose monitor is none. */
int verb_fake_qmp(struct args *a);

/* "hold GUEST", "release GUEST": be the one client of its monitor, or no more. */
int verb_hold(struct args *a);
int verb_release(struct args *a);

/* Write guests.d/NAME.conf; @agent may be NULL. Return: 0 or -errno. */
int fake_conf(struct run *r, const char *name, const char *qmp, const char *agent);

void fake_free(struct fake *f);

/* The kinds with a sentence each, for the reference. */
void fake_list(FILE *out);

#endif
