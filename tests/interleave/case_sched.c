/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scheduler's own tests: textbook mistakes that it has to find.
 */
#include "cases.h"

#include <errno.h>
#include <time.h>

static pthread_mutex_t one, two;
static pthread_cond_t cond;
static struct object here;
static int n;
static bool ready;

static void start(void)
{
	pthread_mutex_init(&one, NULL);
	pthread_mutex_init(&two, NULL);
	pthread_cond_init(&cond, NULL);
	here = (struct object){ 0 };
	n = 0;
	ready = false;
}

static void both(void *(*a)(void *), void *(*b)(void *))
{
	pthread_t t[2];

	start();
	sched_name("a");
	pthread_create(&t[0], NULL, a, NULL);
	sched_name("b");
	pthread_create(&t[1], NULL, b, NULL);
	sched_open(true);
	sched_join(t, 2);
	sched_open(false);
}

/* Read and write are two steps. */
static void *add(void *arg)
{
	int was;

	sched_point(&here, "reads");
	was = n;
	sched_point(&here, "writes");
	n = was + 1;
	return arg;
}

void case_lost_update(void)
{
	both(add, add);
	sched_check(n == 2, "an update was lost: %d", n);
}

/* Two locks, in either order. */
static void *one_two(void *arg)
{
	pthread_mutex_lock(&one);
	pthread_mutex_lock(&two);
	pthread_mutex_unlock(&two);
	pthread_mutex_unlock(&one);
	return arg;
}

static void *two_one(void *arg)
{
	pthread_mutex_lock(&two);
	pthread_mutex_lock(&one);
	pthread_mutex_unlock(&one);
	pthread_mutex_unlock(&two);
	return arg;
}

void case_deadlock(void)
{
	both(one_two, two_one);
}

/* Looked at without the lock: the signal may come before the sleep. */
static void *sleeper(void *arg)
{
	sched_point(&here, "looks");
	if (ready)
		return arg;
	pthread_mutex_lock(&one);
	pthread_cond_wait(&cond, &one);
	pthread_mutex_unlock(&one);
	return arg;
}

static void *waker(void *arg)
{
	sched_point(&here, "is ready");
	ready = true;
	pthread_cond_signal(&cond);
	return arg;
}

void case_lost_wakeup(void)
{
	both(sleeper, waker);
}

/* A wait that has a deadline may end by it, although the signal is on its way. */
static void *timed_sleeper(void *arg)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_mutex_lock(&one);
	while (!ready && !r)
		r = pthread_cond_timedwait(&cond, &one, &until);
	pthread_mutex_unlock(&one);
	sched_check(r != ETIMEDOUT, "it was late");
	return arg;
}

static void *locked_waker(void *arg)
{
	pthread_mutex_lock(&one);
	ready = true;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&one);
	return arg;
}

void case_late(void)
{
	sched_early();
	both(timed_sleeper, locked_waker);
}

/* Five steps by turns: three preemptions, as the last turn is given away by the end of b. */
static void step_if(int was)
{
	sched_point(&here, "goes on");
	if (n == was)
		n = was + 1;
}

static void *odd(void *arg)
{
	step_if(0);
	step_if(2);
	step_if(4);
	return arg;
}

static void *even(void *arg)
{
	step_if(1);
	step_if(3);
	return arg;
}

void case_by_turns(void)
{
	both(odd, even);
	sched_check(n != 5, "it takes three preemptions");
}
