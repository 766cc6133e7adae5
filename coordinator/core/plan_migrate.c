/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live migration: the table, and what must hold before it begins and at its gate.
 *
 * The one item is the guest; levels are 0 and 1 but for "stopped", which counts how
 * far the source is from running. Everything up to the commit can be taken back:
 * the source goes on. The commit is the pivot; from its record on the source is
 * never continued, and the destination has never been asked to run before it.
 */
#include "plan.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of the window's lease, at the gate: nobody can renew it while the guest stands still. */
#define GATE_LEASE_MS 2000

#define SRC(v) (&(v)->vm[SIDE_SRC])
#define DST(v) (&(v)->vm[SIDE_DST])

#define LEVEL(name, expression)                                                                    \
	static uint64_t name(const struct txn *t, const struct view *v, unsigned item)             \
	{                                                                                          \
		(void)t, (void)v, (void)item;                                                      \
		return (expression);                                                               \
	}

static bool caps_on(const struct vm *vm)
{
	unsigned ours = CAP_OURS & vm->caps_known;

	return (vm->caps & ours) == ours;
}

/* Complete at the destination: everything is there, and it stands still. */
static bool loaded(const struct view *v)
{
	return DST(v)->answers && DST(v)->mig == MIG_COMPLETED;
}

/*
 * 0: the source runs; 1: it stands still and may be continued; 2: a migration holds it.
 * That is the order in which it comes back.
 */
static uint64_t stopped(const struct vm *vm)
{
	if (vm_mig_under_way(vm->mig))
		return 2;
	return vm->run != VM_RUNNING;
}

static bool window_is_ours(const struct txn *t, const struct view *v)
{
	for (int side = 0; side < SIDE_COUNT; side++)
		if (v->vm[side].agent_answers)
			return !strcmp(v->vm[side].window_txn, t->id);
	/*
	 * The guest stands still, or its channel is moving: only its word says lost. A
	 * coordinator that finds it standing still comes after another, which held it.
	 */
	if (SRC(v)->run != VM_RUNNING && DST(v)->run != VM_RUNNING)
		return true;
	return t->holds.at == t->holds.goal;
}

static bool wants_window(const struct txn *t)
{
	return t->agent == AGENT_LOCKSTEP && strcmp(t->mig->window, "off") != 0;
}

/* What the guest was asked for may go in the middle, and the destination would still have it. */
static const char *pending_unplug(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].unplug == TRI_YES)
			return vm->cpus[i].id;
	for (unsigned i = 0; i < vm->n_mems; i++)
		if (vm->mems[i].unplug == TRI_YES)
			return vm->mems[i].id;
	return NULL;
}

static bool mirrored(const struct view *v)
{
	char text[8];

	return DST(v)->answers && vm_same_inventory(SRC(v), DST(v), text, sizeof(text));
}

static bool made_devices(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].plugged && !strncmp(vm->cpus[i].id, PLAN_ID_PREFIX, 3))
			return true;
	for (unsigned i = 0; i < vm->n_mems; i++)
		if (!strncmp(vm->mems[i].id, PLAN_ID_PREFIX, 3))
			return true;
	return false;
}

LEVEL(params_src, caps_on(SRC(v)) || !SRC(v)->answers)
LEVEL(params_dst, caps_on(DST(v)) || !DST(v)->answers)
LEVEL(window_full, !wants_window(t) || window_is_ours(t, v))
LEVEL(settled, !pending_unplug(SRC(v)))
LEVEL(checked, 1)
LEVEL(gate_full, DST(v)->answers)
LEVEL(mirror_full, mirrored(v) || loaded(v))
LEVEL(mirror_any, DST(v)->run != VM_GONE && made_devices(DST(v)))
LEVEL(incoming_full, DST(v)->answers &&DST(v)->mig != MIG_NONE)
LEVEL(incoming_any, DST(v)->run != VM_GONE && DST(v)->mig != MIG_NONE)
LEVEL(migrate_full, SRC(v)->mig == MIG_PRE_SWITCHOVER || SRC(v)->mig == MIG_DEVICE || loaded(v))
LEVEL(src_stopped, SRC(v)->run == VM_GONE ? 0 : stopped(SRC(v)))
LEVEL(continue_full, loaded(v) && (SRC(v)->mig == MIG_COMPLETED || SRC(v)->run == VM_GONE))
LEVEL(commit_full, SRC(v)->surrendered || SRC(v)->run == VM_GONE)
LEVEL(running, DST(v)->run == VM_RUNNING)
LEVEL(src_gone, SRC(v)->run == VM_GONE)

/* A request that was made already must not be made again; whether it was, QEMU knows. */
static uint64_t no_migration(const struct txn *t, const struct view *v, unsigned item)
{
	(void)t, (void)item;
	return !vm_mig_under_way(SRC(v)->mig);
}

static uint64_t at_gate(const struct txn *t, const struct view *v, unsigned item)
{
	(void)t, (void)item;
	return SRC(v)->mig == MIG_PRE_SWITCHOVER;
}

static void still_pending(const struct txn *t, const struct view *v, struct ls_err *err)
{
	const char *id = pending_unplug(SRC(v));

	(void)t;
	ls_err_set(
		err, -EBUSY,
		"the guest was asked for %s and has not answered: it could give it in the "
		"middle of the move; wait for it, or ask for it again (lockstep doctor shows it)",
		id ? id : "a device");
}

/* ---- what makes a row impossible -------------------------------------- */

/* The source goes on only where nothing says that the guest may run, or ran, elsewhere. */
static int check_resumable(const struct view *v, struct ls_err *err)
{
	if (SRC(v)->surrendered)
		return ls_err_set(err, -EPERM,
				  "the source has given its guest away and must not go on");
	if (DST(v)->run == VM_RUNNING)
		return ls_err_set(err, -EPERM,
				  "the guest runs at the destination: the source must not go on");
	return 0;
}

/* A guest that came by a migration of its own says "completed" until the next one begins. */
static bool never_began(const struct vm *src)
{
	return src->mig == MIG_NONE || (src->mig == MIG_COMPLETED && src->run == VM_RUNNING);
}

static int check_source(const struct txn *t, const struct view *v, bool rolling, struct ls_err *err)
{
	(void)t;
	if (rolling)
		return check_resumable(v, err);
	if (loaded(v))
		return 0;
	if (SRC(v)->mig == MIG_FAILED)
		return ls_err_set(err, -EIO, "QEMU says the migration failed: %s",
				  SRC(v)->mig_error[0]
					  ? SRC(v)->mig_error
					  : "no reason given; see the destination's log");
	if (SRC(v)->answers && never_began(SRC(v)))
		return ls_err_set(err, -EIO, "QEMU took the request and there is no migration");
	if (SRC(v)->mig == MIG_CANCELLED || SRC(v)->mig == MIG_CANCELLING)
		return ls_err_set(err, -ECANCELED, "somebody else cancelled the migration");
	if (DST(v)->run == VM_GONE)
		return ls_err_set(err, -EPIPE, "the destination QEMU has ended; see its log");
	return 0;
}

/* What the mirror would have to make there, and cannot. */
static int check_mirror(const struct vm *src, const struct vm *dst, struct ls_err *err)
{
	for (unsigned i = 0; i < src->n_mems; i++) {
		const struct vm_mem *m = &src->mems[i];

		if (!m->plugged || vm_mem_by_id(dst, m->id) || (m->kind == VM_DIMM && m->anonymous))
			continue;
		return ls_err_set(err, -EINVAL,
				  "memory device %s has to be there from the start of the "
				  "destination: only DIMMs of plain memory are made on the way",
				  m->id);
	}
	return 0;
}

static int check_destination(const struct txn *t, const struct view *v, bool rolling,
			     struct ls_err *err)
{
	const struct vm *a = SRC(v), *b = DST(v);

	(void)t;
	if (rolling)
		return 0;
	if (b->run == VM_GONE)
		return ls_err_set(err, -EPIPE, "the destination QEMU has ended; see its log");
	if (b->run != VM_INMIGRATE)
		return ls_err_set(err, -EINVAL,
				  "the destination is %s: start it with "
				  "\"-incoming defer -S\"",
				  vm_run_name(b->run));
	if (strcmp(a->machine, b->machine))
		return ls_err_set(err, -EINVAL, "machine type %s here, %s there", a->machine,
				  b->machine);
	if (b->version < a->version)
		return ls_err_set(err, -EINVAL,
				  "QEMU %u.%u here, %u.%u there: a guest moves to the same or "
				  "a newer one",
				  a->version / 10000, a->version / 100 % 100, b->version / 10000,
				  b->version / 100 % 100);
	if (a->n_cpus != b->n_cpus || a->mem_boot != b->mem_boot || a->mem_max != b->mem_max)
		return ls_err_set(err, -EINVAL,
				  "%u vCPU slots, %" PRIu64 " of %" PRIu64 " MiB here; "
				  "%u, %" PRIu64 " of %" PRIu64 " MiB there",
				  a->n_cpus, a->mem_boot >> 20, a->mem_max >> 20, b->n_cpus,
				  b->mem_boot >> 20, b->mem_max >> 20);
	return check_mirror(a, b, err);
}

static int check_gate(const struct txn *t, const struct view *v, bool rolling, struct ls_err *err)
{
	char text[128];
	int r = check_source(t, v, rolling, err);

	if (r || rolling || loaded(v) || !DST(v)->answers)
		return r;
	if (!vm_same_inventory(SRC(v), DST(v), text, sizeof(text)))
		return ls_err_set(err, -EIO, "the devices changed during the migration: %s", text);
	if (wants_window(t) && SRC(v)->lease_ms < GATE_LEASE_MS)
		return ls_err_set(err, -ETIME,
				  "the window's lease has %" PRIu64 " ms left, which is "
				  "less than a blackout may take",
				  SRC(v)->lease_ms);
	if (strcmp(SRC(v)->claimed_by, t->id) || strcmp(DST(v)->claimed_by, t->id))
		return ls_err_set(err, -EBUSY, "another coordinator has taken the claim");
	return 0;
}

/* Beyond the gate the source stands still; if it does not, the destination never may run. */
static int check_handed_over(const struct txn *t, const struct view *v, bool rolling,
			     struct ls_err *err)
{
	(void)t, (void)rolling;
	if (SRC(v)->run == VM_RUNNING)
		return ls_err_set(err, -EPERM,
				  "the source runs: the guest must not run at the "
				  "destination as well");
	return 0;
}

/* Until the commit the source is the guest; after it, the destination. */
static enum txn_end alive_migrate(const struct txn *t, const struct view *v, struct ls_err *err)
{
	if (!t->crossed && SRC(v)->run == VM_GONE && !loaded(v)) {
		ls_err_set(err, -ESHUTDOWN,
			   "the source QEMU ended before the guest was complete at "
			   "the destination: the guest is gone");
		return END_LOST;
	}
	if (t->crossed && DST(v)->run == VM_GONE) {
		ls_err_set(err, -ESHUTDOWN,
			   "the destination QEMU ended after the guest was handed "
			   "over; the source stands still and holds the state of the handover: "
			   "nothing of it was continued");
		return END_UNDECIDED;
	}
	return END_NONE;
}

/* The source is dead and the destination complete: it is the guest now, asked for or not. */
static bool only_forward(const struct txn *t, const struct view *v)
{
	(void)t;
	return SRC(v)->run == VM_GONE && loaded(v);
}

/* On the way back: a destination that has the guest, or may have it, is not ended. */
static int check_keep(const struct txn *t, const struct view *v, bool rolling, struct ls_err *err)
{
	(void)t;
	if (!rolling || DST(v)->run == VM_GONE)
		return 0;
	if (DST(v)->run == VM_RUNNING)
		return ls_err_set(err, -EPERM, "the other QEMU runs a guest: it is not ended");
	if (loaded(v) && SRC(v)->run != VM_RUNNING)
		return ls_err_set(err, -EPERM,
				  "the destination has the whole guest and the source does not run "
				  "it: it is not ended");
	return 0;
}

/* clang-format off */
static const struct row rows[] = {
	{ "claim:src",    SIDE_SRC, level_claim_src, level_none, VERB_CLAIM,      VERB_UNCLAIM,
	  .limit_ms = 5000, .mark = MARK_HOLD },
	{ "claim:dst",    SIDE_DST, level_claim_dst, level_none, VERB_CLAIM,      VERB_UNCLAIM,
	  .limit_ms = 5000, .mark = MARK_HOLD },
	{ "params:src",   SIDE_SRC, params_src,      level_none, VERB_PARAMS_SET, VERB_PARAMS_RESTORE,
	  .limit_ms = 5000, .mark = MARK_HOLD, .journalled = true },
	{ "params:dst",   SIDE_DST, params_dst,      level_none, VERB_PARAMS_SET, VERB_PARAMS_RESTORE,
	  .limit_ms = 5000, .mark = MARK_HOLD, .journalled = true },
	{ "guest:window", SIDE_SRC, window_full,     level_none, VERB_WINDOW_OPEN, VERB_WINDOW_CLOSE,
	  .limit_ms = 30000, .mark = MARK_HOLD },

	{ "settle",       SIDE_SRC, settled,       level_none,   VERB_NONE,       VERB_NONE,
	  .limit_ms = 10000, .late = still_pending },
	{ "dst:check",    SIDE_DST, checked,       level_none,   VERB_NONE,       VERB_NONE,
	  .check = check_destination, .limit_ms = 5000 },
	{ "dst:mirror",   SIDE_DST, mirror_full,   mirror_any,   VERB_MIRROR,     VERB_QUIT,
	  .check = check_keep, .limit_ms = 30000 },
	{ "dst:incoming", SIDE_DST, incoming_full, incoming_any, VERB_INCOMING,   VERB_QUIT,
	  .check = check_keep, .limit_ms = 10000 },
	{ "src:migrate",  SIDE_SRC, migrate_full,  src_stopped,  VERB_MIGRATE,    VERB_SRC_RESUME,
	  .check = check_source, .asked_first = true, .poll_ms = 250, .again = true,
	  .ready = no_migration },
	{ "gate",         SIDE_SRC, gate_full,     level_none,   VERB_NONE,       VERB_NONE,
	  .check = check_gate, .limit_ms = 5000 },
	{ "src:continue", SIDE_SRC, continue_full, src_stopped,  VERB_MIGRATE_CONTINUE, VERB_SRC_RESUME,
	  .check = check_source, .limit_ms = 30000, .poll_ms = 100, .again = true,
	  .ready = at_gate },
	{ "commit",       SIDE_SRC, commit_full,   level_none,   VERB_SURRENDER,  VERB_NONE,
	  .check = check_handed_over, .limit_ms = 5000, .mark = MARK_PIVOT },
	{ "dst:run",      SIDE_DST, running,       level_none,   VERB_CONT,       VERB_NONE,
	  .check = check_handed_over, .limit_ms = 10000 },
	{ "src:quit",     SIDE_SRC, src_gone,      level_none,   VERB_QUIT,       VERB_NONE,
	  .limit_ms = 10000 },
};
/* clang-format on */

const struct table table_migrate = {
	.name = "migrate",
	.rows = rows,
	.n = sizeof(rows) / sizeof(rows[0]),
	.holds = 5,
	.alive = alive_migrate,
	.only_forward = only_forward,
};

/* ---- the plan --------------------------------------------------------- */

static int check_start(const struct view *v, const struct txn_migrate *how, struct ls_err *err)
{
	if (SRC(v)->surrendered)
		return ls_err_set(err, -EBUSY,
				  "this QEMU has given its guest away in an earlier "
				  "migration and must not run it again");
	if (SRC(v)->run != VM_RUNNING)
		return ls_err_set(err, -EINVAL, "the guest is %s, not running",
				  vm_run_name(SRC(v)->run));
	if (vm_mig_under_way(SRC(v)->mig))
		return ls_err_set(err, -EBUSY, "a migration is already under way (%s)",
				  vm_mig_name(SRC(v)->mig));
	if (SRC(v)->agent != AGENT_LOCKSTEP && strcmp(how->window, "off"))
		return ls_err_set(err, -EOPNOTSUPP,
				  "no lockstep-agent answers in the guest (%s): "
				  "nothing would keep its CPUs and memory from changing meanwhile; "
				  "accept that with --window=off",
				  SRC(v)->agent_text);
	return 0;
}

int plan_migrate(const struct view *v, const char *id, const struct txn_migrate *how,
		 struct ls_err *err, struct txn **ret_txn)
{
	int r = check_start(v, how, err);
	struct txn *t;

	*ret_txn = NULL;
	if (r < 0)
		return r;
	t = txn_new(OP_MIGRATE, id, 1, true);
	if (!t)
		return ls_err_set(err, -ENOMEM, "out of memory");
	t->agent = SRC(v)->agent;
	t->items[0].goal = 1;
	t->items[0].slot = -1;
	*t->mig = *how;
	for (int side = 0; side < SIDE_COUNT; side++)
		t->mig->caps_before[side] = v->vm[side].caps & CAP_OURS;
	for (unsigned i = 0; i < SRC(v)->n_cpus; i++)
		t->mig->online[i] = SRC(v)->cpus[i].device && SRC(v)->cpus[i].kernel;
	r = check_destination(t, v, false, err);
	if (r < 0) {
		txn_free(t);
		return r;
	}
	*ret_txn = t;
	return 0;
}
