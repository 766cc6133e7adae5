/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The world's QEMU: claims, vCPU slots, memory devices. What it asks of the guest takes
 * its time, and shows half done meanwhile.
 */
#include "world.h"
#include "world_acpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEEN_MS 30 /* until the guest knows a new device */

struct w_mem *world_mem(struct world *w, enum side side, const char *id)
{
	for (unsigned i = 0; i < W_MEMS; i++)
		if (w->qemu[side].mems[i].exists && !strcmp(w->qemu[side].mems[i].id, id))
			return &w->qemu[side].mems[i];
	return NULL;
}

static const struct item *item_of(const struct world *w, unsigned item)
{
	return &w->t->items[item];
}

static struct w_cpu *cpu_of(struct world *w, enum side side, unsigned item)
{
	return &w->qemu[side].cpus[item_of(w, item)->slot];
}

/* ---- vCPUs: later.item is the slot -------------------------------------- */

static void cpu_found(struct world *w, const struct later *l)
{
	struct w_cpu *c = &w->qemu[l->side].cpus[l->item];

	c->present = c->device = c->kernel = c->plugged;
	world_happens(w, "the guest has vCPU %u from the start", l->item);
	world_changed(w);
}

static void cpu_seen(struct world *w, const struct later *l)
{
	struct w_cpu *c = &w->qemu[l->side].cpus[l->item];

	c->present = c->plugged;
	if (w->agent == AGENT_NONE) /* a rule of its udev does */
		c->device = c->kernel = c->present;
	world_happens(w, "the guest %s vCPU %u", c->plugged ? "knows" : "looks in vain for",
		      l->item);
	if (c->plugged)
		acpi_says(w, l->side, "CPU", l->item, OST_PLUG, OST_GOOD);
	world_changed(w);
}

static void cpu_gone(struct world *w, const struct later *l)
{
	struct w_cpu *before = &w->before[SIDE_SRC].cpus[l->item];

	w->qemu[l->side].gives = false;
	if (!w->qemu[l->side].cpus[l->item].removing)
		return; /* given twice; the slot may have another one by now */
	w->qemu[l->side].cpus[l->item] = (struct w_cpu){ 0 };
	if (before->removing) /* asked for before this transaction */
		*before = (struct w_cpu){ 0 };
	world_happens(w, "vCPU %u is gone", l->item);
	acpi_says_gone(w, l->side, "CPU", l->item);
	world_changed(w);
}

static void cpu_asked_for(struct world *w, const struct later *l)
{
	struct w_cpu *c = &w->qemu[l->side].cpus[l->item];

	if (!c->removing || acpi_waits(w, l))
		return;
	acpi_says(w, l->side, "CPU", l->item, OST_EJECT, OST_EJECTING);
	world_changed(w);
	if (acpi_mood(w, c->mood) == GUEST_REFUSES) {
		c->removing = false;
		c->refused = true;
		world_happens(w, "the guest refuses to give vCPU %u: _OST 0x82", l->item);
		acpi_says(w, l->side, "CPU", l->item, OST_EJECT, OST_BUSY);
		return;
	}
	world_happens(w, "the guest gives vCPU %u", l->item);
	w->qemu[l->side].gives = true;
	c->present = c->device = c->kernel = false;
	world_later(w, ACPI_GONE_MS,
		    (struct later){ .fn = cpu_gone, .side = l->side, .item = l->item });
}

void world_removes_cpu(struct world *w, unsigned slot, uint64_t in_ms)
{
	w->qemu[SIDE_SRC].cpus[slot].removing = true;
	world_later(w, in_ms, (struct later){ .fn = cpu_asked_for, .guest = true, .item = slot });
}

static int cpu_add(struct world *w, enum side side, unsigned item)
{
	struct w_cpu *c = cpu_of(w, side, item);
	unsigned slot = (unsigned)item_of(w, item)->slot;

	if (c->plugged)
		return -EEXIST;
	*c = (struct w_cpu){ .plugged = true };
	snprintf(c->id, sizeof(c->id), "%s", item_of(w, item)->id);
	world_later(w, acpi_boots(w, side) ? acpi_boot_left_ms(w, side) : SEEN_MS + 7 * slot,
		    (struct later){ .fn = acpi_boots(w, side) ? cpu_found : cpu_seen,
				    .guest = true,
				    .exact = acpi_boots(w, side),
				    .side = side,
				    .item = slot });
	return 0;
}

static int cpu_del(struct world *w, enum side side, unsigned item)
{
	struct w_cpu *c = cpu_of(w, side, item);
	unsigned slot = (unsigned)item_of(w, item)->slot;

	if (!c->plugged || strcmp(c->id, item_of(w, item)->id))
		return -ENOENT;
	c->refused = false;
	c->removing = true;
	if (acpi_hears(w, side, c->mood))
		world_later(
			w, acpi_eject_ms(w, c->mood) + 9 * slot,
			(struct later){
				.fn = cpu_asked_for, .guest = true, .side = side, .item = slot });
	return 0;
}

/* ---- memory: later.item is the index of the device ---------------------- */

static void dimm_found(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	m->present = m->plugged ? m->size : 0;
	m->online = w->dimms_offline ? 0 : m->present;
	world_happens(w, "the guest has %s from the start", m->id);
	world_changed(w);
}

static void dimm_seen(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	if (!m->plugged || m->present >= m->size)
		return;
	m->present += W_BLOCK;
	if (world_guest_helps_itself(w))
		m->online = m->present;
	world_happens(w, "the guest knows %llu MiB of %s", m->present / W_MIB + 0ULL, m->id);
	if (m->present >= m->size)
		acpi_says(w, l->side, "DIMM", (unsigned)m->slot, OST_PLUG, OST_GOOD);
	world_changed(w);
	world_later(
		w, 5,
		(struct later){ .fn = dimm_seen, .guest = true, .side = l->side, .item = l->item });
}

static void dimm_gone(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	w->qemu[l->side].gives = false;
	if (!m->removing)
		return; /* given twice */
	world_happens(w, "%s is gone", m->id);
	acpi_says_gone(w, l->side, "DIMM", (unsigned)m->slot);
	m->plugged = m->removing = false;
	m->size = 0;
	m->requested = 0;
	world_changed(w);
}

static void dimm_asked_for(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	if (!m->removing || acpi_waits(w, l))
		return;
	acpi_says(w, l->side, "DIMM", (unsigned)m->slot, OST_EJECT, OST_EJECTING);
	world_changed(w);
	if (acpi_mood(w, m->mood) == GUEST_REFUSES) {
		m->removing = false;
		m->refused = true;
		world_happens(w, "the guest refuses to give %s: _OST 0x82", m->id);
		acpi_says(w, l->side, "DIMM", (unsigned)m->slot, OST_EJECT, OST_BUSY);
		return;
	}
	w->qemu[l->side].gives = true;
	world_happens(w, "the guest gives %s", m->id);
	m->present = m->online = 0; /* what is online its kernel takes offline first */
	world_later(w, ACPI_GONE_MS,
		    (struct later){ .fn = dimm_gone, .side = l->side, .item = l->item });
}

static unsigned index_of(const struct world *w, enum side side, const struct w_mem *m)
{
	return (unsigned)(m - w->qemu[side].mems);
}

static int backend_add(struct world *w, enum side side, const struct item *it)
{
	struct w_qemu *q = &w->qemu[side];
	unsigned i = 0;

	if (world_mem(w, side, it->id))
		return -EEXIST;
	while (i < W_MEMS && q->mems[i].exists)
		i++;
	if (i == W_MEMS)
		return -ENOSPC;
	q->mems[i] =
		(struct w_mem){ .exists = true, .kind = it->kind, .slot = -1, .max = it->size };
	snprintf(q->mems[i].id, LS_NAME_BYTES, "%s", it->id);
	snprintf(q->mems[i].backend, LS_NAME_BYTES, "%s", it->backend);
	return 0;
}

static bool slot_is_busy(const struct w_qemu *q, int slot)
{
	for (unsigned i = 0; i < W_MEMS; i++)
		if (q->mems[i].plugged && q->mems[i].kind == VM_DIMM && q->mems[i].slot == slot)
			return true;
	return false;
}

static int dimm_add(struct world *w, enum side side, const struct item *it, struct w_mem *m)
{
	if (!m)
		return -ENOENT;
	if (m->plugged)
		return -EEXIST;
	if (slot_is_busy(&w->qemu[side], it->slot))
		return -EBUSY;
	m->plugged = true;
	m->slot = it->slot;
	m->size = m->requested = m->max;
	m->present = m->online = 0;
	world_later(w, acpi_boots(w, side) ? acpi_boot_left_ms(w, side) : SEEN_MS,
		    (struct later){ .fn = acpi_boots(w, side) ? dimm_found : dimm_seen,
				    .guest = true,
				    .exact = acpi_boots(w, side),
				    .side = side,
				    .item = index_of(w, side, m) });
	return 0;
}

static int dimm_del(struct world *w, enum side side, struct w_mem *m)
{
	if (!m || !m->plugged)
		return -ENOENT;
	m->refused = false;
	m->removing = true;
	if (acpi_hears(w, side, m->mood))
		world_later(w, acpi_eject_ms(w, m->mood),
			    (struct later){ .fn = dimm_asked_for,
					    .guest = true,
					    .side = side,
					    .item = index_of(w, side, m) });
	return 0;
}

static int backend_del(struct w_mem *m)
{
	if (!m)
		return -ENOENT;
	if (m->plugged)
		return -EBUSY;
	m->exists = false;
	return 0;
}

static int mem_request(struct world *w, enum side side, struct w_mem *m, uint64_t level)
{
	if (!m || level > m->max)
		return -EINVAL;
	m->requested = level;
	if (w->now_ms < w->qemu[side].boots_until)
		return 0; /* it reads that when it starts */
	world_later(w, 40,
		    (struct later){ .fn = guest_takes_virtio_mem,
				    .guest = true,
				    .side = side,
				    .level = ++m->requests,
				    .item = index_of(w, side, m) });
	return 0;
}

/* ---- claims and capabilities -------------------------------------------- */

static int claim(struct world *w, struct w_qemu *q, bool up)
{
	if (q->run == VM_GONE)
		return up ? -EPIPE : 0;
	if (q->claim[0] && (up || strcmp(q->claim, w->t->id)))
		return -EEXIST; /* its own, too: QEMU knows no more than the object's name */
	snprintf(q->claim, sizeof(q->claim), "%s", up ? w->t->id : "");
	return 0;
}

static int mem_ask(struct world *w, enum verb verb, enum side side, unsigned item, uint64_t level)
{
	const struct item *it = item_of(w, item);
	struct w_mem *m = world_mem(w, side, it->id);

	switch (verb) {
	case VERB_BACKEND_ADD:
		return backend_add(w, side, it);
	case VERB_BACKEND_DEL:
		return backend_del(m);
	case VERB_DIMM_ADD:
		return dimm_add(w, side, it, m);
	case VERB_DIMM_DEL:
		return dimm_del(w, side, m);
	default:
		return mem_request(w, side, m, level);
	}
}

static int balloon(struct world *w, enum side side, uint64_t level)
{
	w->qemu[side].balloon_goal = level;
	world_later(w, SEEN_MS,
		    (struct later){ .fn = guest_follows_balloon, .guest = true, .side = side });
	return 0;
}

/* Nothing can be had of a QEMU that has ended; what is given back is given back. */
static bool gives(enum verb verb)
{
	return verb != VERB_UNCLAIM && verb != VERB_PARAMS_RESTORE && verb != VERB_QUIT &&
	       verb != VERB_GUEST_UNLOCK && verb != VERB_WINDOW_CLOSE;
}

int world_ask(struct world *w, enum verb verb, enum side side, unsigned item, uint64_t level)
{
	world_changed(w);
	if (w->qemu[side].run == VM_GONE && gives(verb))
		return -EPIPE;
	switch (verb) {
	case VERB_CLAIM:
	case VERB_UNCLAIM:
		return claim(w, &w->qemu[side], verb == VERB_CLAIM);
	case VERB_BALLOON:
		return balloon(w, side, level);
	case VERB_PARAMS_SET:
	case VERB_PARAMS_RESTORE:
		w->qemu[side].caps =
			verb == VERB_PARAMS_SET ? CAP_OURS : w->t->mig->caps_before[side];
		return 0;
	case VERB_CPU_ADD:
		return cpu_add(w, side, item);
	case VERB_CPU_DEL:
		return cpu_del(w, side, item);
	case VERB_BACKEND_ADD:
	case VERB_BACKEND_DEL:
	case VERB_DIMM_ADD:
	case VERB_DIMM_DEL:
	case VERB_MEM_REQUEST:
		return mem_ask(w, verb, side, item, level);
	case VERB_GUEST_LOCK:
	case VERB_GUEST_UNLOCK:
	case VERB_WINDOW_OPEN:
	case VERB_WINDOW_CLOSE:
	case VERB_CPU_ONLINE:
	case VERB_CPU_OFFLINE:
	case VERB_MEM_ONLINE:
	case VERB_MEM_OFFLINE:
		return world_guest_ask(w, verb, side, item, level);
	default:
		return migration_ask(w, verb, side);
	}
}
