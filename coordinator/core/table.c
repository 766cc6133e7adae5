/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tables share: names of verbs, levels of the holds.
 */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const verb_names[] = {
	[VERB_NONE] = "wait",
	[VERB_CLAIM] = "claim",
	[VERB_UNCLAIM] = "unclaim",
	[VERB_GUEST_LOCK] = "lock",
	[VERB_GUEST_UNLOCK] = "unlock",
	[VERB_CPU_ADD] = "device_add cpu",
	[VERB_CPU_DEL] = "device_del cpu",
	[VERB_CPU_ONLINE] = "cpu-online",
	[VERB_CPU_OFFLINE] = "cpu-offline",
	[VERB_BACKEND_ADD] = "object-add memory",
	[VERB_BACKEND_DEL] = "object-del memory",
	[VERB_DIMM_ADD] = "device_add dimm",
	[VERB_DIMM_DEL] = "device_del dimm",
	[VERB_MEM_REQUEST] = "requested-size",
	[VERB_BALLOON] = "balloon",
	[VERB_MEM_ONLINE] = "memory-online",
	[VERB_MEM_OFFLINE] = "memory-offline",
	[VERB_WINDOW_OPEN] = "window-open",
	[VERB_WINDOW_CLOSE] = "window-close",
	[VERB_PARAMS_SET] = "set parameters",
	[VERB_PARAMS_RESTORE] = "restore parameters",
	[VERB_MIRROR] = "mirror devices",
	[VERB_INCOMING] = "migrate-incoming",
	[VERB_MIGRATE] = "migrate",
	[VERB_SRC_RESUME] = "resume source",
	[VERB_MIGRATE_CONTINUE] = "migrate-continue",
	[VERB_SURRENDER] = "surrender",
	[VERB_CONT] = "cont",
	[VERB_QUIT] = "quit",
};
static_assert(sizeof(verb_names) / sizeof(verb_names[0]) == VERB_COUNT, "a name for each");

const char *verb_name(enum verb verb)
{
	return verb_names[verb];
}

uint64_t level_none(const struct txn *t, const struct view *v, unsigned item)
{
	(void)t, (void)v, (void)item;
	return 0;
}

uint64_t level_all(const struct txn *t, const struct view *v, unsigned item)
{
	(void)t, (void)v, (void)item;
	return LEVEL_ALL;
}

uint64_t level_claim_src(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm *vm = &v->vm[SIDE_SRC];

	(void)item;
	return !vm->answers || !strcmp(vm->claimed_by, t->id);
}

uint64_t level_claim_dst(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm *vm = &v->vm[SIDE_DST];

	(void)item;
	return !vm->answers || !strcmp(vm->claimed_by, t->id);
}

/* An agent that does not answer now may well still hold the lock: only its word says lost. */
uint64_t level_guest_lock(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm *vm = &v->vm[SIDE_SRC];

	(void)item;
	if (t->agent != AGENT_LOCKSTEP)
		return 1;
	return vm->agent_answers ? !strcmp(vm->lock_txn, t->id) : t->holds.at == t->holds.goal;
}

/*
 * Of a guest whose agent is silent nothing is known: not that all of it is offline. qemu-ga
 * has a word about vCPUs only.
 */
bool agent_seen(const struct txn *t, const struct view *v)
{
	bool heeded = t->agent == AGENT_LOCKSTEP || (t->agent == AGENT_QGA && t->op == OP_VCPUS);

	return !heeded || v->vm[SIDE_SRC].agent_answers;
}

/* On the way back from a plug, what @row did not find there goes with its device, seen or not. */
bool agent_seen_or_goes(const struct txn *t, const struct view *v, unsigned row)
{
	bool goes = t->walk.rollback && t->walk.dir == STEP_DOWN;

	for (unsigned i = 0; i < t->n; i++)
		goes = goes && txn_before(t, row)[i] == 0;
	return goes || agent_seen(t, v);
}

bool item_every(const struct txn *t, unsigned item)
{
	(void)t, (void)item;
	return true;
}

bool item_of_lockstep(const struct txn *t, unsigned item)
{
	(void)item;
	return t->agent == AGENT_LOCKSTEP;
}

int check_not_beyond(const struct txn *t, unsigned item, const char *name, uint64_t is,
		     struct ls_err *err)
{
	uint64_t goal = t->items[item].goal;
	bool up = t->walk.dir == STEP_UP;

	if (t->items[item].state != ITEM_IN || is == goal || (is < goal) == up)
		return 0;
	return ls_err_set(err, -ESTALE,
			  "%s is at %" PRIu64 " MiB, and was to be %s %" PRIu64
			  " MiB: somebody else has changed it since that was planned; ask again",
			  name, is >> 20, up ? "raised to" : "cut to", goal >> 20);
}

enum txn_end alive_src(const struct txn *t, const struct view *v, struct ls_err *err)
{
	if (v->vm[SIDE_SRC].run != VM_GONE)
		return END_NONE;
	ls_err_set(err, -ESHUTDOWN,
		   "QEMU has ended in the middle of %s: the guest is gone, and so "
		   "is everything that was plugged into it",
		   txn_op_name(t->op));
	return END_LOST;
}
