/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a look does not show: work that goes on behind it, and a guest whose agent is away.
 */
#include "story_fixture.h"

/* Cancelled, with a look that is made before what was asked for shows at all. */
static void cancel_at_once(struct world *w)
{
	world_cancel(w, 0);
	world_lose(w, 0);
}

static struct world *until(int which, const char *said)
{
	struct world *w = world_with(&scenarios[which]);

	world_wish(w, &scenarios[which]);
	wait_for(w, said);
	return w;
}

/* The guest has begun to take a block offline, which no look shows yet: it is asked back. */
static void test_when_cancelled_while_memory_goes_offline_then_online_again(void **state)
{
	struct world *w = until(REMOVE_MEMORY, "memory-offline");

	(void)state;
	cancel_at_once(w);
	assert_end(w, END_UNDONE);
	assert_all_is_before(w);
	world_free(w);
}

/* ... or online: the DIMM that is to go again must not be in use by then. */
static void test_when_cancelled_while_memory_comes_online_then_it_goes_again(void **state)
{
	struct world *w = until(ADD_MEMORY, "memory-online");

	(void)state;
	cancel_at_once(w);
	assert_end(w, END_UNDONE);
	assert_all_is_before(w);
	assert_int_equal(times(w, "memory-offline"), 1);
	world_free(w);
}

/* The guest learns of a DIMM block by block, and each is online before it knows the next. */
static uint64_t slow_dimm(struct world *w, uint64_t usual_ms)
{
	(void)w;
	return usual_ms == 5 ? 200 : usual_ms;
}

static void no_action(struct world *w, const struct action *a)
{
	(void)w, (void)a;
}

static void no_line(struct world *w, bool coordinator, const char *line)
{
	(void)w, (void)coordinator, (void)line;
}

static void test_when_blocks_show_one_by_one_then_each_is_asked_for(void **state)
{
	static const struct w_seams slow = { slow_dimm, no_action, no_line, NULL };
	struct world *w = world_with(&scenarios[ADD_MEMORY]);

	(void)state;
	w->seams = &slow;
	world_wish(w, &scenarios[ADD_MEMORY]);
	assert_end(w, END_DONE);
	assert_true(scenarios[ADD_MEMORY].reached(w));
	world_free(w);
}

/* An agent that is away says of no CPU that it is offline: it is waited for, and asked. */
static void agent_is_away(int which, const char *verb)
{
	struct world *w = until(which, "guest:lock     done");

	world_agent_away(w, 3000);
	assert_end(w, END_DONE);
	assert_true(scenarios[which].reached(w));
	assert_said(w, verb);
	world_free(w);
}

static void test_when_the_agent_is_away_then_nothing_counts_as_offline(void **state)
{
	(void)state;
	agent_is_away(CPUS_OFFLINE, "cpu-offline");
	agent_is_away(UNPLUG_CPUS, "cpu-offline");
	agent_is_away(REMOVE_MEMORY, "memory-offline");
}

/* It goes away, and nobody tells, just before it is asked to take back: it is asked again. */
static void test_when_the_agent_is_away_on_the_way_back_then_asked_again(void **state)
{
	struct world *w = until(CPUS_ONLINE, "cpu-online");

	(void)state;
	cancel_at_once(w);
	wait_for(w, "turning round");
	w->no_hints = true;
	world_agent_away(w, 3000);
	assert_end(w, END_UNDONE);
	assert_all_is_before(w);
	world_free(w);
}

/* It never comes back: what was plugged goes all the same, the guest's kernel lets it. */
static void test_when_the_agent_never_returns_then_what_was_plugged_goes(void **state)
{
	struct world *w = until(PLUG_CPUS, "cpu-online");

	(void)state;
	world_agent_away(w, 10000000);
	world_lose(w, 0);
	assert_end(w, END_UNDONE);
	assert_said(w, "guest:online   failed: guest:online: the guest's agent has not answered");
	for (unsigned i = 2; i < W_CPUS; i++)
		assert_false(w->qemu[SIDE_SRC].cpus[i].plugged);
	world_free(w);
}

/* The lock is lost at a moment at which what is asked for again may just have gone. */
static void lose_the_lock(uint64_t after_ms)
{
	struct world *w = world_with(&scenarios[UNPLUG_CPUS]);

	world_has_cpu(w, 4);
	w->qemu[SIDE_SRC].cpus[4].mood = GUEST_SILENT;
	world_wish(w, &scenarios[UNPLUG_CPUS]);
	wait_for(w, "device_del");
	world_wait(w, after_ms);
	world_loses_hold(w, 1);
	assert_end(w, END_PENDING);
	world_free(w);
}

static void test_when_asked_for_what_has_just_gone_then_that_is_no_failure(void **state)
{
	(void)state;
	for (uint64_t ms = 150; ms < 300; ms++)
		lose_the_lock(ms);
}

/* Best effort: one vCPU may still go; taken back after a crash, the others are, and it is said. */
static void test_when_taken_back_with_one_that_may_still_go_then_pending(void **state)
{
	struct world *w = world_with(&scenarios[UNPLUG_CPUS]);

	(void)state;
	w->best_effort = true;
	w->qemu[SIDE_SRC].cpus[2].mood = GUEST_SILENT;
	world_wish(w, &scenarios[UNPLUG_CPUS]);
	wait_for(w, "going on without");
	wait_for(w, "guest:lock     unlock");
	w->crash_now = true;
	w->keep = true;
	assert_end(w, END_NONE);
	assert_true(world_restart(w, true));
	assert_end(w, END_PENDING);
	assert_true(w->qemu[SIDE_SRC].cpus[3].device);
	world_free(w);
}

/*
 * The claim is asked for and QEMU stands still: the one look that shows it is the last of
 * the row's time. It has been silent since the look before, not since that one.
 */
static void test_when_the_last_look_is_unanswered_then_silent_since_the_one_before(void **state)
{
	struct world *w = world_with(&scenarios[UNPLUG_CPUS]);

	(void)state;
	w->reply_now = REPLY_LATE;
	world_wish(w, &scenarios[UNPLUG_CPUS]);
	wait_for(w, "claim");
	w->silent_from[SIDE_SRC] = w->now_ms;
	w->silent_until[SIDE_SRC] = w->now_ms + 60000;
	world_run(w);
	assert_said(w, "claim: QEMU has not answered for 5005 ms");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_cancelled_while_memory_goes_offline_then_online_again),
		cmocka_unit_test(test_when_cancelled_while_memory_comes_online_then_it_goes_again),
		cmocka_unit_test(test_when_blocks_show_one_by_one_then_each_is_asked_for),
		cmocka_unit_test(test_when_the_agent_is_away_then_nothing_counts_as_offline),
		cmocka_unit_test(test_when_the_agent_is_away_on_the_way_back_then_asked_again),
		cmocka_unit_test(test_when_asked_for_what_has_just_gone_then_that_is_no_failure),
		cmocka_unit_test(
			test_when_the_last_look_is_unanswered_then_silent_since_the_one_before),
		cmocka_unit_test(test_when_taken_back_with_one_that_may_still_go_then_pending),
		cmocka_unit_test(test_when_the_agent_never_returns_then_what_was_plugged_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
