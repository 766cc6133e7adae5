/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting with a bound: moments and condition variables on CLOCK_MONOTONIC, so that
 * setting the clock (a guest does, after its migration) neither ends a wait nor keeps it.
 */
#ifndef AGENT_AFTER_H
#define AGENT_AFTER_H

#include <pthread.h>
#include <time.h>

/* A moment from now, for after_cond_init()'s condition variables. */
static inline struct timespec after_ms(unsigned ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

static inline void after_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

#endif
