/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory hotplug lock: readers and writers, their order, and what ThreadSanitizer says. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../guest-agent/memlock.h"

#define LONG_MS 20000 /* only a bound on hanging */
#define ROUNDS	200
#define READERS 2

/**
 * struct shared - What the lock protects here
 * @a, @b:  equal, but inside a write; plain variables: the lock is all they have
 * @in:     a reader is in
 * @leave:  it may go
 * @done:   the writer, or a waiting reader, has come through
 * @torn:   reads that saw a differ from b
 * @reads:  of all readers
 */
struct shared {
	struct memlock lock;
	long a, b;
	bool in, leave, done, stop;
	long torn, reads;
};

static bool is(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_SEQ_CST);
}

static void await(const bool *flag)
{
	while (!is(flag))
		sched_yield();
}

static int setup(void **state)
{
	static struct shared s;

	s = (struct shared){ 0 };
	memlock_init(&s.lock);
	rcu_register_thread();
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	rcu_unregister_thread();
	memlock_done(&((struct shared *)*state)->lock);
	return 0;
}

static void start(pthread_t *t, void *(*fn)(void *arg), void *arg)
{
	assert_int_equal(pthread_create(t, NULL, fn, arg), 0);
}

static void *read_until_told(void *arg)
{
	struct shared *s = arg;
	enum lock_level before;

	rcu_register_thread();
	if (memlock_read(&s->lock, 0, &before) == 0) {
		set(&s->in);
		await(&s->leave);
		s->torn += s->a != 0; /* the writer has not been here */
		memlock_read_end(&s->lock, before);
	}
	rcu_unregister_thread();
	return NULL;
}

static void *write_once(void *arg)
{
	struct shared *s = arg;
	enum lock_level before = memlock_write(&s->lock);

	s->a = s->b = 1;
	memlock_write_end(&s->lock, before);
	set(&s->done);
	return NULL;
}

/* A writer waits for the readers that are in, and lets no other in meanwhile. */
static void test_when_a_reader_is_in_then_the_writer_waits(void **state)
{
	struct shared *s = *state;
	pthread_t reader, writer;
	enum lock_level before;
	bool kept_out, waited;

	start(&reader, read_until_told, s);
	await(&s->in);
	start(&writer, write_once, s);
	while (!memlock_is_written(&s->lock) && !is(&s->done))
		sched_yield();
	kept_out = memlock_read(&s->lock, 0, &before) == -ETIMEDOUT;
	usleep(20000); /* for a writer that does not wait to be caught */
	waited = !is(&s->done);
	set(&s->leave);
	pthread_join(writer, NULL);
	pthread_join(reader, NULL);
	assert_true(kept_out);
	assert_true(waited);
	assert_int_equal(s->torn, 0);
	assert_int_equal(s->a, 1);
}

/* Readers do not keep each other out. */
static void test_when_a_reader_is_in_then_another_comes_in_at_once(void **state)
{
	struct shared *s = *state;
	enum lock_level before;
	pthread_t reader;

	start(&reader, read_until_told, s);
	await(&s->in);
	assert_int_equal(memlock_read(&s->lock, 0, &before), 0);
	memlock_read_end(&s->lock, before);
	set(&s->leave);
	pthread_join(reader, NULL);
}

static void *read_patiently(void *arg)
{
	struct shared *s = arg;
	enum lock_level before;

	rcu_register_thread();
	set(&s->in);
	if (memlock_read(&s->lock, LONG_MS, &before) == 0) {
		s->reads = s->a;
		memlock_read_end(&s->lock, before);
	}
	rcu_unregister_thread();
	return NULL;
}

/* A reader that may wait gets in when the writer is through, and sees what it wrote. */
static void test_when_the_writer_ends_then_waiting_readers_come_in(void **state)
{
	struct shared *s = *state;
	enum lock_level before = memlock_write(&s->lock);
	pthread_t reader;

	start(&reader, read_patiently, s);
	await(&s->in);
	s->a = 7;
	memlock_write_end(&s->lock, before);
	pthread_join(reader, NULL);
	assert_int_equal(s->reads, 7);
}

/* Nobody waits for ever for a writer, and who gave up can come again. */
static void test_when_the_writer_stays_then_the_wait_is_bounded(void **state)
{
	struct shared *s = *state;
	enum lock_level writer = memlock_write(&s->lock), before;

	lock_level_leave(writer); /* as another thread would come */
	assert_int_equal(memlock_read(&s->lock, 20, &before), -ETIMEDOUT);
	assert_int_equal(lock_level_now, LOCK_NONE);
	assert_false(rcu_read_ongoing());
	lock_level_enter(LOCK_MEMORY);
	memlock_write_end(&s->lock, writer);
	assert_int_equal(memlock_read(&s->lock, 0, &before), 0);
	memlock_read_end(&s->lock, before);
}

static void *read_all_the_time(void *arg)
{
	struct shared *s = arg;
	long torn = 0, reads = 0;
	enum lock_level before;

	rcu_register_thread();
	while (!is(&s->stop)) {
		if (memlock_read(&s->lock, LONG_MS, &before) < 0)
			continue;
		torn += s->a != s->b;
		reads++;
		memlock_read_end(&s->lock, before);
	}
	rcu_unregister_thread();
	__atomic_fetch_add(&s->torn, torn, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&s->reads, reads, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Readers that never stop and a writer that comes again and again: no half change is seen. */
static void test_when_they_race_then_no_reader_sees_half_a_change(void **state)
{
	struct shared *s = *state;
	pthread_t reader[READERS];
	int i;

	for (i = 0; i < READERS; i++)
		start(&reader[i], read_all_the_time, s);
	for (i = 0; i < ROUNDS; i++) {
		enum lock_level before = memlock_write(&s->lock);

		s->a++;
		sched_yield();
		s->b++;
		memlock_write_end(&s->lock, before);
	}
	set(&s->stop);
	for (i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	assert_int_equal(s->torn, 0);
	assert_true(s->reads > 0);
	assert_int_equal(s->a, ROUNDS);
}

static void read_twice(void *arg)
{
	struct shared *s = arg;
	enum lock_level before;

	memlock_read(&s->lock, 0, &before);
	memlock_read(&s->lock, 0, &before);
}

static void device_lock_inside(void *arg)
{
	pthread_mutex_t device = PTHREAD_MUTEX_INITIALIZER;
	struct shared *s = arg;
	enum lock_level before;

	memlock_read(&s->lock, 0, &before);
	lock_enter(LOCK_DEVICE, &device);
}

static void device_lock_outside(void *arg)
{
	pthread_mutex_t device = PTHREAD_MUTEX_INITIALIZER;
	struct shared *s = arg;
	enum lock_level outer = lock_enter(LOCK_DEVICE, &device), before;

	memlock_read(&s->lock, 0, &before);
	memlock_read_end(&s->lock, before);
	lock_leave(outer, &device);
}

/* Device locks come first, and a thread is in once: another order is our own bug. */
static void test_when_taken_out_of_order_then_it_is_our_bug(void **state)
{
	assert_false(dies_by_assert(device_lock_outside, *state));
	assert_true(dies_by_assert(device_lock_inside, *state));
	assert_true(dies_by_assert(read_twice, *state));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_a_reader_is_in_then_the_writer_waits),
		T(test_when_a_reader_is_in_then_another_comes_in_at_once),
		T(test_when_the_writer_ends_then_waiting_readers_come_in),
		T(test_when_the_writer_stays_then_the_wait_is_bounded),
		T(test_when_they_race_then_no_reader_sees_half_a_change),
		T(test_when_taken_out_of_order_then_it_is_our_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
