/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hotplug lock: one for the guest, owned by a transaction of the host, not by
 * a thread; leased, and numbered by the epochs of the coordinators that take it.
 *
 * Lock order, outermost first: hotplug lock > device lock > memory hotplug lock >
 * worker lock. The first is asserted with lock_assert_held(), the order of the
 * others with lock_enter()/lock_leave().
 *
 * Whoever works under the lock pins it: an owner that loses its lease or gives
 * the lock back while it is pinned keeps it until the last pin goes. A sysfs write
 * that the kernel has not returned from is such a pin.
 *
 * Time comes in as an argument; nothing here reads a clock.
 */
#ifndef AGENT_LOCK_H
#define AGENT_LOCK_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <lockstep/limits.h>

struct ls_err;

/**
 * struct hotplug_lock - The lock and who has it
 * @mutex:       protects the rest; held for a few instructions, never over a call
 * @held:        somebody has it
 * @window:      the owner has a migration window open: the window's lease counts
 * @releasing:   given back or expired while pinned; goes with the last pin
 * @txn:         the owner; "" if nobody
 * @expired:     whose lease ran out last, until it takes the lock again; "" nobody's
 * @epoch:       highest seen since boot
 * @deadline_ms: end of the lease; 0: none
 * @pins:        requests and kernel writes under way
 * @on_change:   told whether it is held, under @mutex; must not block; may be NULL
 * @change_arg:  for @on_change
 */
struct hotplug_lock {
	pthread_mutex_t mutex;
	bool held;
	bool window;
	bool releasing;
	char txn[LS_TXN_BYTES];
	char expired[LS_TXN_BYTES];
	uint64_t epoch;
	uint64_t deadline_ms;
	unsigned pins;
	void (*on_change)(void *arg, bool held);
	void *change_arg;
};

/* What lock_look() copies out: the same fields, at one moment. */
struct lock_view {
	bool held;
	char txn[LS_TXN_BYTES];
	uint64_t epoch;
	uint64_t left_ms;
};

void lock_init(struct hotplug_lock *l, uint64_t epoch);
void lock_done(struct hotplug_lock *l);

/* Who is told when it is taken and given back: the guard. Before anybody has it. */
void lock_on_change(struct hotplug_lock *l, void (*fn)(void *arg, bool held), void *arg);

/**
 * lock_take() - Take the lock for a transaction
 * @l:        the lock
 * @txn:      who; borrowed
 * @epoch:    of its coordinator
 * @lease_ms: cut to LS_LEASE_FIRST_MAX_MS unless @txn has the lock already
 * @now_ms:   CLOCK_MONOTONIC
 * @err:      names the owner; its class is the wire's
 *
 * An epoch is remembered even if the lock is not given: a coordinator older than
 * one that has shown itself cannot come back.
 *
 * Return: 0, 1 (had it already: the lease is renewed), -EBUSY (LockHeld or
 *         WindowOpen), -ESTALE (LowerEpoch).
 */
int lock_take(struct hotplug_lock *l, const char *txn, uint64_t epoch, uint64_t lease_ms,
	      uint64_t now_ms, struct ls_err *err);

/**
 * lock_begin_local() - Take and pin the lock for one request of the agent's own
 * @who: a name that no transaction has: it starts with '('
 *
 * For requests without a transaction (guest-set-vcpus, doctor --fix). There is no
 * lease; lock_end_local() gives it back.
 *
 * Return: 0, -EBUSY.
 */
int lock_begin_local(struct hotplug_lock *l, const char *who, struct ls_err *err);
void lock_end_local(struct hotplug_lock *l, const char *who);

/* The owner has opened a window (its lease counts from now on), or closed it. */
void lock_set_window(struct hotplug_lock *l, bool open);

/* Extend the lease: 0, or -ENOLCK (LockNotHeld, LeaseExpired). */
int lock_renew(struct hotplug_lock *l, const char *txn, uint64_t lease_ms, uint64_t now_ms,
	       struct ls_err *err);

/**
 * lock_release() - Give the lock back
 *
 * Return: 0, 1 (nobody had it), -ENOLCK (another has it), -EBUSY (WindowOpen: close
 *         the window instead; or pinned: it goes with the last pin).
 */
int lock_release(struct hotplug_lock *l, const char *txn, struct ls_err *err);

/* Keep the lock for as long as a request of its owner runs: 0, or -ENOLCK/-EBUSY. */
int lock_pin(struct hotplug_lock *l, const char *txn, struct ls_err *err);
/* Keep the lock because a write is in the kernel; whoever has it. */
void lock_pin_any(struct hotplug_lock *l);
/* Return: true if that was the last pin and the lock has gone with it. */
bool lock_unpin(struct hotplug_lock *l);

/**
 * lock_expire() - End a lease that has run out
 *
 * The caller has drained its channels first: a renew that was already there counts.
 *
 * Return: true if the lock went now.
 */
bool lock_expire(struct hotplug_lock *l, uint64_t now_ms);

/* When lock_expire() is to be called; 0 never. */
uint64_t lock_deadline_ms(struct hotplug_lock *l);

void lock_look(struct hotplug_lock *l, uint64_t now_ms, struct lock_view *ret_view);

/* Our own bug otherwise: the hotplug lock must be held, and pinned by a request. */
void lock_assert_held(struct hotplug_lock *l);

/* The locks below the hotplug lock; a thread takes them in this order only. */
enum lock_level { LOCK_NONE, LOCK_DEVICE, LOCK_MEMORY, LOCK_WORKER };

/* What this thread holds. Never in a shared library: the cheapest model there is. */
extern _Thread_local enum lock_level lock_level_now __attribute__((tls_model("initial-exec")));

/* The order alone, for locks that are no mutex. Return: the level before. */
static inline enum lock_level lock_level_enter(enum lock_level level)
{
	enum lock_level before = lock_level_now;

	assert(level > before);
	lock_level_now = level;
	return before;
}

static inline void lock_level_leave(enum lock_level before)
{
	assert(before < lock_level_now);
	lock_level_now = before;
}

/* Return: the level before, for lock_leave(). */
enum lock_level lock_enter(enum lock_level level, pthread_mutex_t *mutex);
void lock_leave(enum lock_level before, pthread_mutex_t *mutex);

#endif
