/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One pinned thread that says on which CPU it ran.
 */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define PROBE_STACK_BYTES (256 * 1024)

/**
 * struct probe - Shared by the thread and the one that waits; the last one frees it
 * @lock:  protects the rest
 * @done:  @ran_on is set
 * @ran_on: CPU number, -1 not yet
 * @users: 2, then 1
 */
struct probe {
	pthread_mutex_t lock;
	pthread_cond_t done;
	int ran_on;
	int users;
};

static void probe_put_locked(struct probe *p)
{
	bool last = --p->users == 0;

	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void *probe_thread(void *arg)
{
	struct probe *p = arg;

	pthread_mutex_lock(&p->lock);
	p->ran_on = sched_getcpu();
	pthread_cond_signal(&p->done);
	probe_put_locked(p);
	return NULL;
}

static struct probe *probe_new(void)
{
	struct probe *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p)
		return NULL;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->done, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&p->lock, NULL);
	p->ran_on = -1;
	p->users = 2;
	return p;
}

static int start_pinned(struct probe *p, int cpu)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;
	int r;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PROBE_STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (r == 0)
		r = pthread_create(&thread, &attr, probe_thread, p);
	pthread_attr_destroy(&attr);
	return -r;
}

static int wait_locked(struct probe *p, unsigned deadline_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += deadline_ms / 1000;
	until.tv_nsec += (long)(deadline_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (p->ran_on < 0)
		if (pthread_cond_timedwait(&p->done, &p->lock, &until) == ETIMEDOUT)
			break;
	return p->ran_on;
}

int worker_probe(int cpu, unsigned deadline_ms)
{
	struct probe *p = probe_new();
	int ran_on;

	if (!p)
		return 1;
	if (start_pinned(p, cpu) < 0) {
		p->users = 1;
		pthread_mutex_lock(&p->lock);
		probe_put_locked(p);
		return 1;
	}
	pthread_mutex_lock(&p->lock);
	ran_on = wait_locked(p, deadline_ms);
	probe_put_locked(p);
	if (ran_on < 0)
		return 1;
	return ran_on == cpu ? 0 : -EIO;
}
