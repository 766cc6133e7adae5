/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory: one table for DIMMs and virtio-mem devices.
 *
 * The level of a DIMM is 0 or 1, that of a virtio-mem device is bytes. A row that
 * says nothing about a kind of device answers LEVEL_ALL for "full" and 0 for "any".
 */
#include "plan_memory.h"
#include "table.h"

#include <errno.h>

enum { ROW_DIMM = 3 }; /* of the rows below */

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

/* One that the guest was asked for may go at any moment: it is not wholly there. */
static uint64_t dimm_full(const struct txn *t, const struct view *v, unsigned item)
{
	if (!is_dimm(t, item))
		return LEVEL_ALL;
	return plugged(t, v, item) && mem_of(t, v, item)->unplug != TRI_YES;
}

static uint64_t dimm_free(const struct txn *t, const struct view *v, unsigned item)
{
	return !plugged(t, v, item);
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

static int check_requested(const struct txn *t, const struct view *v, bool rolling,
			   struct ls_err *err)
{
	int r = 0;

	for (unsigned i = 0; i < t->n && !rolling && !r; i++) {
		const struct vm_mem *m = is_dimm(t, i) ? NULL : mem_of(t, v, i);

		r = m ? check_not_beyond(t, i, m->id, m->requested, err) : 0;
	}
	return r;
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
	return vm_mem_online(m);
}

/* The guest's virtio-mem driver takes its blocks offline by itself when it gives them back. */
static uint64_t online_any(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	return t->agent == AGENT_LOCKSTEP && is_dimm(t, item) && m && m->guest_online > 0;
}

static bool dimm_of_lockstep(const struct txn *t, unsigned item)
{
	return is_dimm(t, item) && item_of_lockstep(t, item);
}

/* As large as what the guest has: when that grows there is more to ask for. */
static uint64_t has_offline(const struct txn *t, const struct view *v, unsigned item)
{
	const struct vm_mem *m = mem_of(t, v, item);

	return m && m->guest_present > m->guest_online ? m->guest_present : 0;
}

static bool online_seen(const struct txn *t, const struct view *v)
{
	return agent_seen_or_goes(t, v, ROW_DIMM);
}

static int refused(const struct txn *t, const struct view *v, unsigned item, struct ls_err *err)
{
	const struct vm_mem *m = mem_of(t, v, item);

	if (!is_dimm(t, item) || t->items[item].goal || !m || !m->refused)
		return 0;
	return ls_err_set(err, -EPERM, "the guest refused to give up the DIMM %s", m->id);
}

/* clang-format off */
static const struct row rows[] = {
	ROW_CLAIM,
	ROW_GUEST_LOCK,
	{ "qemu:backend",   SIDE_SRC, backend_full,   backend_any,   VERB_BACKEND_ADD, VERB_BACKEND_DEL,
	  .limit_ms = 15000 },
	{ "qemu:dimm",      SIDE_SRC, dimm_full,      dimm_any,      VERB_DIMM_ADD,    VERB_DIMM_DEL,
	  .refused = refused, .limit_ms = 15000, .mark = MARK_PENDS,
	  .ready = dimm_free, .again = true },
	{ "qemu:requested", SIDE_SRC, requested_full, requested_any, VERB_MEM_REQUEST, VERB_MEM_REQUEST,
	  .check = check_requested, .limit_ms = 60000 },
	{ "guest:online",   SIDE_SRC, online_full,    online_any,    VERB_MEM_ONLINE,  VERB_MEM_OFFLINE,
	  .limit_ms = 60000, .ready = has_offline, .again = true,
	  .seen = online_seen, .sure_up = item_of_lockstep, .sure_down = dimm_of_lockstep },
};
/* clang-format on */

const struct table table_memory = {
	.name = "memory",
	.rows = rows,
	.n = sizeof(rows) / sizeof(rows[0]),
	.holds = 2,
	.boots = true,
	.alive = alive_src,
};
