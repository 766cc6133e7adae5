/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be seen of the world.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool world_is_silent(const struct world *w, enum side side)
{
	return w->now_ms >= w->silent_from[side] && w->now_ms < w->silent_until[side];
}

/* What only lockstep-agent tells, and only while it answers: else all of it is 0. */
static bool is_told(const struct world *w, const struct w_qemu *q)
{
	return w->agent == AGENT_LOCKSTEP && q->agent_up && q->run == VM_RUNNING;
}

static void see_cpus(const struct w_qemu *q, bool told, struct vm *vm)
{
	vm->cpus = calloc(W_CPUS, sizeof(*vm->cpus));
	vm->n_cpus = W_CPUS;
	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &q->cpus[i];

		vm->cpus[i] = (struct vm_cpu){
			.vcpus = 1,
			.node = (int)(i % W_NODES),
			.plugged = c->plugged,
			.refused = c->refused,
			.unplug = c->removing ? TRI_YES : TRI_NO,
			.guest_cpu = { (int)i },
			.present = told && c->present,
			.device = told && c->device,
			.kernel = told && c->kernel,
			.fixed = told && c->fixed,
			.devices = told && c->device,
			.kernels = told && c->kernel,
			.fixeds = told && c->fixed,
		};
		strcpy(vm->cpus[i].id, c->id);
	}
}

static void see_mems(const struct w_qemu *q, bool told, struct vm *vm)
{
	vm->mems = calloc(W_MEMS, sizeof(*vm->mems));
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &q->mems[i];
		struct vm_mem *to = &vm->mems[vm->n_mems];

		if (!m->exists)
			continue;
		*to = (struct vm_mem){ .kind = m->kind,
				       .plugged = m->plugged,
				       .slot = m->slot,
				       .addr = (i + 1) << 30,
				       .size = m->size,
				       .max = m->max,
				       .requested = m->requested,
				       .granule = 2 * W_MIB,
				       .removable = true,
				       .anonymous = true,
				       .refused = m->refused,
				       .unplug = m->removing ? TRI_YES : TRI_NO,
				       .guest_present = told ? m->present : 0,
				       .guest_online = told ? m->online : 0 };
		strcpy(to->id, m->id);
		strcpy(to->backend, m->backend);
		vm->n_mems++;
	}
}

static void see_guest(const struct world *w, const struct w_qemu *q, struct vm *vm)
{
	vm->agent = w->agent;
	vm->has_agent = w->agent != AGENT_NONE;
	vm->agent_answers = q->agent_up && q->run == VM_RUNNING && w->agent != AGENT_NONE;
	vm->lease_ms = 10000;
	vm->boots = q->boots;
	vm->booting = q->boots && !vm->agent_answers && w->agent != AGENT_NONE &&
		      w->now_ms < q->boots_until + 1000;
	if (!vm->agent_answers)
		return;
	strcpy(vm->lock_txn, q->lock);
	strcpy(vm->window_txn, q->window);
	if (w->kernel_says)
		strcpy(vm->kernel_says, w->kernel_says);
	vm->block_bytes = W_BLOCK;
	vm->headroom_known = w->agent == AGENT_LOCKSTEP && !w->old_agent;
	vm->headroom = vm->headroom_known ? W_HEADROOM : 0;
	for (unsigned i = 0; i < W_CPUS; i++) {
		vm->guest_cpus += q->cpus[i].present;
		vm->guest_cpus_online += q->cpus[i].present && q->cpus[i].kernel;
	}
}

void world_look(struct world *w, enum side side, struct vm *ret_vm)
{
	const struct w_qemu *q = &w->qemu[side];

	*ret_vm = (struct vm){ .run = q->run, .agent = w->agent };
	if (q->run == VM_GONE || world_is_silent(w, side)) {
		if (q->run != VM_GONE)
			ret_vm->run = VM_BROKEN;
		return;
	}
	ret_vm->answers = true;
	ret_vm->version = 70200;
	strcpy(ret_vm->machine, "pc-q35-7.2");
	ret_vm->mem_boot = W_BOOT;
	ret_vm->mem_max = 8192 * W_MIB;
	ret_vm->mem_slots = 4;
	ret_vm->has_balloon = true;
	ret_vm->balloon = q->balloon;
	ret_vm->mig = q->mig;
	ret_vm->caps = q->caps;
	ret_vm->caps_known = CAP_OURS;
	ret_vm->surrendered = q->surrendered;
	strcpy(ret_vm->claimed_by, q->claim);
	see_cpus(q, is_told(w, q), ret_vm);
	see_mems(q, is_told(w, q), ret_vm);
	see_guest(w, q, ret_vm);
}

void world_forget_view(struct view *v)
{
	for (int side = 0; side < SIDE_COUNT; side++)
		vm_done(&v->vm[side]);
}
