/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The board under readers that never rest: what they see of a guest is of one moment, and
 * stays as it is until they have read it. ThreadSanitizer and AddressSanitizer see the rest.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lockstep/rcu_order.h>

#include <urcu.h>

#include "../../coordinator/daemon/board.h"

#define READERS 3
#define ROUNDS	2000
#define CPUS	8

/**
 * struct reader - A thread that reads all guests, again and again
 * @rounds: of them; @seen: guests in all of them
 * @torn:   it saw what nobody has published
 */
struct reader {
	struct board *board;
	atomic_bool *stop;
	atomic_uint rounds;
	unsigned seen;
	bool torn;
};

/* Everything in it says the same number, @moment, that it was published with. */
static void publish(struct board_guest *g, unsigned moment)
{
	struct vm_cpu cpus[CPUS] = { 0 };
	const struct vm vm = { .cpus = cpus, .n_cpus = moment % CPUS + 1, .boots = moment };
	struct seen s = { .waiting = moment, .unplugs = moment, .seen_ms = moment, .vm = &vm };

	snprintf(s.reason, sizeof(s.reason), "%u", moment);
	board_publish(g, &s);
}

static bool is_whole(const struct seen *s)
{
	if (!s->vm) /* before the first time */
		return !s->waiting && !s->unplugs && !s->reason[0];
	return s->unplugs == s->waiting && s->seen_ms == s->waiting && s->vm->boots == s->waiting &&
	       s->vm->n_cpus == s->waiting % CPUS + 1 && strtoul(s->reason, NULL, 10) == s->waiting;
}

static void check(void *arg, const struct seen *s)
{
	struct reader *r = arg;
	bool whole = is_whole(s);

	r->seen++;
	r->torn |= !whole || !is_whole(s) || s->name[0] != 'g';
}

static void *read_all_the_time(void *arg)
{
	struct reader *r = arg;

	rcu_register_thread();
	while (!atomic_load(r->stop)) {
		board_begin();
		board_each(r->board, check, r);
		board_end();
		atomic_fetch_add(&r->rounds, 1);
	}
	rcu_unregister_thread();
	return NULL;
}

/* What the loop's thread does, until each reader has had its part of it. */
static void write_while_read(struct board *b, void (*write)(struct board *b, unsigned moment))
{
	struct reader readers[READERS] = { 0 };
	pthread_t threads[READERS];
	atomic_bool stop = false;
	unsigned moment = 0;

	for (int i = 0; i < READERS; i++) {
		readers[i].board = b;
		readers[i].stop = &stop;
		pthread_create(&threads[i], NULL, read_all_the_time, &readers[i]);
	}
	for (int i = 0; i < READERS; i++)
		while (atomic_load(&readers[i].rounds) < ROUNDS)
			write(b, ++moment);
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_false(readers[i].torn);
		assert_true(readers[i].seen > 0);
	}
}

static struct board_guest *guest;

static void publish_again(struct board *b, unsigned moment)
{
	(void)b;
	publish(guest, moment);
}

static void test_when_published_while_read_then_of_one_moment(void **state)
{
	struct board *b = board_new();

	(void)state;
	guest = board_add(b, "g0");
	write_while_read(b, publish_again);
	board_remove(guest);
	board_free(b);
}

static void come_and_go(struct board *b, unsigned moment)
{
	struct board_guest *g = board_add(b, "g1");

	publish(g, moment);
	publish(guest, moment);
	board_remove(g);
}

static void test_when_guests_come_and_go_while_read_then_none_is_torn(void **state)
{
	struct board *b = board_new();

	(void)state;
	guest = board_add(b, "g0");
	write_while_read(b, come_and_go);
	board_remove(guest);
	board_free(b);
}

/* Who reads has what there was when it began, however often it is replaced meanwhile. */
static void test_when_replaced_while_held_then_unchanged(void **state)
{
	struct board *b = board_new();
	const struct seen *s;

	(void)state;
	guest = board_add(b, "g0");
	publish(guest, 1);
	board_begin();
	s = board_seen(guest);
	for (unsigned moment = 2; moment < ROUNDS; moment++)
		publish(guest, moment);
	assert_int_equal(s->waiting, 1);
	assert_true(is_whole(s));
	assert_int_equal(board_seen(guest)->waiting, ROUNDS - 1);
	board_end();
	board_remove(guest);
	board_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_published_while_read_then_of_one_moment),
		cmocka_unit_test(test_when_guests_come_and_go_while_read_then_none_is_torn),
		cmocka_unit_test(test_when_replaced_while_held_then_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
