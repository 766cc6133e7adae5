/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU slots by name, and those of a NUMA node: which are chosen, which are refused.
 */
#include "plan_fixture.h"

/* Eight slots on two nodes; 0 and 1 since the start, 2, 5 and 6 plugged. */
static struct vm_cpu cpus[8];
static struct vm vm;

static void plug(unsigned slot, const char *id)
{
	struct vm_cpu *c = &cpus[slot];

	c->plugged = true;
	c->present = c->device = c->kernel = 1;
	strcpy(c->id, id);
}

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		cpus[i] = (struct vm_cpu){ .vcpus = 1, .guest_cpu = { i }, .node = i / 4 };
	plug(0, "");
	plug(1, "");
	plug(2, "c2");
	plug(5, "c5");
	plug(6, "c6");
	vm = (struct vm){ .run = VM_RUNNING,
			  .answers = true,
			  .agent = AGENT_LOCKSTEP,
			  .agent_answers = true,
			  .cpus = cpus,
			  .n_cpus = 8 };
	return 0;
}

static void assert_no_slots(struct numbers which, bool up, int code, const char *words)
{
	struct ls_err err = { 0 };
	struct txn *t;

	assert_refusal(plan_slots(&vm, "x", &which, up, &err, &t), code, &err, WORDS(words));
	assert_null(t);
}

static void assert_no_node(int node, unsigned count, const char *words)
{
	struct ls_err err = { 0 };
	struct txn *t;

	assert_refusal(plan_node(&vm, "x", node, count, &err, &t), -EINVAL, &err, WORDS(words));
	assert_null(t);
}

/* The slots and ids that a plan has, as "3=ls-x-3 6=c6"; caller's to compare. */
static void assert_is(int r, struct txn *t, enum step_dir dir, const char *want)
{
	char is[256] = "";
	size_t at = 0;

	assert_int_equal(r, 0);
	for (unsigned i = 0; i < t->n; i++)
		at += (size_t)snprintf(is + at, sizeof(is) - at, "%s%d=%s", i ? " " : "",
				       t->items[i].slot, t->items[i].id);
	assert_string_equal(is, want);
	assert_int_equal(t->walk.dir, dir);
	for (unsigned i = 0; i < t->n; i++)
		assert_int_equal(t->items[i].goal, dir == STEP_UP);
	txn_free(t);
}

#define assert_plan(call, dir, want)                                                               \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		assert_is(r_, t, dir, want);                                                       \
	} while (0)

static void test_when_slots_are_named_then_those_and_no_others(void **state)
{
	struct numbers up = SET(7, 3, 2), down = SET(2, 6), so = SET(5, 6), gone = SET(3, 4);
	struct ls_err err;
	struct txn *t;

	(void)state;
	assert_plan(plan_slots(&vm, "x", &up, true, &err, &t), STEP_UP, "2=c2 3=ls-x-3 7=ls-x-7");
	assert_plan(plan_slots(&vm, "x", &down, false, &err, &t), STEP_DOWN, "6=c6 2=c2");
	assert_int_equal(plan_slots(&vm, "x", &so, true, &err, &t), 1);
	assert_int_equal(plan_slots(&vm, "x", &gone, false, &err, &t), 1);
	cpus[6].device = cpus[6].kernel = 0; /* plugged, and not online */
	assert_plan(plan_slots(&vm, "x", &so, true, &err, &t), STEP_UP, "5=c5 6=c6");
}

static void test_when_a_slot_cannot_be_meant_then_refused_by_name(void **state)
{
	(void)state;
	assert_no_slots(SET(3, 8), true, -EINVAL, "no vCPU slot 8: they are 0 to 7");
	assert_no_slots(SET(2, 1), false, -EINVAL, "slot 1 cannot be unplugged: QEMU was started");
	cpus[2].fixed = true;
	assert_no_slots(SET(2), false, -EINVAL, "cannot take cpu2 offline");
	assert_no_slots((struct numbers){ 0 }, true, -EINVAL, "no vCPU slot is named");
	cpus[5].unplug = TRI_YES;
	assert_no_slots(SET(6), true, -EBUSY, "slot 5 (c5)");
}

static void test_when_every_slot_is_named_then_one_has_to_stay(void **state)
{
	(void)state;
	plug(0, "c0");
	plug(1, "c1");
	assert_no_slots(SET(0, 1, 2, 3, 5, 6), false, -EINVAL, "no vCPU left");
}

/* Counted, plugged and unplugged on that node alone. */
static void test_when_a_node_is_named_then_its_slots_alone(void **state)
{
	struct ls_err err;
	struct txn *t;

	(void)state;
	assert_plan(plan_node(&vm, "x", 1, 4, &err, &t), STEP_UP, "4=ls-x-4 7=ls-x-7");
	assert_plan(plan_node(&vm, "x", 1, 0, &err, &t), STEP_DOWN, "6=c6 5=c5");
	assert_plan(plan_node(&vm, "x", 0, 2, &err, &t), STEP_DOWN, "2=c2");
	assert_int_equal(plan_node(&vm, "x", 1, 2, &err, &t), 1);
	cpus[2].kernel = 0; /* offline, on the other node */
	assert_int_equal(plan_node(&vm, "x", 1, 2, &err, &t), 1);
}

static void test_when_a_node_cannot_have_so_many_then_its_range_is_named(void **state)
{
	(void)state;
	assert_no_node(1, 5, "NUMA node 1 takes 0 to 4 in steps of 1 (2 now)");
	assert_no_node(0, 1, "NUMA node 0 takes 2 to 4");
	assert_no_node(2, 1, "no vCPU slot on NUMA node 2");
	for (unsigned i = 0; i < 3; i++)
		cpus[i].plugged = false; /* all there is, and all of it removable */
	assert_no_node(1, 0, "NUMA node 1 takes 1 to 4");
}

/* Two were asked for and may go at any moment: with one more or less it would be another number. */
static void test_when_more_may_go_than_are_to_then_refused(void **state)
{
	struct ls_err err;
	struct txn *t;

	(void)state;
	cpus[5].unplug = cpus[6].unplug = TRI_YES;
	assert_refusal(plan_vcpus(&vm, "x", 4, &err, &t), -EBUSY, &err,
		       WORDS("was asked for earlier"));
	assert_refusal(plan_node(&vm, "x", 1, 1, &err, &t), -EBUSY, &err,
		       WORDS("was asked for earlier"));
	assert_plan(plan_vcpus(&vm, "x", 3, &err, &t), STEP_DOWN, "6=c6 5=c5");
	assert_plan(plan_vcpus(&vm, "x", 2, &err, &t), STEP_DOWN, "6=c6 5=c5 2=c2");
	assert_plan(plan_node(&vm, "x", 0, 2, &err, &t), STEP_DOWN, "2=c2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_when_slots_are_named_then_those_and_no_others, setup),
		cmocka_unit_test_setup(test_when_a_slot_cannot_be_meant_then_refused_by_name,
				       setup),
		cmocka_unit_test_setup(test_when_every_slot_is_named_then_one_has_to_stay, setup),
		cmocka_unit_test_setup(test_when_a_node_is_named_then_its_slots_alone, setup),
		cmocka_unit_test_setup(test_when_a_node_cannot_have_so_many_then_its_range_is_named,
				       setup),
		cmocka_unit_test_setup(test_when_more_may_go_than_are_to_then_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
