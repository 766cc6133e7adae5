/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hotplug lock: ownership by transaction, leases, epochs, pins.
 */
#include "lock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/wire.h>

#include "classes.h"

void lock_init(struct hotplug_lock *l, uint64_t epoch)
{
	*l = (struct hotplug_lock){ .epoch = epoch };
	pthread_mutex_init(&l->mutex, NULL);
}

void lock_done(struct hotplug_lock *l)
{
	pthread_mutex_destroy(&l->mutex);
}

static bool mine_locked(const struct hotplug_lock *l, const char *txn)
{
	return l->held && !strcmp(l->txn, txn);
}

static int refuse_held_locked(const struct hotplug_lock *l, struct ls_err *err)
{
	if (l->window)
		return class_set(
			err, -EBUSY, LS_CLASS_WINDOW_OPEN,
			"transaction %s has a migration window open: try again when it is closed",
			l->txn);
	return class_set(err, -EBUSY, LS_CLASS_LOCK_HELD,
			 "transaction %s holds the hotplug lock: try again when it is free",
			 l->txn);
}

static int refuse_other_locked(const struct hotplug_lock *l, const char *txn, struct ls_err *err)
{
	if (l->held && l->window)
		return refuse_held_locked(l, err);
	if (!strcmp(l->expired, txn))
		return class_set(
			err, -ENOLCK, LS_CLASS_LEASE_EXPIRED,
			"the lease of transaction %s has run out; the hotplug lock is %s%s", txn,
			l->held ? "held by " : "free", l->txn);
	return class_set(err, -ENOLCK, LS_CLASS_NOT_HELD,
			 "transaction %s does not hold the hotplug lock: %s%s", txn,
			 l->held ? "held by " : "nobody does", l->txn);
}

void lock_on_change(struct hotplug_lock *l, void (*fn)(void *arg, bool held), void *arg)
{
	ls_guard(&l->mutex);
	l->on_change = fn;
	l->change_arg = arg;
}

static void tell_locked(const struct hotplug_lock *l)
{
	if (l->on_change)
		l->on_change(l->change_arg, l->held);
}

static void own_locked(struct hotplug_lock *l, const char *txn)
{
	l->held = true;
	l->releasing = false;
	l->window = false;
	l->deadline_ms = 0;
	snprintf(l->txn, sizeof(l->txn), "%s", txn);
	if (!strcmp(l->expired, txn))
		l->expired[0] = '\0';
	tell_locked(l);
}

static void free_locked(struct hotplug_lock *l)
{
	l->held = false;
	l->releasing = false;
	l->window = false;
	l->deadline_ms = 0;
	l->txn[0] = '\0';
	tell_locked(l);
}

/* Let go now, or with the last pin. Return: true if it went now. */
static bool let_go_locked(struct hotplug_lock *l)
{
	if (l->pins) {
		l->releasing = true;
		l->deadline_ms = 0;
		return false;
	}
	free_locked(l);
	return true;
}

int lock_take(struct hotplug_lock *l, const char *txn, uint64_t epoch, uint64_t lease_ms,
	      uint64_t now_ms, struct ls_err *err)
{
	bool already;

	ls_guard(&l->mutex);
	if (epoch < l->epoch)
		return class_set(err, -ESTALE, LS_CLASS_LOWER_EPOCH,
				 "epoch %llu is over: %llu has claimed this guest",
				 (unsigned long long)epoch, (unsigned long long)l->epoch);
	l->epoch = epoch;
	already = mine_locked(l, txn) && !l->releasing;
	if (l->held && !already)
		return refuse_held_locked(l, err);
	if (!already) {
		own_locked(l, txn);
		if (lease_ms > LS_LEASE_FIRST_MAX_MS)
			lease_ms = LS_LEASE_FIRST_MAX_MS;
	}
	if (!l->window)
		l->deadline_ms = now_ms + lease_ms;
	return already;
}

int lock_begin_local(struct hotplug_lock *l, const char *who, struct ls_err *err)
{
	ls_guard(&l->mutex);
	if (l->held)
		return refuse_held_locked(l, err);
	own_locked(l, who);
	l->pins++;
	return 0;
}

void lock_end_local(struct hotplug_lock *l, const char *who)
{
	lock_release(l, who, NULL);
	lock_unpin(l);
}

void lock_set_window(struct hotplug_lock *l, bool open)
{
	ls_guard(&l->mutex);
	l->window = open;
	l->deadline_ms = 0;
}

int lock_renew(struct hotplug_lock *l, const char *txn, uint64_t lease_ms, uint64_t now_ms,
	       struct ls_err *err)
{
	ls_guard(&l->mutex);
	if (!mine_locked(l, txn) || l->releasing)
		return refuse_other_locked(l, txn, err);
	if (!l->window)
		l->deadline_ms = now_ms + lease_ms;
	return 0;
}

int lock_release(struct hotplug_lock *l, const char *txn, struct ls_err *err)
{
	ls_guard(&l->mutex);
	if (!l->held)
		return 1;
	if (!mine_locked(l, txn))
		return refuse_other_locked(l, txn, err);
	if (l->window)
		return refuse_held_locked(l, err);
	if (!let_go_locked(l))
		return class_set(err, -EBUSY, NULL,
				 "the hotplug lock is in use; it goes when that ends");
	return 0;
}

int lock_pin(struct hotplug_lock *l, const char *txn, struct ls_err *err)
{
	ls_guard(&l->mutex);
	if (!mine_locked(l, txn) || l->releasing)
		return refuse_other_locked(l, txn, err);
	l->pins++;
	return 0;
}

void lock_pin_any(struct hotplug_lock *l)
{
	ls_guard(&l->mutex);
	l->pins++;
}

bool lock_unpin(struct hotplug_lock *l)
{
	ls_guard(&l->mutex);
	assert(l->pins > 0);
	if (--l->pins || !l->releasing)
		return false;
	free_locked(l);
	return true;
}

bool lock_expire(struct hotplug_lock *l, uint64_t now_ms)
{
	ls_guard(&l->mutex);
	if (!l->held || !l->deadline_ms || now_ms < l->deadline_ms)
		return false;
	memcpy(l->expired, l->txn, sizeof(l->txn));
	return let_go_locked(l);
}

uint64_t lock_deadline_ms(struct hotplug_lock *l)
{
	ls_guard(&l->mutex);
	return l->deadline_ms;
}

void lock_look(struct hotplug_lock *l, uint64_t now_ms, struct lock_view *ret_view)
{
	ls_guard(&l->mutex);
	ret_view->held = l->held;
	ret_view->epoch = l->epoch;
	ret_view->left_ms = l->deadline_ms > now_ms ? l->deadline_ms - now_ms : 0;
	memcpy(ret_view->txn, l->txn, sizeof(l->txn));
}

void lock_assert_held(struct hotplug_lock *l)
{
	ls_guard(&l->mutex);
	assert(l->held && l->pins > 0);
}

_Thread_local enum lock_level lock_level_now;

enum lock_level lock_enter(enum lock_level level, pthread_mutex_t *mutex)
{
	enum lock_level before = lock_level_enter(level);

	pthread_mutex_lock(mutex);
	return before;
}

void lock_leave(enum lock_level before, pthread_mutex_t *mutex)
{
	lock_level_leave(before);
	pthread_mutex_unlock(mutex);
}
