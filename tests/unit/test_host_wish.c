/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is asked of a guest, by whatever way it comes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "../../coordinator/run/wish.h"

/* What a client sends is what the daemon plans: each kind there and back. */
static void test_when_sent_as_json_then_the_same_wish_arrives(void **state)
{
	static const struct wish sent[] = {
		{ .kind = WISH_VCPUS, .value = 4, .node = NODE_ANY },
		{ .kind = WISH_VCPUS, .value = 4, .node = 3, .best_effort = true },
		{ .kind = WISH_PLUG, .which = { 1, { [2] = true } }, .dry_run = true },
		{ .kind = WISH_MEMORY, .value = UINT64_C(3) << 30 },
		{ .kind = WISH_CPU_ONLINE, .which = { 2, { [3] = true, [7] = true } } },
		{ .kind = WISH_CPU_OFFLINE, .which = { 1, { [LS_CPUS_MAX - 1] = true } } },
		{ .kind = WISH_DIMM_ADD, .value = UINT64_C(1) << 30, .backing = "memfd,share" },
		{ .kind = WISH_BALLOON, .value = 512 << 20 },
		{ .kind = WISH_DIMM_REMOVE, .device = "ls-x-0" },
		{ .kind = WISH_MEMORY_RESIZE, .value = 4096, .device = "vmem0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		struct json_object *o = json_object_new_object();
		struct wish got;

		wish_to_json(&sent[i], o);
		wish_from_json(sent[i].kind, o, &got);
		assert_int_equal(got.kind, sent[i].kind);
		assert_int_equal(got.value, sent[i].value);
		assert_int_equal(got.best_effort, sent[i].best_effort);
		assert_int_equal(got.dry_run, sent[i].dry_run);
		if (got.kind == WISH_VCPUS)
			assert_int_equal(got.node, sent[i].node);
		assert_memory_equal(&got.which, &sent[i].which, sizeof(got.which));
		assert_string_equal(got.device, sent[i].device);
		assert_string_equal(got.backing, sent[i].backing);
		json_object_put(o);
	}
}

/* What is said afterwards is about what was asked for. */
static void test_when_it_names_slots_or_cpus_then_it_is_of_cpus(void **state)
{
	(void)state;
	for (int kind = 0; kind < WISH_COUNT; kind++)
		assert_int_equal(wish_is_of_cpus((enum wish_kind)kind),
				 kind == WISH_VCPUS || kind == WISH_PLUG || kind == WISH_UNPLUG ||
					 kind == WISH_CPU_ONLINE || kind == WISH_CPU_OFFLINE);
}

static void test_when_told_then_in_the_units_of_people(void **state)
{
	char text[WISH_TEXT_BYTES];

	(void)state;
	wish_text(&(struct wish){ .kind = WISH_VCPUS, .value = 4, .node = NODE_ANY }, text,
		  sizeof(text));
	assert_string_equal(text, "vcpus 4");
	wish_text(&(struct wish){ .kind = WISH_VCPUS, .value = 4, .node = 1 }, text, sizeof(text));
	assert_string_equal(text, "vcpus 4 on node 1");
	wish_text(&(struct wish){ .kind = WISH_MEMORY, .value = UINT64_C(3) << 30 }, text,
		  sizeof(text));
	assert_string_equal(text, "memory 3072M");
	wish_text(&(struct wish){ .kind = WISH_CPU_ONLINE,
				  .which = { 2, { [3] = true, [12] = true } } },
		  text, sizeof(text));
	assert_string_equal(text, "cpu-online 3,12");
	wish_text(&(struct wish){ .kind = WISH_CPU_ONLINE,
				  .which = { 2, { [3] = true, [12] = true } } },
		  text, 13);
	assert_string_equal(text, "cpu-online 3");
	wish_text(&(struct wish){ .kind = WISH_DIMM_REMOVE, .device = "ls-x-0" }, text,
		  sizeof(text));
	assert_string_equal(text, "dimm-remove ls-x-0");
	wish_text(
		&(struct wish){ .kind = WISH_MEMORY_RESIZE, .value = 2 << 20, .device = "a\n\x1b" },
		text, sizeof(text));
	assert_string_equal(text, "memory-resize a?? 2M");
}

static void test_when_numbers_are_typed_then_lists_and_ranges(void **state)
{
	static const char *const bad[] = { "",
					   "x",
					   "3,",
					   ",3",
					   "3-",
					   "5-3",
					   "3 4",
					   "1-2-3",
					   "-1",
					   "1024",
					   "99999999999999999999" };
	struct numbers s = { 0 };
	struct ls_err err;

	(void)state;
	assert_int_equal(wish_numbers("7", &err, &s), 0);
	assert_int_equal(wish_numbers("3,5-6,5", &err, &s), 0);
	assert_int_equal(s.n, 4);
	assert_true(s.has[3] && s.has[5] && s.has[6] && s.has[7]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (wish_numbers(bad[i], &err, &s) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
}

/* A QEMU that waits for its guest, or has given it away, gets no device plugged. */
static void test_when_no_guest_runs_here_then_refused(void **state)
{
	static const enum vm_run runs[] = { VM_INMIGRATE, VM_POSTMIGRATE };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vm vm = { .run = runs[i], .answers = true };
		struct txn *t = NULL;
		struct ls_err err;

		assert_int_equal(wish_plan(&(struct wish){ .kind = WISH_VCPUS, .value = 2 }, &vm,
					   "t", &err, &t),
				 -EPERM);
		assert_null(t);
		assert_non_null(strstr(err.text, "does not run here"));
		assert_false(wish_is_wrong(-EPERM));
	}
}

/* An agent that is to be there and says nothing is no reason to go on without it. */
static void test_when_the_agent_is_silent_then_waited_for_and_refused(void **state)
{
	const struct wish vcpus = { .kind = WISH_VCPUS, .value = 2, .node = NODE_ANY };
	struct vm_cpu cpus[2] = { { .vcpus = 1, .plugged = true }, { .vcpus = 1 } };
	struct vm vm = { .run = VM_RUNNING, .answers = true, .has_agent = true, .n_cpus = 2 };
	struct txn *t = NULL;
	struct ls_err err;

	(void)state;
	vm.cpus = cpus;
	assert_int_equal(wish_waits_ms(&vcpus, &vm, 0), WISH_AGENT_MS);
	assert_int_equal(wish_waits_ms(&vcpus, &vm, 5000), 5000);
	assert_int_equal(wish_plan(&vcpus, &vm, "t", &err, &t), -EBUSY);
	assert_non_null(strstr(err.text, "nothing was asked"));
	assert_null(t);
	vm.booting = true;
	assert_int_equal(wish_waits_ms(&vcpus, &vm, 0), VM_BOOT_MS);
	vm.agent = AGENT_LOCKSTEP; /* known from before, and as silent */
	assert_int_equal(wish_plan(&vcpus, &vm, "t", &err, &t), -EBUSY);
	vm.agent_answers = true;
	assert_int_equal(wish_waits_ms(&vcpus, &vm, 0), 0);
	assert_int_equal(wish_plan(&vcpus, &vm, "t", &err, &t), 0);
	assert_true(txn_guest_seen(t));
	txn_free(t);
}

/* Where there is none nobody is waited for, and the end says whose word it is. */
static void test_when_there_is_no_agent_then_it_is_qemus_word_alone(void **state)
{
	const struct wish vcpus = { .kind = WISH_VCPUS, .value = 2, .node = NODE_ANY };
	struct vm_cpu cpus[2] = { { .vcpus = 1, .plugged = true }, { .vcpus = 1 } };
	struct vm vm = { .run = VM_RUNNING, .answers = true, .n_cpus = 2 };
	struct txn *t = NULL;
	struct ls_err err;

	(void)state;
	vm.cpus = cpus;
	assert_int_equal(wish_waits_ms(&vcpus, &vm, 0), 0);
	assert_int_equal(wish_plan(&vcpus, &vm, "t", &err, &t), 0);
	assert_false(txn_guest_seen(t));
	txn_free(t);
	vm.has_agent = true; /* a balloon has a driver of its own */
	assert_int_equal(wish_waits_ms(&(struct wish){ .kind = WISH_BALLOON }, &vm, 0), 0);
}

/* 4294967298 is not 2. */
static void test_when_a_count_is_beyond_all_bounds_then_it_is_not_cut(void **state)
{
	struct vm_cpu cpu = { .vcpus = 1, .plugged = true };
	struct vm vm = { .run = VM_RUNNING, .answers = true, .cpus = &cpu, .n_cpus = 1 };
	struct txn *t = NULL;
	struct ls_err err;
	int r;

	(void)state;
	r = wish_plan(&(struct wish){ .kind = WISH_VCPUS, .value = (UINT64_C(1) << 32) + 1 }, &vm,
		      "t", &err, &t);
	assert_true(r < 0);
	assert_true(wish_is_wrong(r));
	assert_null(t);
}

/* Two of one process and one millisecond. */
static void test_when_ids_are_made_then_none_is_made_twice(void **state)
{
	char ids[64][LS_TXN_BYTES];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		wish_txn_id(ids[i], sizeof(ids[i]));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_sent_as_json_then_the_same_wish_arrives),
		cmocka_unit_test(test_when_it_names_slots_or_cpus_then_it_is_of_cpus),
		cmocka_unit_test(test_when_told_then_in_the_units_of_people),
		cmocka_unit_test(test_when_numbers_are_typed_then_lists_and_ranges),
		cmocka_unit_test(test_when_no_guest_runs_here_then_refused),
		cmocka_unit_test(test_when_the_agent_is_silent_then_waited_for_and_refused),
		cmocka_unit_test(test_when_there_is_no_agent_then_it_is_qemus_word_alone),
		cmocka_unit_test(test_when_a_count_is_beyond_all_bounds_then_it_is_not_cut),
		cmocka_unit_test(test_when_ids_are_made_then_none_is_made_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
