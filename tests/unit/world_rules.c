/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must hold in the world: always, and once a transaction is over.
 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

void world_check(struct world *w)
{
	struct w_qemu *src = &w->qemu[SIDE_SRC], *dst = &w->qemu[SIDE_DST];

	if (src->run == VM_RUNNING && dst->run == VM_RUNNING)
		fail_msg("both sides run\n%s", w->trace);
	if (src->run == VM_RUNNING && (src->surrendered || dst->ran))
		fail_msg("the source goes on after the commit\n%s", w->trace);
	if (w->most > 16)
		fail_msg("%u actions after one event", w->most);
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
			fail_msg("left behind: claim \"%s\" lock \"%s\" window \"%s\" caps %x\n%s",
				 q->claim, q->lock, q->window, q->caps, w->trace);
	}
}

static void check_cpu(struct world *w, unsigned slot)
{
	const struct w_cpu *is = &w->qemu[SIDE_SRC].cpus[slot];
	const struct w_cpu *was = &w->before[SIDE_SRC].cpus[slot];

	if (is->plugged != was->plugged || is->present != was->present ||
	    is->device != was->device || is->kernel != was->kernel)
		fail_msg("vCPU %u is not as it was: plugged %d present %d device %d kernel %d\n%s",
			 slot, is->plugged, is->present, is->device, is->kernel, w->trace);
}

static void check_mem(struct world *w, unsigned i)
{
	const struct w_mem *is = &w->qemu[SIDE_SRC].mems[i];
	const struct w_mem *was = &w->before[SIDE_SRC].mems[i];

	if (is->exists != was->exists || is->plugged != was->plugged || is->size != was->size ||
	    is->requested != was->requested || is->online != was->online)
		fail_msg("memory device %u (%s) is not as it was: exists %d plugged %d size %llu "
			 "requested %llu online %llu MiB\n%s",
			 i, was->id, is->exists, is->plugged, is->size / W_MIB + 0ULL,
			 is->requested / W_MIB + 0ULL, is->online / W_MIB + 0ULL, w->trace);
}

void world_check_as_before(struct world *w)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		check_cpu(w, i);
	for (unsigned i = 0; i < W_MEMS; i++)
		check_mem(w, i);
	if (w->qemu[SIDE_SRC].run != w->before[SIDE_SRC].run)
		fail_msg("the guest was %s, it is %s\n%s", vm_run_name(w->before[SIDE_SRC].run),
			 vm_run_name(w->qemu[SIDE_SRC].run), w->trace);
}

void world_check_old_is_there(struct world *w)
{
	const struct w_qemu *q = &w->qemu[w->qemu[SIDE_SRC].run == VM_GONE ? SIDE_DST : SIDE_SRC];

	for (unsigned i = 0; i < 2; i++)
		if (!q->cpus[i].plugged || !q->cpus[i].kernel || !q->cpus[i].device)
			fail_msg("boot vCPU %u was touched\n%s", i, w->trace);
}
