/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One named memory device: a DIMM that comes or goes, a virtio-mem device that is resized.
 */
#include "plan_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "; there are vmem0, ls-x-0": what could have been meant. */
static void list_devices(const struct vm *vm, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < vm->n_mems && at < len; i++)
		at += (size_t)snprintf(buf + at, len - at, "%s%s", i ? ", " : "; there are ",
				       vm->mems[i].id);
	if (!vm->n_mems)
		snprintf(buf, len, "; it has none");
}

/* No id of QEMU's begins with a digit: that is a DIMM's slot. */
static const struct vm_mem *in_slot(const struct vm *vm, const char *device)
{
	char slot[LS_NAME_BYTES];

	for (unsigned i = 0; i < vm->n_mems; i++) {
		snprintf(slot, sizeof(slot), "%d", vm->mems[i].slot);
		if (vm->mems[i].slot >= 0 && !strcmp(slot, device))
			return &vm->mems[i];
	}
	return NULL;
}

static int find(const struct vm *vm, const char *device, struct ls_err *err,
		const struct vm_mem **ret_mem)
{
	char others[128];

	*ret_mem = vm_mem_by_id(vm, device);
	if (!*ret_mem)
		*ret_mem = in_slot(vm, device);
	if (*ret_mem)
		return 0;
	list_devices(vm, others, sizeof(others));
	return ls_err_set(err, -EINVAL, "this guest has no memory device \"%s\"%s", device, others);
}

/* @bytes cannot be had, since only whole @step can: those next to it that can. */
static int no_multiple(uint64_t bytes, uint64_t step, uint64_t most, const char *why,
		       struct ls_err *err)
{
	uint64_t below = bytes - bytes % step;
	char lo[32] = "", hi[32] = "";

	if (below)
		snprintf(lo, sizeof(lo), "%" PRIu64 " MiB", below / MIB);
	if (below + step <= most)
		snprintf(hi, sizeof(hi), "%s%" PRIu64 " MiB", below ? " or " : "",
			 (below + step) / MIB);
	return ls_err_set(err, -EINVAL,
			  "%" PRIu64 " MiB cannot be had: %s, %" PRIu64
			  " MiB each; %s%s can be had",
			  bytes / MIB, why, step / MIB, lo, hi);
}

/* ---- a DIMM comes -------------------------------------------------------- */

static int check_dimm(const struct vm *vm, int slot, uint64_t bytes, struct ls_err *err)
{
	uint64_t block = mem_plan_block(vm), room = mem_plan_room(vm);

	room -= room % block;
	if (slot < 0)
		return ls_err_set(err, -ENOSPC,
				  "no DIMM slot is free: this guest was started with %u of them",
				  vm->mem_slots);
	if (vm->n_mems >= LS_MEM_DEVICES_MAX || bytes > room)
		return ls_err_set(err, -ENOSPC,
				  "a DIMM of %" PRIu64 " MiB cannot be had: of maxmem %" PRIu64
				  " MiB are not set aside for other devices",
				  bytes / MIB, room / MIB);
	if (!bytes || bytes % block)
		return no_multiple(bytes, block, room, "a DIMM is whole memory blocks of the guest",
				   err);
	return 0;
}

static int check_backing(const struct vm *vm, const char *text, uint64_t bytes, struct ls_err *err)
{
	struct backing b;
	int r = backing_parse(text, err, &b);

	if (r < 0)
		return r;
	if (b.hugepage && bytes % b.hugepage)
		return no_multiple(bytes, b.hugepage, mem_plan_room(vm),
				   "it is to be whole huge pages", err);
	return 0;
}

int plan_dimm_add(const struct vm *vm, const char *id, uint64_t bytes, const char *backing,
		  struct ls_err *err, struct txn **ret_txn)
{
	struct mem_plan p = { .vm = vm, .id = id };
	int slot = mem_plan_slot(vm), r = check_dimm(vm, slot, bytes, err);

	*ret_txn = NULL;
	if (!r)
		r = mem_plan_pending(vm, err);
	if (!r)
		r = check_backing(vm, backing, bytes, err);
	if (r < 0)
		return r;
	p.wish = mem_plan_now(vm) + bytes;
	mem_plan_dimm(&p, slot, bytes);
	r = mem_plan_headroom(&p, mem_plan_now(vm), err);
	if (!r)
		r = mem_plan_txn(&p, true, err, ret_txn);
	if (!r)
		snprintf((*ret_txn)->backing, sizeof((*ret_txn)->backing), "%s", backing);
	return r;
}

/* ---- a DIMM goes --------------------------------------------------------- */

static int check_removal(const struct vm_mem *m, struct ls_err *err)
{
	if (m->kind != VM_DIMM)
		return ls_err_set(err, -EINVAL,
				  "%s is a virtio-mem device, which stays and gives its memory "
				  "back: lockstep memory GUEST --device %s 0M",
				  m->id, m->id);
	if (m->plugged && !m->removable)
		return ls_err_set(err, -EPERM,
				  "%s was there when the guest started: QEMU removes only what was "
				  "hot-plugged",
				  m->id);
	return 0; /* one that was asked for before is asked for again */
}

int plan_dimm_remove(const struct vm *vm, const char *id, const char *device, struct ls_err *err,
		     struct txn **ret_txn)
{
	struct mem_plan p = { .vm = vm, .id = id };
	const struct vm_mem *m;
	int r = find(vm, device, err, &m);

	*ret_txn = NULL;
	if (!r)
		r = check_removal(m, err);
	if (r < 0)
		return r;
	mem_plan_take(&p, m, 0);
	return mem_plan_txn(&p, false, err, ret_txn);
}

/* ---- a virtio-mem device is resized -------------------------------------- */

static int check_size(const struct vm_mem *m, uint64_t bytes, struct ls_err *err)
{
	if (m->kind != VM_VIRTIO_MEM)
		return ls_err_set(err, -EINVAL,
				  "%s is a DIMM, which only goes whole: lockstep memory GUEST "
				  "--remove-dimm %s",
				  m->id, m->id);
	if (bytes > m->max)
		return ls_err_set(err, -EINVAL,
				  "%s cannot be made %" PRIu64 " MiB: it takes 0 to %" PRIu64
				  " MiB",
				  m->id, bytes / MIB, m->max / MIB);
	if (m->granule && bytes % m->granule)
		return no_multiple(bytes, m->granule, m->max, "the device is given in steps", err);
	return 0;
}

int plan_mem_resize(const struct vm *vm, const char *id, const char *device, uint64_t bytes,
		    struct ls_err *err, struct txn **ret_txn)
{
	struct mem_plan p = { .vm = vm, .id = id };
	const struct vm_mem *m;
	int r = find(vm, device, err, &m);
	bool up;

	*ret_txn = NULL;
	if (!r)
		r = check_size(m, bytes, err);
	if (r < 0)
		return r;
	up = bytes >= m->requested;
	if (bytes == m->requested && !mem_plan_lags(vm, m))
		return 1;
	p.wish = mem_plan_now(vm) - m->requested + bytes;
	mem_plan_take(&p, m, bytes);
	r = up ? mem_plan_headroom(&p, mem_plan_now(vm), err) : 0;
	return r < 0 ? r : mem_plan_txn(&p, up, err, ret_txn);
}
