/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs: the table that a plug walks down and an unplug walks up; plan_slots.c chooses the
 * slots. The item's slot says which vCPU; levels are 0 and 1.
 */
#include "plan.h"
#include "table.h"

#include <errno.h>

enum { ROW_CPU = 2 }; /* of the rows below */

/* A QEMU that did not answer this look shows no slots, and so may another after a restart. */
static const struct vm_cpu *cpu_of(const struct txn *t, const struct view *v, unsigned item)
{
	static const struct vm_cpu unseen = { 0 };
	const struct vm *vm = &v->vm[SIDE_SRC];
	unsigned slot = (unsigned)t->items[item].slot;

	return slot < vm->n_cpus ? &vm->cpus[slot] : &unseen;
}

static uint64_t plugged(const struct txn *t, const struct view *v, unsigned item)
{
	return cpu_of(t, v, item)->plugged;
}

/* One that the guest was asked for may go at any moment: it is not wholly there. */
static uint64_t plugged_full(const struct txn *t, const struct view *v, unsigned item)
{
	return plugged(t, v, item) && cpu_of(t, v, item)->unplug != TRI_YES;
}

static uint64_t free_slot(const struct txn *t, const struct view *v, unsigned item)
{
	return !cpu_of(t, v, item)->plugged;
}

/*
 * qemu-ga knows numbers, not slots. Of a plug it can say whether none is offline; of what comes
 * back, whether no more are than were before: the fewer, the higher the level.
 */
static uint64_t online_of_qga(const struct txn *t, const struct vm *vm, unsigned item)
{
	unsigned all = vm_vcpus(vm), online = vm->agent_answers ? vm->guest_cpus_online : 0;
	unsigned offline = all > online ? all - online : 0;

	return t->items[item].goal ? !offline : UINT32_MAX - offline;
}

static uint64_t online_full(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm *vm = &v->vm[SIDE_SRC];

	if (t->agent == AGENT_NONE)
		return LEVEL_ALL;
	if (t->agent == AGENT_QGA)
		return online_of_qga(t, vm, item);
	return vm_cpu_all_online(cpu_of(t, v, item));
}

static uint64_t online_any(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_cpu *c = cpu_of(t, v, item);

	return t->agent == AGENT_LOCKSTEP && (c->device || c->kernel);
}

/* qemu-ga brings online all that it knows: a user's vCPU not before the one that it is about. */
static uint64_t seen_by_guest(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm *vm = &v->vm[SIDE_SRC];

	if (t->agent == AGENT_QGA)
		return vm->guest_cpus >= vm_vcpus(vm) && vm->guest_cpus > vm->guest_cpus_online;
	return vm_cpu_all(cpu_of(t, v, item), cpu_of(t, v, item)->present);
}

static bool online_seen(const struct txn *t, const struct view *v)
{
	return agent_seen_or_goes(t, v, ROW_CPU);
}

static int refused(const struct txn *t, const struct view *v, unsigned item, struct ls_err *err)
{
	if (t->items[item].goal || !cpu_of(t, v, item)->refused)
		return 0;
	return ls_err_set(err, -EPERM, "the guest refused to give up the vCPU in slot %d",
			  t->items[item].slot);
}

/* clang-format off */
static const struct row rows[] = {
	ROW_CLAIM,
	ROW_GUEST_LOCK,
	{ "qemu:cpu",     SIDE_SRC, plugged_full, plugged,   VERB_CPU_ADD,    VERB_CPU_DEL,
	  .refused = refused, .limit_ms = 15000, .mark = MARK_PENDS,
	  .ready = free_slot, .again = true },
	{ "guest:online", SIDE_SRC, online_full, online_any, VERB_CPU_ONLINE, VERB_CPU_OFFLINE,
	  .limit_ms = 30000, .ready = seen_by_guest, .again = true,
	  .seen = online_seen, .sure_up = item_of_lockstep, .sure_down = item_of_lockstep },
};
/* clang-format on */

const struct table table_vcpu = {
	.name = "vcpu",
	.rows = rows,
	.n = sizeof(rows) / sizeof(rows[0]),
	.holds = 2,
	.boots = true,
	.alive = alive_src,
};
