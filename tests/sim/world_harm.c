/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What befalls the world from outside: resets, deaths, users, rivals.
 *
 * What nobody can be blamed for is no damage: where such a thing changes a device, it
 * changes it in @before, too, against which an undone transaction is judged.
 */
#include "world.h"

#include <stdio.h>
#include <string.h>

#define BREAK_MS 20 /* until one side knows that the other has ended */
#define USER_MS	 50 /* a user's write that is held up looks again */
#define GROW_MS	 40 /* for virtio-mem to take a block while the guest boots */

static struct w_qemu *guest(struct world *w)
{
	return &w->qemu[world_guest_side(w)];
}

/* ---- reset ---------------------------------------------------------------- */

/* The firmware finds all that is plugged; nothing is asked for any more. */
static void boot_cpus(struct w_cpu *cpus)
{
	for (unsigned i = 0; i < W_CPUS; i++) {
		struct w_cpu *c = &cpus[i];

		if (c->removing && !c->present)
			continue; /* given already: QEMU takes it now */
		c->removing = c->refused = false;
		c->present = c->plugged;
		cpu_is(c, c->present);
	}
}

static void boot_mems(const struct world *w, struct w_mem *mems)
{
	for (unsigned i = 0; i < W_MEMS; i++) {
		struct w_mem *m = &mems[i];

		m->removing = m->refused = false;
		m->asked++;
		if (m->kind == VM_VIRTIO_MEM)
			m->size = 0;
		m->present = m->plugged ? m->size : 0;
		m->online = m->kind == VM_DIMM && w->dimms_offline ? 0 : m->present;
	}
}

/* What was asked of it before is asked of it still. */
static void grows_again(struct world *w, const struct later *l)
{
	struct w_mem *m = &w->qemu[l->side].mems[l->item];

	if (m->kind != VM_VIRTIO_MEM)
		return;
	m->online = m->present;
	if (m->size >= m->requested)
		return;
	m->size += W_BLOCK;
	m->present += W_BLOCK;
	m->online = m->present;
	world_happens(w, "the guest takes %s to %llu MiB", m->id, m->size / W_MIB + 0ULL);
	world_says(w, (enum side)l->side, "MEMORY_DEVICE_SIZE_CHANGE");
	world_changed(w);
	world_later(w, GROW_MS, *l);
}

static void forget_guest(struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_later; i++)
		if (!w->later[i].guest)
			w->later[n++] = w->later[i];
	w->n_later = n;
}

/* In @before it has grown already: that is where it is going. */
static void boot_before(const struct world *w, const struct w_qemu *now, struct w_qemu *q)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		if (q->cpus[i].removing && now->cpus[i].removing)
			q->cpus[i].present = now->cpus[i].present;
	boot_cpus(q->cpus);
	boot_mems(w, q->mems);
	for (unsigned i = 0; i < W_MEMS; i++)
		if (q->mems[i].kind == VM_VIRTIO_MEM)
			q->mems[i].size = q->mems[i].online = q->mems[i].requested;
}

void world_reset(struct world *w, uint64_t boot_ms)
{
	struct w_qemu *q = guest(w);

	if (q->run != VM_RUNNING)
		return;
	world_happens(w, "the guest is reset");
	forget_guest(w);
	for (unsigned i = 0; i < W_CPUS; i++) /* off before, on now: both are right */
		w->touched[i] |= w->before[SIDE_SRC].cpus[i].plugged &&
				 !(w->before[SIDE_SRC].cpus[i].device && q->cpus[i].device);
	boot_before(w, q, &w->before[SIDE_SRC]);
	boot_cpus(q->cpus);
	boot_mems(w, q->mems);
	memset(q->forced, 0, sizeof(q->forced));
	q->lock[0] = q->window[0] = '\0';
	q->boots_until = w->now_ms + boot_ms;
	q->boots++;
	for (unsigned i = 0; i < W_MEMS; i++)
		world_later(w, boot_ms,
			    (struct later){
				    .fn = grows_again, .guest = true, .exact = true, .item = i });
	world_agent_away(w, boot_ms);
	world_says(w, world_guest_side(w), "RESET");
	world_changed(w);
}

/* ---- deaths --------------------------------------------------------------- */

static void src_fails(struct world *w, const struct later *l)
{
	struct w_qemu *src = &w->qemu[SIDE_SRC];

	(void)l;
	if (src->run == VM_GONE || !vm_mig_under_way(src->mig))
		return;
	src->mig = MIG_FAILED;
	world_says(w, SIDE_SRC, "MIGRATION failed");
	if (src->run == VM_PAUSED) {
		src->run = VM_RUNNING;
		world_says(w, SIDE_SRC, "RESUME");
	}
	world_happens(w, "the migration has failed");
	world_changed(w);
}

/* A stream that ends is the end of who waits for it. */
static void dst_fails(struct world *w, const struct later *l)
{
	struct w_qemu *dst = &w->qemu[SIDE_DST];

	(void)l;
	if (dst->run != VM_INMIGRATE)
		return;
	dst->run = VM_GONE;
	world_happens(w, "the destination QEMU has ended");
	world_changed(w);
}

void world_kill(struct world *w, enum side side)
{
	bool moving = vm_mig_under_way(w->qemu[SIDE_SRC].mig);

	if (w->qemu[side].run == VM_GONE)
		return;
	world_happens(w, "the %s QEMU dies", side == SIDE_SRC ? "source" : "destination");
	w->killed[side] = true;
	w->qemu[side].run = VM_GONE;
	w->qemu[side].agent_up = false;
	if (moving)
		world_later(w, BREAK_MS,
			    (struct later){ .fn = side == SIDE_SRC ? dst_fails : src_fails });
	world_lose(w, 1);
}

/* By somebody who knows nothing of us, when it has handed its guest over. */
void world_source_continued(struct world *w)
{
	struct w_qemu *src = &w->qemu[SIDE_SRC];

	if (src->run != VM_POSTMIGRATE || src->surrendered || w->qemu[SIDE_DST].ran)
		return;
	src->run = VM_RUNNING;
	w->stranger = true;
	world_happens(w, "somebody continues the source");
	world_changed(w);
}

void world_migration_fails(struct world *w)
{
	if (!vm_mig_under_way(w->qemu[SIDE_SRC].mig) || w->qemu[SIDE_DST].mig == MIG_COMPLETED)
		return;
	src_fails(w, NULL);
	world_later(w, BREAK_MS, (struct later){ .fn = dst_fails });
}

/* ---- the agent ------------------------------------------------------------ */

static void agent_is_back(struct world *w, const struct later *l)
{
	struct w_qemu *q = &w->qemu[l->side];

	q->agent_up = true;
	q->lock[0] = '\0'; /* nobody has renewed it; a window is on record in the guest */
	world_says(w, (enum side)l->side, "VSERPORT_CHANGE open");
	world_happens(w, "the agent answers");
	world_changed(w);
}

void world_agent_away(struct world *w, uint64_t ms)
{
	world_happens(w, "the agent is away");
	if (guest(w)->agent_up)
		world_says(w, world_guest_side(w), "VSERPORT_CHANGE closed");
	guest(w)->agent_up = false;
	world_changed(w); /* its channel has closed */
	world_later(w, ms, (struct later){ .fn = agent_is_back, .guest = true, .exact = true });
}

/* ---- users and rivals ----------------------------------------------------- */

static void write_online(struct w_cpu *c, bool on)
{
	if (c->present && !c->fixed)
		cpu_is(c, on);
}

/* The guard lets it wait for as long as the guest is in somebody's hands. */
static void user_writes(struct world *w, const struct later *l)
{
	struct w_qemu *q = &w->qemu[l->side];

	if (q->lock[0] || q->window[0] || q->cpus[l->item].busy) {
		world_later(w, USER_MS, *l);
		return;
	}
	write_online(&q->cpus[l->item], l->level);
	write_online(&w->before[SIDE_SRC].cpus[l->item], l->level);
	world_happens(w, "a user takes CPU %u %s", l->item, l->level ? "online" : "offline");
	world_changed(w);
}

void world_user_writes(struct world *w, unsigned slot, bool on)
{
	w->touched[slot] = true;
	world_later(w, 0,
		    (struct later){ .fn = user_writes,
				    .guest = true,
				    .exact = true,
				    .item = slot,
				    .level = on });
}

void world_loses_hold(struct world *w, unsigned which)
{
	struct w_qemu *q = guest(w);

	world_happens(w, "somebody takes a hold away");
	switch (which % 3) {
	case 0:
		q->claim[0] = '\0';
		break;
	case 1:
		q->lock[0] = '\0';
		guest_drops_window(q);
		break;
	default:
		q->caps = 0;
		break;
	}
	world_changed(w);
}

static void rival_leaves(struct world *w, const struct later *l)
{
	(void)l;
	for (int side = 0; side < SIDE_COUNT; side++) {
		struct w_qemu *q = &w->qemu[side];

		if (!strcmp(q->claim, "rival"))
			q->claim[0] = '\0';
		if (!strcmp(q->lock, "rival"))
			q->lock[0] = '\0';
	}
	world_happens(w, "the rival has gone");
	world_changed(w);
}

/* Another coordinator has broken our claim, or come when the lease of our lock was over. */
static void rival_has(struct world *w, const char *what, uint64_t ms)
{
	world_happens(w, "a rival has the %s", what);
	world_later(w, ms, (struct later){ .fn = rival_leaves, .exact = true });
	world_changed(w);
}

/* The agent gives the lock to nobody while a request is carried out under it. */
static void rival_locks(struct world *w, const struct later *l)
{
	struct w_qemu *q = &w->qemu[l->side];

	if (guest_at_work(q)) {
		world_later(w, 1, *l);
		return;
	}
	strcpy(q->lock, "rival");
	q->lock_until = UINT64_MAX;
	guest_drops_window(q);
	rival_has(w, "lock", l->level);
}

void world_rival(struct world *w, unsigned which, uint64_t ms)
{
	enum side side = world_guest_side(w);

	if (which % 2) {
		rival_locks(w, &(struct later){ .fn = rival_locks, .side = side, .level = ms });
		return;
	}
	strcpy(w->qemu[side].claim, "rival");
	rival_has(w, "claim", ms);
}

/* ---- behind the planner's back --------------------------------------------- */

static void cpu_goes_stale(struct world *w, const struct item *it)
{
	struct w_cpu *c = &w->qemu[SIDE_SRC].cpus[it->slot];

	if (w->t->op == OP_VCPUS && it->goal && !c->plugged)
		world_has_cpu(w, (unsigned)it->slot);
	else if (w->t->op == OP_VCPUS && !it->goal)
		*c = (struct w_cpu){ 0 };
	else
		write_online(c, !c->device);
	world_happens(w, "somebody else %s", !c->plugged ? "removes a vCPU" : "has a vCPU changed");
}

/* A DIMM has gone, all of it or not its backend; a slot has another one; a size is another. */
static void mem_goes_stale(struct world *w, const struct item *it, unsigned pick)
{
	struct w_mem *m = world_mem(w, SIDE_SRC, it->id);
	char id[2 * LS_NAME_BYTES];

	if (it->kind == VM_VIRTIO_MEM) {
		m->size = pick % (m->max / W_BLOCK + 1) * W_BLOCK;
		m->requested = m->present = m->online = m->size;
		world_happens(w, "somebody else makes %s %llu MiB", m->id, m->size / W_MIB + 0ULL);
	} else if (!m) {
		snprintf(id, sizeof(id), "other-%s", it->id);
		world_has_dimm(w, id, W_BLOCK);
		world_mem(w, SIDE_SRC, id)->slot = it->slot;
		world_happens(w, "somebody else has a DIMM in slot %d", it->slot);
	} else if (!it->goal && m->plugged) {
		m->plugged = m->removing = false;
		m->exists = pick % 2;
		m->size = m->requested = m->present = m->online = 0;
		world_happens(w, "somebody else removes %s", it->id);
	}
}

/* The engine has not looked yet: what it finds is what was before. */
static void carry_over(struct w_qemu *before, const struct w_qemu *from, const struct w_qemu *to)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		/* One too many does no harm. */
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
		if (memcmp(&from->cpus[i], &to->cpus[i], sizeof(to->cpus[i])))
			before->cpus[i] = to->cpus[i];
	for (unsigned i = 0; i < W_MEMS; i++)
		if (memcmp(&from->mems[i], &to->mems[i], sizeof(to->mems[i])))
			before->mems[i] = to->mems[i];
	before->balloon = to->balloon;
}

void world_goes_stale(struct world *w, unsigned pick)
{
	const struct item *it = &w->t->items[pick % w->t->n];
	struct w_qemu *q = &w->qemu[SIDE_SRC], was = *q;
	int cpu = w->t->op == OP_MIGRATE ? 2 : it->slot;

	if (w->t->op == OP_MEMORY)
		mem_goes_stale(w, it, pick / w->t->n);
	else if (w->t->op == OP_BALLOON)
		q->balloon = q->balloon_goal = (1 + pick % 4) * W_BLOCK;
	else if (q->cpus[cpu].busy) /* under the device's lock: he waits for that */
		return;
	else if (w->t->op == OP_MIGRATE)
		write_online(&q->cpus[cpu], pick % 2);
	else
		cpu_goes_stale(w, it);
	carry_over(&w->before[SIDE_SRC], &was, q);
}

/* ---- time ------------------------------------------------------------------- */

/* The host was suspended: the clock runs on, nobody has renewed anything. */
void world_clock_jumps(struct world *w, uint64_t ms)
{
	struct w_qemu *q = guest(w);

	w->now_ms += ms;
	world_happens(w, "the clock is %llu s later", (unsigned long long)ms / 1000);
	q->lock[0] = '\0';
	guest_drops_window(q);
}
