/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A size of the memory: which DIMMs and virtio-mem devices come, go, grow and shrink for it.
 */
#include "plan_memory.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A memory block of a Linux guest with up to 64 GiB; larger where the agent says so. */
#define BLOCK_BYTES_DEFAULT (128 * MIB)

uint64_t mem_plan_block(const struct vm *vm)
{
	return vm->block_bytes ? vm->block_bytes : BLOCK_BYTES_DEFAULT;
}

void mem_plan_take(struct mem_plan *p, const struct vm_mem *m, uint64_t goal)
{
	struct item *it = &p->items[p->n++];

	*it = (struct item){ .kind = m->kind, .slot = m->slot, .size = m->max, .goal = goal };
	snprintf(it->id, sizeof(it->id), "%s", m->id);
	snprintf(it->backend, sizeof(it->backend), "%s", m->backend);
}

/* Given and not used: the guest has not followed the request, or not brought it online. */
bool mem_plan_lags(const struct vm *vm, const struct vm_mem *m)
{
	return m->size < m->requested || (vm->agent == AGENT_LOCKSTEP && m->guest_online < m->size);
}

static void grow_virtio_mem(struct mem_plan *p)
{
	for (unsigned i = 0; i < p->vm->n_mems; i++) {
		const struct vm_mem *m = &p->vm->mems[i];
		uint64_t room = m->max > m->requested ? m->max - m->requested : 0;

		if (m->kind != VM_VIRTIO_MEM || !m->plugged)
			continue;
		room = room < p->left ? room : p->left;
		room -= m->granule ? room % m->granule : 0;
		if (!room && !mem_plan_lags(p->vm, m))
			continue;
		mem_plan_take(p, m, m->requested + room);
		p->left -= room;
	}
}

int mem_plan_slot(const struct vm *vm)
{
	bool used[LS_MEM_DEVICES_MAX] = { false };
	unsigned slots = vm->mem_slots < LS_MEM_DEVICES_MAX ? vm->mem_slots : LS_MEM_DEVICES_MAX;

	for (unsigned i = 0; i < vm->n_mems; i++)
		if (vm->mems[i].slot >= 0 && vm->mems[i].slot < LS_MEM_DEVICES_MAX)
			used[vm->mems[i].slot] = true;
	for (unsigned i = 0; i < slots; i++)
		if (!used[i])
			return (int)i;
	return -1;
}

/* What of maxmem is neither boot memory nor set aside for a device. */
uint64_t mem_plan_room(const struct vm *vm)
{
	uint64_t used = vm->mem_boot;

	for (unsigned i = 0; i < vm->n_mems; i++)
		used += vm->mems[i].max;
	return used < vm->mem_max ? vm->mem_max - used : 0;
}

/* Where no DIMM can be had: what the virtio-mem devices alone would reach. */
static int no_dimm(const struct mem_plan *p, const char *why, struct ls_err *err)
{
	return ls_err_set(err, -ENOSPC,
			  "%" PRIu64 " MiB cannot be had: %" PRIu64 " MiB of it would need "
			  "another DIMM, and %s; at most %" PRIu64 " MiB can be had without",
			  p->wish / MIB, p->left / MIB, why, (p->wish - p->left) / MIB);
}

static int check_dimm(const struct mem_plan *p, int slot, struct ls_err *err)
{
	uint64_t block = mem_plan_block(p->vm), room = mem_plan_room(p->vm);
	uint64_t below = p->wish - p->left % block;
	char above[40] = "";

	room -= room % block;
	if (slot < 0)
		return no_dimm(p, "no DIMM slot is free", err);
	if (room < block || p->n == LS_MEM_DEVICES_MAX)
		return no_dimm(p, "all of maxmem is set aside for the devices there are", err);
	if (p->left > room)
		return ls_err_set(err, -ENOSPC,
				  "%" PRIu64 " MiB cannot be had: the rest of maxmem is set "
				  "aside for other devices; at most %" PRIu64 " MiB can be had",
				  p->wish / MIB, (p->wish - p->left + room) / MIB);
	if (p->left % block == 0)
		return 0;
	if (p->left < room)
		snprintf(above, sizeof(above), " or %" PRIu64 " MiB", (below + block) / MIB);
	return ls_err_set(err, -EINVAL,
			  "%" PRIu64 " MiB cannot be had: a DIMM is whole memory blocks of the "
			  "guest, %" PRIu64 " MiB each; %" PRIu64 " MiB%s can be had",
			  p->wish / MIB, block / MIB, below / MIB, above);
}

void mem_plan_dimm(struct mem_plan *p, int slot, uint64_t size)
{
	struct item *it = &p->items[p->n++];

	*it = (struct item){ .kind = VM_DIMM, .slot = slot, .size = size, .goal = 1 };
	snprintf(it->id, sizeof(it->id), PLAN_ID_PREFIX "%s-%d", p->id, slot);
	snprintf(it->backend, sizeof(it->backend), PLAN_ID_PREFIX "%s-%d" PLAN_BACKEND_SUFFIX,
		 p->id, slot);
}

/* As for vCPUs: plan_slots.c. */
int mem_plan_pending(const struct vm *vm, struct ls_err *err)
{
	for (unsigned i = 0; i < vm->n_mems; i++)
		if (vm->mems[i].plugged && vm->mems[i].unplug == TRI_YES)
			return ls_err_set(err, -EBUSY,
					  "the DIMM %s was asked for earlier and the guest has not "
					  "answered: wait for it, or ask again: lockstep memory "
					  "GUEST --remove-dimm %s",
					  vm->mems[i].id, vm->mems[i].id);
	return 0;
}

static int add_dimm(struct mem_plan *p, struct ls_err *err)
{
	int slot = mem_plan_slot(p->vm), r = check_dimm(p, slot, err);

	if (!r)
		r = mem_plan_pending(p->vm, err);
	if (r < 0)
		return r;
	mem_plan_dimm(p, slot, p->left);
	p->left = 0;
	return 0;
}

static void shrink_virtio_mem(struct mem_plan *p)
{
	for (unsigned i = 0; i < p->vm->n_mems; i++) {
		const struct vm_mem *m = &p->vm->mems[i];
		uint64_t give = m->requested < p->left ? m->requested : p->left;

		if (m->kind != VM_VIRTIO_MEM || !m->plugged)
			continue;
		give -= m->granule ? give % m->granule : 0;
		if (!give)
			continue;
		mem_plan_take(p, m, m->requested - give);
		p->left -= give;
	}
}

/* Of two DIMMs the one to take: one that was asked for already, else the larger. */
static bool rather(const struct vm_mem *m, const struct vm_mem *best)
{
	bool asked = m->unplug == TRI_YES;

	if (!best || asked != (best->unplug == TRI_YES))
		return !best || asked;
	return m->size > best->size;
}

/* Removable DIMMs that are not larger than what is left, until none is. */
static void drop_dimms(struct mem_plan *p)
{
	bool gone[LS_MEM_DEVICES_MAX] = { false };

	for (;;) {
		const struct vm_mem *best = NULL;

		for (unsigned i = 0; i < p->vm->n_mems; i++) {
			const struct vm_mem *m = &p->vm->mems[i];

			if (m->kind == VM_DIMM && m->plugged && m->removable && !gone[i] &&
			    m->size <= p->left && rather(m, best))
				best = m;
		}
		if (!best)
			return;
		gone[best - p->vm->mems] = true;
		mem_plan_take(p, best, 0);
		p->left -= best->size;
	}
}

/* Blocks that are plugged and not online, where nothing is to be added. */
static void take_offline_dimms(struct mem_plan *p)
{
	for (unsigned i = 0; i < p->vm->n_mems; i++) {
		const struct vm_mem *m = &p->vm->mems[i];

		if (m->kind == VM_DIMM && m->plugged && m->guest_online < m->size)
			mem_plan_take(p, m, 1);
	}
}

/* Bytes that an item makes the guest's kernel describe anew, in whole blocks. */
static uint64_t news_of(const struct mem_plan *p, const struct item *it)
{
	const struct vm_mem *m = vm_mem_by_id(p->vm, it->id);
	uint64_t block = mem_plan_block(p->vm);

	if (it->kind == VM_DIMM)
		return m && m->plugged ? 0 : it->size;
	return m->guest_present < it->goal
		       ? (it->goal - m->guest_present + block - 1) / block * block
		       : 0;
}

/*
 * Memory that the guest's kernel cannot describe is refused by it too late: what it tried
 * has used up its last pages, and it may not live on.
 */
int mem_plan_headroom(const struct mem_plan *p, uint64_t now, struct ls_err *err)
{
	uint64_t news = 0, room = p->vm->headroom - p->vm->headroom % mem_plan_block(p->vm);
	char most[48] = "nothing can be added now";

	for (unsigned i = 0; i < p->n; i++)
		news += news_of(p, &p->items[i]);
	if (!p->vm->headroom_known || news <= room)
		return 0;
	if (p->wish - now > news - room)
		snprintf(most, sizeof(most), "at most %" PRIu64 " MiB can be had now",
			 (p->wish - (news - room)) / MIB);
	return ls_err_set(err, -ENOMEM,
			  "%" PRIu64 " MiB cannot be had now: the guest's kernel has room to "
			  "describe %" PRIu64 " MiB of new memory, not %" PRIu64
			  " MiB; %s, more when the guest has freed memory of its own",
			  p->wish / MIB, room / MIB, news / MIB, most);
}

static int fit_up(struct mem_plan *p, uint64_t now, struct ls_err *err)
{
	int r = 0;

	p->left = p->wish - now;
	grow_virtio_mem(p);
	if (p->vm->agent == AGENT_LOCKSTEP)
		take_offline_dimms(p);
	if (p->left)
		r = add_dimm(p, err);
	return r < 0 ? r : mem_plan_headroom(p, now, err);
}

static int fit_down(struct mem_plan *p, uint64_t now, struct ls_err *err)
{
	p->left = now - p->wish;
	shrink_virtio_mem(p);
	drop_dimms(p);
	if (!p->left)
		return 0;
	return ls_err_set(err, -EINVAL,
			  "%" PRIu64 " MiB cannot be reached: the rest is boot memory "
			  "or DIMMs that only go whole; the nearest are %" PRIu64
			  " MiB and %" PRIu64 " MiB (now)",
			  p->wish / MIB, (p->wish + p->left) / MIB, now / MIB);
}

/* What it will be when the guest has followed every request: plans build on that. */
uint64_t mem_plan_now(const struct vm *vm)
{
	uint64_t sum = vm->mem_boot;

	for (unsigned i = 0; i < vm->n_mems; i++) {
		const struct vm_mem *m = &vm->mems[i];

		if (m->plugged)
			sum += m->kind == VM_VIRTIO_MEM ? m->requested : m->size;
	}
	return sum;
}

int mem_plan_txn(const struct mem_plan *p, bool up, struct ls_err *err, struct txn **ret_txn)
{
	struct txn *t = txn_new(OP_MEMORY, p->id, p->n, up);

	if (!t)
		return ls_err_set(err, -ENOMEM, "out of memory");
	memcpy(t->items, p->items, p->n * sizeof(p->items[0]));
	t->agent = p->vm->agent;
	*ret_txn = t;
	return 0;
}

static int check_range(const struct vm *vm, uint64_t bytes, struct ls_err *err)
{
	if (vm->n_mems > LS_MEM_DEVICES_MAX)
		return ls_err_set(err, -E2BIG, "%u memory devices: at most %d are understood",
				  vm->n_mems, LS_MEM_DEVICES_MAX);
	if (bytes < vm->mem_boot || bytes > vm->mem_max)
		return ls_err_set(err, -EINVAL,
				  "%" PRIu64 " MiB cannot be had: this guest takes %" PRIu64
				  " MiB (its boot memory) to %" PRIu64 " MiB (maxmem)",
				  bytes / MIB, vm->mem_boot / MIB, vm->mem_max / MIB);
	if (bytes % MIB)
		return ls_err_set(err, -EINVAL,
				  "%" PRIu64 " bytes are not whole MiB: %" PRIu64 " MiB are the "
				  "next below",
				  bytes, bytes / MIB);
	return 0;
}

int plan_memory(const struct vm *vm, const char *id, uint64_t bytes, struct ls_err *err,
		struct txn **ret_txn)
{
	uint64_t now = mem_plan_now(vm);
	bool up = bytes >= now;
	struct mem_plan p = { .vm = vm, .id = id, .wish = bytes };
	int r = check_range(vm, bytes, err);

	*ret_txn = NULL;
	if (!r)
		r = up ? fit_up(&p, now, err) : fit_down(&p, now, err);
	if (r < 0)
		return r;
	return p.n ? mem_plan_txn(&p, up, err, ret_txn) : 1;
}
