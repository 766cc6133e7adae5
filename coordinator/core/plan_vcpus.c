/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs: the table that a plug walks down and an unplug walks up, and the choice of
 * slots. The item's slot says which vCPU; levels are 0 and 1.
 */
#include "plan.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static bool free_slot(const struct txn *t, const struct view *v, unsigned item)
{
	return !cpu_of(t, v, item)->plugged;
}

/* A core is where it is wanted when all its threads are. */
static bool all(const struct vm_cpu *c, unsigned n)
{
	return n && n >= c->vcpus;
}

static bool online(const struct vm_cpu *c)
{
	return all(c, vm_cpu_online(c));
}

/* qemu-ga knows numbers, not slots: all that can be asked is whether enough are online. */
static uint64_t online_full(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm *vm = &v->vm[SIDE_SRC];

	if (t->agent == AGENT_NONE)
		return LEVEL_ALL;
	if (t->agent == AGENT_QGA)
		return vm->agent_answers && vm->guest_cpus_online >= vm_vcpus(vm);
	return online(cpu_of(t, v, item));
}

static uint64_t online_any(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_cpu *c = cpu_of(t, v, item);

	return t->agent == AGENT_LOCKSTEP && (c->device || c->kernel);
}

static bool seen_by_guest(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm *vm = &v->vm[SIDE_SRC];

	if (t->agent == AGENT_QGA)
		return vm->guest_cpus > vm->guest_cpus_online;
	return all(cpu_of(t, v, item), cpu_of(t, v, item)->present);
}

static int check_refused(const struct txn *t, const struct view *v, bool rolling,
			 struct ls_err *err)
{
	for (unsigned i = 0; i < t->n && !rolling; i++)
		if (t->items[i].goal == 0 && cpu_of(t, v, i)->refused)
			return ls_err_set(err, -EPERM,
					  "the guest refused to give up the vCPU in slot %d",
					  t->items[i].slot);
	return 0;
}

/* clang-format off */
static const struct row rows[] = {
	{ "claim",        SIDE_SRC, level_claim_src,  level_none, VERB_CLAIM,      VERB_UNCLAIM,
	  .limit_ms = 5000, .mark = MARK_HOLD },
	{ "guest:lock",   SIDE_SRC, level_guest_lock, level_none, VERB_GUEST_LOCK, VERB_GUEST_UNLOCK,
	  .limit_ms = 5000, .mark = MARK_HOLD },
	{ "qemu:cpu",     SIDE_SRC, plugged_full, plugged,   VERB_CPU_ADD,    VERB_CPU_DEL,
	  .check = check_refused, .asked_first = true, .limit_ms = 15000, .mark = MARK_PENDS,
	  .ready = free_slot, .again = true },
	{ "guest:online", SIDE_SRC, online_full, online_any, VERB_CPU_ONLINE, VERB_CPU_OFFLINE,
	  .limit_ms = 30000, .ready = seen_by_guest, .again = true,
	  .sure_up = true, .sure_down = true },
};
/* clang-format on */

const struct table table_vcpu = {
	.name = "vcpu",
	.rows = rows,
	.n = sizeof(rows) / sizeof(rows[0]),
	.holds = 2,
	.alive = alive_src,
};

/* ---- which slots ------------------------------------------------------ */

static bool wanted_up(const struct vm *vm, const struct vm_cpu *c, unsigned *room)
{
	if (c->plugged)
		return vm->agent == AGENT_LOCKSTEP && !online(c);
	if (*room < c->vcpus)
		return false;
	*room -= c->vcpus;
	return true;
}

static struct txn *choose_up(const struct vm *vm, const char *id, unsigned count)
{
	unsigned room = count - vm_vcpus(vm), n = 0, slots[LS_CPUS_MAX];
	struct txn *t;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (wanted_up(vm, &vm->cpus[i], &room))
			slots[n++] = i;
	t = txn_new(OP_VCPUS, id, n, true);
	for (unsigned i = 0; t && i < n; i++) {
		struct item *it = &t->items[i];

		it->slot = (int)slots[i];
		it->goal = 1;
		if (vm->cpus[slots[i]].plugged)
			snprintf(it->id, sizeof(it->id), "%s", vm->cpus[slots[i]].id);
		else
			snprintf(it->id, sizeof(it->id), PLAN_ID_PREFIX "%s-%u", id, slots[i]);
	}
	return t;
}

/* QEMU started with it, or the guest cannot do without it: it stays. */
static bool removable(const struct vm_cpu *c)
{
	return c->plugged && c->id[0] && !c->fixed;
}

static struct txn *choose_down(const struct vm *vm, const char *id, unsigned count)
{
	unsigned excess = vm_vcpus(vm) - count, n = 0, slots[LS_CPUS_MAX];
	struct txn *t;

	for (unsigned i = vm->n_cpus; i-- > 0 && excess;) {
		const struct vm_cpu *c = &vm->cpus[i];

		if (!removable(c) || c->vcpus > excess)
			continue;
		excess -= c->vcpus;
		slots[n++] = i;
	}
	t = n ? txn_new(OP_VCPUS, id, n, false) : NULL;
	for (unsigned i = 0; t && i < n; i++) {
		t->items[i].slot = (int)slots[i];
		snprintf(t->items[i].id, LS_NAME_BYTES, "%s", vm->cpus[slots[i]].id);
	}
	return t;
}

/* ---- what would work -------------------------------------------------- */

static unsigned step_of(const struct vm *vm)
{
	return vm->n_cpus && vm->cpus[0].vcpus ? vm->cpus[0].vcpus : 1;
}

/* What cannot be unplugged; some vCPU there must be. */
static unsigned least(const struct vm *vm)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].plugged && !removable(&vm->cpus[i]))
			sum += vm->cpus[i].vcpus;
	return sum ? sum : step_of(vm);
}

static int check_count(const struct vm *vm, unsigned count, struct ls_err *err)
{
	unsigned lo = least(vm), hi = vm_vcpus_max(vm), step = step_of(vm);

	if (count >= lo && count <= hi && count % step == 0)
		return 0;
	return ls_err_set(
		err, -EINVAL,
		"%u vCPUs cannot be had: this guest takes %u to %u in steps of %u (%u now)", count,
		lo, hi, step, vm_vcpus(vm));
}

static int check_pending(const struct vm *vm, struct ls_err *err)
{
	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].unplug == TRI_YES)
			return ls_err_set(err, -EBUSY,
					  "the unplug of the vCPU in slot %u (%s) was "
					  "asked for earlier and the guest has not answered: wait "
					  "for it, or reset the guest",
					  i, vm->cpus[i].id);
	return 0;
}

int plan_vcpus(const struct vm *vm, const char *id, unsigned count, struct ls_err *err,
	       struct txn **ret_txn)
{
	unsigned now = vm_vcpus(vm);
	int r = check_count(vm, count, err);

	*ret_txn = NULL;
	if (!r)
		r = check_pending(vm, err);
	if (r < 0)
		return r;
	if (count == now && (vm->agent != AGENT_LOCKSTEP || vm_vcpus_online(vm) == now))
		return 1;
	*ret_txn = count >= now ? choose_up(vm, id, count) : choose_down(vm, id, count);
	if (!*ret_txn)
		return ls_err_set(err, -ENOMEM, "out of memory");
	(*ret_txn)->agent = vm->agent;
	return 0;
}
