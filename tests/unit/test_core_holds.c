/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine's holds: one that is lost, one that somebody else has, and guests that have
 * none to give.
 */
#include "story_fixture.h"

static struct world *until_said(const char *what)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	world_wish(w, &scenarios[PLUG_CPUS]);
	wait_for(w, what);
	return w;
}

/* The agent forgets the lock: it is taken again before anything else. */
static void test_when_a_hold_is_lost_then_taken_again(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	w->qemu[SIDE_SRC].lock[0] = '\0';
	assert_end(w, END_DONE);
	assert_said(w, "guest:lock     warning: lost; taking it again\n");
	assert_int_equal(times(w, "guest:lock     lock\n"), 2);
	world_check_no_holds(w);
	world_free(w);
}

/* Somebody else has the lock now: back without it, and the claim is given back. */
static void test_when_a_hold_is_lost_for_good_then_back_without_it(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	strcpy(w->qemu[SIDE_SRC].lock, "somebody");
	assert_end(w, END_UNDONE);
	world_wait(w, 30000);
	assert_string_equal(w->qemu[SIDE_SRC].claim, "");
	world_check_as_before(w);
	world_free(w);
}

/* The agent has taken two offline, and is to take that back; somebody else has the lock now. */
static struct world *until_the_way_back_needs_the_lock(void)
{
	struct world *w = world_with(&scenarios[UNPLUG_CPUS]);

	w->fail_verb[0] = VERB_CPU_DEL;
	world_wish(w, &scenarios[UNPLUG_CPUS]);
	wait_for(w, "turning round at qemu:cpu");
	strcpy(w->qemu[SIDE_SRC].lock, "somebody");
	wait_for(w, "guest:lock     warning: the way back needs it; trying it again\n");
	return w;
}

/* Who has it is done after a while: what was taken offline comes back. */
static void test_when_the_way_back_needs_a_hold_then_tried_again(void **state)
{
	struct world *w = until_the_way_back_needs_the_lock();

	(void)state;
	w->qemu[SIDE_SRC].lock[0] = '\0';
	assert_end(w, END_UNDONE);
	world_check_as_before(w);
	world_check_no_holds(w);
	world_free(w);
}

/* Nobody gives it back: after half a minute it ends, and says who said no. */
static void test_when_the_way_back_never_gets_its_hold_then_stuck(void **state)
{
	struct world *w = until_the_way_back_needs_the_lock();

	(void)state;
	assert_end(w, END_STUCK);
	assert_int_equal(times(w, "the way back needs it"), 4); /* the loss was one try, too */
	assert_in_range(w->now_ms, 30000, 45000);
	world_free(w);
}

/* The first hold is lost for good: those behind it are still given back. */
static void test_when_the_claim_is_lost_for_good_then_the_lock_is_given_back(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	strcpy(w->qemu[SIDE_SRC].claim, "somebody");
	assert_end(w, END_UNDONE);
	assert_string_equal(w->qemu[SIDE_SRC].claim, "somebody");
	assert_string_equal(w->qemu[SIDE_SRC].lock, "");
	world_free(w);
}

/* Lost at every look, for ever: it ends. */
static void test_when_a_hold_is_lost_again_and_again_then_it_ends(void **state)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	(void)state;
	w->fail_verb[0] = VERB_CPU_ONLINE; /* so that it stays in one row */
	world_wish(w, &scenarios[PLUG_CPUS]);
	while (!w->over && w->now_ms < 600000) {
		world_wait(w, 1);
		w->qemu[SIDE_SRC].lock[0] = '\0';
	}
	assert_true(w->over);
	world_free(w);
}

/* Another coordinator has the claim: refused at once, nothing was on record. */
static void test_when_the_claim_is_taken_then_refused(void **state)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	(void)state;
	strcpy(w->qemu[SIDE_SRC].claim, "somebody");
	world_wish(w, &scenarios[PLUG_CPUS]);
	assert_end(w, END_REFUSED);
	assert_string_equal(w->qemu[SIDE_SRC].claim, "somebody");
	assert_int_equal(times(w, "unclaim"), 0);
	assert_int_equal(w->writes, 1); /* the closing one */
	world_free(w);
}

/* ---- agents ---------------------------------------------------------------- */

static void with_agent(enum vm_agent agent, int which)
{
	const struct scenario *s = &scenarios[which];
	struct world *w = world_with(s);

	w->agent = agent;
	world_wish(w, s);
	assert_end(w, END_DONE);
	assert_int_equal(times(w, "guest:lock"), 0);
	world_free(w);
}

/* With qemu-ga alone, and with nobody in the guest, it works in a reduced form. */
static void test_when_the_guest_has_a_lesser_agent_then_no_lock_and_done(void **state)
{
	(void)state;
	with_agent(AGENT_QGA, PLUG_CPUS);
	with_agent(AGENT_QGA, UNPLUG_CPUS);
	with_agent(AGENT_NONE, PLUG_CPUS);
	with_agent(AGENT_NONE, UNPLUG_CPUS);
}

/* It can bring CPUs online and nothing else: to take that back it is not asked. */
static void test_when_a_plug_fails_with_a_lesser_agent_then_taken_back_without_it(void **state)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	(void)state;
	w->agent = AGENT_QGA;
	w->fail_verb[0] = VERB_CPU_ONLINE;
	world_wish(w, &scenarios[PLUG_CPUS]);
	assert_end(w, END_UNDONE);
	assert_int_equal(times(w, "cpu-offline"), 0);
	world_check_as_before(w);
	world_free(w);
}

/* It cannot tell its vCPUs apart: one that a user has offline hides none that came back. */
static void test_when_a_lesser_agent_has_one_offline_then_what_comes_back_is_online(void **state)
{
	struct world *w = world_with(&scenarios[UNPLUG_CPUS]);
	struct w_cpu *cpus = w->qemu[SIDE_SRC].cpus;

	(void)state;
	w->agent = AGENT_QGA;
	cpus[1].device = cpus[1].kernel = false;
	w->fault_at = 2; /* device_del: the guest gives them all the same */
	w->fault = REPLY_FALSE_ERROR;
	world_wish(w, &scenarios[UNPLUG_CPUS]);
	assert_end(w, END_UNDONE);
	world_wait(w, 30000);
	assert_int_equal(times(w, "device_add cpu"), 2);
	assert_true(cpus[2].kernel && cpus[3].kernel);
	world_free(w);
}

/* QEMU is gone in the middle: lost, said at once, and nobody is asked for anything. */
static void test_when_qemu_ends_then_lost(void **state)
{
	struct world *w = until_said("device_add");

	(void)state;
	w->qemu[SIDE_SRC].run = VM_GONE;
	assert_end(w, END_LOST);
	assert_true(w->now_ms < 5000);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_a_hold_is_lost_then_taken_again),
		cmocka_unit_test(test_when_a_hold_is_lost_for_good_then_back_without_it),
		cmocka_unit_test(test_when_the_way_back_needs_a_hold_then_tried_again),
		cmocka_unit_test(test_when_the_way_back_never_gets_its_hold_then_stuck),
		cmocka_unit_test(test_when_the_claim_is_lost_for_good_then_the_lock_is_given_back),
		cmocka_unit_test(test_when_a_hold_is_lost_again_and_again_then_it_ends),
		cmocka_unit_test(test_when_the_claim_is_taken_then_refused),
		cmocka_unit_test(test_when_the_guest_has_a_lesser_agent_then_no_lock_and_done),
		cmocka_unit_test(
			test_when_a_plug_fails_with_a_lesser_agent_then_taken_back_without_it),
		cmocka_unit_test(
			test_when_a_lesser_agent_has_one_offline_then_what_comes_back_is_online),
		cmocka_unit_test(test_when_qemu_ends_then_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
