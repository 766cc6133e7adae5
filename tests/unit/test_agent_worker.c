/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One worker: accepted means run, refused means at once, and nobody waits for ever. What
 * must hold in every order of events is searched through by tests/model/worker.pml.
 */
#include "worker_fixture.h"

#include <sched.h>
#include <sys/resource.h>

#define ROUNDS 2000

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

/* ---- parking --------------------------------------------------------------- */

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

/* ---- calls ----------------------------------------------------------------- */

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
		cmocka_unit_test(test_when_called_then_the_answer_is_the_functions),
		cmocka_unit_test(test_when_idle_then_it_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
