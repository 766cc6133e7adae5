/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a lane does beside requests: unplugs that are pending behind one, and the doctor.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "fake_lane.h"

/* ---- pending -------------------------------------------------------------------------- */

/* It is remembered when the request has ended so, and told when the device has gone. */
static void test_when_the_guest_gives_late_then_told(void **state)
{
	(void)state;
	fake_plug(2);
	fake_make_ready();
	fake_begin(1, 2);
	fake.cpus[2].unplug = TRI_YES;
	fake_end(END_PENDING);
	fake_look();
	fake_assert_said("1 end pending;1 now ;");
	assert_int_equal(fake.pending, 1);
	fake.ops.hint(fake.ops.arg, "DEVICE_DELETED");
	fake.cpus[2] = (struct vm_cpu){ .vcpus = 1, .number = 2 };
	fake_await_look();
	fake_look();
	fake_assert_said("0 unplug late;");
	fake.ops.hint(fake.ops.arg, "DEVICE_DELETED");
	fake_await_look();
	fake_look();
	fake_assert_said("");
	assert_int_equal(fake.pending, 0);
}

/* What looks already may have asked before; and the look of a request that is refused did. */
static void test_when_it_happens_during_a_look_then_looked_at_again(void **state)
{
	(void)state;
	fake_make_ready();
	fake.ops.hint(fake.ops.arg, "DEVICE_DELETED");
	fake_await_look();
	fake.ops.hint(fake.ops.arg, "DEVICE_DELETED");
	fake_look();
	fake_await_look();
	fake_look();
	fake_begin(1, 3);
	fake.ops.hint(fake.ops.arg, "DEVICE_DELETED");
	fake_end(END_DONE);
	fake_look();
	fake_await_look();
}

/* A DIMM went while nobody was there: its memory is in QEMU, and goes by the lane's own request. */
static void test_when_a_dimm_has_gone_late_then_its_memory_goes_too(void **state)
{
	const struct lane_unplug u = { .item = "ls-t1-0", .slot = 0, .txn = "t1" };
	struct vm_mem mem = { .kind = VM_DIMM, .id = "ls-t1-0", .backend = "ls-t1-0-mem" };
	struct vm *vm = &fake.view.vm[SIDE_SRC];

	(void)state;
	vm->mems = &mem;
	vm->n_mems = 1;
	lane_expect_unplug(fake.lane, &u);
	fake_look();
	fake_make_ready();
	fake_assert_said(""); /* nothing can be asked for before it is ready */
	fake_await_look();
	fake_look();
	fake_assert_said("0 unplug late;");
	assert_int_equal(fake.pending, -1);
	fake_look();
	assert_int_equal(fake.t->op, OP_MEMORY);
	assert_string_equal(fake.t->items[0].id, "ls-t1-0");
	assert_int_equal(fake.t->items[0].goal, 0);
	vm->n_mems = 0;
	fake_end(END_DONE);
	fake_look();
	fake_assert_said("0 end done;0 now ;");
}

/* A new connection knows nothing of it: it is told, and looks once more. */
static void test_when_connected_anew_then_still_pending_until_forgotten(void **state)
{
	const struct lane_unplug u = { .item = "c2", .slot = 2, .txn = "t7" };

	(void)state;
	fake_plug(2);
	lane_expect_unplug(fake.lane, &u);
	fake_look();
	assert_int_equal(fake.expected, 1);
	fake_make_ready();
	assert_int_equal(fake.cpus[2].unplug, TRI_YES);
	assert_int_equal(fake.pending, 0); /* that is on record */
	lane_forget(fake.lane, "t8");
	assert_int_equal(fake.cpus[2].unplug, TRI_YES);
	lane_forget(fake.lane, "t7");
	assert_int_equal(fake.cpus[2].unplug, TRI_NO);
	fake_await_look();
	fake_look();
	fake_assert_said("");
}

/* ---- the doctor ------------------------------------------------------------------------ */

static void on_findings(void *arg, struct json_object *findings, const struct ls_err *err)
{
	int *found = arg;

	*found = err->code ? err->code : (int)json_object_array_length(findings);
}

static const struct lane_doctor heal = { true, 700 }, tell = { false, 0 };

/* It has the guest for itself: what is asked meanwhile waits for it. */
static void test_when_the_doctor_is_in_then_requests_wait(void **state)
{
	struct json_object *none = json_object_new_array();
	int found = -1, second = -1;
	char id[LS_TXN_BYTES];
	struct ls_err err;

	(void)state;
	fake_make_ready();
	assert_int_equal(lane_doctor(fake.lane, &heal, on_findings, &found, &err), 0);
	assert_int_equal(lane_doctor(fake.lane, &heal, on_findings, &second, &err), -EBUSY);
	assert_int_equal(fake_ask(1, 3, id), 0);
	fake_look();
	assert_non_null(fake.heals);
	assert_int_equal(fake.heals_ms, heal.timeout_ms);
	fake.heals(fake.heals_arg, none, NULL);
	json_object_put(none);
	fake.cpus[1].unplug = TRI_YES;
	assert_int_equal(found, -1);
	fake_look();
	assert_int_equal(found, 1); /* what the host sees */
	fake.cpus[1].unplug = TRI_NO;
	fake_look();
	assert_non_null(fake.t);
	assert_int_equal(lane_doctor(fake.lane, &tell, on_findings, &second, &err), -EBUSY);
}

/* Let go of in the middle, it is answered. */
static void test_when_let_go_of_then_the_doctor_is_answered(void **state)
{
	struct ls_err err;
	int found = -1;

	(void)state;
	fake_make_ready();
	assert_int_equal(lane_doctor(fake.lane, &tell, on_findings, &found, &err), 0);
	lane_free(fake.lane);
	fake.lane = NULL;
	assert_int_equal(found, -ESHUTDOWN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LANE_TEST(test_when_the_guest_gives_late_then_told),
		LANE_TEST(test_when_it_happens_during_a_look_then_looked_at_again),
		LANE_TEST(test_when_a_dimm_has_gone_late_then_its_memory_goes_too),
		LANE_TEST(test_when_connected_anew_then_still_pending_until_forgotten),
		LANE_TEST(test_when_the_doctor_is_in_then_requests_wait),
		LANE_TEST(test_when_let_go_of_then_the_doctor_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
