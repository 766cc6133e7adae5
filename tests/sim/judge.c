/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules at the end of a transaction, when the world has settled: seen in the fakes'
 * own state, never in the engine's; of the engine only the end counts that it announced.
 */
#include "life.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct w_qemu *was(const struct life *l)
{
	return &l->w->before[SIDE_SRC];
}

/* Where the guest is: after a migration that is done, at the destination. */
static const struct w_qemu *is(const struct life *l)
{
	return &l->w->qemu[world_guest_side(l->w)];
}

static void broken(const struct life *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void broken(const struct life *l, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	world_fail(l->w, "%s ended %s: %s", ops[l->op].name, txn_end_name(l->end), why);
}

/* ---- which ends --------------------------------------------------------------- */

static unsigned may_of(enum txn_end end)
{
	static const unsigned may[END_COUNT] = {
		[END_UNDONE] = MAY_UNDO,     [END_REFUSED] = MAY_UNDO, [END_PENDING] = MAY_PEND,
		[END_PARTIAL] = MAY_UNDO,    [END_STUCK] = MAY_STICK,  [END_LOST] = MAY_LOSE,
		[END_UNDECIDED] = MAY_DOUBT,
	};

	return may[end];
}

/*
 * Two faults at once may lead to what neither would alone: then to be stuck is an end. What
 * the guest owes from before, and may give in the middle, counts as one.
 */
static unsigned allowed(const struct life *l)
{
	unsigned may = life_has(l, WAY_STALE) ? MAY_UNDO : 0, bad = (may != 0) + l->owed;

	for (unsigned i = 0; i < l->n_strikes; i++) {
		if (!l->strikes[i].struck)
			continue;
		may |= fault_may(l->strikes[i].fault);
		bad += fault_may(l->strikes[i].fault) != 0;
	}
	return bad > 1 ? may | MAY_STICK : may;
}

static void judge_end(const struct life *l)
{
	unsigned may = allowed(l);

	if (l->end != END_DONE && !(may & may_of(l->end)))
		broken(l, "nothing that happened is a reason for that");
}

/* ---- always -------------------------------------------------------------------- */

static void judge_views(const struct life *l)
{
	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &is(l)->cpus[i];

		if (c->device != c->kernel)
			broken(l, "CPU %u: device %d, kernel %d", i, c->device, c->kernel);
		if (is(l)->forced[i])
			broken(l, "CPU %u is still forced online", i);
	}
}

static bool is_open(const struct life *l)
{
	return l->end == END_STUCK || l->end == END_UNDECIDED || l->end == END_LOST;
}

/* A guest that was killed, whenever that was, is no more. */
static bool is_dead(const struct life *l)
{
	return is(l)->run == VM_GONE && (l->w->killed[SIDE_SRC] || l->w->killed[SIDE_DST]);
}

static void judge_guest(const struct life *l)
{
	const struct w_qemu *src = &l->w->qemu[SIDE_SRC], *dst = &l->w->qemu[SIDE_DST];

	if (!is_open(l) && !is_dead(l) && (src->run == VM_RUNNING) + (dst->run == VM_RUNNING) != 1)
		broken(l, "the source is %s, the destination %s", vm_run_name(src->run),
		       vm_run_name(dst->run));
	if (l->end == END_LOST && !l->w->killed[SIDE_SRC])
		broken(l, "no QEMU that had the guest was killed");
	if (l->end == END_UNDECIDED && !l->w->killed[SIDE_DST] && !l->w->killed[SIDE_SRC])
		broken(l, "nobody was killed");
}

static void judge_holds(const struct life *l)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		const struct w_qemu *q = &l->w->qemu[side];

		if (q->run == VM_GONE)
			continue;
		if (q->run == VM_RUNNING &&
		    (q->lock[0] || q->window[0])) /* else its time stands still */
			broken(l, "left behind: lock \"%s\" window \"%s\"", q->lock, q->window);
		if (!l->w->kept_a_hold && (q->claim[0] || q->caps))
			broken(l, "left behind: claim \"%s\" capabilities %x", q->claim, q->caps);
	}
}

/* ---- devices ------------------------------------------------------------------- */

static bool cpu_is_same(const struct life *l, unsigned i)
{
	const struct w_cpu *a = &was(l)->cpus[i], *b = &is(l)->cpus[i];

	/* One that came just before, and was to stay offline, the guest may know only now. */
	return a->plugged == b->plugged && a->present <= b->present &&
	       (b->present == a->present || a->plugged) && b->removing <= a->removing &&
	       (l->w->touched[i] || a->device == b->device);
}

static void same_cpu(const struct life *l, unsigned i)
{
	const struct w_cpu *a = &was(l)->cpus[i], *b = &is(l)->cpus[i];

	if (!cpu_is_same(l, i))
		broken(l,
		       "vCPU %u was plugged %d present %d online %d, is plugged %d present %d "
		       "online %d removing %d",
		       i, a->plugged, a->present, a->device, b->plugged, b->present, b->device,
		       b->removing);
}

static const struct w_mem *mem_of(const struct w_qemu *q, const struct w_mem *like)
{
	static const struct w_mem none;

	for (unsigned i = 0; i < W_MEMS; i++)
		if (q->mems[i].exists && !strcmp(q->mems[i].id, like->id))
			return &q->mems[i];
	return &none;
}

/*
 * What grew again after a reset when it was first looked at goes back to what it was then;
 * a guest that helps itself brings online what comes back, whatever it was.
 */
static void same_mem(const struct life *l, const struct w_mem *a, const struct w_mem *b)
{
	bool grew = (l->reset && b->kind == VM_VIRTIO_MEM) ||
		    (world_guest_helps_itself(l->w) && a->online < a->size);

	if (a->exists != b->exists || a->plugged != b->plugged || a->size != b->size ||
	    a->requested != b->requested || (!grew && a->online != b->online) ||
	    b->removing > a->removing)
		broken(l,
		       "%s was exists %d plugged %d %llu MiB requested %llu online %llu, is exists "
		       "%d plugged %d %llu MiB requested %llu online %llu removing %d",
		       a->exists ? a->id : b->id, a->exists, a->plugged, a->size / W_MIB + 0ULL,
		       a->requested / W_MIB + 0ULL, a->online / W_MIB + 0ULL, b->exists, b->plugged,
		       b->size / W_MIB + 0ULL, b->requested / W_MIB + 0ULL,
		       b->online / W_MIB + 0ULL, b->removing);
}

static void all_cpus_same(const struct life *l)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		same_cpu(l, i);
}

static void all_mems_same(const struct life *l)
{
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *a = &was(l)->mems[i], *b = &is(l)->mems[i];

		if (a->exists)
			same_mem(l, a, mem_of(is(l), a));
		if (b->exists)
			same_mem(l, mem_of(was(l), b), b);
	}
}

static bool cpu_is_wanted(const struct life *l, unsigned i)
{
	const struct w_cpu *b = &is(l)->cpus[i];

	if (l->op == OP_CPUS_DOWN)
		return !b->plugged || b->removing;
	return b->plugged && b->present && (l->w->touched[i] || b->device == (l->op != OP_OFF));
}

/* Best effort: each device is as it was, or as was wanted of it. */
static void judge_each(const struct life *l)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		if (!cpu_is_same(l, i) && !cpu_is_wanted(l, i))
			broken(l, "vCPU %u is neither as it was nor as was wanted", i);
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &is(l)->mems[i], *a = mem_of(was(l), m);
		bool down = l->op == OP_MEM_DOWN;

		if (m->exists && !(a->exists && a->online == m->online && a->size == m->size) &&
		    !(down && (m->removing || m->size < a->size)) &&
		    !(l->op == OP_MEM_UP && m->plugged && m->online == m->size))
			broken(l, "%s is neither as it was nor as was wanted", m->id);
	}
}

/* As far as the guest could: on its way, not beyond. */
static void judge_partial(const struct life *l)
{
	uint64_t from = was(l)->balloon, to = l->wish.bytes, now = is(l)->balloon;

	if (l->w->best_effort) {
		judge_each(l);
		return;
	}
	if (l->op != OP_FILL && l->op != OP_EMPTY)
		broken(l, "what it does is done as a whole or not");
	if (now < (from < to ? from : to) || now > (from < to ? to : from))
		broken(l, "the balloon leaves %llu MiB", now / W_MIB + 0ULL);
	all_cpus_same(l);
	all_mems_same(l);
}

static void same_balloon(const struct life *l)
{
	if (was(l)->balloon != is(l)->balloon)
		broken(l, "the balloon left %llu MiB, it leaves %llu",
		       was(l)->balloon / W_MIB + 0ULL, is(l)->balloon / W_MIB + 0ULL);
}

/* What a transaction is not about, and what is older than it, stays. */
static void judge_rest(const struct life *l)
{
	bool memory = l->op == OP_MEM_UP || l->op == OP_MEM_DOWN;
	bool balloon = l->op == OP_FILL || l->op == OP_EMPTY;
	bool cpus = l->op == OP_CPUS_UP || l->op == OP_CPUS_DOWN;

	for (unsigned i = 0; i < W_CPUS && cpus; i++)
		if (!op_means_cpu(l, i))
			same_cpu(l, i);
	for (unsigned i = 0; i < W_MEMS && memory; i++)
		if (was(l)->mems[i].exists && !op_means_mem(l, &was(l)->mems[i]))
			same_mem(l, &was(l)->mems[i], mem_of(is(l), &was(l)->mems[i]));
	if (!balloon)
		same_balloon(l);
	if (memory || balloon || l->op == OP_MOVE)
		all_cpus_same(l);
	if (!memory)
		all_mems_same(l);
	for (unsigned i = 0; i < 2 && l->op != OP_CPUS_UP; i++)
		same_cpu(l, i);
}

static void judge_done(const struct life *l)
{
	const char *why = ops[l->op].reached((struct life *)l);

	if (why)
		broken(l, "%s", why);
	judge_rest(l);
}

/* Some may have gone, and some may still go: each of those was there before. */
static void judge_pending(const struct life *l)
{
	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &is(l)->cpus[i];

		if (!was(l)->cpus[i].plugged && c->plugged)
			broken(l, "vCPU %u has come", i);
	}
	for (unsigned i = 0; i < W_MEMS; i++)
		if (is(l)->mems[i].exists && !mem_of(was(l), &is(l)->mems[i])->exists)
			broken(l, "%s has come", is(l)->mems[i].id);
	judge_rest(l);
}

/*
 * Work that nobody knew to be under way, and a refusal to take it back: what nothing shows
 * cannot be told from what is not there.
 */
static bool is_beyond_us(const struct life *l)
{
	if (l->op == OP_OFF &&
	    l->w->broken) /* a CPU that does not come online again refuses, too */
		return true;
	for (unsigned i = 0; i < l->n_strikes; i++) {
		const struct strike *s = &l->strikes[i];

		if (s->struck && s->back && fault_refuses(s->fault))
			return true;
	}
	return false;
}

/* What the guest was asked for and has not given may go at any moment: no end hides that. */
void judge_owed(struct life *l)
{
	if (is_open(l) || is_dead(l) || l->end == END_PENDING)
		return;
	for (unsigned i = 0; i < W_CPUS; i++)
		if (is(l)->cpus[i].removing && !was(l)->cpus[i].removing)
			broken(l, "the guest is asked for vCPU %u still", i);
	for (unsigned i = 0; i < W_MEMS; i++)
		if (is(l)->mems[i].removing && !mem_of(was(l), &is(l)->mems[i])->removing)
			broken(l, "the guest is asked for %s still", is(l)->mems[i].id);
}

void judge(struct life *l)
{
	judge_end(l);
	judge_guest(l);
	if (l->end == END_LOST || l->end == END_UNDECIDED || is_dead(l))
		return;
	judge_holds(l);
	if (l->end == END_STUCK || (l->end == END_UNDONE && is_beyond_us(l)))
		return;
	judge_views(l);
	switch (l->end) {
	case END_DONE:
		judge_done(l);
		break;
	case END_PENDING:
		judge_pending(l);
		break;
	case END_PARTIAL:
		judge_partial(l);
		break;
	default:
		same_balloon(l);
		all_cpus_same(l);
		all_mems_same(l);
		break;
	}
}
