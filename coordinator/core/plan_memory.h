/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the planners of memory share: plan_memory.c fits a size to all devices,
 * plan_device.c changes one of them. Nobody else includes it.
 */
#ifndef CORE_PLAN_MEMORY_H
#define CORE_PLAN_MEMORY_H

#include "plan.h"

#define MIB (UINT64_C(1) << 20)

/**
 * struct mem_plan - A wish while it is being fitted to the devices
 * @vm:    the guest as it is
 * @id:    of the transaction
 * @wish:  bytes that the guest has afterwards, boot memory included
 * @items: what is to be done, @n of them
 * @left:  bytes still to find a place for
 */
struct mem_plan {
	const struct vm *vm;
	const char *id;
	uint64_t wish;
	struct item items[LS_MEM_DEVICES_MAX];
	unsigned n;
	uint64_t left;
};

/* Bytes of the guest's memory blocks. */
uint64_t mem_plan_block(const struct vm *vm);

/* What it will be when the guest has followed every request: plans build on that. */
uint64_t mem_plan_now(const struct vm *vm);

/* Given and not used: the guest has not followed the request, or not brought it online. */
bool mem_plan_lags(const struct vm *vm, const struct vm_mem *m);

/* The lowest free DIMM slot, -1 if there is none. */
int mem_plan_slot(const struct vm *vm);

/* What of maxmem is neither boot memory nor set aside for a device. */
uint64_t mem_plan_room(const struct vm *vm);

/* No DIMM may be owed by the guest where another is to be added. Return: 0, -EBUSY. */
int mem_plan_pending(const struct vm *vm, struct ls_err *err);

/* One more item: a device that there is, to reach @goal; or a new DIMM. */
void mem_plan_take(struct mem_plan *p, const struct vm_mem *m, uint64_t goal);
void mem_plan_dimm(struct mem_plan *p, int slot, uint64_t size);

/* Whether the guest's kernel can describe what the items add to @now. Return: 0, -ENOMEM. */
int mem_plan_headroom(const struct mem_plan *p, uint64_t now, struct ls_err *err);

/* The items as a transaction. Return: 0, -ENOMEM. */
int mem_plan_txn(const struct mem_plan *p, bool up, struct ls_err *err, struct txn **ret_txn);

#endif
