/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a wish and one look to a transaction, or to words that say what would work.
 *
 * A planner refuses what cannot work before anything is sent anywhere.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "numbers.h"
#include "txn.h"

/**
 * plan_vcpus() - Make it @count vCPUs, plugged and online
 * @vm:      the guest as it is
 * @id:      for the transaction
 * @count:   vCPUs afterwards
 * @err:     why not, with the values that would work
 * @ret_txn: what to do
 *
 * Plugs the lowest free slots, unplugs the highest that can be unplugged.
 *
 * Return: 0; 1 it is so already, *ret_txn is NULL; -EINVAL, -EBUSY, -ENOMEM.
 */
int plan_vcpus(const struct vm *vm, const char *id, unsigned count, struct ls_err *err,
	       struct txn **ret_txn);

/**
 * plan_node() - The same of one NUMA node
 * @node:  of the slots that are counted, plugged and unplugged; NODE_ANY: all of them
 * @count: vCPUs of that node afterwards
 */
int plan_node(const struct vm *vm, const char *id, int node, unsigned count, struct ls_err *err,
	      struct txn **ret_txn);
#define NODE_ANY (-1)

/**
 * plan_slots() - Plug or unplug the slots that are named, whatever there are already
 * @which: slots
 * @plug:  and bring online; false: take offline and unplug
 */
int plan_slots(const struct vm *vm, const char *id, const struct numbers *which, bool plug,
	       struct ls_err *err, struct txn **ret_txn);

/**
 * plan_memory() - Make it @bytes of memory, plugged and online
 * @bytes: boot memory included
 *
 * Otherwise as plan_vcpus(). Grows virtio-mem devices first and adds one DIMM for the
 * rest; shrinks virtio-mem devices first and removes whole DIMMs for the rest.
 */
int plan_memory(const struct vm *vm, const char *id, uint64_t bytes, struct ls_err *err,
		struct txn **ret_txn);

/**
 * plan_cpu() - Take guest CPUs online or offline; what QEMU has stays as it is
 * @which:  the guest's numbers of them
 * @online: or offline
 *
 * Otherwise as plan_vcpus(); -EOPNOTSUPP without lockstep-agent.
 */
int plan_cpu(const struct vm *vm, const char *id, const struct numbers *which, bool online,
	     struct ls_err *err, struct txn **ret_txn);

/**
 * plan_dimm_add() - Add one DIMM of @bytes made of @backing, in the lowest free slot
 * plan_dimm_remove() - Remove the DIMM @device: its id or its slot's number
 * plan_mem_resize() - Make the virtio-mem device @device @bytes large
 *
 * Otherwise as plan_vcpus(): nothing but this one device is touched.
 */
int plan_dimm_add(const struct vm *vm, const char *id, uint64_t bytes, const char *backing,
		  struct ls_err *err, struct txn **ret_txn);
int plan_dimm_remove(const struct vm *vm, const char *id, const char *device, struct ls_err *err,
		     struct txn **ret_txn);
int plan_mem_resize(const struct vm *vm, const char *id, const char *device, uint64_t bytes,
		    struct ls_err *err, struct txn **ret_txn);

/**
 * plan_balloon() - Leave the guest @bytes of its boot memory and DIMMs
 *
 * Never "so already": what the guest has is not what it was last asked for, which QEMU does
 * not tell. Otherwise as plan_vcpus(); -EOPNOTSUPP without a balloon.
 */
int plan_balloon(const struct vm *vm, const char *id, uint64_t bytes, struct ls_err *err,
		 struct txn **ret_txn);

/**
 * plan_migrate() - Move the guest of @v's source to @v's destination
 * @v:    both sides
 * @how:  addresses, URI and window mode; copied; the rest is filled in here
 *
 * Return: 0; -EINVAL, -EBUSY, -ENOMEM.
 */
int plan_migrate(const struct view *v, const char *id, const struct txn_migrate *how,
		 struct ls_err *err, struct txn **ret_txn);

/* "ls-TXN-SLOT" and "ls-TXN-SLOT-mem": ids of what a transaction makes in QEMU. */
#define PLAN_ID_PREFIX	    "ls-"
#define PLAN_BACKEND_SUFFIX "-mem"

#endif
