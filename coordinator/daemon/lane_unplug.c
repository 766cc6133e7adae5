/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that a guest was asked to give back and has neither given nor refused.
 *
 * QEMU does not tell that an unplug is pending, so the connection that asked remembers it
 * (hv). The lane remembers it beyond the connection, and the store beyond the daemon. It
 * is over when the device has gone, late; when the guest has refused it; or when somebody
 * forgets it. A reset of the guest is no end: QEMU remembers, and tells the new kernel at
 * the next plug (seen on 7.2). Until then the view says so: planners refuse to plug, and a
 * migration would not know what to mirror.
 *
 * A DIMM that goes late leaves its memory behind in QEMU, since the transaction that would
 * have removed that has ended: a request of the lane's own does it.
 */
#include "lane_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "daemon_log.h"
#include "../hv/hv.h"
#include "../report/json.h"
#include "../report/report.h"

static bool pending(const struct vm *vm, const char *id, bool *ret_there)
{
	const struct vm_cpu *cpu = vm_cpu_by_id(vm, id);
	const struct vm_mem *mem = vm_mem_by_id(vm, id);

	*ret_there = cpu || (mem && mem->plugged);
	return (cpu && cpu->unplug == TRI_YES) || (mem && mem->unplug == TRI_YES);
}

static const struct vm *now(const struct lane *l)
{
	return &run_view(l->run)->vm[SIDE_SRC];
}

uint64_t lane_real_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the list ------------------------------------------------------------------ */

static struct lane_unplug *add(struct lane *l, const struct lane_unplug *u)
{
	struct lane_unplug *list;

	for (unsigned i = 0; i < l->n_unplugs; i++)
		if (!strcmp(l->unplugs[i].item, u->item))
			return NULL;
	if (l->n_unplugs == LANE_UNPLUGS_MAX)
		return NULL;
	list = realloc(l->unplugs, (l->n_unplugs + 1) * sizeof(*list));
	l->unplugs = list;
	list[l->n_unplugs] = *u;
	return &list[l->n_unplugs++];
}

static void drop(struct lane *l, unsigned i)
{
	l->unplugs[i] = l->unplugs[--l->n_unplugs];
}

void lane_expect_unplug(struct lane *l, const struct lane_unplug *u)
{
	add(l, u);
}

/* ---- looking ---------------------------------------------------------------------- */

bool lane_unplugs_expect(struct lane *l)
{
	for (unsigned i = 0; i < l->n_unplugs; i++)
		hv_expect_unplug(run_hv(l->run, SIDE_SRC), now(l), l->unplugs[i].item, true);
	return l->n_unplugs;
}

/* A DIMM has gone, and its memory has not. */
static bool has_rest(const struct lane *l, const char *id)
{
	const struct vm_mem *mem = vm_mem_by_id(now(l), id);

	return mem && !mem->plugged;
}

static int remove_rest(struct lane *l, const char *id)
{
	struct lane_job job = { .wish = { .kind = WISH_DIMM_REMOVE } };
	char txn[LS_TXN_BYTES];
	struct ls_err err;

	snprintf(job.wish.device, sizeof(job.wish.device), "%s", id);
	return lane_ask(l, &job, &err, txn);
}

void lane_unplugs_ended(struct lane *l, const struct txn *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct item *it = &t->items[i];
		struct lane_unplug u = { .slot = it->slot, .since_ms = lane_real_ms() };
		bool there;

		memcpy(u.item, it->id, sizeof(u.item));
		memcpy(u.txn, t->id, sizeof(u.txn));
		if (!pending(now(l), u.item, &there) &&
		    !(t->end == END_PENDING && has_rest(l, u.item))) /* gone since it ended */
			continue;
		if (add(l, &u) && l->ops.unplug)
			l->ops.unplug(l->ops.arg, l, &u, true);
	}
}

static void say_over(struct lane *l, const struct lane_unplug *u, bool there)
{
	const struct log_about about = { LOG_UNPLUG, l->guest.name, u->txn, NULL, NULL };
	struct json_object *o = report_object("unplug");
	struct lane_job job = { 0 };

	log_about(LOG_INFO, &about, "%s: %s", u->item,
		  there ? "its unplug is not pending any more: the guest refused it"
			: "given back, late");
	memcpy(job.id, u->txn, sizeof(job.id));
	json_add_str(o, "guest", l->guest.name);
	json_add_str(o, "txn", u->txn);
	json_add_str(o, "item", u->item);
	json_add_str(o, "end", there ? "not pending" : "late");
	l->ops.event(l->ops.arg, l, &job, o);
	json_object_put(o);
}

void lane_unplugs_seen(struct lane *l)
{
	for (unsigned i = l->n_unplugs; i-- > 0 && now(l)->answers;) {
		struct lane_unplug u = l->unplugs[i];
		bool there;

		if (pending(now(l), u.item, &there))
			continue;
		if (has_rest(l, u.item) && remove_rest(l, u.item) < 0)
			continue; /* after another look */
		drop(l, i);
		say_over(l, &u, there);
		if (l->ops.unplug)
			l->ops.unplug(l->ops.arg, l, &u, false);
	}
}

void lane_forget(struct lane *l, const char *txn)
{
	for (unsigned i = l->n_unplugs; i-- > 0;) {
		if (strcmp(l->unplugs[i].txn, txn))
			continue;
		if (l->run)
			hv_expect_unplug(run_hv(l->run, SIDE_SRC), now(l), l->unplugs[i].item,
					 false);
		drop(l, i);
		lane_publish(l);
		lane_refresh(l);
	}
}

struct json_object *lane_unplugs_json(const struct lane *l)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < l->n_unplugs; i++) {
		struct json_object *o = json_object_new_object();

		json_add_str(o, "item", l->unplugs[i].item);
		json_add_str(o, "txn", l->unplugs[i].txn);
		json_add_num(o, "since-ms", l->unplugs[i].since_ms);
		json_object_array_add(list, o);
	}
	return list;
}
