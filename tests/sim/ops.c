/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be wanted, and a guest to want it of.
 *
 * A guest that has too little or too much for an operation is made to fit: somebody has
 * plugged or removed something before.
 */
#include "life.h"

#include "../../coordinator/core/table.h"

#include <stdio.h>
#include <string.h>

#define DIMMS 4 /* slots */

static struct w_qemu *here(struct life *l)
{
	return &l->w->qemu[SIDE_SRC];
}

static unsigned plugged_cpus(struct life *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < W_CPUS; i++)
		n += here(l)->cpus[i].plugged;
	return n;
}

static void have_cpus(struct life *l, unsigned n)
{
	for (unsigned i = 2; i < W_CPUS; i++) {
		if (i >= n)
			here(l)->cpus[i] = (struct w_cpu){ 0 };
		else if (!here(l)->cpus[i].plugged)
			world_has_cpu(l->w, i);
	}
}

static bool draw_some(struct life *l, bool need)
{
	return need || draw_chance(&l->plan, 50);
}

/* ---- vCPUs ----------------------------------------------------------------- */

/* Some that are to change; one more, at times, that is there, or gone, already. */
static void name_slots(struct life *l, bool up)
{
	for (unsigned i = 2; i < W_CPUS; i++)
		if (here(l)->cpus[i].plugged != up ? draw_some(l, !l->wish.which.n)
						   : draw_chance(&l->plan, 10))
			numbers_add(&l->wish.which, i);
}

static unsigned plugged_on(struct life *l, int node)
{
	unsigned n = 0;

	for (unsigned i = (unsigned)node; i < W_CPUS; i += W_NODES)
		n += here(l)->cpus[i].plugged;
	return n;
}

/* One vCPU of each node was there at the start, and stays. */
static void name_node(struct life *l, bool up)
{
	unsigned all = W_CPUS / W_NODES, now;

	l->wish.node = (int)draw_below(&l->plan, W_NODES);
	now = plugged_on(l, l->wish.node);
	if (now == (up ? all : 1)) {
		l->wish.node = !l->wish.node;
		now = plugged_on(l, l->wish.node);
	}
	l->wish.count =
		up ? now + 1 + draw_below(&l->plan, all - now) : 1 + draw_below(&l->plan, now - 1);
}

static void name_cpus(struct life *l, bool up)
{
	l->wish.which = (struct numbers){ 0 };
	if (life_has(l, WAY_SLOTS))
		name_slots(l, up);
	else if (life_has(l, WAY_NODE))
		name_node(l, up);
}

static void prepare_cpus_up(struct life *l)
{
	if (plugged_cpus(l) > W_CPUS - 2)
		have_cpus(l, 2 + draw_below(&l->plan, 3));
	l->wish.count = plugged_cpus(l) + 1 + draw_below(&l->plan, W_CPUS - plugged_cpus(l));
	name_cpus(l, true);
}

static void prepare_cpus_down(struct life *l)
{
	if (plugged_cpus(l) < 4)
		have_cpus(l, 4 + draw_below(&l->plan, W_CPUS - 3));
	l->wish.count = 2 + draw_below(&l->plan, plugged_cpus(l) - 2);
	name_cpus(l, false);
}

static int wish_cpus(struct life *l, struct ls_err *err)
{
	if (life_has(l, WAY_SLOTS))
		return world_slots(l->w, &l->wish.which, !ops[l->op].removes, err);
	if (life_has(l, WAY_NODE))
		return world_node(l->w, l->wish.node, l->wish.count, err);
	return world_vcpus(l->w, l->wish.count, err);
}

bool op_means_cpu(const struct life *l, unsigned slot)
{
	if (life_has(l, WAY_SLOTS))
		return l->wish.which.has[slot];
	return !life_has(l, WAY_NODE) || (int)(slot % W_NODES) == l->wish.node;
}

/* One that its user has switched is his; one that was off before a removal stays off. */
static const char *reached_cpus(struct life *l)
{
	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &here(l)->cpus[i];
		bool free = l->w->touched[i] || !op_means_cpu(l, i) ||
			    (ops[l->op].removes && !l->w->before[SIDE_SRC].cpus[i].device);

		if (c->plugged && !(c->device && c->kernel) && !free)
			return "a vCPU is plugged and not online";
		if (life_has(l, WAY_SLOTS) && op_means_cpu(l, i) &&
		    c->plugged == ops[l->op].removes)
			return "a slot that was named is not as it was wanted";
	}
	if (life_has(l, WAY_SLOTS) ||
	    l->wish.count ==
		    (life_has(l, WAY_NODE) ? plugged_on(l, l->wish.node) : plugged_cpus(l)))
		return NULL;
	return "the number of vCPUs is not what was wanted";
}

/* ---- CPUs online and offline ------------------------------------------------ */

static void prepare_switch(struct life *l, bool on)
{
	l->wish.which = (struct numbers){ 0 };
	if (plugged_cpus(l) < 4)
		have_cpus(l, 4 + draw_below(&l->plan, 3));
	for (unsigned i = 2; i < W_CPUS; i++) {
		struct w_cpu *c = &here(l)->cpus[i];

		if (!c->plugged || (l->wish.which.n && draw_chance(&l->plan, 40)))
			continue;
		numbers_add(&l->wish.which, i);
		cpu_is(c, on != (l->wish.which.n == 1 || draw_chance(&l->plan, 70)));
	}
}

static void prepare_on(struct life *l)
{
	prepare_switch(l, true);
}

static void prepare_off(struct life *l)
{
	prepare_switch(l, false);
}

static int wish_on(struct life *l, struct ls_err *err)
{
	return world_cpu(l->w, &l->wish.which, true, err);
}

static int wish_off(struct life *l, struct ls_err *err)
{
	return world_cpu(l->w, &l->wish.which, false, err);
}

static const char *reached_switch(struct life *l)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		if (l->wish.which.has[i] && !l->w->touched[i] &&
		    here(l)->cpus[i].device != (l->op == OP_ON))
			return "a CPU is not as it was wanted";
	return NULL;
}

/* ---- memory ---------------------------------------------------------------- */

static unsigned dimms(struct life *l, uint64_t *ret_smallest)
{
	unsigned n = 0;

	*ret_smallest = UINT64_MAX;
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &here(l)->mems[i];

		if (!m->exists || m->kind != VM_DIMM)
			continue;
		n++;
		*ret_smallest = m->size < *ret_smallest ? m->size : *ret_smallest;
	}
	return n;
}

static uint64_t memory(struct life *l)
{
	uint64_t sum = W_BOOT;

	for (unsigned i = 0; i < W_MEMS; i++)
		sum += here(l)->mems[i].exists ? here(l)->mems[i].size : 0;
	return sum;
}

static void drop_dimms(struct life *l)
{
	for (unsigned i = 1; i < W_MEMS; i++)
		here(l)->mems[i] = (struct w_mem){ 0 };
}

static uint64_t blocks(struct life *l, unsigned lo, unsigned hi)
{
	return draw_between(&l->plan, lo, hi) * W_BLOCK;
}

/* The last: it came last. */
static const struct w_mem *a_dimm(struct life *l)
{
	const struct w_mem *dimm = NULL;

	for (unsigned i = 1; i < W_MEMS; i++)
		if (here(l)->mems[i].exists)
			dimm = &here(l)->mems[i];
	return dimm;
}

static void name_device(struct life *l, const char *id, uint64_t bytes, uint64_t now)
{
	snprintf(l->wish.device, sizeof(l->wish.device), "%s", id);
	l->wish.device_bytes = bytes;
	l->wish.bytes = memory(l) + bytes - now;
}

/* More than fits into the virtio-mem device, so that a DIMM is needed, too. */
static void prepare_mem_up(struct life *l)
{
	struct w_mem *vm0 = &here(l)->mems[0];
	uint64_t smallest;

	if (dimms(l, &smallest) >= DIMMS - 1)
		drop_dimms(l);
	if (vm0->size + W_BLOCK > vm0->max)
		world_has_virtio_mem(l->w, blocks(l, 0, 4));
	l->wish.bytes = memory(l) + (vm0->max - vm0->size) + blocks(l, 1, 4);
	if (draw_chance(&l->plan, 10))
		l->wish.bytes = memory(l) + W_BLOCK;
	if (life_has(l, WAY_DIMM))
		name_device(l, "", blocks(l, 1, 4), 0);
	else if (life_has(l, WAY_DEVICE))
		name_device(l, vm0->id, blocks(l, (unsigned)(vm0->size / W_BLOCK) + 1, 8),
			    vm0->size);
}

/* All of the virtio-mem device, and a whole DIMM. */
static void prepare_mem_down(struct life *l)
{
	struct w_mem *vm0 = &here(l)->mems[0];
	uint64_t smallest;
	char id[LS_NAME_BYTES];

	if (vm0->size < W_BLOCK)
		world_has_virtio_mem(l->w, blocks(l, 1, 6));
	if (!dimms(l, &smallest)) {
		snprintf(id, sizeof(id), "ls-old-%u", l->w->txns);
		world_has_dimm(l->w, id, blocks(l, 1, 4));
	}
	dimms(l, &smallest);
	l->wish.bytes = memory(l) - vm0->size - smallest;
	if (draw_chance(&l->plan, 10))
		l->wish.bytes = memory(l) - W_BLOCK;
	if (life_has(l, WAY_DIMM))
		name_device(l, a_dimm(l)->id, 0, a_dimm(l)->size);
	else if (life_has(l, WAY_DEVICE))
		name_device(l, vm0->id, blocks(l, 0, (unsigned)(vm0->size / W_BLOCK) - 1),
			    vm0->size);
}

static int wish_memory(struct life *l, struct ls_err *err)
{
	bool removes = ops[l->op].removes;

	if (life_has(l, WAY_DEVICE))
		return world_mem_resize(l->w, l->wish.device, l->wish.device_bytes, err);
	if (life_has(l, WAY_DIMM) && removes)
		return world_dimm_remove(l->w, l->wish.device, err);
	if (life_has(l, WAY_DIMM))
		return world_dimm_add(l->w, l->wish.device_bytes, err);
	return world_memory(l->w, l->wish.bytes, err);
}

static bool was_there(const struct life *l, const char *id)
{
	const struct w_mem *mems = l->w->before[SIDE_SRC].mems;
	bool there = false;

	for (unsigned i = 0; i < W_MEMS; i++)
		there |= mems[i].exists && !strcmp(mems[i].id, id);
	return there;
}

bool op_means_mem(const struct life *l, const struct w_mem *m)
{
	if (life_has(l, WAY_DIMM) && !ops[l->op].removes)
		return !was_there(l, m->id); /* what it makes itself */
	return !(life_has(l, WAY_DIMM) || life_has(l, WAY_DEVICE)) ||
	       !strcmp(m->id, l->wish.device);
}

static const char *reached_memory(struct life *l)
{
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &here(l)->mems[i];

		const struct w_mem *was = &l->w->before[SIDE_SRC].mems[i];
		bool free = !op_means_mem(l, m) ||
			    ((ops[l->op].removes || l->w->agent != AGENT_LOCKSTEP) &&
			     was->online < was->size);

		if (m->exists && !free &&
		    (!m->plugged || m->online != m->size || m->requested != m->size))
			return "a memory device is not wholly online";
	}
	return memory(l) == l->wish.bytes ? NULL : "the memory is not what was wanted";
}

/* ---- the balloon ------------------------------------------------------------ */

static void prepare_fill(struct life *l)
{
	here(l)->balloon = here(l)->balloon_goal = W_BOOT;
	l->wish.bytes = blocks(l, 1, 3);
}

static void prepare_empty(struct life *l)
{
	here(l)->balloon = here(l)->balloon_goal = blocks(l, 1, 3);
	l->wish.bytes = W_BOOT;
}

static int wish_balloon(struct life *l, struct ls_err *err)
{
	return world_balloon(l->w, l->wish.bytes, err);
}

static const char *reached_balloon(struct life *l)
{
	return here(l)->balloon == l->wish.bytes ? NULL : "the balloon is not as it was wanted";
}

/* ---- a migration ----------------------------------------------------------- */

static void prepare_move(struct life *l)
{
	if (plugged_cpus(l) < 3)
		have_cpus(l, 3 + draw_below(&l->plan, 3));
	if (draw_chance(&l->plan, 50))
		cpu_is(&here(l)->cpus[2], false); /* its user did */
	world_has_destination(l->w);
}

static int wish_move(struct life *l, struct ls_err *err)
{
	return world_migrate(l->w, err);
}

static const char *reached_move(struct life *l)
{
	const struct w_qemu *src = here(l), *dst = &l->w->qemu[SIDE_DST];

	if (src->run != VM_GONE)
		return "the source is still there";
	return dst->run == VM_RUNNING ? NULL : "the guest does not run at the destination";
}

/* clang-format off */
const struct op ops[OPS] = {
	[OP_CPUS_UP]   = { "vcpus up",    &table_vcpu,    false, prepare_cpus_up,   wish_cpus,   reached_cpus },
	[OP_CPUS_DOWN] = { "vcpus down",  &table_vcpu,    true,  prepare_cpus_down, wish_cpus,   reached_cpus },
	[OP_MEM_UP]    = { "memory up",   &table_memory,  false, prepare_mem_up,    wish_memory, reached_memory },
	[OP_MEM_DOWN]  = { "memory down", &table_memory,  true,  prepare_mem_down,  wish_memory, reached_memory },
	[OP_ON]        = { "cpu online",  &table_cpu,     false, prepare_on,        wish_on,     reached_switch },
	[OP_OFF]       = { "cpu offline", &table_cpu,     false, prepare_off,       wish_off,    reached_switch },
	[OP_FILL]      = { "balloon fill",  &table_balloon, false, prepare_fill,    wish_balloon, reached_balloon },
	[OP_EMPTY]     = { "balloon empty", &table_balloon, false, prepare_empty,   wish_balloon, reached_balloon },
	[OP_MOVE]      = { "migrate",     &table_migrate, false, prepare_move,      wish_move,   reached_move },
};
/* clang-format on */
