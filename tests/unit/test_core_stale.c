/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Somebody else was faster: what was planned is not what there is when the engine looks.
 */
#include "story_fixture.h"

static void refused_as_beyond(struct world *w)
{
	assert_end(w, END_REFUSED);
	assert_said(w, "somebody else has changed it since that was planned");
	world_check_as_before(w);
	world_check_no_holds(w);
	world_free(w);
}

/* The balloon leaves less already than it was to be filled to: that is no "done". */
static void test_when_the_balloon_is_beyond_its_goal_then_refused(void **state)
{
	struct world *w = world_with(&scenarios[FILL_BALLOON]);

	(void)state;
	world_wish(w, &scenarios[FILL_BALLOON]);
	world_goes_stale(w, 0);
	refused_as_beyond(w);
}

/* A device was cut to less than was wanted, and one that was to grow has grown beyond. */
static void test_when_a_device_is_beyond_its_goal_then_refused(void **state)
{
	struct world *w = world_with(&scenarios[RESIZE_DEVICE]);
	struct ls_err err;

	(void)state;
	world_wish(w, &scenarios[RESIZE_DEVICE]);
	world_goes_stale(w, 1);
	refused_as_beyond(w);

	w = world_with(&scenarios[ADD_MEMORY]);
	assert_int_equal(world_mem_resize(w, "vm0", 512 * W_MIB, &err), 0);
	world_goes_stale(w, 6);
	refused_as_beyond(w);
}

/* On its way there is what it is: it goes the rest of it. */
static void test_when_a_device_is_on_its_way_already_then_done(void **state)
{
	struct world *w = world_with(&scenarios[REMOVE_MEMORY]);

	(void)state;
	assert_int_equal(world_mem_resize(w, "vm0", 0, &(struct ls_err){ 0 }), 0);
	world_goes_stale(w, 2);
	assert_end(w, END_DONE);
	assert_int_equal(w->qemu[SIDE_SRC].mems[0].size, 0);
	world_free(w);
}

/* The slots were filled meanwhile: nothing is left to do, and nothing of it is taken away. */
static void test_when_a_slot_is_filled_meanwhile_then_the_rest_is_done(void **state)
{
	struct world *w = world_with(&scenarios[PLUG_CPUS]);

	(void)state;
	world_wish(w, &scenarios[PLUG_CPUS]);
	world_goes_stale(w, 0);
	assert_end(w, END_DONE);
	assert_true(scenarios[PLUG_CPUS].reached(w));
	assert_string_equal(w->qemu[SIDE_SRC].cpus[2].id, "ls-old-2");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_the_balloon_is_beyond_its_goal_then_refused),
		cmocka_unit_test(test_when_a_device_is_beyond_its_goal_then_refused),
		cmocka_unit_test(test_when_a_device_is_on_its_way_already_then_done),
		cmocka_unit_test(test_when_a_slot_is_filled_meanwhile_then_the_rest_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
