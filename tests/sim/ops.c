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

/* ---- vCPUs ----------------------------------------------------------------- */

static void prepare_cpus_up(struct life *l)
{
	if (plugged_cpus(l) > W_CPUS - 2)
		have_cpus(l, 2 + draw_below(&l->plan, 3));
	l->wish.count = plugged_cpus(l) + 1 + draw_below(&l->plan, W_CPUS - plugged_cpus(l));
}

static void prepare_cpus_down(struct life *l)
{
	if (plugged_cpus(l) < 4)
		have_cpus(l, 4 + draw_below(&l->plan, W_CPUS - 3));
	l->wish.count = 2 + draw_below(&l->plan, plugged_cpus(l) - 2);
}

static int wish_cpus(struct life *l, struct ls_err *err)
{
	return world_vcpus(l->w, l->wish.count, err);
}

/* One that its user has switched is his; one that was off before a removal stays off. */
static const char *reached_cpus(struct life *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &here(l)->cpus[i];
		bool free = l->w->touched[i] ||
			    (ops[l->op].removes && !l->w->before[SIDE_SRC].cpus[i].device);

		n += c->plugged;
		if (c->plugged && !(c->device && c->kernel) && !free)
			return "a vCPU is plugged and not online";
	}
	return n == l->wish.count ? NULL : "the number of vCPUs is not what was wanted";
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
		c->device = c->kernel = on != (l->wish.which.n == 1 || draw_chance(&l->plan, 70));
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
}

static int wish_memory(struct life *l, struct ls_err *err)
{
	return world_memory(l->w, l->wish.bytes, err);
}

static const char *reached_memory(struct life *l)
{
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &here(l)->mems[i];

		const struct w_mem *was = &l->w->before[SIDE_SRC].mems[i];
		bool free = ops[l->op].removes && was->online < was->size;

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
		here(l)->cpus[2].device = here(l)->cpus[2].kernel = false; /* its user did */
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
