/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest begins anew in the middle: it is waited for, and all is verified again.
 */
#include "story_fixture.h"

#define BOOT_MS 20000 /* longer than the limit of a row that asks the guest for a device */

/* Its new CPUs are boot CPUs then; the lock is taken anew; nothing is plugged twice. */
static void test_when_reset_after_a_plug_then_the_boot_is_waited_for(void **state)
{
	const struct scenario *s = &scenarios[PLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	world_wish(w, s);
	wait_for(w, "cpu-online");
	world_reset(w, BOOT_MS);
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	assert_int_equal(times(w, "device_add"), 1);
	world_check_no_holds(w);
	assert_trace(w, "boot");
	world_free(w);
}

/* It has not heard of it: it is asked again, offline first, and gives it. */
static void test_when_reset_while_asked_for_a_dimm_then_asked_again(void **state)
{
	const struct scenario *s = &scenarios[REMOVE_DIMM];
	struct world *w = world_with(s);

	(void)state;
	w->mood = GUEST_SILENT;
	world_wish(w, s);
	wait_for(w, "device_del dimm");
	world_wait(w, 1000);
	w->mood = GUEST_GIVES;
	world_reset(w, BOOT_MS);
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	assert_int_equal(times(w, "device_del dimm"), 2);
	assert_int_equal(times(w, "memory-offline"), 2);
	world_free(w);
}

/* What was requested of virtio-mem is taken anew, and is there before anything goes on. */
static void test_when_reset_then_virtio_mem_is_there_before_it_goes_on(void **state)
{
	const struct scenario *s = &scenarios[RESIZE_DEVICE];
	struct world *w = world_with(s);

	(void)state;
	world_wish(w, s);
	wait_for(w, "claim          done");
	world_reset(w, BOOT_MS);
	wait_for(w, "requested-size");
	assert_int_equal(w->qemu[SIDE_SRC].mems[0].online, 512 * W_MIB);
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	world_free(w);
}

/* Asked for while it boots, e.g. right after its user has rebooted it. */
static void test_when_wished_while_it_boots_then_the_agent_is_waited_for(void **state)
{
	const struct scenario *s = &scenarios[PLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	world_reset(w, BOOT_MS);
	world_wish(w, s);
	world_wait(w, BOOT_MS - 1000);
	assert_int_equal(w->asks, 0);
	assert_end(w, END_DONE);
	assert_true(s->reached(w));
	world_free(w);
}

/* It never comes: the end comes all the same, after the boot's time and the row's. */
static void test_when_the_agent_never_comes_then_an_end_does(void **state)
{
	const struct scenario *s = &scenarios[PLUG_CPUS];
	struct world *w = world_with(s);
	enum txn_end end;
	uint64_t began;

	(void)state;
	world_wish(w, s);
	wait_for(w, "cpu-online");
	began = w->now_ms;
	world_reset(w, 100 * VM_BOOT_MS);
	end = world_run(w);
	assert_true(end == END_STUCK || end == END_UNDONE);
	assert_true(w->now_ms - began > VM_BOOT_MS && w->now_ms - began < 2 * VM_BOOT_MS);
	world_free(w);
}

/* Nobody waits for a boot against his will. */
static void test_when_cancelled_while_it_boots_then_at_once(void **state)
{
	const struct scenario *s = &scenarios[PLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	world_reset(w, BOOT_MS);
	world_wish(w, s);
	wait_for(w, "boots");
	world_event(w, (struct event){ .kind = EV_CANCEL, .now_ms = w->now_ms });
	world_drain(w);
	assert_end(w, END_REFUSED);
	assert_true(w->now_ms < BOOT_MS);
	world_free(w);
}

/* The walk stands at its first row again, and what lies behind that is taken back, too. */
static void test_when_cancelled_after_a_boot_then_all_of_it_is_taken_back(void **state)
{
	const struct scenario *s = &scenarios[ADD_DIMM];
	struct world *w = world_with(s);

	(void)state;
	world_wish(w, s);
	wait_for(w, "memory-online");
	world_reset(w, 500);
	wait_for(w, "taking it again");
	world_event(w, (struct event){ .kind = EV_CANCEL, .now_ms = w->now_ms });
	world_drain(w);
	assert_end(w, END_UNDONE);
	assert_said(w, "device_del dimm");
	assert_all_is_before(w);
	world_free(w);
}

/* It resets for ever: it is begun again so often, and then no more. */
static void test_when_reset_again_and_again_then_an_end_comes(void **state)
{
	const struct scenario *s = &scenarios[PLUG_CPUS];
	struct world *w = world_with(s);

	(void)state;
	world_wish(w, s);
	for (unsigned i = 0; i < 100 && !w->over; i++) {
		world_reset(w, 500);
		world_wait(w, 520);
	}
	assert_true(w->over || world_run(w) != END_NONE);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_reset_after_a_plug_then_the_boot_is_waited_for),
		cmocka_unit_test(test_when_reset_while_asked_for_a_dimm_then_asked_again),
		cmocka_unit_test(test_when_reset_then_virtio_mem_is_there_before_it_goes_on),
		cmocka_unit_test(test_when_wished_while_it_boots_then_the_agent_is_waited_for),
		cmocka_unit_test(test_when_the_agent_never_comes_then_an_end_does),
		cmocka_unit_test(test_when_cancelled_while_it_boots_then_at_once),
		cmocka_unit_test(test_when_cancelled_after_a_boot_then_all_of_it_is_taken_back),
		cmocka_unit_test(test_when_reset_again_and_again_then_an_end_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
