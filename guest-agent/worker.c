/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One worker: its thread, its queue, park and unpark.
 */
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include <lockstep/cleanup.h>
#include <lockstep/log.h>

#include "after.h"
#include "lock.h"

#define END_MS 2000 /* for a worker to empty its queue when it is to end */

/**
 * struct worker - One thread and what it is to do
 * @lock:    protects the rest; LOCK_WORKER
 * @wake:    for the worker: an item, an order to park, the end
 * @settled: for those who wait: it has parked, or was unparked
 * @first:   queue
 * @enabled: accepts items; cleared before the queue is emptied
 * @parked:  the queue is empty and nothing is accepted
 * @pinned:  tied to its CPU
 * @end:     the thread is to end, once it is parked
 */
struct worker {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t settled;
	struct worker_item *first, **last;
	bool enabled;
	bool parked;
	bool pinned;
	bool end;
	int cpu;
	const struct worker_ops *ops;
	pthread_t thread;
};

/* ---- the machine ------------------------------------------------------------ */

static int real_pin(pthread_t thread, int cpu)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	return -pthread_setaffinity_np(thread, sizeof(set), &set);
}

static int real_here(int cpu)
{
	(void)cpu;
	return sched_getcpu();
}

static int64_t real_now_ns(int cpu)
{
	struct timespec now;

	(void)cpu;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

const struct worker_ops worker_real_ops = { real_pin, real_here, real_now_ns };

/* ---- the thread -------------------------------------------------------------- */

static struct worker_item *take_locked(struct worker *w)
{
	struct worker_item *item = w->first;

	if (!item)
		return NULL;
	w->first = item->next;
	if (!w->first)
		w->last = &w->first;
	return item;
}

static void settle_locked(struct worker *w)
{
	if (w->enabled || w->parked)
		return;
	w->parked = true;
	pthread_cond_broadcast(&w->settled);
}

/* Parking comes after the queue: what was accepted has run by then. */
static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	struct worker_item *item;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		item = take_locked(w);
		if (item) {
			pthread_mutex_unlock(&w->lock);
			item->fn(item, w);
			pthread_mutex_lock(&w->lock);
			continue;
		}
		settle_locked(w);
		if (w->end)
			break;
		pthread_cond_wait(&w->wake, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int start_thread(struct worker *w)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	r = pthread_create(&w->thread, &attr, worker_thread, w);
	pthread_attr_destroy(&attr);
	return -r;
}

static struct worker *release(struct worker *w)
{
	pthread_cond_destroy(&w->settled);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

struct worker *worker_new(int cpu, const struct worker_ops *ops)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	after_cond_init(&w->wake);
	after_cond_init(&w->settled);
	w->last = &w->first;
	w->parked = true;
	w->cpu = cpu;
	w->ops = ops;
	return start_thread(w) < 0 ? release(w) : w;
}

struct worker *worker_free(struct worker *w)
{
	enum lock_level before;

	if (!w)
		return NULL;
	if (worker_park(w, END_MS) < 0) {
		log_error("cpu%d worker: does not come to its end; left behind", w->cpu);
		return NULL;
	}
	before = lock_enter(LOCK_WORKER, &w->lock);
	w->end = true;
	pthread_cond_signal(&w->wake);
	lock_leave(before, &w->lock);
	pthread_join(w->thread, NULL);
	return release(w);
}

int worker_cpu(const struct worker *w)
{
	return w->cpu;
}

/* ---- queueing ------------------------------------------------------------------ */

pthread_mutex_t *worker_lock(struct worker *w)
{
	return &w->lock;
}

int worker_accepts_locked(const struct worker *w)
{
	return w->enabled ? 0 : -ESHUTDOWN;
}

int worker_queue_locked(struct worker *w, struct worker_item *item)
{
	if (!w->enabled)
		return -ESHUTDOWN;
	item->next = NULL;
	*w->last = item;
	w->last = &item->next;
	pthread_cond_signal(&w->wake);
	return 0;
}

int worker_queue(struct worker *w, struct worker_item *item)
{
	enum lock_level before = lock_enter(LOCK_WORKER, &w->lock);
	int r = worker_queue_locked(w, item);

	lock_leave(before, &w->lock);
	return r;
}

/* ---- park and unpark ------------------------------------------------------------ */

static void loosen_locked(struct worker *w)
{
	if (w->pinned)
		log_info("cpu%d worker: not done in time; let go to the other CPUs", w->cpu);
	w->pinned = false;
	w->ops->pin(w->thread, -1);
}

void worker_loosen(struct worker *w)
{
	enum lock_level before = lock_enter(LOCK_WORKER, &w->lock);

	loosen_locked(w);
	lock_leave(before, &w->lock);
}

void worker_tighten(struct worker *w)
{
	enum lock_level before = lock_enter(LOCK_WORKER, &w->lock);

	if (w->enabled)
		w->pinned = w->ops->pin(w->thread, w->cpu) == 0;
	lock_leave(before, &w->lock);
}

static int wait_settled_locked(struct worker *w, unsigned deadline_ms)
{
	struct timespec until = after_ms(deadline_ms);

	while (!w->parked && !w->enabled)
		if (pthread_cond_timedwait(&w->settled, &w->lock, &until) == ETIMEDOUT)
			break;
	if (w->enabled)
		return -ECANCELED;
	return w->parked ? 0 : -ETIMEDOUT;
}

static int park_locked(struct worker *w, unsigned deadline_ms)
{
	int r;

	if (w->parked)
		return 1;
	w->enabled = false;
	pthread_cond_signal(&w->wake);
	r = wait_settled_locked(w, deadline_ms);
	if (r != -ETIMEDOUT)
		return r;
	loosen_locked(w);
	return wait_settled_locked(w, deadline_ms);
}

int worker_park(struct worker *w, unsigned deadline_ms)
{
	enum lock_level before = lock_enter(LOCK_WORKER, &w->lock);
	int r = park_locked(w, deadline_ms);

	lock_leave(before, &w->lock);
	return r;
}

int worker_unpark(struct worker *w)
{
	enum lock_level before = lock_enter(LOCK_WORKER, &w->lock);
	int already = w->enabled;

	w->pinned = w->ops->pin(w->thread, w->cpu) == 0;
	if (!already) {
		w->parked = false;
		w->enabled = true;
		pthread_cond_broadcast(&w->settled);
	}
	lock_leave(before, &w->lock);
	return already;
}

int worker_where(struct worker *w)
{
	int here = w->ops->here(w->cpu);

	/* Asked last: a worker let go before the look may have been anywhere. */
	ls_guard(&w->lock);
	if (!w->pinned)
		return 1;
	return here == w->cpu ? 0 : -EIO;
}

/* ---- calls ------------------------------------------------------------------------ */

/**
 * struct call - On the caller's stack: it waits until @done
 * @lock: protects @done and @result
 */
struct call {
	struct worker_item item;
	int (*fn)(struct worker *w, void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
	int result;
};

static void run_call(struct worker_item *item, struct worker *w)
{
	struct call *call = (struct call *)item;
	int r = call->fn(w, call->arg);

	ls_guard(&call->lock);
	call->result = r;
	call->done = true;
	pthread_cond_signal(&call->over);
}

static void wait_call(struct call *call, struct worker *w, unsigned deadline_ms)
{
	struct timespec until = after_ms(deadline_ms);
	bool late;

	pthread_mutex_lock(&call->lock);
	while (!call->done)
		if (pthread_cond_timedwait(&call->over, &call->lock, &until) == ETIMEDOUT)
			break;
	late = !call->done;
	pthread_mutex_unlock(&call->lock);
	if (late)
		worker_loosen(w);
	pthread_mutex_lock(&call->lock);
	while (!call->done)
		pthread_cond_wait(&call->over, &call->lock);
	pthread_mutex_unlock(&call->lock);
	if (late)
		worker_tighten(w);
}

int worker_call(struct worker *w, int (*fn)(struct worker *w, void *arg), void *arg,
		unsigned deadline_ms)
{
	struct call call = { .item.fn = run_call, .fn = fn, .arg = arg };
	int r;

	pthread_mutex_init(&call.lock, NULL);
	after_cond_init(&call.over);
	r = worker_queue(w, &call.item);
	if (r == 0) {
		wait_call(&call, w, deadline_ms);
		r = call.result;
	}
	pthread_cond_destroy(&call.over);
	pthread_mutex_destroy(&call.lock);
	return r;
}
