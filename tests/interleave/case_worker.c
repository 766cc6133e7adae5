/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers: queue, park, unpark and meetings of the real worker.c and workers.c. None of
 * it may need a deadline to go on; a deadline that comes early may spoil nothing.
 */
#include "cases.h"

#include <errno.h>
#include <string.h>

#include "../../guest-agent/cpus.h"
#include "../../guest-agent/lock.h"
#include "../../guest-agent/workers.h"
#include "../unit/fake_sysfs.h"

#define CPUS 2
#define MS   100

/**
 * struct item - One piece of work
 * @ran: how often
 * @on:  the worker that ran it
 */
struct item {
	struct worker_item item;
	int ran;
	const struct worker *on;
};

/* What the threads share; each field is touched under the worker's lock. */
static struct {
	struct workers ws;
	struct item item[CPUS];
	struct object work[CPUS];
	int accepted[CPUS];
	int ran[CPUS];
	bool unparking;
	bool parked;
} s;

static void start(void)
{
	int cpu;

	memset(&s, 0, sizeof(s));
	sched_local(&lock_level_now);
	workers_init(&s.ws);
	s.ws.ops = &fake_machine;
	for (cpu = 0; cpu < CPUS; cpu++) {
		sched_name(cpu ? "worker1" : "worker0");
		worker_unpark(workers_get(&s.ws, cpu));
	}
	sched_punctual();
}

static void end(void)
{
	int cpu;

	sched_open(false);
	for (cpu = 0; cpu < CPUS; cpu++)
		workers_forget(&s.ws, cpu);
	for (cpu = 0; cpu < CPUS; cpu++)
		sched_check(s.ran[cpu] == s.accepted[cpu], "cpu%d: %d accepted, %d ran", cpu,
			    s.accepted[cpu], s.ran[cpu]);
}

static pthread_t begin(const char *name, void *(*fn)(void *), long arg)
{
	pthread_t t;

	sched_name(name);
	pthread_create(&t, NULL, fn, (void *)arg);
	return t;
}

static void run_all(const pthread_t *t, int n)
{
	sched_open(true);
	sched_join(t, n);
	end();
}

/* ---- one piece of work -------------------------------------------------------------- */

static void run_item(struct worker_item *item, struct worker *w)
{
	struct item *i = (struct item *)item;
	int cpu = worker_cpu(w);

	sched_point(&s.work[cpu], "works");
	sched_check(&s.item[cpu] == i, "work for another CPU runs on cpu%d", cpu);
	sched_check(++i->ran == 1, "work runs twice");
	s.ran[cpu]++;
}

static bool shut(struct worker *w)
{
	bool yes;

	pthread_mutex_lock(worker_lock(w));
	yes = worker_accepts_locked(w) < 0;
	pthread_mutex_unlock(worker_lock(w));
	return yes;
}

/* Once a park has begun work is refused, and at once: the wait would be seen as one. */
static void *queue_one(void *arg)
{
	int cpu = (int)(long)arg, r;
	struct worker *w = s.ws.of[cpu];
	bool closed = shut(w);

	s.item[cpu].item.fn = run_item;
	r = worker_queue(w, &s.item[cpu].item);
	if (r == 0)
		s.accepted[cpu]++;
	sched_check(r == 0 || r == -ESHUTDOWN, "worker_queue() returns %d", r);
	sched_check(r < 0 || !closed || s.unparking, "work is accepted while the worker parks");
	sched_check(r < 0 || !s.parked, "work is accepted while the worker is parked");
	return NULL;
}

/* What was accepted before has run when the worker is parked. */
static void *park_and_unpark(void *arg)
{
	int cpu = (int)(long)arg, r = worker_park(s.ws.of[cpu], MS);

	if (r >= 0) {
		s.parked = true;
		sched_check(s.ran[cpu] == s.accepted[cpu], "parked with work left");
	}
	sched_check(r == 0 || r == -ETIMEDOUT, "worker_park() returns %d", r);
	s.unparking = true;
	s.parked = false;
	worker_unpark(s.ws.of[cpu]);
	return NULL;
}

/* Accepted means run, once, there, and before the worker parks; refused means at once. */
void case_worker_park(void)
{
	pthread_t t[2];

	start();
	sched_early();
	t[0] = begin("queuer", queue_one, 0);
	t[1] = begin("parker", park_and_unpark, 0);
	run_all(t, 2);
}

/* ---- a call ---------------------------------------------------------------------------- */

static int answer(struct worker *w, void *arg)
{
	sched_check(worker_cpu(w) == 0, "a call runs on another CPU");
	return *(int *)arg;
}

static void *call_one(void *arg)
{
	int number = 42, r = worker_call(s.ws.of[(long)arg], answer, &number, MS);

	sched_check(r == 42 || r == -ESHUTDOWN, "worker_call() returns %d", r);
	return NULL;
}

/* The answer of a call is the function's own, whatever else is queued, parked, or late. */
void case_worker_call(void)
{
	pthread_t t[3];

	start();
	sched_early();
	t[0] = begin("caller", call_one, 0);
	t[1] = begin("queuer", queue_one, 0);
	t[2] = begin("parker", park_and_unpark, 0);
	run_all(t, 3);
}

/* ---- meetings ----------------------------------------------------------------------------- */

struct met {
	pthread_mutex_t lock;
	int on[CPUS];
};

static int meet_here(struct worker *w, void *arg)
{
	struct met *met = arg;

	pthread_mutex_lock(&met->lock);
	met->on[worker_cpu(w)]++;
	pthread_mutex_unlock(&met->lock);
	return 0;
}

/* All or none; whoever is refused or late has left nothing behind. */
static void *meet(void *arg)
{
	struct cpus set = { 0 };
	struct met met = { .on = { 0 } };
	int want, r;

	(void)arg;
	pthread_mutex_init(&met.lock, NULL);
	cpus_add(&set, 0);
	cpus_add(&set, 1);
	r = workers_rendezvous(&s.ws, &set, meet_here, &met, MS);
	want = r == 0;
	sched_check(met.on[0] == want && met.on[1] == want,
		    "a meeting that ends with %d was held by %d on cpu0 and %d on cpu1", r,
		    met.on[0], met.on[1]);
	sched_check(r == 0 || r == -ESHUTDOWN || r == -ETIMEDOUT, "a meeting ends with %d", r);
	pthread_mutex_destroy(&met.lock);
	return NULL;
}

/* Two meetings of the same two workers cannot wait for each other. */
void case_worker_meet(void)
{
	pthread_t t[2];

	start();
	t[0] = begin("meeter0", meet, 0);
	t[1] = begin("meeter1", meet, 0);
	run_all(t, 2);
}

/* A meeting whose time is over before all have come: none has met, and all go on. */
void case_worker_meet_late(void)
{
	pthread_t t[2];

	start();
	sched_early();
	t[0] = begin("queuer", queue_one, 1);
	t[1] = begin("meeter", meet, 0);
	run_all(t, 2);
}

/* Queue, park and unpark, and a meeting of both, from three threads. */
void case_worker_meet_park(void)
{
	pthread_t t[3];

	start();
	t[0] = begin("queuer", queue_one, 1);
	t[1] = begin("parker", park_and_unpark, 1);
	t[2] = begin("meeter", meet, 0);
	run_all(t, 3);
}
