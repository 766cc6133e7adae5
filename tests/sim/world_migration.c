/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The world's live migration: source and destination as QEMU 7.2 has them, with
 * return-path, pause-before-switchover and late-block-activate on.
 */
#include "world.h"

#include <errno.h>
#include <string.h>

#define SETUP_MS  5
#define ACTIVE_MS 400
#define DEVICE_MS 50
#define AGENT_MS  60 /* until it answers at the destination */

static struct w_qemu *src(struct world *w)
{
	return &w->qemu[SIDE_SRC];
}

static struct w_qemu *dst(struct world *w)
{
	return &w->qemu[SIDE_DST];
}

/* The status of a migration, and the event that tells of it. */
static void set_mig(struct world *w, enum side side, enum vm_mig mig)
{
	w->qemu[side].mig = mig;
	world_says(w, side, "MIGRATION %s", vm_mig_name(mig));
}

static void mirror_one(struct world *w, const struct later *l)
{
	if (dst(w)->run != VM_INMIGRATE)
		return;
	if (l->item < W_CPUS) {
		dst(w)->cpus[l->item].plugged = src(w)->cpus[l->item].plugged;
		strcpy(dst(w)->cpus[l->item].id, src(w)->cpus[l->item].id);
	} else {
		struct w_mem *m = &dst(w)->mems[l->item - W_CPUS];

		*m = src(w)->mems[l->item - W_CPUS];
		m->present = m->online = 0;
	}
	world_changed(w);
}

/* One device after the other; until the last one the two are different. */
static int mirror(struct world *w)
{
	if (dst(w)->run != VM_INMIGRATE)
		return -EINVAL;
	for (unsigned i = 0; i < W_CPUS + W_MEMS; i++)
		world_later(w, 2 * i, (struct later){ .fn = mirror_one, .item = i });
	return 0;
}

static void paused(struct world *w, const struct later *l)
{
	(void)l;
	if (src(w)->mig != MIG_ACTIVE || src(w)->run == VM_GONE)
		return;
	world_says(w, SIDE_SRC, "STOP");
	set_mig(w, SIDE_SRC, MIG_PRE_SWITCHOVER);
	world_happens(w, "the source stands still: pre-switchover");
	if (w->gate_ms) {
		w->silent_from[SIDE_DST] = w->now_ms;
		w->silent_until[SIDE_DST] = w->now_ms + w->gate_ms;
	}
	src(w)->run = VM_PAUSED;
	world_changed(w);
}

static void active(struct world *w, const struct later *l)
{
	(void)l;
	if (src(w)->mig != MIG_SETUP || src(w)->run == VM_GONE)
		return;
	world_happens(w, "the memory goes over");
	set_mig(w, SIDE_SRC, MIG_ACTIVE);
	set_mig(w, SIDE_DST, MIG_ACTIVE);
	world_changed(w);
	world_later(w, ACTIVE_MS, (struct later){ .fn = paused });
}

/* It has taken the request, and finds nobody to connect to. */
static void nobody_there(struct world *w, const struct later *l)
{
	(void)l;
	if (src(w)->mig != MIG_SETUP || src(w)->run == VM_GONE)
		return;
	set_mig(w, SIDE_SRC, MIG_FAILED);
	world_happens(w, "nobody listens where the guest is to go");
	world_changed(w);
}

static int migrate(struct world *w)
{
	if (vm_mig_under_way(src(w)->mig))
		return 0;
	if (dst(w)->mig != MIG_SETUP || src(w)->run != VM_RUNNING)
		return -EINVAL;
	set_mig(w, SIDE_SRC, MIG_SETUP);
	world_later(w, SETUP_MS,
		    (struct later){ .fn = dst(w)->run == VM_GONE ? nobody_there : active });
	return 0;
}

static void completed(struct world *w, const struct later *l)
{
	(void)l;
	if (src(w)->mig != MIG_DEVICE || src(w)->run == VM_GONE)
		return;
	set_mig(w, SIDE_SRC, MIG_COMPLETED);
	world_happens(w, "the source knows that all of it is there");
	src(w)->run = VM_POSTMIGRATE;
	world_changed(w);
}

static void guest_moves(struct world *w)
{
	struct w_qemu *a = src(w), *b = dst(w);

	memcpy(b->cpus, a->cpus, sizeof(b->cpus));
	memcpy(b->mems, a->mems, sizeof(b->mems));
	b->balloon = a->balloon;
	b->balloon_goal = a->balloon_goal;
	memcpy(b->lock, a->lock, sizeof(b->lock));
	memcpy(b->window, a->window, sizeof(b->window));
	memcpy(b->forced, a->forced, sizeof(b->forced));
	b->lock_until = a->lock_until;
	b->window_until = a->window_until;
}

static void loaded(struct world *w, const struct later *l)
{
	(void)l;
	if (src(w)->mig != MIG_DEVICE || src(w)->run == VM_GONE || dst(w)->run != VM_INMIGRATE)
		return;
	world_happens(w, "the guest is complete at the destination");
	guest_moves(w);
	set_mig(w, SIDE_DST, MIG_COMPLETED);
	dst(w)->run = VM_PAUSED;
	world_changed(w);
	world_later(w, 20, (struct later){ .fn = completed });
}

static int go_on(struct world *w)
{
	if (src(w)->mig != MIG_PRE_SWITCHOVER)
		return -EINVAL;
	set_mig(w, SIDE_SRC, MIG_DEVICE);
	world_later(w, DEVICE_MS, (struct later){ .fn = loaded });
	return 0;
}

static void cancelled(struct world *w, const struct later *l)
{
	(void)l;
	world_happens(w, "the migration is cancelled");
	set_mig(w, SIDE_SRC, MIG_CANCELLED);
	if (src(w)->run == VM_PAUSED) {
		src(w)->run = VM_RUNNING;
		world_says(w, SIDE_SRC, "RESUME");
	}
	if (dst(w)->run == VM_INMIGRATE) { /* it ends when its stream does */
		set_mig(w, SIDE_DST, MIG_FAILED);
		dst(w)->run = VM_GONE;
		world_lose(w, 1);
	}
	world_changed(w);
}

static int resume(struct world *w)
{
	if (src(w)->mig == MIG_CANCELLING)
		return 0;
	if (vm_mig_under_way(src(w)->mig)) {
		set_mig(w, SIDE_SRC, MIG_CANCELLING);
		world_later(w, DEVICE_MS, (struct later){ .fn = cancelled });
		return 0;
	}
	if (src(w)->run == VM_GONE)
		return -EPIPE;
	src(w)->run = VM_RUNNING;
	return 0;
}

static void agent_answers(struct world *w, const struct later *l)
{
	(void)l;
	dst(w)->agent_up = true;
	world_says(w, SIDE_DST, "VSERPORT_CHANGE open");
	world_changed(w);
}

static int cont(struct world *w)
{
	if (dst(w)->mig != MIG_COMPLETED || dst(w)->run == VM_GONE)
		return -EINVAL;
	if (dst(w)->run == VM_RUNNING)
		return 0;
	dst(w)->run = VM_RUNNING;
	dst(w)->ran = true;
	world_says(w, SIDE_DST, "RESUME");
	world_happens(w, "the guest runs at the destination");
	world_later(w, AGENT_MS, (struct later){ .fn = agent_answers });
	return 0;
}

/* The only complete copy of a guest is never ended by us. */
static void check_quit(struct world *w, enum side side)
{
	if (w->qemu[side].run == VM_GONE)
		return;
	if (side == SIDE_SRC && dst(w)->run != VM_RUNNING && !w->killed[SIDE_DST])
		world_fail(w, "the source was ended, and the guest runs nowhere else");
	if (side == SIDE_DST && dst(w)->mig == MIG_COMPLETED && src(w)->run != VM_RUNNING &&
	    !w->killed[SIDE_SRC])
		world_fail(w, "the destination was ended with the guest in it");
}

static void ended(struct world *w, const struct later *l)
{
	check_quit(w, (enum side)l->side);
	world_happens(w, "the %s QEMU has ended", l->side == SIDE_SRC ? "source" : "destination");
	w->qemu[l->side].run = VM_GONE;
	world_says(w, (enum side)l->side, "SHUTDOWN");
	world_lose(w, 1);
	world_changed(w);
}

static int quit(struct world *w, enum side side)
{
	world_later(w, 30, (struct later){ .fn = ended, .side = side });
	return 0;
}

static int incoming(struct world *w)
{
	if (dst(w)->run != VM_INMIGRATE)
		return -EINVAL;
	if (dst(w)->mig == MIG_NONE)
		set_mig(w, SIDE_DST, MIG_SETUP);
	return 0;
}

int migration_ask(struct world *w, enum verb verb, enum side side)
{
	switch (verb) {
	case VERB_MIRROR:
		return mirror(w);
	case VERB_INCOMING:
		return incoming(w);
	case VERB_MIGRATE:
		return migrate(w);
	case VERB_SRC_RESUME:
		return resume(w);
	case VERB_MIGRATE_CONTINUE:
		return go_on(w);
	case VERB_SURRENDER:
		src(w)->surrendered = true;
		return 0;
	case VERB_CONT:
		return cont(w);
	case VERB_QUIT:
		return quit(w, side);
	default:
		return -EOPNOTSUPP;
	}
}
