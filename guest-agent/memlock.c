/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory hotplug lock: the halves that may wait.
 */
#include "memlock.h"

#include <errno.h>

#include <lockstep/cleanup.h>

#include "after.h"

void memlock_init(struct memlock *l)
{
	pthread_mutex_init(&l->mutex, NULL);
	after_cond_init(&l->over);
	l->writer = false;
}

void memlock_done(struct memlock *l)
{
	pthread_cond_destroy(&l->over);
	pthread_mutex_destroy(&l->mutex);
}

static int wait_for_writer(struct memlock *l, const struct timespec *until)
{
	int r = 0;

	ls_guard(&l->mutex);
	while (l->writer && r == 0)
		r = pthread_cond_timedwait(&l->over, &l->mutex, until);
	return l->writer ? -ETIMEDOUT : 0;
}

/* The section is left for the wait: its grace period may be what the writer waits for. */
int memlock_read_slow(struct memlock *l, unsigned wait_ms)
{
	struct timespec until = after_ms(wait_ms);

	do {
		rcu_read_unlock();
		if (!wait_ms || wait_for_writer(l, &until) < 0)
			return -ETIMEDOUT;
		rcu_read_lock();
	} while (__atomic_load_n(&l->writer, __ATOMIC_ACQUIRE));
	return 0;
}

enum lock_level memlock_write(struct memlock *l)
{
	enum lock_level before = lock_level_enter(LOCK_MEMORY);

	pthread_mutex_lock(&l->mutex);
	while (l->writer)
		pthread_cond_wait(&l->over, &l->mutex);
	__atomic_store_n(&l->writer, true, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&l->mutex);
	synchronize_rcu();
	rcu_order_after(&l->sections);
	return before;
}

void memlock_write_end(struct memlock *l, enum lock_level before)
{
	rcu_order_before(&l->sections);
	pthread_mutex_lock(&l->mutex);
	__atomic_store_n(&l->writer, false, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&l->over);
	pthread_mutex_unlock(&l->mutex);
	lock_level_leave(before);
}

bool memlock_is_written(struct memlock *l)
{
	return __atomic_load_n(&l->writer, __ATOMIC_ACQUIRE);
}
