/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many files the daemon may have open, and how many its guests take.
 */
#ifndef COORDINATOR_FILES_H
#define COORDINATOR_FILES_H

/*
 * A guest takes: monitor, agent, claim, its process; and the pipe of a hook, or that by which
 * a recovery is seen.
 */
#define FILES_A_GUEST 5

/* The journal, metrics and who reads them, timers, signals, the log. */
#define FILES_THE_REST 64

/* What so many guests and clients take at most. */
static inline unsigned files_needed(unsigned guests, unsigned clients)
{
	return guests * FILES_A_GUEST + clients + FILES_THE_REST;
}

/* The soft limit becomes the hard one: 1,024 is for programs that use select(). */
void files_raise(void);

/* A warning if the limit is below what is needed: with the number, and where it is set. */
void files_check(unsigned guests, unsigned clients);

#endif
