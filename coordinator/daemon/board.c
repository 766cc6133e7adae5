/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots of the guests, by RCU.
 */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>

#include <lockstep/rcu_order.h>

#include <urcu.h>
#include <urcu/rculist.h>

/* Published; @vm is what @pub.vm points to. */
struct snapshot {
	struct seen pub;
	struct vm vm;
	struct rcu_head rcu;
};

struct board_guest {
	char name[LS_NAME_BYTES];
	struct snapshot *now;
	struct cds_list_head node;
	struct rcu_head rcu;
};

struct board {
	struct cds_list_head guests;
};

/* For rcu_order.h: what was read in a section is freed after the section. */
static char sections;

/* ---- writing ------------------------------------------------------------------- */

static void free_snapshot(struct rcu_head *rcu)
{
	struct snapshot *s = caa_container_of(rcu, struct snapshot, rcu);

	rcu_order_after(s);
	rcu_order_after(&sections);
	vm_done(&s->vm);
	free(s);
}

static void free_guest(struct rcu_head *rcu)
{
	struct board_guest *g = caa_container_of(rcu, struct board_guest, rcu);

	rcu_order_after(g);
	rcu_order_after(&sections);
	free_snapshot(&g->now->rcu);
	free(g);
}

static struct snapshot *snapshot_new(const struct board_guest *g, const struct seen *s)
{
	struct snapshot *new = calloc(1, sizeof(*new));

	if (!new)
		return NULL;
	new->pub = *s;
	snprintf(new->pub.name, sizeof(new->pub.name), "%s", g->name);
	new->pub.vm = s->vm ? &new->vm : NULL;
	if (s->vm && vm_copy(s->vm, &new->vm) < 0) {
		free(new);
		return NULL;
	}
	return new;
}

void board_publish(struct board_guest *g, const struct seen *s)
{
	struct snapshot *new = snapshot_new(g, s), *was;

	if (!new)
		return;
	rcu_order_before(new);
	was = rcu_xchg_pointer(&g->now, new);
	rcu_order_before(was);
	call_rcu(&was->rcu, free_snapshot);
}

struct board_guest *board_add(struct board *b, const char *name)
{
	struct board_guest *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->now = snapshot_new(g, &(struct seen){ .state = LANE_AWAY });
	if (!g->now) {
		free(g);
		return NULL;
	}
	rcu_order_before(g->now);
	rcu_order_before(g);
	cds_list_add_tail_rcu(&g->node, &b->guests);
	return g;
}

void board_remove(struct board_guest *g)
{
	if (!g)
		return;
	cds_list_del_rcu(&g->node);
	rcu_order_before(g);
	call_rcu(&g->rcu, free_guest);
}

/* ---- reading ------------------------------------------------------------------- */

void board_begin(void)
{
	rcu_read_lock();
}

void board_end(void)
{
	rcu_order_before(&sections);
	rcu_read_unlock();
}

const struct seen *board_seen(struct board_guest *g)
{
	struct snapshot *s = rcu_dereference(g->now);

	rcu_order_after(s);
	return &s->pub;
}

void board_each(struct board *b, void (*fn)(void *arg, const struct seen *s), void *arg)
{
	struct board_guest *g;

	/* It sets g, which cppcheck does not know. */
	/* cppcheck-suppress unknownMacro */
	cds_list_for_each_entry_rcu (g, &b->guests, node) {
		rcu_order_after(g);
		fn(arg, board_seen(g)); /* cppcheck-suppress uninitvar */
	}
}

/* ---- life ------------------------------------------------------------------------ */

struct board *board_new(void)
{
	struct board *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	CDS_INIT_LIST_HEAD(&b->guests);
	rcu_register_thread();
	return b;
}

void board_free(struct board *b)
{
	if (!b)
		return;
	rcu_barrier(); /* what was handed over is freed before the program ends */
	rcu_unregister_thread();
	free(b);
}
