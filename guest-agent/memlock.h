/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory hotplug lock: very cheap to read, dear to write.
 *
 * Its readers are all that only looks at memory blocks; its writers bring blocks
 * online or take them offline. Writers are few, slow, and already one after the
 * other under the hotplug lock, so all of the cost is theirs: a reader is an RCU
 * read section and a look at one flag, and writes to no memory that another CPU
 * uses. It is what get_online_mems() and mem_hotplug_begin() are to the kernel.
 *
 * A writer raises the flag and waits for a grace period. Then every reader that
 * had not seen the flag is gone, and every later one sees it and stays out. A
 * reader that finds the flag up waits asleep until it is down.
 *
 * Lock order, both sides: hotplug lock > device lock > this > worker lock (lock.h).
 * Readers do not nest: one that held a section while it waited for a writer would
 * be waited for by that writer.
 */
#ifndef AGENT_MEMLOCK_H
#define AGENT_MEMLOCK_H

#include <lockstep/rcu_order.h> /* before urcu.h */

#include <pthread.h>
#include <stdbool.h>

#include <urcu.h>

#include "lock.h"

/**
 * struct memlock - The lock
 * @mutex:  protects @writer against other writers, and the sleep of readers
 * @over:   @writer went down
 * @writer: somebody writes, or is about to
 * @sections: never used: its address stands for all read sections (rcu_order.h)
 */
struct memlock {
	pthread_mutex_t mutex;
	pthread_cond_t over;
	bool writer;
	char sections;
};

void memlock_init(struct memlock *l);
void memlock_done(struct memlock *l);

/* The flag was up: memlock_read() goes on here. */
int memlock_read_slow(struct memlock *l, unsigned wait_ms);

/**
 * memlock_read() - Keep every memory block as it is until memlock_read_end()
 * @l:          the lock
 * @wait_ms:    how long to wait for a writer; 0: not at all
 * @ret_before: for memlock_read_end()
 *
 * Context: a thread registered with RCU, outside of rcu_read_lock(). Until
 *          memlock_read_end() nothing waits for an event.
 * Return:  0, -ETIMEDOUT (there is a writer, the lock is not taken).
 */
static inline int memlock_read(struct memlock *l, unsigned wait_ms, enum lock_level *ret_before)
{
	int r = 0;

	*ret_before = lock_level_enter(LOCK_MEMORY);
	rcu_read_lock();
	if (__builtin_expect(__atomic_load_n(&l->writer, __ATOMIC_ACQUIRE), 0)) {
		r = memlock_read_slow(l, wait_ms);
		if (r < 0)
			lock_level_leave(*ret_before);
	}
	rcu_order_after(&l->sections);
	return r;
}

static inline void memlock_read_end(struct memlock *l, enum lock_level before)
{
	rcu_order_before(&l->sections);
	rcu_read_unlock();
	lock_level_leave(before);
}

/**
 * memlock_write() - Keep all readers out until memlock_write_end()
 *
 * Context: under the hotplug lock; not in a read section. Waits for the writer
 *          before us and for the readers that are in.
 * Return:  the level before, for memlock_write_end().
 */
enum lock_level memlock_write(struct memlock *l);
void memlock_write_end(struct memlock *l, enum lock_level before);

/* Whether somebody writes now; for assertions and tests. */
bool memlock_is_written(struct memlock *l);

#endif
