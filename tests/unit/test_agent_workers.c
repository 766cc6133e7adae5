/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers together: all meet or none, what a meeting proves of their CPUs, and the real
 * code under load.
 */
#include "worker_fixture.h"

#include <string.h>

#include "../../guest-agent/cpu.h"
#include "../../guest-agent/cpus.h"

#define CPUS   4
#define ROUNDS 2000

/* ---- meetings -------------------------------------------------------------- */

static void workers_start(struct workers *ws, int n)
{
	int cpu;

	workers_init(ws);
	ws->ops = &fake_machine;
	for (cpu = 0; cpu < n; cpu++)
		assert_int_equal(worker_unpark(workers_get(ws, cpu)), 0);
}

static void workers_end(struct workers *ws, int n)
{
	int cpu;

	for (cpu = 0; cpu < n; cpu++)
		workers_forget(ws, cpu);
}

static struct cpus set_of(int a, int b)
{
	struct cpus set = { 0 };

	cpus_add(&set, a);
	cpus_add(&set, b);
	return set;
}

static int count(struct worker *w, void *arg)
{
	(void)w;
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* One of them is parked: nothing runs on any, and the others are not held up. */
static void test_when_one_is_parked_then_nobody_meets(void **state)
{
	struct cpus set = set_of(0, 1);
	struct workers ws;
	int ran = 0;

	(void)state;
	workers_start(&ws, 2);
	assert_int_equal(workers_rendezvous(&ws, &set, count, &ran, PATIENCE_MS), 0);
	assert_int_equal(ran, 2);
	worker_park(ws.of[1], PATIENCE_MS);
	assert_int_equal(workers_rendezvous(&ws, &set, count, &ran, PATIENCE_MS), -ESHUTDOWN);
	assert_int_equal(worker_park(ws.of[0], PATIENCE_MS), 0);
	assert_int_equal(ran, 2);
	workers_end(&ws, 2);
}

/* One of them does not come: the others do not wait for ever, and nothing runs. */
static void test_when_one_does_not_come_then_the_meeting_is_off(void **state)
{
	struct cpus set = set_of(0, 1);
	struct workers ws;
	struct note held;
	int ran = 0, held_ran = 0;

	(void)state;
	assert_int_equal(pipe(hog_gate), 0);
	workers_init(&ws);
	ws.ops = &hogged;
	worker_unpark(workers_get(&ws, 0));
	worker_unpark(workers_get(&ws, 1));
	held = note(hog_gate[0], &held_ran);
	assert_int_equal(worker_queue(ws.of[1], &held.item), 0);
	assert_int_equal(workers_rendezvous(&ws, &set, count, &ran, 10), -ETIMEDOUT);
	assert_int_equal(ran, 0);
	workers_end(&ws, 2);
	assert_int_equal(held_ran, 1);
	close(hog_gate[0]);
	close(hog_gate[1]);
}

/* ---- the proof that CPUs run ----------------------------------------------- */

static int lost_cpu = -1, slow_cpu = -1, loose_cpu = -1;

static int lost_pin(pthread_t thread, int cpu)
{
	(void)thread;
	return cpu >= 0 && cpu == loose_cpu ? -EINVAL : 0;
}

static int lost_here(int cpu)
{
	return cpu == lost_cpu ? cpu + 1 : cpu;
}

static int64_t lost_now_ns(int cpu)
{
	return cpu >= 0 && cpu == slow_cpu ? 999 : 1000;
}

static const struct worker_ops lost = { lost_pin, lost_here, lost_now_ns };

static int meet_where(int lost_one, int slow, int loose)
{
	struct cpus set = set_of(1, 3);
	struct guest g;
	int r;

	lost_cpu = lost_one;
	slow_cpu = slow;
	loose_cpu = loose;
	guest_init(&g, 4, 4, 0);
	g.model.workers.ops = &lost;
	r = cpu_meet(&g.model, &set, NULL);
	guest_done(&g);
	return r;
}

/* All run; one runs elsewhere; one has a clock behind; one cannot be tied: each has its answer. */
static void test_when_cpus_meet_then_what_is_proved(void **state)
{
	(void)state;
	assert_int_equal(meet_where(-1, -1, -1), 0);
	assert_int_equal(meet_where(3, -1, -1), -EIO);
	assert_int_equal(meet_where(-1, 1, -1), -EIO);
	assert_int_equal(meet_where(-1, -1, 3), 1);
}

static int met[FAKE_CPUS];

static int count_here(int cpu)
{
	__atomic_add_fetch(&met[cpu], 1, __ATOMIC_SEQ_CST);
	return cpu;
}

static void no_result(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)cpu;
	(void)code;
	(void)err;
}

/* A window closes: each CPU that it had forced, and no other, shows that it runs. */
static void test_when_a_window_closes_then_the_forced_cpus_meet(void **state)
{
	const struct worker_ops machine = { lost_pin, count_here, lost_now_ns };
	struct window_result result = { .failed = no_result };
	struct guest g;

	(void)state;
	lost_cpu = slow_cpu = loose_cpu = -1;
	guest_init(&g, 4, 2, 0);
	g.model.workers.ops = &machine;
	assert_int_equal(window_admit(&g.window, "t1", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	assert_int_equal(window_open(&g.window, "t1", false, &result, NULL), 0);
	memset(met, 0, sizeof(met));
	assert_int_equal(window_close(&g.window, "t1", &result, NULL), 0);
	assert_int_equal(met[2], 1);
	assert_int_equal(met[3], 1);
	assert_int_equal(met[0] + met[1], 0);
	assert_true(fake_agrees(&g.kernel, 3, false));
	guest_done(&g);
}

/* ---- load ------------------------------------------------------------------ */

/**
 * struct load - What the threads below share
 * @accepted: by CPU: items that a worker has taken
 * @ran:      by CPU: of them run
 * @stop:     the threads that disturb are to end
 */
struct load {
	struct workers ws;
	int accepted[CPUS];
	int ran[CPUS];
	int met;
	int meetings;
	bool stop;
};

static void run_and_free(struct worker_item *item, struct worker *w)
{
	run_note(item, w);
	free(item);
}

static void *queue_all_the_time(void *arg)
{
	struct load *l = arg;
	struct note *n;
	int i, cpu;

	for (i = 0; i < ROUNDS; i++) {
		cpu = i % CPUS;
		n = malloc(sizeof(*n));
		if (!n)
			abort();
		*n = note(-1, &l->ran[cpu]);
		n->item.fn = run_and_free;
		if (worker_queue(l->ws.of[cpu], &n->item) == 0)
			__atomic_add_fetch(&l->accepted[cpu], 1, __ATOMIC_SEQ_CST);
		else
			free(n);
	}
	return NULL;
}

/* Parks and unparks; a park that is over has left nothing in the queue. */
static void *park_all_the_time(void *arg)
{
	struct load *l = arg;
	unsigned i;

	for (i = 0; !__atomic_load_n(&l->stop, __ATOMIC_SEQ_CST); i++) {
		struct worker *w = l->ws.of[i % CPUS];

		if (worker_park(w, PATIENCE_MS) < 0)
			abort();
		worker_unpark(w);
	}
	return NULL;
}

static void *meet_all_the_time(void *arg)
{
	struct load *l = arg;
	int i, r;

	for (i = 0; i < ROUNDS; i++) {
		struct cpus set = set_of(i % CPUS, (i + 1 + i / CPUS % (CPUS - 1)) % CPUS);

		r = workers_rendezvous(&l->ws, &set, count, &l->met, PATIENCE_MS);
		if (r < 0 && r != -ESHUTDOWN)
			abort();
		__atomic_add_fetch(&l->meetings, r == 0, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Queue, park, unpark and meet at once: what was accepted runs, all or none, nobody hangs. */
static void test_when_under_load_then_nothing_is_lost_and_nobody_hangs(void **state)
{
	void *(*const busy[])(void *) = { queue_all_the_time, queue_all_the_time, meet_all_the_time,
					  meet_all_the_time };
	pthread_t thread[4], parker;
	struct load l = { .stop = false };
	int i, accepted = 0;

	(void)state;
	workers_start(&l.ws, CPUS);
	assert_int_equal(pthread_create(&parker, NULL, park_all_the_time, &l), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, busy[i], &l), 0);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	__atomic_store_n(&l.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(parker, NULL);
	workers_end(&l.ws, CPUS);
	for (i = 0; i < CPUS; i++) {
		assert_int_equal(l.ran[i], l.accepted[i]);
		accepted += l.accepted[i];
	}
	assert_int_equal(l.met, 2 * l.meetings);
	assert_true(accepted > 0 && l.meetings > 0);
	print_message("%d of %d items accepted, %d of %d meetings held\n", accepted, 2 * ROUNDS,
		      l.meetings, 2 * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_one_is_parked_then_nobody_meets),
		cmocka_unit_test(test_when_one_does_not_come_then_the_meeting_is_off),
		cmocka_unit_test(test_when_cpus_meet_then_what_is_proved),
		cmocka_unit_test(test_when_a_window_closes_then_the_forced_cpus_meet),
		cmocka_unit_test(test_when_under_load_then_nothing_is_lost_and_nobody_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
