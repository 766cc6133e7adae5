/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be read off a state vector.
 */
#include "vm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const run_names[] = {
	[VM_GONE] = "gone",	     [VM_RUNNING] = "running",	       [VM_PAUSED] = "paused",
	[VM_INMIGRATE] = "incoming", [VM_POSTMIGRATE] = "postmigrate", [VM_BROKEN] = "broken",
};
static_assert(sizeof(run_names) / sizeof(run_names[0]) == VM_RUN_COUNT, "a name for each");

static const char *const mig_names[] = {
	[MIG_NONE] = "none",
	[MIG_SETUP] = "setup",
	[MIG_ACTIVE] = "active",
	[MIG_PRE_SWITCHOVER] = "pre-switchover",
	[MIG_DEVICE] = "device",
	[MIG_POSTCOPY_ACTIVE] = "postcopy-active",
	[MIG_POSTCOPY_PAUSED] = "postcopy-paused",
	[MIG_POSTCOPY_RECOVER] = "postcopy-recover",
	[MIG_CANCELLING] = "cancelling",
	[MIG_CANCELLED] = "cancelled",
	[MIG_FAILED] = "failed",
	[MIG_COMPLETED] = "completed",
	[MIG_WAIT_UNPLUG] = "wait-unplug",
	[MIG_UNKNOWN] = "unknown",
};
static_assert(sizeof(mig_names) / sizeof(mig_names[0]) == MIG_COUNT, "a name for each");

const char *vm_run_name(enum vm_run run)
{
	return run_names[run];
}

const char *vm_mig_name(enum vm_mig mig)
{
	return mig_names[mig];
}

bool vm_mig_under_way(enum vm_mig mig)
{
	switch (mig) {
	case MIG_NONE:
	case MIG_CANCELLED:
	case MIG_FAILED:
	case MIG_COMPLETED:
		return false;
	default:
		return true;
	}
}

void vm_done(struct vm *vm)
{
	free(vm->cpus);
	free(vm->mems);
	free(vm->forced);
	memset(vm, 0, sizeof(*vm));
}

static void *copy_of(const void *from, size_t n, size_t size)
{
	void *copy = malloc((n + 1) * size);

	if (copy && n)
		memcpy(copy, from, n * size);
	return copy;
}

int vm_copy(const struct vm *from, struct vm *ret)
{
	*ret = *from;
	ret->cpus = copy_of(from->cpus, from->n_cpus, sizeof(*ret->cpus));
	ret->mems = copy_of(from->mems, from->n_mems, sizeof(*ret->mems));
	ret->forced = copy_of(from->forced, from->n_forced, sizeof(*ret->forced));
	if (ret->cpus && ret->mems && ret->forced)
		return 0;
	vm_done(ret);
	return -ENOMEM;
}

struct vm_cpu *vm_cpu_by_id(const struct vm *vm, const char *id)
{
	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].plugged && !strcmp(vm->cpus[i].id, id))
			return &vm->cpus[i];
	return NULL;
}

struct vm_mem *vm_mem_by_id(const struct vm *vm, const char *id)
{
	for (unsigned i = 0; i < vm->n_mems; i++)
		if (!strcmp(vm->mems[i].id, id))
			return &vm->mems[i];
	return NULL;
}

unsigned vm_vcpus(const struct vm *vm)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		sum += vm->cpus[i].plugged ? vm->cpus[i].vcpus : 0;
	return sum;
}

unsigned vm_vcpus_max(const struct vm *vm)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		sum += vm->cpus[i].vcpus;
	return sum;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned vm_cpu_online(const struct vm_cpu *c)
{
	return least(c->present, least(c->device, c->kernel));
}

bool vm_cpu_all(const struct vm_cpu *c, unsigned n)
{
	return n && n >= c->vcpus;
}

bool vm_cpu_all_online(const struct vm_cpu *c)
{
	return vm_cpu_all(c, vm_cpu_online(c));
}

unsigned vm_vcpus_online(const struct vm *vm)
{
	unsigned sum = 0;

	if (vm->agent == AGENT_QGA)
		return vm->guest_cpus_online;
	for (unsigned i = 0; i < vm->n_cpus; i++)
		sum += vm->cpus[i].plugged ? vm_cpu_online(&vm->cpus[i]) : 0;
	return sum;
}

uint64_t vm_memory(const struct vm *vm)
{
	uint64_t sum = vm->mem_boot;

	for (unsigned i = 0; i < vm->n_mems; i++)
		sum += vm->mems[i].plugged ? vm->mems[i].size : 0;
	return sum;
}

/*
 * A virtio-mem device may give a memory block only in part, and the block is
 * online as a whole: never count more than the device has given.
 */
uint64_t vm_mem_online(const struct vm_mem *m)
{
	return m->guest_online < m->size ? m->guest_online : m->size;
}

uint64_t vm_memory_online(const struct vm *vm)
{
	uint64_t sum = vm->mem_boot;

	for (unsigned i = 0; i < vm->n_mems; i++)
		sum += vm->mems[i].plugged ? vm_mem_online(&vm->mems[i]) : 0;
	return sum;
}

const char *vm_cpu_trouble(const struct vm *vm, unsigned slot)
{
	const struct vm_cpu *c = &vm->cpus[slot];

	if (c->refused)
		return "the guest refused to give it up";
	if (c->unplug == TRI_YES)
		return "its unplug was asked for and is not finished";
	if (!vm->agent_answers || vm->agent != AGENT_LOCKSTEP)
		return NULL;
	if (c->plugged && c->present < c->vcpus)
		return "QEMU has plugged it, the guest does not know it";
	if (!c->plugged && c->present)
		return "QEMU has removed it, the guest still has it";
	if (c->device > c->kernel)
		return "the guest's driver core says online, its kernel says offline: it cannot be "
		       "used (lockstep doctor --fix)";
	if (c->device < c->kernel)
		return "the guest's kernel runs it, its driver core says offline (lockstep doctor "
		       "--fix)";
	return NULL;
}

const char *vm_mem_trouble(const struct vm *vm, const struct vm_mem *m)
{
	if (!m->plugged)
		return "a backend without a device: left behind by an interrupted plug";
	if (m->refused)
		return "the guest refused to give it up";
	if (m->unplug == TRI_YES)
		return "its unplug was asked for and is not finished";
	if (m->size != m->requested)
		return "the guest has not followed the request yet";
	if (!vm->agent_answers || vm->agent != AGENT_LOCKSTEP)
		return NULL;
	if (vm_mem_online(m) < m->size)
		return "plugged, but not all of it is online in the guest";
	return NULL;
}

static bool same_cpus(const struct vm *a, const struct vm *b, char *text, size_t len)
{
	if (a->n_cpus != b->n_cpus) {
		snprintf(text, len, "%u vCPU slots here, %u there", a->n_cpus, b->n_cpus);
		return false;
	}
	for (unsigned i = 0; i < a->n_cpus; i++) {
		if (a->cpus[i].plugged == b->cpus[i].plugged)
			continue;
		snprintf(text, len, "vCPU slot %u is plugged only %s", i,
			 a->cpus[i].plugged ? "here" : "there");
		return false;
	}
	return true;
}

static bool same_mem(const struct vm_mem *a, const struct vm_mem *b)
{
	return b && a->kind == b->kind && a->plugged == b->plugged && a->addr == b->addr &&
	       a->max == b->max && a->slot == b->slot && !strcmp(a->backend, b->backend);
}

bool vm_same_inventory(const struct vm *a, const struct vm *b, char *text, size_t len)
{
	if (!same_cpus(a, b, text, len))
		return false;
	for (unsigned i = 0; i < a->n_mems; i++) {
		if (!a->mems[i].plugged || same_mem(&a->mems[i], vm_mem_by_id(b, a->mems[i].id)))
			continue;
		snprintf(text, len, "memory device %s is not the same there", a->mems[i].id);
		return false;
	}
	for (unsigned i = 0; i < b->n_mems; i++) {
		if (!b->mems[i].plugged || vm_mem_by_id(a, b->mems[i].id))
			continue;
		snprintf(text, len, "memory device %s exists only there", b->mems[i].id);
		return false;
	}
	return true;
}
