/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In which way something is wanted, and of whom: as far as it can be had, by name, of an
 * agent that can do less, behind another wish, planned from a look that is old by now.
 */
#include "life.h"

#include "../../coordinator/core/table.h"

#include <string.h>

#define BIT(way) (1u << (way))

/* ---- where each makes sense -------------------------------------------------- */

static bool is(const struct op *op, unsigned row, const char *name)
{
	return row < op->table->n && !strcmp(op->table->rows[row].name, name);
}

static bool about_cpus(const struct op *op, unsigned row)
{
	(void)row;
	return op->table == &table_vcpu;
}

static bool can_be_less(const struct op *op, unsigned row)
{
	(void)row;
	return op->table != &table_balloon && op->table != &table_migrate;
}

static bool about_dimms(const struct op *op, unsigned row)
{
	return op->table == &table_memory && !is(op, row, "qemu:requested");
}

static bool about_a_device(const struct op *op, unsigned row)
{
	return op->table == &table_memory && !is(op, row, "qemu:backend") &&
	       !is(op, row, "qemu:dimm") && !(op->removes && is(op, row, "guest:online"));
}

static bool anything(const struct op *op, unsigned row)
{
	(void)op, (void)row;
	return true;
}

static bool asks_the_agent(const struct op *op, unsigned row)
{
	(void)row;
	return op->table != &table_balloon;
}

/* There are no rows of the agent's then, but that qemu-ga brings vCPUs online. */
static bool without_agent(const struct op *op, unsigned row)
{
	bool plug = op->table == &table_vcpu && !op->removes;

	return asks_the_agent(op, row) && op->table != &table_cpu && !is(op, row, "guest:lock") &&
	       !is(op, row, "guest:window") && (plug || !is(op, row, "guest:online"));
}

/**
 * struct way_row - One way
 * @percent: of the transactions in which it makes sense; @not: not together with these
 */
static const struct way_row {
	const char *name;
	unsigned percent, not ;
	bool (*can)(const struct op *op, unsigned row);
} rows[WAYS] = {
	[WAY_EFFORT] = { "best effort", 30, 0, can_be_less },
	[WAY_SLOTS] = { "named slots", 30, 0, about_cpus },
	[WAY_NODE] = { "a node's", 45, BIT(WAY_SLOTS), about_cpus },
	[WAY_DIMM] = { "a DIMM", 30, 0, about_dimms },
	[WAY_DEVICE] = { "virtio-mem", 60, BIT(WAY_DIMM), about_a_device },
	[WAY_QUEUED] = { "queued", 30, 0, anything },
	[WAY_STALE] = { "stale plan", 30, 0, anything },
	[WAY_OLD] = { "older agent", 30, 0, asks_the_agent },
	/* Nobody knows when such a guest has taken what the one before wanted. */
	[WAY_LESSER] = { "lesser agent", 90, BIT(WAY_OLD) | BIT(WAY_QUEUED), without_agent },
};

const char *way_name(enum way way)
{
	return rows[way].name;
}

bool way_can(enum way way, const struct op *op, unsigned row)
{
	return rows[way].can(op, row);
}

/* ---- drawing ------------------------------------------------------------------ */

/*
 * qemu-ga counts CPUs and cannot tell them apart: it brings online whatever it finds offline,
 * or, while one is missing, none. Where there is no agent an offline one stays so.
 */
static void expect_either(struct life *l)
{
	const struct w_cpu *cpus = l->w->qemu[SIDE_SRC].cpus;
	bool off[W_CPUS], any = false;

	for (unsigned i = 0; i < W_CPUS; i++)
		any |= off[i] = cpus[i].plugged && !cpus[i].device;
	for (unsigned i = 0; i < W_CPUS; i++)
		l->w->touched[i] |= off[i] || (any && l->w->agent == AGENT_QGA);
}

static enum vm_agent draw_agent(struct life *l, struct cell cell)
{
	bool must = is(&ops[cell.op], cell.row, "guest:online");

	if (!life_has(l, WAY_LESSER))
		return AGENT_LOCKSTEP;
	return must || draw_chance(&l->plan, 50) ? AGENT_QGA : AGENT_NONE;
}

/* A table of few rows has fewer cells to be drawn for. */
static unsigned percent(const struct way_row *way, const struct table *table)
{
	return way->percent + (table->n <= 3 ? 20 : 0);
}

void ways_draw(struct life *l, struct cell cell)
{
	const struct op *op = &ops[cell.op];

	l->ways = 0;
	for (unsigned i = 0; i < WAYS; i++)
		if (way_can((enum way)i, op, cell.row) && !(l->ways & rows[i].not ) &&
		    draw_chance(&l->plan, percent(&rows[i], op->table)))
			l->ways |= BIT(i);
	l->w->best_effort = life_has(l, WAY_EFFORT);
	l->w->old_agent = life_has(l, WAY_OLD);
	l->w->agent = draw_agent(l, cell);
}

/* ---- behind another wish -------------------------------------------------------- */

/* vCPUs that the one before may want, so that there is still something left to do. */
static void range_before(const struct life *l, unsigned *ret_lo, unsigned *ret_hi)
{
	unsigned now = 0;

	for (unsigned i = 0; i < W_CPUS; i++)
		now += l->w->qemu[SIDE_SRC].cpus[i].plugged;
	*ret_lo = 2;
	*ret_hi = W_CPUS;
	if (l->op == OP_CPUS_UP)
		*ret_hi = life_has(l, WAY_NODE) ? now : l->wish.count - 1;
	else if (l->op == OP_CPUS_DOWN)
		*ret_lo = life_has(l, WAY_NODE) ? now : l->wish.count + 1;
	else if (l->op == OP_OFF)
		*ret_lo = now; /* those that are named stay */
}

static int begin_before(struct life *l)
{
	unsigned lo, hi, count, blocks;
	struct ls_err err;

	if (l->op == OP_ON) { /* more vCPUs would bring them online, too */
		blocks = 1 + draw_below(&l->plan, 4);
		world_happens(l->w, "before it somebody wants a balloon of %u blocks", blocks);
		return world_balloon(l->w, blocks * W_BLOCK, &err);
	}
	range_before(l, &lo, &hi);
	if (lo > hi)
		return 1;
	count = lo + draw_below(&l->plan, hi - lo + 1);
	world_happens(l->w, "before it somebody wants %u vCPUs", count);
	return world_vcpus(l->w, count, &err);
}

/* It may be cancelled in the middle; whatever it left is what the next one finds. */
static void another_first(struct life *l)
{
	unsigned strikes = l->n_strikes;

	l->w->best_effort = false;
	l->n_strikes = 0; /* they wait for the wish behind it */
	if (begin_before(l) == 0) {
		if (draw_chance(&l->plan, 50))
			world_cancel(l->w, draw_below(&l->plan, 600));
		l->owed = world_run(l->w) == END_PENDING;
	}
	l->w->best_effort = life_has(l, WAY_EFFORT);
	l->n_strikes = strikes;
}

int ways_wish(struct life *l, struct ls_err *err)
{
	int r;

	l->owed = false;
	if (life_has(l, WAY_QUEUED))
		another_first(l);
	r = ops[l->op].wish(l, err);
	if (!r && life_has(l, WAY_STALE))
		world_goes_stale(l->w, draw_below(&l->plan, 1024));
	if (l->w->agent != AGENT_LOCKSTEP)
		expect_either(l);
	return r;
}
