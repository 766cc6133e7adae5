/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What users want of the world: a look, the planner, and the transaction begins.
 */
#include "world.h"

#include <stdio.h>
#include <string.h>

static const char *name_txn(struct world *w)
{
	static char id[LS_TXN_BYTES];

	snprintf(id, sizeof(id), "t%u", ++w->txns);
	return id;
}

static int start(struct world *w, int r, struct txn *t)
{
	if (!r) {
		t->epoch = w->txns;
		t->best_effort = w->best_effort;
		world_begin(w, t);
	}
	return r;
}

/* One look at the source; @call plans with vm, id, err and t. */
#define PLAN(w, call)                                                                              \
	do {                                                                                       \
		const char *id = name_txn(w);                                                      \
		struct txn *t = NULL;                                                              \
		struct vm vm;                                                                      \
		int r;                                                                             \
                                                                                                   \
		world_look(w, SIDE_SRC, &vm);                                                      \
		r = call;                                                                          \
		vm_done(&vm);                                                                      \
		return start(w, r, t);                                                             \
	} while (0)

int world_vcpus(struct world *w, unsigned count, struct ls_err *err)
{
	PLAN(w, plan_vcpus(&vm, id, count, err, &t));
}

int world_node(struct world *w, int node, unsigned count, struct ls_err *err)
{
	PLAN(w, plan_node(&vm, id, node, count, err, &t));
}

int world_slots(struct world *w, const struct numbers *which, bool plug, struct ls_err *err)
{
	PLAN(w, plan_slots(&vm, id, which, plug, err, &t));
}

int world_memory(struct world *w, uint64_t bytes, struct ls_err *err)
{
	PLAN(w, plan_memory(&vm, id, bytes, err, &t));
}

int world_cpu(struct world *w, const struct numbers *which, bool online, struct ls_err *err)
{
	PLAN(w, plan_cpu(&vm, id, which, online, err, &t));
}

int world_dimm_add(struct world *w, uint64_t bytes, struct ls_err *err)
{
	PLAN(w, plan_dimm_add(&vm, id, bytes, "", err, &t));
}

int world_dimm_remove(struct world *w, const char *device, struct ls_err *err)
{
	PLAN(w, plan_dimm_remove(&vm, id, device, err, &t));
}

int world_mem_resize(struct world *w, const char *device, uint64_t bytes, struct ls_err *err)
{
	PLAN(w, plan_mem_resize(&vm, id, device, bytes, err, &t));
}

int world_balloon(struct world *w, uint64_t bytes, struct ls_err *err)
{
	PLAN(w, plan_balloon(&vm, id, bytes, err, &t));
}

int world_migrate(struct world *w, struct ls_err *err)
{
	struct txn_migrate how = { .src_process = "b:1:7:1",
				   .src_qmp = "unix:/src",
				   .uri = "unix:/mig",
				   .dst_qmp = "unix:/dst" };
	struct txn *t = NULL;
	struct view v = { 0 };
	int r;

	strcpy(how.window, w->agent == AGENT_LOCKSTEP ? "force" : "off");
	world_look(w, SIDE_SRC, &v.vm[SIDE_SRC]);
	world_look(w, SIDE_DST, &v.vm[SIDE_DST]);
	r = plan_migrate(&v, name_txn(w), &how, err, &t);
	vm_done(&v.vm[SIDE_SRC]);
	vm_done(&v.vm[SIDE_DST]);
	return start(w, r, t);
}

void world_forget_the_dead(struct world *w)
{
	world_wait(w, W_LEASE_MS + 1000);
	for (int side = 0; side < SIDE_COUNT; side++)
		w->qemu[side].claim[0] = '\0';
}
