/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The balloon: memory that the guest lends back page by page, as far as it can spare it.
 *
 * It is a wish, not a device that comes and goes: what the guest has followed at the limit
 * stays, and the end says how far it got. The level is bytes left to the guest.
 */
#include "plan.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>

#define MIB	  (UINT64_C(1) << 20)
#define LEAST	  (64 * MIB) /* a guest with less than that does not live to give it back */
#define NO_DEVICE "it has no balloon, or no driver for it has started"

static uint64_t left(const struct txn *t, const struct view *v, unsigned item)
{
	(void)t, (void)item;
	return v->vm[SIDE_SRC].balloon;
}

static int check_there(const struct txn *t, const struct view *v, bool rolling, struct ls_err *err)
{
	if (!v->vm[SIDE_SRC].has_balloon)
		return ls_err_set(err, -ENODEV, "the guest's balloon is gone: " NO_DEVICE);
	return rolling ? 0 : check_not_beyond(t, 0, "the balloon", v->vm[SIDE_SRC].balloon, err);
}

static void partly(const struct txn *t, const struct view *v, struct ls_err *err)
{
	ls_err_set(err, -ETIMEDOUT,
		   "the guest has followed to %" PRIu64 " MiB, not %" PRIu64 " MiB; it may still "
		   "follow, as far as it can spare memory",
		   v->vm[SIDE_SRC].balloon / MIB, t->items[0].goal / MIB);
}

/* clang-format off */
static const struct row rows[] = {
	ROW_CLAIM,
	{ "guest:balloon", SIDE_SRC, left,            left,       VERB_BALLOON, VERB_BALLOON,
	  .check = check_there, .limit_ms = 30000, .poll_ms = 1000, .partly = partly,
	  .sure_up = item_every, .sure_down = item_every },
};
/* clang-format on */

const struct table table_balloon = {
	.name = "balloon",
	.rows = rows,
	.n = sizeof(rows) / sizeof(rows[0]),
	.holds = 1,
	.boots = true,
	.alive = alive_src,
};

/* All that a balloon takes from: what virtio-mem has given is not among it. */
static uint64_t most(const struct vm *vm)
{
	uint64_t sum = vm->mem_boot;

	for (unsigned i = 0; i < vm->n_mems; i++)
		if (vm->mems[i].kind == VM_DIMM && vm->mems[i].plugged)
			sum += vm->mems[i].size;
	return sum;
}

static int check(const struct vm *vm, uint64_t bytes, struct ls_err *err)
{
	if (!vm->has_balloon)
		return ls_err_set(err, -EOPNOTSUPP,
				  "this guest has no balloon to fill: " NO_DEVICE
				  "; \"lockstep memory\" plugs and unplugs memory without one");
	if (bytes >= LEAST && bytes <= most(vm))
		return 0;
	return ls_err_set(err, -EINVAL,
			  "a balloon cannot leave the guest %" PRIu64 " MiB: it takes %" PRIu64
			  " MiB to %" PRIu64 " MiB (all of its boot memory and DIMMs; %" PRIu64
			  " MiB now)",
			  bytes / MIB, LEAST / MIB, most(vm) / MIB, vm->balloon / MIB);
}

int plan_balloon(const struct vm *vm, const char *id, uint64_t bytes, struct ls_err *err,
		 struct txn **ret_txn)
{
	int r = check(vm, bytes, err);

	*ret_txn = NULL;
	if (r < 0)
		return r;
	*ret_txn = txn_new(OP_BALLOON, id, 1, bytes >= vm->balloon);
	if (!*ret_txn)
		return ls_err_set(err, -ENOMEM, "out of memory");
	(*ret_txn)->agent = vm->agent;
	(*ret_txn)->items[0] = (struct item){ .slot = -1, .size = bytes, .goal = bytes };
	return 0;
}
