/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers: accepted means run, refused means at once, all or none, and nobody waits for
 * ever. What must hold in every order of events is searched through by
 * tests/model/worker.pml; here the real code is put under load.
 */
#include "fake_sysfs.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../guest-agent/cpu.h"
#include "../../guest-agent/cpus.h"
#include "../../guest-agent/workers.h"

#define PATIENCE_MS 30000 /* only a bound on hanging */
#define CPUS	    4
#define ROUNDS	    2000

/* ---- items ------------------------------------------------------------------------- */

/* Counts itself; a @gate that is not -1 is read first, so that the worker is held by it. */
struct note {
	struct worker_item item;
	int gate;
	int *ran;
};

static void run_note(struct worker_item *item, struct worker *w)
{
	struct note *n = (struct note *)item;
	int *ran = n->ran;
	char c;

	(void)w;
	if (n->gate >= 0 && read(n->gate, &c, 1) != 1)
		abort();
	__atomic_add_fetch(ran, 1, __ATOMIC_SEQ_CST);
}

static struct note note(int gate, int *ran)
{
	return (struct note){ .item.fn = run_note, .gate = gate, .ran = ran };
}

static struct worker *started(const struct worker_ops *ops)
{
	struct worker *w = worker_new(0, ops);

	assert_non_null(w);
	assert_int_equal(worker_unpark(w), 0);
	return w;
}

static bool accepts(struct worker *w)
{
	bool yes;

	pthread_mutex_lock(worker_lock(w));
	yes = worker_accepts_locked(w) == 0;
	pthread_mutex_unlock(worker_lock(w));
	return yes;
}

static void *park_it(void *arg)
{
	return worker_park(arg, PATIENCE_MS) == 0 ? arg : NULL;
}

/* ---- one worker ---------------------------------------------------------------------- */

/* Work that was accepted before a park is run before it is over; none is lost. */
static void test_when_parked_then_what_was_accepted_has_run(void **state)
{
	struct worker *w = started(&fake_machine);
	struct note notes[100];
	int i, ran = 0;

	(void)state;
	for (i = 0; i < 100; i++) {
		notes[i] = note(-1, &ran);
		assert_int_equal(worker_queue(w, &notes[i].item), 0);
	}
	assert_int_equal(worker_park(w, PATIENCE_MS), 0);
	assert_int_equal(ran, 100);
	assert_int_equal(worker_park(w, PATIENCE_MS), 1);
	worker_free(w);
}

/* A park that waits for the work before it refuses at once what comes after it. */
static void test_when_a_park_has_begun_then_work_is_refused_at_once(void **state)
{
	struct worker *w = started(&fake_machine);
	struct note held, late;
	int gate[2], ran = 0;
	pthread_t parker;
	void *parked;

	(void)state;
	assert_int_equal(pipe(gate), 0);
	held = note(gate[0], &ran);
	late = note(-1, &ran);
	assert_int_equal(worker_queue(w, &held.item), 0);
	assert_int_equal(pthread_create(&parker, NULL, park_it, w), 0);
	while (accepts(w))
		sched_yield();
	assert_int_equal(worker_queue(w, &late.item), -ESHUTDOWN);
	assert_int_equal(__atomic_load_n(&ran, __ATOMIC_SEQ_CST), 0);
	assert_int_equal(write(gate[1], "x", 1), 1);
	pthread_join(parker, &parked);
	assert_non_null(parked);
	assert_int_equal(ran, 1);
	worker_free(w);
	close(gate[0]);
	close(gate[1]);
}

/* Parked and unparked again, it works as before. */
static void test_when_unparked_then_it_accepts_again(void **state)
{
	struct worker *w = started(&fake_machine);
	struct note n;
	int ran = 0;

	(void)state;
	n = note(-1, &ran);
	assert_int_equal(worker_park(w, PATIENCE_MS), 0);
	assert_int_equal(worker_queue(w, &n.item), -ESHUTDOWN);
	assert_int_equal(worker_unpark(w), 0);
	assert_int_equal(worker_unpark(w), 1);
	assert_int_equal(worker_queue(w, &n.item), 0);
	assert_int_equal(worker_park(w, PATIENCE_MS), 0);
	assert_int_equal(ran, 1);
	worker_free(w);
}

static int pins;

static int count_pins(pthread_t thread, int cpu)
{
	(void)thread;
	pins += cpu >= 0;
	return 0;
}

static int at_home(int cpu)
{
	return cpu;
}

/*
 * The kernel forgets the tie of a thread whose CPU goes away, and somebody else may have
 * taken it away and brought it back: every unpark ties it anew.
 */
static void test_when_unparked_then_it_is_tied_anew(void **state)
{
	const struct worker_ops counting = { count_pins, at_home, NULL };
	struct worker *w = worker_new(0, &counting);

	(void)state;
	pins = 0;
	assert_int_equal(worker_unpark(w), 0);
	assert_int_equal(worker_park(w, PATIENCE_MS), 0);
	assert_int_equal(worker_unpark(w), 0);
	assert_int_equal(worker_unpark(w), 1);
	assert_int_equal(pins, 3);
	worker_free(w);
}

static int where(struct worker *w, void *arg)
{
	(void)arg;
	return worker_where(w);
}

/* On the real machine: the worker of the CPU that runs this test runs there. */
static void test_when_the_cpu_is_real_then_its_worker_is_there(void **state)
{
	int cpu = sched_getcpu();
	struct worker *w = worker_new(cpu, &worker_real_ops);

	(void)state;
	assert_int_equal(worker_unpark(w), 0);
	assert_int_equal(worker_call(w, where, NULL, PATIENCE_MS), 0);
	worker_free(w);
}

/* A CPU that does not exist, as one that a cpuset forbids: the work runs, nothing is proved. */
static void test_when_it_cannot_be_pinned_then_it_runs_unverified(void **state)
{
	struct worker *w = worker_new(FAKE_CPUS * 15, &worker_real_ops);

	(void)state;
	assert_int_equal(worker_unpark(w), 0);
	assert_int_equal(worker_call(w, where, NULL, PATIENCE_MS), 1);
	worker_free(w);
}

/* A machine on which a worker gets to run only once it was let go: a real-time hog. */
static int hog_gate[2];

static int hog_pin(pthread_t thread, int cpu)
{
	(void)thread;
	return cpu < 0 && write(hog_gate[1], "x", 1) != 1 ? -EIO : 0;
}

static int hog_here(int cpu)
{
	return cpu;
}

static const struct worker_ops hogged = { hog_pin, hog_here, NULL };

/* Work that a hog keeps from its CPU runs on another one at the deadline: unverified. */
static void test_when_a_hog_has_the_cpu_then_the_work_runs_unverified(void **state)
{
	struct worker *w;
	struct note held;
	int ran = 0;

	(void)state;
	assert_int_equal(pipe(hog_gate), 0);
	held = note(hog_gate[0], &ran);
	w = started(&hogged);
	assert_int_equal(worker_queue(w, &held.item), 0);
	assert_int_equal(worker_call(w, where, NULL, 10), 1);
	assert_int_equal(ran, 1);
	/* Tied again afterwards: the next one proves something. */
	assert_int_equal(worker_call(w, where, NULL, PATIENCE_MS), 0);
	worker_free(w);
	close(hog_gate[0]);
	close(hog_gate[1]);
}

/* A park whose queue does not become empty ends at its deadline, and says so. */
static void test_when_the_queue_does_not_end_then_the_park_does(void **state)
{
	struct worker *w = started(&fake_machine);
	struct note held[2];
	int gate[2], ran = 0;

	(void)state;
	assert_int_equal(pipe(gate), 0);
	held[0] = held[1] = note(gate[0], &ran);
	assert_int_equal(worker_queue(w, &held[0].item), 0);
	assert_int_equal(worker_queue(w, &held[1].item), 0);
	assert_int_equal(worker_park(w, 10), -ETIMEDOUT);
	assert_int_equal(write(gate[1], "x", 1), 1);
	while (__atomic_load_n(&ran, __ATOMIC_SEQ_CST) < 1)
		sched_yield();
	/* The second is still to come: it is not parked. */
	assert_int_equal(worker_park(w, 50), -ETIMEDOUT);
	assert_int_equal(write(gate[1], "x", 1), 1);
	assert_true(worker_park(w, PATIENCE_MS) >= 0); /* it may have come to rest already */
	assert_int_equal(ran, 2);
	worker_free(w);
	close(gate[0]);
	close(gate[1]);
}

/* ---- meetings ---------------------------------------------------------------------------- */

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

/* ---- the proof that CPUs run ------------------------------------------------------------------
 */

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

static int answer(struct worker *w, void *arg)
{
	(void)w;
	return *(int *)arg;
}

/* The answer of a call is the function's own, however soon it comes. */
static void test_when_called_then_the_answer_is_the_functions(void **state)
{
	struct worker *w = started(&fake_machine);
	int i, r, wrong = 0;

	(void)state;
	for (i = 1; i <= ROUNDS; i++) {
		r = -i;
		wrong += worker_call(w, answer, &r, PATIENCE_MS) != r;
	}
	assert_int_equal(wrong, 0);
	worker_free(w);
}

/* ---- load ---------------------------------------------------------------------------------- */

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

static int count_switches(struct worker *w, void *arg)
{
	struct rusage usage;

	(void)w;
	getrusage(RUSAGE_THREAD, &usage);
	*(long *)arg = usage.ru_nvcsw;
	return 0;
}

/* Nothing wakes a worker that has nothing to do: it went to sleep once, for one call. */
static void test_when_idle_then_it_sleeps(void **state)
{
	struct worker *w = started(&fake_machine);
	long before, after;

	(void)state;
	worker_call(w, count_switches, &before, PATIENCE_MS);
	usleep(300000); /* the time in which it has to do nothing */
	worker_call(w, count_switches, &after, PATIENCE_MS);
	assert_in_range(after - before, 0, 3);
	worker_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_parked_then_what_was_accepted_has_run),
		cmocka_unit_test(test_when_a_park_has_begun_then_work_is_refused_at_once),
		cmocka_unit_test(test_when_unparked_then_it_accepts_again),
		cmocka_unit_test(test_when_unparked_then_it_is_tied_anew),
		cmocka_unit_test(test_when_the_cpu_is_real_then_its_worker_is_there),
		cmocka_unit_test(test_when_it_cannot_be_pinned_then_it_runs_unverified),
		cmocka_unit_test(test_when_a_hog_has_the_cpu_then_the_work_runs_unverified),
		cmocka_unit_test(test_when_the_queue_does_not_end_then_the_park_does),
		cmocka_unit_test(test_when_one_is_parked_then_nobody_meets),
		cmocka_unit_test(test_when_one_does_not_come_then_the_meeting_is_off),
		cmocka_unit_test(test_when_cpus_meet_then_what_is_proved),
		cmocka_unit_test(test_when_a_window_closes_then_the_forced_cpus_meet),
		cmocka_unit_test(test_when_called_then_the_answer_is_the_functions),
		cmocka_unit_test(test_when_under_load_then_nothing_is_lost_and_nobody_hangs),
		cmocka_unit_test(test_when_idle_then_it_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
