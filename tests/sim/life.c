/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A life: a guest is drawn, then transaction after transaction is wanted of it, each with
 * what goes wrong in it. After each the world settles and is judged.
 */
#include "life.h"

#include "../../coordinator/core/table.h"

#include <stdio.h>
#include <string.h>

#define SETTLE_MS 150000 /* leases, rivals, and a guest that gives late */
#define SLOW_MS	  3000	 /* nothing usual takes longer, however slow the world */

static const unsigned paces[] = { 25, 60, 100, 100, 100, 250, 800 };

/* ---- the seams ------------------------------------------------------------------ */

static uint64_t takes(struct world *w, uint64_t usual_ms)
{
	struct life *l = w->seams_arg;
	uint64_t ms = usual_ms * l->pace * draw_between(&l->time, 50, 150) / 10000;

	if (!usual_ms || usual_ms > SLOW_MS)
		return usual_ms;
	if (draw_chance(&l->time, 2))
		ms *= 10;
	return ms < 1 ? 1 : ms > SLOW_MS ? SLOW_MS : ms;
}

static void on_action(struct world *w, const struct action *a)
{
	faults_action(w->seams_arg, a);
}

static void on_said(struct world *w, bool coordinator, const char *line)
{
	struct life *l = w->seams_arg;

	story_said(l->story, w->now_ms, coordinator, line);
}

static const struct w_seams seams = { takes, on_action, on_said, NULL };

/* ---- drawing --------------------------------------------------------------------- */

static void new_guest(struct life *l)
{
	uint64_t now_ms = l->w ? l->w->now_ms : 1000;
	unsigned txns = l->w ? l->w->txns : 0;

	if (l->w)
		world_free(l->w);
	l->w = world_new();
	l->w->now_ms = now_ms;
	l->w->txns = txns;
	l->w->seams = &seams;
	l->w->seams_arg = l;
	for (unsigned i = 2; i < W_CPUS; i++)
		if (draw_chance(&l->plan, 30))
			world_has_cpu(l->w, i);
	world_has_virtio_mem(l->w, draw_below(&l->plan, 9) * W_BLOCK);
	if (draw_chance(&l->plan, 40))
		world_has_dimm(l->w, "ls-old-0", (1 + draw_below(&l->plan, 4)) * W_BLOCK);
}

/* Anything that can strike anywhere in the table, on the way there or on the way back. */
static struct strike any_strike(struct life *l)
{
	const struct op *op = &ops[l->op];
	struct strike s = { .skip = draw_below(&l->plan, 3), .back = draw_chance(&l->plan, 40) };

	do {
		s.row = draw_below(&l->plan, ROWS(op));
		s.fault = draw_below(&l->plan, n_faults);
	} while (fault_cannot(s.fault, op, s.row));
	return s;
}

static void draw_strikes(struct life *l, struct cell cell)
{
	unsigned more = draw_chance(&l->plan, 60) ? 0 : 1 + draw_below(&l->plan, 2);

	l->strikes[0] = (struct strike){ .fault = cell.fault, .row = cell.row };
	l->n_strikes = 1;
	while (more--)
		l->strikes[l->n_strikes++] = any_strike(l);
}

/* Two rows are passed at once, unless there is something to wait for. */
static void make_it_wait(struct life *l, struct cell cell)
{
	const struct row *rows = ops[l->op].table->rows;
	struct w_cpu *c;

	l->w->gate_ms = 0;
	if (l->op != OP_MOVE || cell.row >= ops[l->op].table->n)
		return;
	if (!strcmp(rows[cell.row].name, "gate"))
		l->w->gate_ms = draw_between(&l->plan, 300, 2000);
	if (strcmp(rows[cell.row].name, "settle"))
		return;
	c = &l->w->qemu[SIDE_SRC].cpus[W_CPUS - 1];
	if (!c->plugged)
		world_has_cpu(l->w, W_CPUS - 1);
	world_removes_cpu(l->w, W_CPUS - 1, draw_between(&l->plan, 300, 2000));
}

/* ---- running --------------------------------------------------------------------- */

/* Who dies is followed by another one, at once or late, who goes on or takes it back. */
static enum txn_end run(struct life *l)
{
	static const unsigned after_ms[] = { 20, 50, 3000, 20000, 100000 };
	enum txn_end end;

	while ((end = world_run(l->w)) == END_NONE) {
		l->crashes++;
		world_wait(l->w, after_ms[draw_below(&l->plan, 5)]);
		if (!world_restart(l->w, draw_chance(&l->plan, 60))) {
			world_forget_the_dead(l->w);
			return END_REFUSED; /* it was never accepted */
		}
	}
	return end;
}

static void calm(struct life *l)
{
	struct world *w = l->w;

	w->mood = GUEST_GIVES;
	w->no_hints = w->stranger = w->kept_a_hold = w->unrecorded = false;
	w->crash_now = w->write_now = w->keep = false;
	w->reply_now = REPLY_GOOD;
	w->lazy = w->hint_ms = w->look_ms = w->broken = 0;
	memset(w->silent_until, 0, sizeof(w->silent_until));
	memset(w->killed, 0, sizeof(w->killed));
	memset(w->touched, 0, sizeof(w->touched));
	for (unsigned i = 0; i < W_CPUS; i++)
		w->qemu[SIDE_SRC].cpus[i].mood = GUEST_GIVES;
	for (unsigned i = 0; i < W_MEMS; i++)
		w->qemu[SIDE_SRC].mems[i].mood = GUEST_GIVES;
	l->full_disk = l->reset = false;
	l->crashes = 0;
}

/* What an unplug that ended pending may leave: a device that goes later, its backend. */
static void tidy(struct life *l)
{
	struct w_qemu *q = &l->w->qemu[SIDE_SRC];
	bool removing = false;

	l->w->lazy = 0; /* what it was asked for it does now, not in the next one's time */
	for (unsigned i = 0; i < W_CPUS; i++) {
		removing |= q->cpus[i].removing;
		q->cpus[i].refused = false;
	}
	for (unsigned i = 0; i < W_MEMS; i++) {
		removing |= q->mems[i].removing;
		q->mems[i].refused = false;
		if (q->mems[i].exists && !q->mems[i].plugged)
			q->mems[i] = (struct w_mem){ 0 };
	}
	if (removing)
		world_reset(l->w, 500);
	world_wait(l->w, 60000);
	q->claim[0] = '\0';
	q->caps = 0;
}

/* The next one begins with one guest that runs, here. */
static void clean_up(struct life *l)
{
	struct world *w = l->w;

	if (w->qemu[SIDE_SRC].run == VM_GONE && w->qemu[SIDE_DST].run == VM_RUNNING)
		w->qemu[SIDE_SRC] = w->qemu[SIDE_DST];
	memset(&w->qemu[SIDE_DST], 0, sizeof(w->qemu[SIDE_DST]));
	if (w->qemu[SIDE_SRC].run != VM_RUNNING || l->end == END_STUCK)
		new_guest(l);
	else
		tidy(l);
}

static void chapter(struct life *l, unsigned number)
{
	char text[900];

	tell_chapter(l, number, text, sizeof(text));
	story_chapter(l->story, text);
}

/* What became of it all. */
static void settled(struct life *l)
{
	char text[190];

	tell_guest(&l->w->qemu[world_guest_side(l->w)], text, sizeof(text));
	world_happens(l->w, "%s", text);
}

static void one(struct life *l, unsigned number, struct cell cell)
{
	struct ls_err err = { 0 };
	int r;

	calm(l);
	l->op = cell.op;
	draw_strikes(l, cell);
	ways_draw(l, cell);
	ops[l->op].prepare(l);
	make_it_wait(l, cell);
	chapter(l, number);
	r = ways_wish(l, &err);
	if (r) {
		world_happens(l->w, "not begun: %s", r > 0 ? "it is so already" : err.text);
		l->ends[END_NONE]++;
		return;
	}
	l->end = run(l);
	judge_owed(l);
	world_wait(l->w, SETTLE_MS);
	settled(l);
	judge(l);
	l->ends[l->end]++;
	clean_up(l);
}

void life_run(struct life *l, uint64_t seed, struct story *story)
{
	struct draw mix = { seed };

	l->seed = seed;
	l->story = story;
	l->plan.state = draw_bits(&mix);
	l->time.state = draw_bits(&mix);
	l->pace = paces[draw_below(&l->plan, sizeof(paces) / sizeof(paces[0]))];
	cover_world(l->pace);
	new_guest(l);
	for (unsigned i = 0; i < LIFE_TXNS; i++)
		one(l, i + 1, cover_cell((unsigned)((seed * LIFE_TXNS + i) % cover_cells())));
	world_free(l->w);
	l->w = NULL;
}
