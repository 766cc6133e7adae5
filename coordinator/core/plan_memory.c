/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory: one table for DIMMs and virtio-mem devices, and the choice among them.
 *
 * The level of a DIMM is 0 or 1, that of a virtio-mem device is bytes. A row that
 * says nothing about a kind of device answers LEVEL_ALL for "full" and 0 for "any".
 */
#include "plan.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

/* A memory block of a Linux guest with up to 64 GiB; larger where the agent says so. */
#define BLOCK_BYTES_DEFAULT (128 * MIB)

static const struct vm_mem *mem_of(const struct txn *t, const struct view *v, unsigned item)
{
	return vm_mem_by_id(&v->vm[SIDE_SRC], t->items[item].id);
}

static bool is_dimm(const struct txn *t, unsigned item)
{
	return t->items[item].kind == VM_DIMM;
}

static uint64_t backend_full(const struct txn *t, const struct view *v, unsigned item)
{
	return is_dimm(t, item) ? mem_of(t, v, item) != NULL : LEVEL_ALL;
}

static uint64_t backend_any(const struct txn *t, const struct view *v, unsigned item)
{
	return is_dimm(t, item) && mem_of(t, v, item);
}

static bool plugged(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	return m && m->plugged;
}

static uint64_t dimm_full(const struct txn *t, const struct view *v, unsigned item)
{
	return is_dimm(t, item) ? plugged(t, v, item) : LEVEL_ALL;
}

static uint64_t dimm_any(const struct txn *t, const struct view *v, unsigned item)
{
	return is_dimm(t, item) && plugged(t, v, item);
}

static uint64_t requested_full(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	if (is_dimm(t, item))
		return LEVEL_ALL;
	return m ? m->requested : 0;
}

/* Going down, the request is nothing until the guest has followed. */
static uint64_t requested_any(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	if (is_dimm(t, item) || !m)
		return 0;
	return m->requested > m->size ? m->requested : m->size;
}

static uint64_t online_full(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	if (!m)
		return 0;
	if (t->agent != AGENT_LOCKSTEP)
		return is_dimm(t, item) ? LEVEL_ALL : m->size;
	if (is_dimm(t, item))
		return m->size && m->guest_online >= m->size;
	return m->guest_online < m->size ? m->guest_online : m->size;
}

/* The guest's virtio-mem driver takes its blocks offline by itself when it gives them back. */
static uint64_t online_any(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	return t->agent == AGENT_LOCKSTEP && is_dimm(t, item) && m && m->guest_online > 0;
}

static bool has_offline(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	return m && m->guest_present > m->guest_online;
}

static int check_refused(const struct txn *t, const struct view *v, bool rolling,
			 struct ls_err *err)
{
	for (unsigned i = 0; i < t->n && !rolling; i++) {
		const struct vm_mem *m = mem_of(t, v, i);

		if (is_dimm(t, i) && t->items[i].goal == 0 && m && m->refused)
			return ls_err_set(err, -EPERM, "the guest refused to give up the DIMM %s",
					  m->id);
	}
	return 0;
}

/* clang-format off */
static const struct row rows[] = {
	{ "claim",          SIDE_SRC, level_claim_src,  level_none, VERB_CLAIM,      VERB_UNCLAIM,
	  .limit_ms = 5000, .mark = MARK_HOLD },
	{ "guest:lock",     SIDE_SRC, level_guest_lock, level_none, VERB_GUEST_LOCK, VERB_GUEST_UNLOCK,
	  .limit_ms = 5000, .mark = MARK_HOLD },
	{ "qemu:backend",   SIDE_SRC, backend_full,   backend_any,   VERB_BACKEND_ADD, VERB_BACKEND_DEL,
	  .limit_ms = 15000 },
	{ "qemu:dimm",      SIDE_SRC, dimm_full,      dimm_any,      VERB_DIMM_ADD,    VERB_DIMM_DEL,
	  .check = check_refused, .asked_first = true, .limit_ms = 15000, .mark = MARK_PENDS },
	{ "qemu:requested", SIDE_SRC, requested_full, requested_any, VERB_MEM_REQUEST, VERB_MEM_REQUEST,
	  .limit_ms = 60000 },
	{ "guest:online",   SIDE_SRC, online_full,    online_any,    VERB_MEM_ONLINE,  VERB_MEM_OFFLINE,
	  .limit_ms = 60000, .ready = has_offline, .again = true },
};
/* clang-format on */

const struct table table_memory = {
	.name = "memory",
	.rows = rows,
	.n = sizeof(rows) / sizeof(rows[0]),
	.holds = 2,
	.alive = alive_src,
};

/* ---- which devices ---------------------------------------------------- */

/* A wish while it is being fitted to the devices. */
struct plan {
	const struct vm *vm;
	const char *id;
	struct item items[LS_MEM_DEVICES_MAX];
	unsigned n;
	uint64_t left; /* bytes still to find a place for */
};

static uint64_t block_bytes(const struct vm *vm)
{
	return vm->block_bytes ? vm->block_bytes : BLOCK_BYTES_DEFAULT;
}

static void take(struct plan *p, const struct vm_mem *m, uint64_t goal)
{
	struct item *it = &p->items[p->n++];

	*it = (struct item){ .kind = m->kind, .slot = m->slot, .size = m->max, .goal = goal };
	snprintf(it->id, sizeof(it->id), "%s", m->id);
	snprintf(it->backend, sizeof(it->backend), "%s", m->backend);
}

static void grow_virtio_mem(struct plan *p)
{
	for (unsigned i = 0; i < p->vm->n_mems; i++) {
		const struct vm_mem *m = &p->vm->mems[i];
		uint64_t room = m->max - m->requested;

		if (m->kind != VM_VIRTIO_MEM || !m->plugged)
			continue;
		room = room < p->left ? room : p->left;
		room -= m->granule ? room % m->granule : 0;
		if (!room && m->guest_online >= m->size)
			continue;
		take(p, m, m->requested + room);
		p->left -= room;
	}
}

static int free_slot(const struct vm *vm)
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
static uint64_t unreserved(const struct vm *vm)
{
	uint64_t used = vm->mem_boot;

	for (unsigned i = 0; i < vm->n_mems; i++)
		used += vm->mems[i].max;
	return used < vm->mem_max ? vm->mem_max - used : 0;
}

static int add_dimm(struct plan *p, struct ls_err *err)
{
	int slot = free_slot(p->vm);
	uint64_t block = block_bytes(p->vm), room = unreserved(p->vm);
	struct item *it = &p->items[p->n];

	if (slot < 0)
		return ls_err_set(err, -ENOSPC,
				  "%" PRIu64 " MiB more need a DIMM slot, and all %u "
				  "are in use",
				  p->left / MIB, p->vm->mem_slots);
	if (p->left % block)
		return ls_err_set(err, -EINVAL,
				  "%" PRIu64 " MiB would have to come as a DIMM, which "
				  "must be a multiple of the guest's memory block, %" PRIu64 " MiB",
				  p->left / MIB, block / MIB);
	if (p->left > room)
		return ls_err_set(err, -ENOSPC,
				  "%" PRIu64 " MiB more do not fit: %" PRIu64
				  " MiB of maxmem are not set aside for a device",
				  p->left / MIB, room / MIB);
	*it = (struct item){ .kind = VM_DIMM, .slot = slot, .size = p->left, .goal = 1 };
	snprintf(it->id, sizeof(it->id), PLAN_ID_PREFIX "%s-%d", p->id, slot);
	snprintf(it->backend, sizeof(it->backend), PLAN_ID_PREFIX "%s-%d" PLAN_BACKEND_SUFFIX,
		 p->id, slot);
	p->n++;
	p->left = 0;
	return 0;
}

static void shrink_virtio_mem(struct plan *p)
{
	for (unsigned i = 0; i < p->vm->n_mems; i++) {
		const struct vm_mem *m = &p->vm->mems[i];
		uint64_t give = m->size < p->left ? m->size : p->left;

		if (m->kind != VM_VIRTIO_MEM || !m->plugged)
			continue;
		give -= m->granule ? give % m->granule : 0;
		if (!give)
			continue;
		take(p, m, m->size - give);
		p->left -= give;
	}
}

/* The largest removable DIMM that is not larger than what is left, until none is. */
static void drop_dimms(struct plan *p)
{
	bool gone[LS_MEM_DEVICES_MAX] = { false };

	for (;;) {
		const struct vm_mem *best = NULL;

		for (unsigned i = 0; i < p->vm->n_mems; i++) {
			const struct vm_mem *m = &p->vm->mems[i];

			if (m->kind == VM_DIMM && m->plugged && m->removable && !gone[i] &&
			    m->size <= p->left && (!best || m->size > best->size))
				best = m;
		}
		if (!best)
			return;
		gone[best - p->vm->mems] = true;
		take(p, best, 0);
		p->left -= best->size;
	}
}

/* Blocks that are plugged and not online, where nothing is to be added. */
static void take_offline_dimms(struct plan *p)
{
	for (unsigned i = 0; i < p->vm->n_mems; i++) {
		const struct vm_mem *m = &p->vm->mems[i];

		if (m->kind == VM_DIMM && m->plugged && m->guest_online < m->size)
			take(p, m, 1);
	}
}

static int fit(struct plan *p, uint64_t bytes, bool up, struct ls_err *err)
{
	uint64_t now = vm_memory(p->vm);

	p->left = up ? bytes - now : now - bytes;
	if (up) {
		grow_virtio_mem(p);
		if (p->vm->agent == AGENT_LOCKSTEP)
			take_offline_dimms(p);
		return p->left ? add_dimm(p, err) : 0;
	}
	shrink_virtio_mem(p);
	drop_dimms(p);
	if (!p->left)
		return 0;
	return ls_err_set(err, -EINVAL,
			  "%" PRIu64 " MiB cannot be reached: the rest is boot memory "
			  "or DIMMs that only go whole; the nearest are %" PRIu64
			  " MiB and %" PRIu64 " MiB (now)",
			  bytes / MIB, (bytes + p->left) / MIB, now / MIB);
}

static int check_range(const struct vm *vm, uint64_t bytes, struct ls_err *err)
{
	if (bytes < vm->mem_boot || bytes > vm->mem_max)
		return ls_err_set(err, -EINVAL,
				  "%" PRIu64 " MiB cannot be had: this guest takes %" PRIu64
				  " MiB (its boot memory) to %" PRIu64 " MiB (maxmem)",
				  bytes / MIB, vm->mem_boot / MIB, vm->mem_max / MIB);
	if (bytes % MIB)
		return ls_err_set(err, -EINVAL, "%" PRIu64 " bytes are not whole MiB", bytes);
	return 0;
}

int plan_memory(const struct vm *vm, const char *id, uint64_t bytes, struct ls_err *err,
		struct txn **ret_txn)
{
	uint64_t now = vm_memory(vm);
	bool up = bytes >= now;
	struct plan p = { .vm = vm, .id = id };
	int r = check_range(vm, bytes, err);

	*ret_txn = NULL;
	if (!r)
		r = fit(&p, bytes, up, err);
	if (r < 0)
		return r;
	if (!p.n)
		return 1;
	*ret_txn = txn_new(OP_MEMORY, id, p.n, up);
	if (!*ret_txn)
		return ls_err_set(err, -ENOMEM, "out of memory");
	memcpy((*ret_txn)->items, p.items, p.n * sizeof(p.items[0]));
	(*ret_txn)->agent = vm->agent;
	return 0;
}
