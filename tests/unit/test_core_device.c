/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One named memory device is added, removed or resized, and nothing beside it; what
 * cannot be is refused with what could.
 */
#include "plan_fixture.h"

/* A virtio-mem device of 1 GiB with 256 MiB in it, and a DIMM of 512 MiB in slot 0. */
static struct vm devices(void)
{
	struct vm vm = guest(1, 1);

	has_mem(&vm, VM_VIRTIO_MEM, "vm0", 256 * MIB, 1024 * MIB);
	has_dimm(&vm, "d0", 0, 512 * MIB);
	return vm;
}

static void assert_no_dimm(const struct vm *vm, uint64_t bytes, int code, const char *const *words)
{
	struct ls_err err = { 0 };
	struct txn *t = (struct txn *)1;

	assert_refusal(plan_dimm_add(vm, "x", bytes, "", &err, &t), code, &err, words);
	assert_null(t);
}

static void assert_stays(const struct vm *vm, const char *device, int code,
			 const char *const *words)
{
	struct ls_err err = { 0 };
	struct txn *t = (struct txn *)1;

	assert_refusal(plan_dimm_remove(vm, "x", device, &err, &t), code, &err, words);
	assert_null(t);
}

static void assert_no_size(const struct vm *vm, const char *device, uint64_t mib, int code,
			   const char *const *words)
{
	struct ls_err err = { 0 };
	struct txn *t = (struct txn *)1;

	assert_refusal(plan_mem_resize(vm, "x", device, mib * MIB, &err, &t), code, &err, words);
	assert_null(t);
}

/* The device that is asked for, and no other one, though virtio-mem had room. */
static void test_when_a_dimm_is_added_then_only_that(void **state)
{
	struct vm vm = devices();
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	assert_int_equal(plan_dimm_add(&vm, "tx", 256 * MIB, "memfd,share", &err, &t), 0);
	assert_int_equal(t->n, 1);
	assert_item(t, 0, 1, "ls-tx-1", 1);
	assert_string_equal(t->items[0].backend, "ls-tx-1-mem");
	assert_int_equal(t->items[0].size, 256 * MIB);
	assert_string_equal(t->backing, "memfd,share");
	assert_int_equal(t->walk.dir, STEP_UP);
	txn_free(t);
	vm_done(&vm);
}

/* No size at all, part of a block, more than is left of maxmem, of the slots, of the kernel. */
static void test_when_a_dimm_cannot_be_had_then_said_what_can(void **state)
{
	struct vm vm = devices();

	(void)state;
	assert_no_dimm(&vm, 0, -EINVAL, WORDS("0 MiB", "128 MiB each; 128 MiB can be had"));
	assert_no_dimm(&vm, 200 * MIB, -EINVAL, WORDS("200 MiB", "128 MiB or 256 MiB can be had"));
	assert_no_dimm(&vm, 128 * MIB + 1, -EINVAL, WORDS("128 MiB or 256 MiB"));
	assert_no_dimm(&vm, 6144 * MIB + 1, -ENOSPC, WORDS("6144 MiB are not set aside"));
	assert_no_dimm(&vm, INT64_MAX, -ENOSPC, WORDS("6144 MiB are not set aside"));
	vm.headroom_known = true;
	vm.headroom = 256 * MIB;
	assert_no_dimm(&vm, 512 * MIB, -ENOMEM, WORDS("describe 256 MiB", "at most 1536 MiB"));
	has_dimm(&vm, "d1", 1, 512 * MIB);
	assert_no_dimm(&vm, 128 * MIB, -ENOSPC, WORDS("no DIMM slot is free", "2 of them"));
	vm_done(&vm);
}

/* A backing that there is not, and a size that is not whole huge pages of it. */
static void test_when_the_backing_is_wrong_then_refused(void **state)
{
	struct vm vm = devices();
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	assert_refusal(plan_dimm_add(&vm, "x", 128 * MIB, "tape", &err, &t), -EINVAL, &err,
		       WORDS("tape", "memfd"));
	assert_null(t);
	assert_refusal(plan_dimm_add(&vm, "x", 128 * MIB, "memfd,hugepages=1G", &err, &t), -EINVAL,
		       &err, WORDS("whole huge pages", "1024 MiB can be had"));
	assert_null(t);
	vm_done(&vm);
}

/* The one that is named, though another of its size would do as well. */
static void test_when_a_dimm_is_removed_then_only_that(void **state)
{
	struct vm vm = devices();
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	has_dimm(&vm, "d1", 1, 512 * MIB);
	assert_int_equal(plan_dimm_remove(&vm, "tx", "d1", &err, &t), 0);
	assert_int_equal(t->n, 1);
	assert_item(t, 0, 1, "d1", 0);
	assert_int_equal(t->walk.dir, STEP_DOWN);
	txn_free(t);
	assert_int_equal(plan_dimm_remove(&vm, "tx", "0", &err, &t), 0); /* by its slot */
	assert_item(t, 0, 0, "d0", 0);
	txn_free(t);
	vm_done(&vm);
}

/* One that is not there, no DIMM, not hot-plugged, owed by the guest already. */
static void test_when_a_dimm_cannot_go_then_said_why(void **state)
{
	struct vm vm = devices();

	(void)state;
	assert_stays(&vm, "d7", -EINVAL, WORDS("no memory device \"d7\"", "vm0, d0"));
	assert_stays(&vm, "-1", -EINVAL, WORDS("no memory device \"-1\""));
	assert_stays(&vm, "vm0", -EINVAL, WORDS("vm0 is a virtio-mem device", "--device vm0 0M"));
	vm.mems[1].removable = false;
	assert_stays(&vm, "d0", -EPERM, WORDS("d0", "there when the guest started"));
	vm.n_mems = 0;
	assert_stays(&vm, "d0", -EINVAL, WORDS("it has none"));
	vm_done(&vm);
}

/* While the guest owes one, none is added; that one can be asked for again, and comes first. */
static void test_when_a_dimm_is_owed_then_none_is_added_and_it_goes_first(void **state)
{
	struct vm vm = devices();
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	has_dimm(&vm, "d1", 1, 512 * MIB);
	vm.mems[2].unplug = TRI_YES;
	vm.mem_slots = 4;
	assert_no_dimm(&vm, 128 * MIB, -EBUSY,
		       WORDS("d1 was asked for earlier", "--remove-dimm d1"));
	assert_refusal(plan_memory(&vm, "x", 4096 * MIB, &err, &t), -EBUSY, &err, WORDS("d1"));
	assert_int_equal(plan_dimm_remove(&vm, "tx", "d1", &err, &t), 0);
	txn_free(t);
	vm.mems[0].size = vm.mems[0].requested = 0;
	assert_int_equal(plan_memory(&vm, "tx", 1024 * MIB, &err, &t), 0);
	assert_int_equal(t->n, 1);
	assert_item(t, 0, 1, "d1", 0);
	txn_free(t);
	vm_done(&vm);
}

/* Up and down, to nothing and to all of it; as it is: nothing to do. */
static void test_when_a_device_is_resized_then_only_that(void **state)
{
	static const uint64_t mib[] = { 0, 254, 258, 1024 };
	struct vm vm = devices();
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(plan_mem_resize(&vm, "tx", "vm0", mib[i] * MIB, &err, &t), 0);
		assert_int_equal(t->n, 1);
		assert_item(t, 0, -1, "vm0", mib[i] * MIB);
		assert_int_equal(t->walk.dir, i < 2 ? STEP_DOWN : STEP_UP);
		txn_free(t);
	}
	assert_int_equal(plan_mem_resize(&vm, "tx", "vm0", 256 * MIB, &err, &t), 1);
	assert_null(t);
	vm.mems[0].guest_online = 128 * MIB; /* given, and not used: brought online */
	assert_int_equal(plan_mem_resize(&vm, "tx", "vm0", 256 * MIB, &err, &t), 0);
	txn_free(t);
	vm_done(&vm);
}

/* A DIMM, more than it has, half a step, more than the kernel can describe. */
static void test_when_a_device_cannot_be_resized_then_said_what_can(void **state)
{
	struct vm vm = devices();

	(void)state;
	assert_no_size(&vm, "d0", 256, -EINVAL, WORDS("d0 is a DIMM", "--remove-dimm d0"));
	assert_no_size(&vm, "vm1", 256, -EINVAL, WORDS("\"vm1\"", "vm0, d0"));
	assert_no_size(&vm, "vm0", 1025, -EINVAL, WORDS("1025 MiB", "0 to 1024 MiB"));
	assert_no_size(&vm, "vm0", 257, -EINVAL, WORDS("2 MiB each", "256 MiB or 258 MiB"));
	vm.headroom_known = true;
	vm.headroom = 128 * MIB;
	assert_no_size(&vm, "vm0", 1024, -ENOMEM, WORDS("describe 128 MiB"));
	vm_done(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_a_dimm_is_added_then_only_that),
		cmocka_unit_test(test_when_a_dimm_cannot_be_had_then_said_what_can),
		cmocka_unit_test(test_when_the_backing_is_wrong_then_refused),
		cmocka_unit_test(test_when_a_dimm_is_removed_then_only_that),
		cmocka_unit_test(test_when_a_dimm_cannot_go_then_said_why),
		cmocka_unit_test(test_when_a_dimm_is_owed_then_none_is_added_and_it_goes_first),
		cmocka_unit_test(test_when_a_device_is_resized_then_only_that),
		cmocka_unit_test(test_when_a_device_cannot_be_resized_then_said_what_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
