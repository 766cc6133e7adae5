/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The set of workers, and how several of them meet.
 */
#include "workers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <lockstep/cleanup.h>

#include "after.h"
#include "cpus.h"
#include "lock.h"

void workers_init(struct workers *ws)
{
	*ws = (struct workers){ .ops = &worker_real_ops };
}

struct worker *workers_get(struct workers *ws, int cpu)
{
	if (!ws->of[cpu])
		ws->of[cpu] = worker_new(cpu, ws->ops);
	return ws->of[cpu];
}

void workers_forget(struct workers *ws, int cpu)
{
	ws->of[cpu] = worker_free(ws->of[cpu]);
}

/* ---- the meeting --------------------------------------------------------------- */

struct meeting;

struct guest_of {
	struct worker_item item;
	struct meeting *meeting;
};

/**
 * struct meeting - Released by the caller, who is the last to look at it
 * @lock:    protects what follows
 * @changed: any of it has changed
 * @n:       workers that are to come
 * @arrived: of them here
 * @left:    of them gone again
 * @late:    the deadline came first: nobody runs the function
 * @result:  the function's first failure
 */
struct meeting {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned n;
	unsigned arrived;
	unsigned left;
	bool late;
	int result;
	int (*fn)(struct worker *w, void *arg);
	void *arg;
	struct guest_of guest[];
};

static struct meeting *meeting_new(unsigned n, int (*fn)(struct worker *w, void *arg), void *arg)
{
	struct meeting *m = calloc(1, sizeof(*m) + n * sizeof(m->guest[0]));

	if (!m)
		return NULL;
	pthread_mutex_init(&m->lock, NULL);
	after_cond_init(&m->changed);
	m->n = n;
	m->fn = fn;
	m->arg = arg;
	return m;
}

static void meeting_free(struct meeting *m)
{
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* Return: whether all came. */
static bool arrive(struct meeting *m)
{
	ls_guard(&m->lock);
	m->arrived++;
	pthread_cond_broadcast(&m->changed);
	while (m->arrived < m->n && !m->late)
		pthread_cond_wait(&m->changed, &m->lock);
	return !m->late;
}

static void leave(struct meeting *m, int r)
{
	ls_guard(&m->lock);
	if (r < 0 && m->result == 0)
		m->result = r;
	m->left++;
	pthread_cond_broadcast(&m->changed);
}

static void attend(struct worker_item *item, struct worker *w)
{
	struct meeting *m = ((struct guest_of *)item)->meeting;

	leave(m, arrive(m) ? m->fn(w, m->arg) : 0);
}

/* ---- all or none ----------------------------------------------------------------- */

static enum lock_level lock_all(struct workers *ws, const struct cpus *set)
{
	enum lock_level before = LOCK_NONE;
	bool first = true;
	int cpu;

	cpus_each(cpu, set)
	{
		if (first)
			before = lock_enter(LOCK_WORKER, worker_lock(ws->of[cpu]));
		else
			pthread_mutex_lock(worker_lock(ws->of[cpu]));
		first = false;
	}
	return before;
}

static void unlock_all(struct workers *ws, const struct cpus *set, enum lock_level before)
{
	bool first = true;
	int cpu;

	cpus_each(cpu, set)
	{
		if (first)
			lock_leave(before, worker_lock(ws->of[cpu]));
		else
			pthread_mutex_unlock(worker_lock(ws->of[cpu]));
		first = false;
	}
}

static int queue_all_locked(struct workers *ws, const struct cpus *set, struct meeting *m)
{
	unsigned i = 0;
	int cpu, r = 0;

	cpus_each(cpu, set) if (r == 0) r = worker_accepts_locked(ws->of[cpu]);
	if (r < 0)
		return r;
	cpus_each(cpu, set)
	{
		m->guest[i] = (struct guest_of){ .item.fn = attend, .meeting = m };
		worker_queue_locked(ws->of[cpu], &m->guest[i++].item);
	}
	return 0;
}

static int queue_all(struct workers *ws, const struct cpus *set, struct meeting *m)
{
	enum lock_level before;
	int cpu, r;

	cpus_each(cpu, set) if (!ws->of[cpu]) return -ESHUTDOWN;
	before = lock_all(ws, set);
	r = queue_all_locked(ws, set, m);
	unlock_all(ws, set, before);
	return r;
}

static bool wait_arrived(struct meeting *m, unsigned deadline_ms)
{
	struct timespec until = after_ms(deadline_ms);

	ls_guard(&m->lock);
	while (m->arrived < m->n)
		if (pthread_cond_timedwait(&m->changed, &m->lock, &until) == ETIMEDOUT)
			break;
	m->late = m->arrived < m->n;
	pthread_cond_broadcast(&m->changed);
	return !m->late;
}

static int wait_left(struct meeting *m)
{
	ls_guard(&m->lock);
	while (m->left < m->n)
		pthread_cond_wait(&m->changed, &m->lock);
	return m->late ? -ETIMEDOUT : m->result;
}

int workers_rendezvous(struct workers *ws, const struct cpus *set,
		       int (*fn)(struct worker *w, void *arg), void *arg, unsigned deadline_ms)
{
	struct meeting *m = meeting_new((unsigned)cpus_count(set), fn, arg);
	int cpu, r;

	if (!m)
		return -ENOMEM;
	cpus_each(cpu, set) if (ws->of[cpu]) worker_tighten(ws->of[cpu]);
	r = queue_all(ws, set, m);
	if (r == 0 && !wait_arrived(m, deadline_ms))
		cpus_each(cpu, set) worker_loosen(ws->of[cpu]);
	if (r == 0)
		r = wait_left(m);
	if (m->late)
		cpus_each(cpu, set) worker_tighten(ws->of[cpu]);
	meeting_free(m);
	return r;
}
