/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest CPUs online and offline: what cannot work is refused in words, before anything.
 */
#include "plan_fixture.h"

/* Two cores of two threads, all online; cpu0 can never go offline. */
static struct vm_cpu cores[2];
static struct vm vm;

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		cores[i] = (struct vm_cpu){ .vcpus = 2,
					    .plugged = true,
					    .guest_cpu = { 2 * i, 2 * i + 1 },
					    .present = 2,
					    .device = 2,
					    .kernel = 2,
					    .devices = 3,
					    .kernels = 3,
					    .fixeds = i == 0 };
	vm = (struct vm){ .run = VM_RUNNING,
			  .answers = true,
			  .agent = AGENT_LOCKSTEP,
			  .agent_answers = true,
			  .cpus = cores,
			  .n_cpus = 2 };
	return 0;
}

static void assert_refused(struct numbers which, bool online, int code, const char *words)
{
	struct ls_err err = { 0 };
	struct txn *t;

	assert_refusal(plan_cpu(&vm, "x", &which, online, &err, &t), code, &err, WORDS(words));
	assert_null(t);
}

/* Each of them is named with what is wrong. */
static void test_when_a_cpu_cannot_be_meant_then_refused_by_name(void **state)
{
	(void)state;
	assert_refused(SET(1, 4), false, -EINVAL, "has no cpu4");
	assert_refused(SET(1023), true, -EINVAL, "has no cpu1023");
	assert_refused(SET(0), false, -EINVAL, "cpu0 can never go offline");
	assert_refused((struct numbers){ 0 }, true, -EINVAL, "no CPU is named");
}

/* Where every CPU can go offline one has to be left, and one that is offline is none. */
static void test_when_no_cpu_would_be_left_then_refused(void **state)
{
	struct numbers three = SET(1, 2, 3);
	struct ls_err err;
	struct txn *t;

	(void)state;
	cores[0].fixeds = 0;
	assert_refused(SET(0, 1, 2, 3), false, -EINVAL, "no CPU of the guest would be left");
	assert_int_equal(plan_cpu(&vm, "x", &three, false, &err, &t), 0);
	txn_free(t);
	cores[0].devices = cores[0].kernels = 2; /* cpu0 is offline */
	assert_refused(SET(1, 2, 3), false, -EINVAL, "no CPU of the guest would be left");
}

/* Online for one view and not for the other: bringing it "online" would change nothing. */
static void test_when_the_views_of_a_cpu_differ_then_the_doctor_is_named(void **state)
{
	(void)state;
	cores[1].kernels = 1;
	assert_refused(SET(3), true, -EBUSY, "doctor --fix");
	assert_refused(SET(3), false, -EBUSY, "driver core says online, its kernel offline");
}

static void test_when_no_agent_answers_then_said_who_would_have_to(void **state)
{
	(void)state;
	vm.agent = AGENT_QGA;
	assert_refused(SET(3), false, -EOPNOTSUPP, "no lockstep-agent answers");
	vm.agent = AGENT_LOCKSTEP;
	vm.agent_answers = false;
	strcpy(vm.agent_text, "it hangs");
	assert_refused(SET(3), false, -EBUSY, "does not answer now: it hangs");
}

/* One thread of a core, by its own number; those that are so already stay named. */
static void test_when_some_are_so_already_then_all_that_were_named_are_items(void **state)
{
	struct numbers which = SET(3, 1), one = SET(1);
	struct ls_err err;
	struct txn *t;

	(void)state;
	cores[1].devices = cores[1].kernels = 1; /* cpu3 is offline */
	assert_int_equal(plan_cpu(&vm, "x", &which, true, &err, &t), 0);
	assert_int_equal(t->op, OP_CPU);
	assert_int_equal(t->n, 2);
	assert_int_equal(t->items[0].slot, 1);
	assert_int_equal(t->items[1].slot, 3);
	assert_int_equal(t->items[1].goal, 1);
	assert_int_equal(t->walk.dir, STEP_UP);
	txn_free(t);
	assert_int_equal(plan_cpu(&vm, "x", &one, true, &err, &t), 1);
	assert_null(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_when_a_cpu_cannot_be_meant_then_refused_by_name, setup),
		cmocka_unit_test_setup(test_when_no_cpu_would_be_left_then_refused, setup),
		cmocka_unit_test_setup(test_when_the_views_of_a_cpu_differ_then_the_doctor_is_named,
				       setup),
		cmocka_unit_test_setup(test_when_no_agent_answers_then_said_who_would_have_to,
				       setup),
		cmocka_unit_test_setup(
			test_when_some_are_so_already_then_all_that_were_named_are_items, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
