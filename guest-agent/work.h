/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transaction thread: one thread that does all work on devices, one job after
 * the other, so that the loop never blocks.
 *
 * A job is run there and finished in the loop's thread, in the order of submission.
 */
#ifndef AGENT_WORK_H
#define AGENT_WORK_H

#include <stdbool.h>

struct work;

/**
 * struct job - Embedded in what the work is about
 * @next: while it is queued
 * @run:  in the transaction thread; may block, within bounds
 * @done: in the loop's thread, from work_reap(); releases the job
 */
struct job {
	struct job *next;
	void (*run)(struct job *job);
	void (*done)(struct job *job);
};

/* Return: NULL when out of memory or threads. */
struct work *work_new(void);

/**
 * work_free() - Stop after the job under way
 * @wait_ms: how long to wait for it
 *
 * Jobs not begun are finished (@done) without having run.
 * Context: the loop's thread.
 * Return: 0, or -ETIMEDOUT: the thread is still in a job, and nothing was released.
 */
int work_free(struct work *w, unsigned wait_ms);

void work_submit(struct work *w, struct job *job);

/* Readable when work_reap() or work_kicked() has something; edge or level. */
int work_fd(const struct work *w);
/* Make work_fd() readable; from any thread. */
void work_kick(struct work *w);
/* Finish what has run. */
void work_reap(struct work *w);
/* No job is queued, running or to be finished. */
bool work_idle(struct work *w);

#endif
