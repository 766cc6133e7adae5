/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The proof that CPUs run: their workers meet, each on its own CPU, and look at the
 * clock. On the other side of a migration it says of every CPU that was forced online
 * that it has come along.
 */
#include <errno.h>
#include <string.h>

#include <lockstep/err.h>

#include "cpu.h"
#include "cpus.h"
#include "model.h"

#define MEET_MS 2000 /* for all of them to come; a busy CPU needs a few ms */

/**
 * struct proof - Shared by those who meet
 * @ops:        the machine
 * @since_ns:   the control side's clock before the meeting
 * @unverified: one of them could not be tied to its CPU
 */
struct proof {
	const struct worker_ops *ops;
	int64_t since_ns;
	bool unverified;
};

static int look_around(struct worker *w, void *arg)
{
	struct proof *p = arg;
	int64_t now_ns = p->ops->now_ns(worker_cpu(w));
	int r = worker_where(w);

	if (r == 1)
		__atomic_store_n(&p->unverified, true, __ATOMIC_SEQ_CST);
	if (r != 0)
		return r < 0 ? r : 0;
	return now_ns < p->since_ns ? -EIO : 0;
}

/* A CPU that was forced online before the agent was started again has no worker yet. */
static int stand_by(struct model *m, const struct cpus *set)
{
	int cpu;

	cpus_each(cpu, set)
	{
		struct worker *w = workers_get(&m->workers, cpu);

		if (!w)
			return -EAGAIN;
		worker_unpark(w);
	}
	return 0;
}

int cpu_meet(struct model *m, const struct cpus *set, struct ls_err *err)
{
	struct proof p = { .ops = m->workers.ops, .since_ns = m->workers.ops->now_ns(-1) };
	int r;

	if (!cpus_count(set))
		return 0;
	r = stand_by(m, set);
	if (r == 0)
		r = workers_rendezvous(&m->workers, set, look_around, &p, MEET_MS);
	if (r == -ETIMEDOUT)
		return ls_err_set(err, r, "a CPU did not run its worker within %d ms", MEET_MS);
	if (r == -EIO)
		return ls_err_set(err, r, "a worker ran elsewhere, or its CPU's clock is behind");
	if (r < 0)
		return ls_err_set(err, r, "the workers cannot meet: %s", strerror(-r));
	return p.unverified;
}
