/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The workers of all CPUs, and a meeting of several of them.
 *
 * A worker is made when its CPU is first changed: an agent that has changed nothing
 * has no thread but its own.
 *
 * Context: one thread makes and forgets workers (the transaction thread); everything
 * else with one that exists is for every thread.
 */
#ifndef AGENT_WORKERS_H
#define AGENT_WORKERS_H

#include <lockstep/limits.h>

#include "worker.h"

struct cpus;

/**
 * struct workers - By CPU number
 * @ops: the machine; tests bring their own before the first worker is made
 * @of:  NULL: none yet
 */
struct workers {
	const struct worker_ops *ops;
	struct worker *of[LS_CPUS_MAX];
};

void workers_init(struct workers *ws);

/* A CPU's worker, made (parked) if there is none; NULL: out of memory or threads. */
struct worker *workers_get(struct workers *ws, int cpu);

/* The CPU is gone. */
void workers_forget(struct workers *ws, int cpu);

/**
 * workers_rendezvous() - Run a function on several CPUs at once
 * @set:         not empty
 * @fn:          on each CPU, once the workers of all of them have arrived
 * @deadline_ms: for them to arrive
 *
 * Queued on all or on none, under the locks of all workers in ascending order. So the
 * order of two meetings is the same on every CPU, and a worker of which one takes part
 * does not park before it has met the others: no two meetings, and no meeting and
 * no park, can wait for each other.
 *
 * Return: 0, or the first failure of @fn; -ESHUTDOWN: a worker is parked or parking,
 *         -ENOMEM, -ETIMEDOUT: they did not all arrive; nothing has run, then.
 */
int workers_rendezvous(struct workers *ws, const struct cpus *set,
		       int (*fn)(struct worker *w, void *arg), void *arg, unsigned deadline_ms);

#endif
