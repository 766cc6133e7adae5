/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hotplug lock: owners, leases, epochs, pins. Time is an argument here. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <lockstep/err.h>
#include <lockstep/wire.h>

static int setup(void **state)
{
	static struct hotplug_lock lock;

	lock_init(&lock, 0);
	*state = &lock;
	return 0;
}

static int teardown(void **state)
{
	lock_done(*state);
	return 0;
}

static bool held_by(struct hotplug_lock *l, const char *txn)
{
	struct lock_view v;

	lock_look(l, 0, &v);
	return v.held ? !strcmp(v.txn, txn) : !*txn;
}

/* One transaction has the lock; another one is refused and told by whom. */
static void test_when_held_then_another_is_refused(void **state)
{
	struct hotplug_lock *l = *state;
	struct ls_err err = { 0 };

	assert_int_equal(lock_take(l, "t1", 1, 1000, 0, NULL), 0);
	assert_int_equal(lock_take(l, "t2", 1, 1000, 0, &err), -EBUSY);
	assert_string_equal(err.class, LS_CLASS_LOCK_HELD);
	assert_non_null(strstr(err.text, "t1"));
	assert_true(held_by(l, "t1"));
}

/* Taking it again is a renew, and says so. */
static void test_when_taken_twice_then_it_is_a_renew(void **state)
{
	struct hotplug_lock *l = *state;

	assert_int_equal(lock_take(l, "t1", 1, 1000, 0, NULL), 0);
	assert_int_equal(lock_take(l, "t1", 1, 9000, 500, NULL), 1);
	assert_int_equal(lock_deadline_ms(l), 9500);
}

/* The first lease is cut, so that a guest that stops right then heals by itself. */
static void test_when_first_lease_is_long_then_it_is_cut(void **state)
{
	struct hotplug_lock *l = *state;

	lock_take(l, "t1", 1, 60000, 100, NULL);
	assert_int_equal(lock_deadline_ms(l), 100 + LS_LEASE_FIRST_MAX_MS);
	assert_int_equal(lock_renew(l, "t1", 60000, 200, NULL), 0);
	assert_int_equal(lock_deadline_ms(l), 60200);
}

/* A lease ends at its deadline, not a millisecond earlier. */
static void test_when_the_lease_ends_then_the_lock_is_free(void **state)
{
	struct hotplug_lock *l = *state;
	struct ls_err err = { 0 };

	lock_take(l, "t1", 1, 1000, 0, NULL);
	assert_false(lock_expire(l, 999));
	assert_true(held_by(l, "t1"));
	assert_true(lock_expire(l, 1000));
	assert_true(held_by(l, ""));
	assert_int_equal(lock_renew(l, "t1", 1000, 1001, &err), -ENOLCK);
	assert_string_equal(err.class, LS_CLASS_LEASE_EXPIRED);
	lock_take(l, "t1", 1, 1000, 1001, NULL);
	lock_release(l, "t1", NULL);
	assert_int_equal(lock_renew(l, "t1", 1000, 1002, &err), -ENOLCK);
	assert_string_equal(err.class, LS_CLASS_NOT_HELD);
}

/* A coordinator older than one that has shown itself cannot come back. */
static void test_when_the_epoch_is_lower_then_it_is_refused(void **state)
{
	struct hotplug_lock *l = *state;
	struct ls_err err = { 0 };

	lock_take(l, "t1", 7, 1000, 0, NULL);
	lock_release(l, "t1", NULL);
	assert_int_equal(lock_take(l, "t2", 6, 1000, 0, &err), -ESTALE);
	assert_string_equal(err.class, LS_CLASS_LOWER_EPOCH);
	assert_true(held_by(l, ""));
	assert_int_equal(lock_take(l, "t2", 7, 1000, 0, NULL), 0);
}

/* Even an epoch whose request was refused has been seen. */
static void test_when_refused_then_its_epoch_still_counts(void **state)
{
	struct hotplug_lock *l = *state;

	lock_take(l, "t1", 1, 1000, 0, NULL);
	assert_int_equal(lock_take(l, "t2", 9, 1000, 0, NULL), -EBUSY);
	lock_release(l, "t1", NULL);
	assert_int_equal(lock_take(l, "t1", 1, 1000, 0, NULL), -ESTALE);
}

/* Giving back what another holds is refused; what nobody holds is fine. */
static void test_when_released_by_another_then_it_stays(void **state)
{
	struct hotplug_lock *l = *state;
	struct ls_err err = { 0 };

	assert_int_equal(lock_release(l, "t1", NULL), 1);
	lock_take(l, "t1", 1, 1000, 0, NULL);
	assert_int_equal(lock_release(l, "t2", &err), -ENOLCK);
	assert_string_equal(err.class, LS_CLASS_NOT_HELD);
	assert_true(held_by(l, "t1"));
}

/* A request under way keeps the lock over the end of the lease. */
static void test_when_pinned_then_expiry_waits_for_the_last_pin(void **state)
{
	struct hotplug_lock *l = *state;

	lock_take(l, "t1", 1, 1000, 0, NULL);
	assert_int_equal(lock_pin(l, "t1", NULL), 0);
	lock_pin_any(l);
	assert_false(lock_expire(l, 5000));
	assert_true(held_by(l, "t1"));
	assert_int_equal(lock_pin(l, "t1", NULL), -ENOLCK);
	assert_false(lock_unpin(l));
	assert_true(lock_unpin(l));
	assert_true(held_by(l, ""));
}

/* A lock that is going away cannot be kept by its owner's next request. */
static void test_when_going_away_then_renew_and_take_are_refused(void **state)
{
	struct hotplug_lock *l = *state;

	lock_take(l, "t1", 1, 1000, 0, NULL);
	lock_pin_any(l);
	assert_int_equal(lock_release(l, "t1", NULL), -EBUSY);
	assert_int_equal(lock_renew(l, "t1", 1000, 0, NULL), -ENOLCK);
	assert_int_equal(lock_take(l, "t1", 1, 1000, 0, NULL), -EBUSY);
	assert_true(lock_unpin(l));
}

/* While a window is open its lease counts, and the lock is given back by close only. */
static void test_when_a_window_is_open_then_the_lock_has_no_lease(void **state)
{
	struct hotplug_lock *l = *state;
	struct ls_err err = { 0 };

	lock_take(l, "t1", 1, 1000, 0, NULL);
	lock_set_window(l, true);
	assert_false(lock_expire(l, 1000000));
	assert_int_equal(lock_take(l, "t1", 1, 1000, 0, NULL), 1);
	assert_int_equal(lock_deadline_ms(l), 0);
	assert_int_equal(lock_release(l, "t1", &err), -EBUSY);
	assert_string_equal(err.class, LS_CLASS_WINDOW_OPEN);
	assert_int_equal(lock_take(l, "t2", 1, 1000, 0, &err), -EBUSY);
	assert_string_equal(err.class, LS_CLASS_WINDOW_OPEN);
}

static pthread_mutex_t inner = PTHREAD_MUTEX_INITIALIZER, outer = PTHREAD_MUTEX_INITIALIZER;

static void take_in_order(void *arg)
{
	(void)arg;
	lock_enter(LOCK_DEVICE, &outer);
	lock_enter(LOCK_MEMORY, &inner);
}

static void take_against_order(void *arg)
{
	(void)arg;
	lock_enter(LOCK_MEMORY, &inner);
	lock_enter(LOCK_DEVICE, &outer);
}

/* The order of the locks below is asserted, whatever mutex it is. */
static void test_when_locks_are_taken_out_of_order_then_it_is_our_bug(void **state)
{
	(void)state;
	assert_false(dies_by_assert(take_in_order, NULL));
	assert_true(dies_by_assert(take_against_order, NULL));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_held_then_another_is_refused),
		T(test_when_taken_twice_then_it_is_a_renew),
		T(test_when_first_lease_is_long_then_it_is_cut),
		T(test_when_the_lease_ends_then_the_lock_is_free),
		T(test_when_the_epoch_is_lower_then_it_is_refused),
		T(test_when_refused_then_its_epoch_still_counts),
		T(test_when_released_by_another_then_it_stays),
		T(test_when_pinned_then_expiry_waits_for_the_last_pin),
		T(test_when_going_away_then_renew_and_take_are_refused),
		T(test_when_a_window_is_open_then_the_lock_has_no_lease),
		T(test_when_locks_are_taken_out_of_order_then_it_is_our_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
