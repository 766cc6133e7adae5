/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest begins anew in the middle of a transaction: it was reset, or has started
 * another kernel.
 *
 * Whatever was asked of it is forgotten. Its CPUs are boot CPUs, all of them online; its
 * virtio-mem devices begin at nothing and grow to what is requested; its agent holds no
 * lock; what it was asked to give back it has not heard of, though QEMU still says so (on
 * x86 it is told at the next plug). So nothing is asked and no time counts until the agent
 * answers and virtio-mem is what it was, bounded; then the walk begins again at its first
 * row: what is as it should be is found done, and the whole vector is verified on the way.
 * What was noted when a row was first entered stays: a rollback goes back to that.
 */
#include "engine_private.h"

#define SETTLE_MS 30000 /* for virtio-mem to grow again, once the agent answers */

static void begin_again(struct engine *e)
{
	struct step *walk = &e->t->walk;

	e->boot_until_ms = 0;
	if (!walk->rollback)
		walk->at = walk->from;
}

static void notice(struct engine *e, const struct vm *vm)
{
	bool again = e->boots_known && e->boots != vm->boots && e->reboots < REBOOTS_MAX;

	if (again || (!e->boots_known && vm->booting)) {
		e->reboots += again;
		e->boot_until_ms = e->now_ms + VM_BOOT_MS;
		act_tell(e, TELL_WARN, "", "the guest boots: going on when its agent answers");
	}
	e->boots_known = true;
	e->boots = vm->boots;
}

/* Memory that was requested and is not there yet comes by itself, piece by piece. */
static bool settled(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->n_mems; i++) {
		const struct vm_mem *m = &vm->mems[i];

		if (m->kind == VM_VIRTIO_MEM && m->plugged && m->size < m->requested)
			return false;
	}
	return true;
}

static bool over(struct engine *e, const struct vm *vm)
{
	if (!vm->booting && e->boot_until_ms > e->now_ms + SETTLE_MS)
		e->boot_until_ms = e->now_ms + SETTLE_MS;
	return (!vm->booting && settled(vm)) || e->cancelled || e->now_ms >= e->boot_until_ms ||
	       (e->deadline_ms && e->now_ms >= e->deadline_ms);
}

bool boot_check(struct engine *e, const struct view *v)
{
	const struct vm *vm = &v->vm[SIDE_SRC];

	if (!vm->answers || e->t->agent == AGENT_NONE)
		return true;
	notice(e, vm);
	if (!e->boot_until_ms)
		return true;
	e->visit = (struct visit){ .row = -1 };
	if (over(e, vm)) {
		begin_again(e);
		return true;
	}
	visit_wait(e, BOOT_POLL_MS);
	return false;
}
