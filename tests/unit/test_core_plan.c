/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Planners: what cannot work is refused with the values that would, and a good wish
 * becomes the right slots and devices.
 */
#include "plan_fixture.h"

static void assert_no_vcpus(const struct vm *vm, unsigned count, const char *const *words)
{
	struct ls_err err = { 0 };
	struct txn *t = (struct txn *)1;

	assert_refusal(plan_vcpus(vm, "x", count, &err, &t), -EINVAL, &err, words);
	assert_null(t);
}

static void assert_no_memory(const struct vm *vm, uint64_t mib, int code, const char *const *words)
{
	struct ls_err err = { 0 };
	struct txn *t = (struct txn *)1;

	assert_refusal(plan_memory(vm, "x", mib * MIB, &err, &t), code, &err, words);
	assert_null(t);
}

/* What is planned as transaction tx for a wish that can be had; caller frees. */
static struct txn *planned_vcpus(const struct vm *vm, unsigned count)
{
	struct ls_err err = { 0 };
	struct txn *t;

	if (plan_vcpus(vm, "tx", count, &err, &t))
		fail_msg("%u vCPUs: %s", count, err.text);
	return t;
}

static struct txn *planned_memory(const struct vm *vm, uint64_t mib)
{
	struct ls_err err = { 0 };
	struct txn *t;

	if (plan_memory(vm, "tx", mib * MIB, &err, &t))
		fail_msg("%" PRIu64 " MiB: %s", mib, err.text);
	return t;
}

/* ---- vCPUs --------------------------------------------------------------- */

/* 0, and more than there are slots. */
static void test_when_vcpus_are_out_of_range_then_the_range_is_named(void **state)
{
	struct vm vm = guest(8, 2);

	(void)state;
	assert_no_vcpus(&vm, 0, WORDS("0 vCPUs", "2 to 8", "steps of 1", "2 now"));
	assert_no_vcpus(&vm, 1, WORDS("2 to 8"));
	assert_no_vcpus(&vm, 9, WORDS("9 vCPUs", "2 to 8"));
	vm_done(&vm);
}

/* A slot that plugs two at once. */
static void test_when_vcpus_are_no_multiple_of_a_slot_then_the_step_is_named(void **state)
{
	struct vm vm = guest(4, 1);
	struct txn *t;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		vm.cpus[i].vcpus = 2;
	vm.cpus[0].present = vm.cpus[0].device = vm.cpus[0].kernel = 2;
	assert_no_vcpus(&vm, 5, WORDS("5 vCPUs", "2 to 8", "steps of 2"));
	t = planned_vcpus(&vm, 6);
	assert_int_equal(t->n, 2);
	txn_free(t);
	vm_done(&vm);
}

/* Even a guest all of whose vCPUs can be unplugged keeps one. */
static void test_when_all_vcpus_are_removable_then_one_stays(void **state)
{
	struct vm vm = guest(4, 0);

	(void)state;
	has_cpu(&vm, 0);
	vm.cpus[0].fixed = false;
	assert_no_vcpus(&vm, 0, WORDS("1 to 4"));
	vm_done(&vm);
}

/* What the guest cannot do without counts as there to stay, whoever plugged it. */
static void test_when_a_plugged_vcpu_is_fixed_then_it_stays(void **state)
{
	struct vm vm = guest(4, 1);

	(void)state;
	has_cpu(&vm, 1);
	has_cpu(&vm, 2);
	vm.cpus[1].fixed = true;
	assert_no_vcpus(&vm, 1, WORDS("2 to 4"));
	vm_done(&vm);
}

/* The lowest free slots are plugged, and what was plugged and left offline comes along. */
static void test_when_more_vcpus_are_wanted_then_the_lowest_free_slots(void **state)
{
	struct vm vm = guest(8, 2);
	struct txn *t;

	(void)state;
	has_cpu(&vm, 3);
	has_cpu(&vm, 4);
	vm.cpus[4].kernel = vm.cpus[4].device = false;
	t = planned_vcpus(&vm, 6);
	assert_int_equal(t->n, 3);
	assert_item(t, 0, 2, "ls-tx-2", 1);
	assert_item(t, 1, 4, "cpu4", 1);
	assert_item(t, 2, 5, "ls-tx-5", 1);
	assert_int_equal(t->walk.dir, STEP_UP);
	txn_free(t);
	vm_done(&vm);
}

/* The highest removable ones are unplugged; boot vCPUs are passed over. */
static void test_when_fewer_vcpus_are_wanted_then_the_highest_removable(void **state)
{
	struct vm vm = guest(8, 2);
	struct txn *t;

	(void)state;
	has_cpu(&vm, 2);
	has_cpu(&vm, 5);
	vm.cpus[7] = vm.cpus[1]; /* since the start, above the plugged ones */
	t = planned_vcpus(&vm, 3);
	assert_int_equal(t->n, 2);
	assert_item(t, 0, 5, "cpu5", 0);
	assert_item(t, 1, 2, "cpu2", 0);
	assert_int_equal(t->walk.dir, STEP_DOWN);
	txn_free(t);
	vm_done(&vm);
}

/* As many as there are: nothing to do, unless one of them is offline. */
static void test_when_vcpus_are_as_wanted_then_nothing_to_do(void **state)
{
	struct vm vm = guest(8, 2);
	struct ls_err err;
	struct txn *t;

	(void)state;
	assert_int_equal(plan_vcpus(&vm, "x", 2, &err, &t), 1);
	assert_null(t);
	vm.cpus[1].kernel = false;
	t = planned_vcpus(&vm, 2);
	assert_int_equal(t->n, 1);
	txn_free(t);
	vm_done(&vm);
}

/* A core is online when all its threads are, and known when all of them are. */
static void test_when_a_thread_of_a_core_is_missing_then_the_core_is_not_there(void **state)
{
	struct vm vm = guest(4, 2);
	struct ls_err err;
	struct txn *t;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		vm.cpus[i].vcpus = 2;
		vm.cpus[i].present = vm.cpus[i].device = vm.cpus[i].kernel = i < 2 ? 2 : 0;
	}
	assert_int_equal(plan_vcpus(&vm, "x", 4, &err, &t), 1);
	assert_int_equal(vm_vcpus_online(&vm), 4);
	assert_null(vm_cpu_trouble(&vm, 1));
	vm.cpus[1].device = vm.cpus[1].kernel = 1;
	assert_null(vm_cpu_trouble(&vm, 1));
	assert_int_equal(vm_vcpus_online(&vm), 3);
	t = planned_vcpus(&vm, 4);
	assert_int_equal(t->n, 1);
	assert_item(t, 0, 1, "", 1);
	txn_free(t);
	vm.cpus[1].present = 1;
	assert_non_null(strstr(vm_cpu_trouble(&vm, 1), "does not know it"));
	vm_done(&vm);
}

/* While the guest owes an answer about one, none is plugged. */
static void test_when_an_unplug_is_pending_then_refused_by_name(void **state)
{
	struct vm vm = guest(8, 2);
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	has_cpu(&vm, 3);
	vm.cpus[3].unplug = TRI_YES;
	assert_refusal(plan_vcpus(&vm, "x", 4, &err, &t), -EBUSY, &err,
		       WORDS("slot 3", "cpu3", "--unplug 3"));
	has_cpu(&vm, 5); /* to ask for it again is the way out: it comes first */
	t = planned_vcpus(&vm, 3);
	assert_int_equal(t->n, 1);
	assert_item(t, 0, 3, "cpu3", 0);
	txn_free(t);
	vm_done(&vm);
}

/* Of a DIMM, too, the vector says so. */
static void test_when_an_unplug_of_a_dimm_is_pending_then_shown(void **state)
{
	struct vm vm = guest(1, 1);
	struct vm_mem *m = has_mem(&vm, VM_DIMM, "dimm0", 512 * MIB, 512 * MIB);

	(void)state;
	assert_null(vm_mem_trouble(&vm, m));
	m->unplug = TRI_YES;
	assert_non_null(strstr(vm_mem_trouble(&vm, m), "unplug"));
	vm_done(&vm);
}

/* ---- memory --------------------------------------------------------------- */

/* Less than at the start, more than maxmem. */
static void test_when_memory_is_out_of_range_then_the_range_is_named(void **state)
{
	struct vm vm = guest(1, 1);

	(void)state;
	assert_no_memory(&vm, 511, -EINVAL,
			 WORDS("511 MiB", "512 MiB (its boot memory)", "8192 MiB"));
	assert_no_memory(&vm, 8193, -EINVAL, WORDS("8193 MiB", "512 MiB", "8192 MiB (maxmem)"));
	vm_done(&vm);
}

/* A DIMM is whole blocks: the two nearest sizes are named. */
static void test_when_memory_is_no_multiple_of_a_block_then_the_nearest_are_named(void **state)
{
	struct vm vm = guest(1, 1);
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	assert_no_memory(&vm, 900, -EINVAL,
			 WORDS("900 MiB", "128 MiB each", "896 MiB or 1024 MiB"));
	txn_free(planned_memory(&vm, 896));
	txn_free(planned_memory(&vm, 1024));
	assert_refusal(plan_memory(&vm, "x", 900 * MIB + 1, &err, &t), -EINVAL, &err,
		       WORDS("not whole MiB", "900 MiB"));
	vm_done(&vm);
}

/* Both slots are taken: what can be had without one is named, and can be had. */
static void test_when_no_slot_is_free_then_what_can_be_had_is_named(void **state)
{
	struct vm vm = guest(1, 1);

	(void)state;
	has_dimm(&vm, "d0", 0, 512 * MIB);
	has_dimm(&vm, "d1", 1, 512 * MIB);
	has_mem(&vm, VM_VIRTIO_MEM, "vm0", 0, 1024 * MIB);
	assert_no_memory(&vm, 3072, -ENOSPC, WORDS("3072 MiB", "no DIMM slot is free", "2560 MiB"));
	txn_free(planned_memory(&vm, 2560));
	vm_done(&vm);
}

/* maxmem is set aside for devices that are not full: what is left of it is named. */
static void test_when_maxmem_is_set_aside_then_what_can_be_had_is_named(void **state)
{
	struct vm vm = guest(1, 1);
	struct vm_mem *m;

	(void)state;
	m = has_mem(&vm, VM_VIRTIO_MEM, "vm0", 0, 4096 * MIB);
	m->plugged = false; /* a backend of somebody's */
	assert_no_memory(&vm, 6144, -ENOSPC, WORDS("6144 MiB", "at most 4096 MiB"));
	txn_free(planned_memory(&vm, 4096));
	vm_done(&vm);
}

/* virtio-mem first, in its own steps; the rest is one DIMM in the lowest free slot. */
static void test_when_more_memory_is_wanted_then_virtio_mem_and_one_dimm(void **state)
{
	struct vm vm = guest(1, 1);
	struct txn *t;

	(void)state;
	has_mem(&vm, VM_VIRTIO_MEM, "vm0", 256 * MIB, 1024 * MIB);
	has_dimm(&vm, "d0", 0, 512 * MIB);
	t = planned_memory(&vm, 2560);
	assert_int_equal(t->n, 2);
	assert_item(t, 0, -1, "vm0", 1024 * MIB);
	assert_item(t, 1, 1, "ls-tx-1", 1);
	assert_string_equal(t->items[1].backend, "ls-tx-1-mem");
	assert_int_equal(t->items[1].size, 512 * MIB);
	txn_free(t);
	vm_done(&vm);
}

/* Less: out of virtio-mem, then whole DIMMs; what cannot be reached names what can. */
static void test_when_less_memory_is_wanted_then_virtio_mem_and_whole_dimms(void **state)
{
	struct vm vm = guest(1, 1);
	struct txn *t;

	(void)state;
	has_mem(&vm, VM_VIRTIO_MEM, "vm0", 256 * MIB, 1024 * MIB);
	has_dimm(&vm, "d0", 0, 512 * MIB);
	t = planned_memory(&vm, 512);
	assert_int_equal(t->n, 2);
	assert_item(t, 0, -1, "vm0", 0);
	assert_item(t, 1, 0, "d0", 0);
	assert_int_equal(t->walk.dir, STEP_DOWN);
	txn_free(t);
	assert_no_memory(&vm, 640, -EINVAL, WORDS("640 MiB", "1024 MiB", "1280 MiB (now)"));
	vm_done(&vm);
}

/* A request that the guest has not followed yet is counted once, not twice. */
static void test_when_the_guest_lags_behind_then_its_request_is_counted(void **state)
{
	struct vm vm = guest(1, 1);
	struct txn *t;

	(void)state;
	has_mem(&vm, VM_VIRTIO_MEM, "vm0", 0, 1024 * MIB)->requested = 512 * MIB;
	t = planned_memory(&vm, 1024);
	assert_int_equal(t->n, 1);
	assert_item(t, 0, -1, "vm0", 512 * MIB);
	txn_free(t);
	vm_done(&vm);
}

/* Both kinds of devices count, in whole blocks; what the guest has is described already. */
static void test_when_the_guest_cannot_describe_more_then_what_it_can_is_named(void **state)
{
	struct vm vm = guest(2, 1);
	struct vm_mem *vmem = has_mem(&vm, VM_VIRTIO_MEM, "vmem0", 256 * MIB, 1024 * MIB);

	(void)state;
	vm.headroom_known = true;
	vm.headroom = 1280 * MIB + 5;
	assert_no_memory(&vm, 2176, -ENOMEM,
			 WORDS("2176 MiB cannot be had", "describe 1280 MiB", "not 1408 MiB",
			       "at most 2048 MiB", "freed"));
	txn_free(planned_memory(&vm, 2048));
	vmem->guest_present += 128 * MIB; /* offline, but there */
	txn_free(planned_memory(&vm, 2176));
	vm.headroom = 0;
	assert_no_memory(&vm, 1024, -ENOMEM, WORDS("not 128 MiB", "at most 896 MiB"));
	vmem->guest_present = 256 * MIB;
	assert_no_memory(&vm, 1024, -ENOMEM, WORDS("describe 0 MiB", "nothing can be added now"));
	txn_free(planned_memory(&vm, 512));
	vm.headroom_known = false; /* an older agent, or new memory describes itself */
	txn_free(planned_memory(&vm, 2304));
	vm_done(&vm);
}

/* As much as there is, all of it online: nothing to do. */
static void test_when_memory_is_as_wanted_then_nothing_to_do(void **state)
{
	struct vm vm = guest(1, 1);
	struct ls_err err;
	struct txn *t;

	(void)state;
	has_mem(&vm, VM_VIRTIO_MEM, "vm0", 512 * MIB, 1024 * MIB);
	assert_int_equal(plan_memory(&vm, "x", 1024 * MIB, &err, &t), 1);
	vm.mems[0].guest_online -= 128 * MIB;
	txn_free(planned_memory(&vm, 1024));
	vm.agent = AGENT_NONE; /* nobody could bring it online */
	assert_int_equal(plan_memory(&vm, "x", 1024 * MIB, &err, &t), 1);
	vm_done(&vm);
}

/* ---- the balloon ---------------------------------------------------------- */

/* No device, more than there is to lend, next to nothing; virtio-mem does not count. */
static void test_when_a_balloon_cannot_do_it_then_said_why(void **state)
{
	struct vm vm = guest(1, 1);
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	has_dimm(&vm, "d0", 0, 512 * MIB);
	has_mem(&vm, VM_VIRTIO_MEM, "vm0", 512 * MIB, 1024 * MIB);
	assert_refusal(plan_balloon(&vm, "x", 512 * MIB, &err, &t), -EOPNOTSUPP, &err,
		       WORDS("no balloon", "no driver", "lockstep memory"));
	assert_null(t);
	vm.has_balloon = true;
	vm.balloon = 1024 * MIB;
	assert_refusal(plan_balloon(&vm, "x", 1025 * MIB, &err, &t), -EINVAL, &err,
		       WORDS("1025 MiB", "64 MiB to 1024 MiB", "1024 MiB now"));
	assert_refusal(plan_balloon(&vm, "x", 63 * MIB, &err, &t), -EINVAL, &err,
		       WORDS("63 MiB", "64 MiB to 1024 MiB"));
	assert_int_equal(plan_balloon(&vm, "x", 1024 * MIB, &err, &t), 0);
	assert_int_equal(t->walk.dir, STEP_UP);
	txn_free(t);
	assert_int_equal(plan_balloon(&vm, "x", 64 * MIB, &err, &t), 0);
	assert_int_equal(t->walk.dir, STEP_DOWN);
	assert_item(t, 0, -1, "", 64 * MIB);
	txn_free(t);
	vm_done(&vm);
}

/* ---- migration ------------------------------------------------------------ */

static const struct txn_migrate how = { .uri = "unix:/m", .window = "force" };

static struct view two_sides(void)
{
	struct view v = { .vm = { guest(4, 2), guest(4, 2) } };

	for (int side = 0; side < SIDE_COUNT; side++) {
		v.vm[side].version = 70200;
		strcpy(v.vm[side].machine, "pc-q35-7.2");
	}
	v.vm[SIDE_DST].run = VM_INMIGRATE;
	return v;
}

static void done_with(struct view *v)
{
	vm_done(&v->vm[SIDE_SRC]);
	vm_done(&v->vm[SIDE_DST]);
}

static void assert_no_migration(const struct view *v, int code, const char *const *words)
{
	struct ls_err err = { 0 };
	struct txn *t;

	assert_refusal(plan_migrate(v, "x", &how, &err, &t), code, &err, words);
	assert_null(t);
}

/* Each thing about the two QEMUs that makes it impossible is named. */
static void test_when_the_sides_do_not_fit_then_said_what_does_not(void **state)
{
	struct view v = two_sides();
	struct ls_err err = { 0 };
	struct txn *t;

	(void)state;
	assert_int_equal(plan_migrate(&v, "x", &how, &err, &t), 0);
	txn_free(t);
	v.vm[SIDE_DST].run = VM_RUNNING;
	assert_no_migration(&v, -EINVAL, WORDS("running", "-incoming defer -S"));
	v.vm[SIDE_DST].run = VM_INMIGRATE;
	strcpy(v.vm[SIDE_DST].machine, "pc-i440fx-7.2");
	assert_no_migration(&v, -EINVAL, WORDS("pc-q35-7.2", "pc-i440fx-7.2"));
	strcpy(v.vm[SIDE_DST].machine, "pc-q35-7.2");
	v.vm[SIDE_DST].version = 70100;
	assert_no_migration(&v, -EINVAL, WORDS("7.2 here, 7.1 there", "newer"));
	v.vm[SIDE_DST].version = 70200;
	v.vm[SIDE_DST].mem_max = 4096 * MIB;
	assert_no_migration(&v, -EINVAL, WORDS("8192 MiB", "4096 MiB"));
	done_with(&v);
}

/* Each state of the source that makes it impossible is named. */
static void test_when_the_source_cannot_go_then_said_why(void **state)
{
	struct view v = two_sides();

	(void)state;
	v.vm[SIDE_SRC].surrendered = true;
	assert_no_migration(&v, -EBUSY, WORDS("given its guest away"));
	v.vm[SIDE_SRC].surrendered = false;
	v.vm[SIDE_SRC].run = VM_PAUSED;
	assert_no_migration(&v, -EINVAL, WORDS("paused"));
	v.vm[SIDE_SRC].run = VM_RUNNING;
	v.vm[SIDE_SRC].mig = MIG_ACTIVE;
	assert_no_migration(&v, -EBUSY, WORDS("active"));
	v.vm[SIDE_SRC].mig = MIG_NONE;
	v.vm[SIDE_SRC].agent = AGENT_QGA;
	assert_no_migration(&v, -EOPNOTSUPP, WORDS("--window=off"));
	done_with(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_vcpus_are_out_of_range_then_the_range_is_named),
		cmocka_unit_test(test_when_vcpus_are_no_multiple_of_a_slot_then_the_step_is_named),
		cmocka_unit_test(test_when_all_vcpus_are_removable_then_one_stays),
		cmocka_unit_test(test_when_a_plugged_vcpu_is_fixed_then_it_stays),
		cmocka_unit_test(test_when_more_vcpus_are_wanted_then_the_lowest_free_slots),
		cmocka_unit_test(test_when_fewer_vcpus_are_wanted_then_the_highest_removable),
		cmocka_unit_test(test_when_vcpus_are_as_wanted_then_nothing_to_do),
		cmocka_unit_test(
			test_when_a_thread_of_a_core_is_missing_then_the_core_is_not_there),
		cmocka_unit_test(test_when_an_unplug_is_pending_then_refused_by_name),
		cmocka_unit_test(test_when_an_unplug_of_a_dimm_is_pending_then_shown),
		cmocka_unit_test(test_when_memory_is_out_of_range_then_the_range_is_named),
		cmocka_unit_test(
			test_when_memory_is_no_multiple_of_a_block_then_the_nearest_are_named),
		cmocka_unit_test(test_when_no_slot_is_free_then_what_can_be_had_is_named),
		cmocka_unit_test(test_when_maxmem_is_set_aside_then_what_can_be_had_is_named),
		cmocka_unit_test(test_when_more_memory_is_wanted_then_virtio_mem_and_one_dimm),
		cmocka_unit_test(test_when_less_memory_is_wanted_then_virtio_mem_and_whole_dimms),
		cmocka_unit_test(test_when_the_guest_lags_behind_then_its_request_is_counted),
		cmocka_unit_test(
			test_when_the_guest_cannot_describe_more_then_what_it_can_is_named),
		cmocka_unit_test(test_when_memory_is_as_wanted_then_nothing_to_do),
		cmocka_unit_test(test_when_a_balloon_cannot_do_it_then_said_why),
		cmocka_unit_test(test_when_the_sides_do_not_fit_then_said_what_does_not),
		cmocka_unit_test(test_when_the_source_cannot_go_then_said_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
