/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must hold in the world: always, and once a transaction is over.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_check(struct world *w)
{
	struct w_qemu *src = &w->qemu[SIDE_SRC], *dst = &w->qemu[SIDE_DST];

	if (src->run == VM_RUNNING && dst->run == VM_RUNNING)
		world_fail(w, "both sides run");
	if (src->run == VM_RUNNING && !w->stranger && (src->surrendered || dst->ran))
		world_fail(w, "the source goes on after the commit");
	if (w->most > 16)
		world_fail(w, "%u actions after one event", w->most);
}

void world_check_no_holds(struct world *w)
{
	if (w->kept_a_hold)
		return;
	for (int side = 0; side < SIDE_COUNT; side++) {
		const struct w_qemu *q = &w->qemu[side];

		if (q->run == VM_GONE)
			continue;
		if (q->claim[0] || q->lock[0] || q->window[0] || q->caps)
			world_fail(w, "left behind: claim \"%s\" lock \"%s\" window \"%s\" caps %x",
				   q->claim, q->lock, q->window, q->caps);
	}
}

static void check_cpu(struct world *w, unsigned slot)
{
	const struct w_cpu *is = &w->qemu[SIDE_SRC].cpus[slot];
	const struct w_cpu *was = &w->before[SIDE_SRC].cpus[slot];

	if (is->plugged != was->plugged || is->present != was->present ||
	    is->device != was->device || is->kernel != was->kernel)
		world_fail(w, "vCPU %u is not as it was: plugged %d present %d device %d kernel %d",
			   slot, is->plugged, is->present, is->device, is->kernel);
}

static void check_mem(struct world *w, unsigned i)
{
	const struct w_mem *is = &w->qemu[SIDE_SRC].mems[i];
	const struct w_mem *was = &w->before[SIDE_SRC].mems[i];

	if (is->exists != was->exists || is->plugged != was->plugged || is->size != was->size ||
	    is->requested != was->requested || is->online != was->online)
		world_fail(w,
			   "memory device %u (%s) is not as it was: exists %d plugged %d size %llu "
			   "requested %llu online %llu MiB",
			   i, was->id, is->exists, is->plugged, is->size / W_MIB + 0ULL,
			   is->requested / W_MIB + 0ULL, is->online / W_MIB + 0ULL);
}

/* A vCPU is either as it was, or wholly there, or wholly gone. */
void world_check_each_whole(struct world *w)
{
	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &w->qemu[SIDE_SRC].cpus[i];
		bool there = c->plugged && c->present && c->device && c->kernel;
		bool gone = !c->plugged && !c->present && !c->device && !c->kernel;

		if (!there && !gone)
			check_cpu(w, i);
	}
}

void world_check_as_before(struct world *w)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		check_cpu(w, i);
	for (unsigned i = 0; i < W_MEMS; i++)
		check_mem(w, i);
	if (w->qemu[SIDE_SRC].balloon != w->before[SIDE_SRC].balloon)
		world_fail(w, "the balloon leaves %llu MiB now",
			   w->qemu[SIDE_SRC].balloon / W_MIB + 0ULL);
	if (w->qemu[SIDE_SRC].run != w->before[SIDE_SRC].run)
		world_fail(w, "the guest was %s, it is %s", vm_run_name(w->before[SIDE_SRC].run),
			   vm_run_name(w->qemu[SIDE_SRC].run));
}

void world_check_old_is_there(struct world *w)
{
	const struct w_qemu *q = &w->qemu[w->qemu[SIDE_SRC].run == VM_GONE ? SIDE_DST : SIDE_SRC];

	for (unsigned i = 0; i < 2; i++)
		if (!q->cpus[i].plugged || !q->cpus[i].kernel || !q->cpus[i].device)
			world_fail(w, "boot vCPU %u was touched", i);
}
