/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which vCPU slots: so many, so many of a NUMA node, or those that are named.
 */
#include "plan.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* QEMU started with it, or the guest cannot do without it: it stays. */
static bool removable(const struct vm_cpu *c)
{
	return c->plugged && c->id[0] && !c->fixed;
}

/*
 * A guest that has not heard of an unplug, or was reset since, hears of it at the next plug:
 * it would give the one while it is to take the other. To ask for it again is the way out.
 */
static int check_pending(const struct vm *vm, struct ls_err *err)
{
	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].unplug == TRI_YES)
			return ls_err_set(err, -EBUSY,
					  "the unplug of the vCPU in slot %u (%s) was "
					  "asked for earlier and the guest has not answered: wait "
					  "for it, or ask again: lockstep vcpus GUEST --unplug %u",
					  i, vm->cpus[i].id, i);
	return 0;
}

/* A transaction over these slots, in this order. */
static struct txn *over(const struct vm *vm, const char *id, const unsigned *slots, unsigned n,
			bool plug)
{
	struct txn *t = n ? txn_new(OP_VCPUS, id, n, plug) : NULL;

	for (unsigned i = 0; t && i < n; i++) {
		const struct vm_cpu *c = &vm->cpus[slots[i]];
		struct item *it = &t->items[i];

		it->slot = (int)slots[i];
		it->goal = plug;
		if (c->plugged)
			snprintf(it->id, sizeof(it->id), "%s", c->id);
		else if (plug)
			snprintf(it->id, sizeof(it->id), PLAN_ID_PREFIX "%s-%u", id, slots[i]);
	}
	if (t)
		t->agent = vm->agent;
	return t;
}

/* ---- so many ---------------------------------------------------------- */

static bool on(const struct vm_cpu *c, int node)
{
	return node == NODE_ANY || c->node == node;
}

static unsigned plugged(const struct vm *vm, int node)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].plugged && on(&vm->cpus[i], node))
			sum += vm->cpus[i].vcpus;
	return sum;
}

/* The guest was asked for them, and may give them at any moment. */
static unsigned asked_for(const struct vm *vm, int node)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].unplug == TRI_YES && on(&vm->cpus[i], node))
			sum += vm->cpus[i].vcpus;
	return sum;
}

static unsigned most(const struct vm *vm, int node)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		sum += on(&vm->cpus[i], node) ? vm->cpus[i].vcpus : 0;
	return sum;
}

static unsigned step_of(const struct vm *vm)
{
	return vm->n_cpus && vm->cpus[0].vcpus ? vm->cpus[0].vcpus : 1;
}

/* What cannot be unplugged; some vCPU there must be, on this node or on another. */
static unsigned least(const struct vm *vm, int node)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].plugged && !removable(&vm->cpus[i]) && on(&vm->cpus[i], node))
			sum += vm->cpus[i].vcpus;
	if (sum || plugged(vm, NODE_ANY) > plugged(vm, node))
		return sum;
	return step_of(vm);
}

static int check_count(const struct vm *vm, int node, unsigned count, struct ls_err *err)
{
	unsigned lo = least(vm, node), hi = most(vm, node), step = step_of(vm);
	char where[32] = "this guest";

	if (node != NODE_ANY)
		snprintf(where, sizeof(where), "NUMA node %d", node);
	if (!hi)
		return ls_err_set(err, -EINVAL,
				  "this guest has no vCPU slot on %s: \"lockstep status\" shows "
				  "the nodes",
				  where);
	if (count >= lo && count <= hi && count % step == 0)
		return 0;
	return ls_err_set(err, -EINVAL,
			  "%u vCPUs cannot be had: %s takes %u to %u in steps of %u (%u now)",
			  count, where, lo, hi, step, plugged(vm, node));
}

/* Plugged and left offline comes along, where there is somebody to bring it online. */
static bool wanted_up(const struct vm *vm, const struct vm_cpu *c, unsigned *room)
{
	if (c->plugged)
		return vm->agent == AGENT_LOCKSTEP && !vm_cpu_all_online(c);
	if (*room < c->vcpus)
		return false;
	*room -= c->vcpus;
	return true;
}

static unsigned choose_up(const struct vm *vm, int node, unsigned count, unsigned *slots)
{
	unsigned room = count - plugged(vm, node), n = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (on(&vm->cpus[i], node) && wanted_up(vm, &vm->cpus[i], &room))
			slots[n++] = i;
	return n;
}

static unsigned choose_down(const struct vm *vm, int node, unsigned count, unsigned *slots)
{
	unsigned excess = plugged(vm, node) - count, n = 0;

	/* First those that were asked for already. */
	for (int asked = 1; asked >= 0; asked--)
		for (unsigned i = vm->n_cpus; i-- > 0 && excess;) {
			const struct vm_cpu *c = &vm->cpus[i];

			if (!on(c, node) || !removable(c) || c->vcpus > excess ||
			    (c->unplug == TRI_YES) != asked)
				continue;
			excess -= c->vcpus;
			slots[n++] = i;
		}
	return n;
}

int plan_node(const struct vm *vm, const char *id, int node, unsigned count, struct ls_err *err,
	      struct txn **ret_txn)
{
	unsigned now = plugged(vm, node), slots[LS_CPUS_MAX], n;
	int r = check_count(vm, node, count, err);

	*ret_txn = NULL;
	if (!r && (count >= now || count > now - asked_for(vm, node)))
		r = check_pending(vm, err);
	if (r < 0)
		return r;
	n = count >= now ? choose_up(vm, node, count, slots) : choose_down(vm, node, count, slots);
	if (count == now && !n)
		return 1;
	*ret_txn = over(vm, id, slots, n, count >= now);
	return *ret_txn ? 0 : ls_err_set(err, -ENOMEM, "out of memory");
}

int plan_vcpus(const struct vm *vm, const char *id, unsigned count, struct ls_err *err,
	       struct txn **ret_txn)
{
	return plan_node(vm, id, NODE_ANY, count, err, ret_txn);
}

/* ---- those that are named ---------------------------------------------- */

static int check_unplug(const struct vm_cpu *c, unsigned slot, struct ls_err *err)
{
	if (!c->plugged || removable(c))
		return 0;
	if (!c->id[0])
		return ls_err_set(err, -EINVAL,
				  "the vCPU in slot %u cannot be unplugged: QEMU was started with "
				  "it",
				  slot);
	return ls_err_set(err, -EINVAL,
			  "the vCPU in slot %u cannot be unplugged: the guest cannot take cpu%d "
			  "offline",
			  slot, c->guest_cpu[0]);
}

static int check_named(const struct vm *vm, const struct numbers *which, bool plug,
		       struct ls_err *err)
{
	unsigned i, named = 0;
	int r = 0;

	if (!which->n)
		return ls_err_set(err, -EINVAL, "no vCPU slot is named");
	numbers_each(i, which)
	{
		if (i >= vm->n_cpus)
			return ls_err_set(err, -EINVAL,
					  "this guest has no vCPU slot %u: they are 0 to %u", i,
					  vm->n_cpus - 1);
		if (!plug)
			r = r ? r : check_unplug(&vm->cpus[i], i, err);
		named += vm->cpus[i].plugged ? vm->cpus[i].vcpus : 0;
	}
	if (r == 0 && !plug && named == plugged(vm, NODE_ANY))
		r = ls_err_set(err, -EINVAL, "the guest would have no vCPU left: name fewer slots");
	return r || !plug ? r : check_pending(vm, err);
}

/* Where it is wanted, as far as anybody can tell. */
static bool is_so(const struct vm *vm, const struct vm_cpu *c, bool plug)
{
	if (c->plugged != plug)
		return false;
	return !plug || vm->agent != AGENT_LOCKSTEP || vm_cpu_all_online(c);
}

int plan_slots(const struct vm *vm, const char *id, const struct numbers *which, bool plug,
	       struct ls_err *err, struct txn **ret_txn)
{
	unsigned slots[LS_CPUS_MAX], n = 0, i, undone = 0;
	int r = check_named(vm, which, plug, err);

	*ret_txn = NULL;
	if (r < 0)
		return r;
	numbers_each(i, which)
	{
		/* Unplugged from the highest on, as they would be by number. */
		slots[plug ? n : which->n - 1 - n] = i;
		undone += !is_so(vm, &vm->cpus[i], plug);
		n++;
	}
	if (!undone)
		return 1;
	*ret_txn = over(vm, id, slots, n, plug);
	return *ret_txn ? 0 : ls_err_set(err, -ENOMEM, "out of memory");
}
