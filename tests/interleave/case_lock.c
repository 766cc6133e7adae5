/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hotplug lock: coordinators of two epochs, the end of a lease, and the guest's own.
 */
#include "cases.h"

#include <string.h>

#include "../../guest-agent/lock.h"

#define LEASE_MS 1000

/* @inside: who works under the lock */
static struct {
	struct hotplug_lock lock;
	struct object room;
	int inside;
	bool newer_was_here;
} s;

static void work_pinned(void)
{
	sched_point(&s.room, "comes in");
	s.inside++;
	sched_check(s.inside == 1, "%d work under the lock", s.inside);
	sched_point(&s.room, "goes out");
	s.inside--;
}

static void work_as(const char *txn)
{
	if (lock_pin(&s.lock, txn, NULL) < 0)
		return;
	work_pinned();
	lock_unpin(&s.lock);
	lock_release(&s.lock, txn, NULL);
}

/* One that has been replaced gets the lock no more. */
static void *older(void *arg)
{
	int r = lock_take(&s.lock, "t1", 1, LEASE_MS, 0, NULL);

	sched_check(r < 0 || !s.newer_was_here, "epoch 1 gets the lock after epoch 2 was here");
	if (r == 0)
		work_as("t1");
	return arg;
}

static void *newer(void *arg)
{
	int r = lock_take(&s.lock, "t2", 2, LEASE_MS, 0, NULL);

	s.newer_was_here = true;
	if (r == 0)
		work_as("t2");
	return arg;
}

/* A lease that runs out takes the lock from who has it, but not from who works. */
static void *expiry(void *arg)
{
	lock_expire(&s.lock, LEASE_MS);
	return arg;
}

static void *local(void *arg)
{
	if (lock_begin_local(&s.lock, "(local)", NULL) == 0) {
		work_pinned();
		lock_end_local(&s.lock, "(local)");
	}
	return arg;
}

/* One works at a time, and in the end the lock is free. */
void case_lock(void)
{
	void *(*const fn[])(void *) = { older, newer, expiry, local };
	const char *const name[] = { "epoch1", "epoch2", "expiry", "local" };
	struct lock_view v;
	pthread_t t[4];
	int i;

	memset(&s, 0, sizeof(s));
	sched_local(&lock_level_now);
	lock_init(&s.lock, 0);
	for (i = 0; i < 4; i++) {
		sched_name(name[i]);
		pthread_create(&t[i], NULL, fn[i], NULL);
	}
	sched_open(true);
	sched_join(t, 4);
	sched_open(false);
	lock_expire(&s.lock, LEASE_MS);
	lock_look(&s.lock, 0, &v);
	sched_check(!v.held, "%s has the lock for ever", v.txn);
	lock_done(&s.lock);
}
