/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The world's guest and its agent: a lock with a lease, the migration window, CPUs and
 * memory blocks that come online one after the other.
 */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ONLINE_MS 20
#define BLOCK_MS  8
#define TAKE_MS	  40 /* for virtio-mem to plug or unplug one block */

static bool agent_hears(const struct world *w, const struct w_qemu *q)
{
	return w->agent != AGENT_NONE && q->agent_up && q->run == VM_RUNNING;
}

/* ---- CPUs: the driver core's view and the kernel's change one after the other -- */

static void cpu_device(struct world *w, const struct later *l)
{
	struct w_cpu *c = &w->qemu[l->side].cpus[l->item];

	if (l->req != c->asked)
		return;
	c->busy = false;
	c->device = l->level && c->present;
	world_happens(w, "CPU %u is %s", l->item, c->device ? "online" : "offline");
	world_changed(w);
}

static void cpu_kernel(struct world *w, const struct later *l)
{
	struct w_cpu *c = &w->qemu[l->side].cpus[l->item];
	struct later then = *l;

	if (l->req != c->asked) /* the device's lock: this one was first, whenever it comes */
		return;
	c->kernel = l->level && c->present;
	then.fn = cpu_device;
	world_later(w, 3, then);
}

/* At once; what was under way is overtaken. */
void cpu_is(struct w_cpu *c, bool on)
{
	c->device = c->kernel = on;
	c->busy = false;
	c->asked++;
}

bool guest_at_work(const struct w_qemu *q)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		if (q->cpus[i].busy)
			return true;
	return false;
}

static int cpu_switch(struct world *w, enum side side, unsigned slot, bool on)
{
	struct w_cpu *c = &w->qemu[side].cpus[slot];

	if (on && !c->present)
		return -ENODEV;
	if (on && w->broken >> slot & 1)
		return -EIO;
	if (!on && c->fixed)
		return -EPERM;
	if (c->busy ? c->goal == on : c->device == on && c->kernel == on)
		return 0; /* by somebody, or so already */
	c->busy = true;
	c->goal = on;
	world_later(w, ONLINE_MS + slot,
		    (struct later){ .fn = cpu_kernel,
				    .guest = true,
				    .side = side,
				    .item = slot,
				    .req = ++c->asked,
				    .level = on });
	return 0;
}

/* qemu-ga knows nothing of slots: it brings online whatever it finds offline. */
static int qga_online(struct world *w, enum side side)
{
	unsigned known = 0, plugged = 0;

	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &w->qemu[side].cpus[i];

		known += c->present;
		plugged += c->plugged;
		if (c->present && !c->kernel)
			cpu_switch(w, side, i, true);
	}
	return known < plugged ? -EAGAIN : 0;
}

/* Where lockstep-agent is not, the kernel takes what comes, and lets go of what is to go. */
bool world_guest_helps_itself(const struct world *w)
{
	return w->agent != AGENT_LOCKSTEP;
}

/* ---- memory blocks ------------------------------------------------------ */

static void block_online(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	if (m->online >= m->present || l->level != m->asked)
		return;
	m->online += W_BLOCK;
	world_happens(w, "%llu MiB of %s are online", m->online / W_MIB + 0ULL, m->id);
	world_changed(w);
	world_later(w, BLOCK_MS, *l);
}

static void block_offline(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	if (!m->online || l->level != m->asked)
		return;
	m->online -= W_BLOCK;
	world_happens(w, "%llu MiB of %s are online", m->online / W_MIB + 0ULL, m->id);
	world_changed(w);
	world_later(w, BLOCK_MS, *l);
}

static int mem_switch(struct world *w, enum side side, unsigned item, bool on)
{
	struct w_mem *m = world_mem(w, side, w->t->items[item].id);

	if (!m || !m->plugged)
		return -ENODEV;
	world_later(w, BLOCK_MS,
		    (struct later){ .fn = on ? block_online : block_offline,
				    .guest = true,
				    .side = side,
				    .level = ++m->asked,
				    .item = (unsigned)(m - w->qemu[side].mems) });
	return 0;
}

/* It takes the next block only when the one before is in use; it gives back what it can. */
void guest_takes_virtio_mem(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	if (l->level != m->requests)
		return;
	if (m->size < m->requested && m->present == m->online && !(w->lazy && m->size >= w->lazy)) {
		m->size += W_BLOCK;
		m->present += W_BLOCK;
		if (world_guest_helps_itself(w))
			m->online = m->present;
		world_happens(w, "the guest takes %s to %llu MiB", m->id, m->size / W_MIB + 0ULL);
		world_says(w, (enum side)l->side, "MEMORY_DEVICE_SIZE_CHANGE");
		world_changed(w);
	} else if (m->size > m->requested && !(w->lazy && m->size <= w->lazy)) {
		m->size -= W_BLOCK;
		m->present -= W_BLOCK;
		m->online = m->online < m->present ? m->online : m->present;
		world_happens(w, "the guest gives %s down to %llu MiB", m->id,
			      m->size / W_MIB + 0ULL);
		world_says(w, (enum side)l->side, "MEMORY_DEVICE_SIZE_CHANGE");
		world_changed(w);
	} else if (m->size == m->requested) {
		return;
	}
	world_later(w, TAKE_MS, *l);
}

/* ---- the balloon ---------------------------------------------------------- */

/* A block at a time; what it cannot spare it keeps. */
void guest_follows_balloon(struct world *w, const struct later *l)
{
	struct w_qemu *q = &w->qemu[l->side];

	if (q->balloon == q->balloon_goal ||
	    (q->balloon > q->balloon_goal && w->lazy && q->balloon <= w->lazy))
		return;
	q->balloon += q->balloon < q->balloon_goal ? W_BLOCK : -W_BLOCK;
	world_happens(w, "the balloon leaves %llu MiB", q->balloon / W_MIB + 0ULL);
	world_says(w, (enum side)l->side, "BALLOON_CHANGE");
	world_changed(w);
	world_later(w, BLOCK_MS, *l);
}

/* ---- lock and window ---------------------------------------------------- */

static int lock(struct world *w, struct w_qemu *q, bool up)
{
	if (!up) {
		if (!w->t || !strcmp(q->lock, w->t->id) || q->lock_until <= w->now_ms)
			q->lock[0] = '\0';
		return 0;
	}
	if (q->lock[0] && strcmp(q->lock, w->t->id))
		return -EBUSY;
	snprintf(q->lock, sizeof(q->lock), "%s", w->t->id);
	q->lock_until = UINT64_MAX; /* renewed as long as somebody is there */
	return 0;
}

static int window_open(struct world *w, struct w_qemu *q)
{
	if (q->window[0])
		return strcmp(q->window, w->t->id) ? -EBUSY : 0;
	snprintf(q->window, sizeof(q->window), "%s", w->t->id);
	q->window_until = UINT64_MAX;
	for (unsigned i = 0; i < W_CPUS; i++) {
		struct w_cpu *c = &q->cpus[i];

		q->forced[i] = c->present && !c->kernel;
		if (q->forced[i])
			cpu_is(c, true);
	}
	return 0;
}

void guest_drops_window(struct w_qemu *q)
{
	q->window[0] = '\0';
	for (unsigned i = 0; i < W_CPUS; i++) {
		if (q->forced[i])
			cpu_is(&q->cpus[i], false);
		q->forced[i] = false;
	}
}

static int window_close(struct world *w, struct w_qemu *q)
{
	if (!q->window[0])
		return 0;
	if (w->t && strcmp(q->window, w->t->id) && q->window_until > w->now_ms)
		return -EPERM;
	guest_drops_window(q);
	return 0;
}

static bool is_hold(enum verb verb)
{
	return verb == VERB_GUEST_LOCK || verb == VERB_GUEST_UNLOCK || verb == VERB_WINDOW_OPEN ||
	       verb == VERB_WINDOW_CLOSE;
}

bool world_needs_lock(enum verb verb)
{
	return verb == VERB_CPU_ONLINE || verb == VERB_CPU_OFFLINE || verb == VERB_MEM_ONLINE ||
	       verb == VERB_MEM_OFFLINE;
}

int world_guest_ask(struct world *w, enum verb verb, enum side side, unsigned item, uint64_t level)
{
	struct w_qemu *q = &w->qemu[side];

	(void)level;
	if (w->agent != AGENT_LOCKSTEP && is_hold(verb)) /* the coordinator knows: it asks nobody */
		return 0;
	if (!agent_hears(w, q))
		return -ENOTCONN;
	if (w->agent == AGENT_QGA)
		return verb == VERB_CPU_ONLINE ? qga_online(w, side) : -EOPNOTSUPP;
	if (world_needs_lock(verb) && strcmp(q->lock, w->t->id) != 0)
		return -EPERM;
	switch (verb) {
	case VERB_GUEST_LOCK:
	case VERB_GUEST_UNLOCK:
		return lock(w, q, verb == VERB_GUEST_LOCK);
	case VERB_WINDOW_OPEN:
		return window_open(w, q);
	case VERB_WINDOW_CLOSE:
		return window_close(w, q);
	case VERB_CPU_ONLINE:
		return cpu_switch(w, side, (unsigned)w->t->items[item].slot, true);
	case VERB_CPU_OFFLINE:
		return cpu_switch(w, side, (unsigned)w->t->items[item].slot, false);
	default:
		return mem_switch(w, side, item, verb == VERB_MEM_ONLINE);
	}
}
