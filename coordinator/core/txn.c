/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transactions: the empty one, and the names. Their form in the journal is in record.c, and is
 * read in record_load.c.
 */
#include "txn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "table.h"

static const char *const op_names[] = {
	[OP_VCPUS] = "vcpus",	  [OP_MEMORY] = "memory",   [OP_CPU] = "cpu",
	[OP_BALLOON] = "balloon", [OP_MIGRATE] = "migrate",
};
static_assert(sizeof(op_names) / sizeof(op_names[0]) == OP_COUNT, "a name for each");

static const char *const end_names[] = {
	[END_NONE] = "open",	   [END_DONE] = "done",		  [END_UNDONE] = "undone",
	[END_REFUSED] = "refused", [END_PARTIAL] = "partial",	  [END_PENDING] = "pending",
	[END_STUCK] = "stuck",	   [END_UNDECIDED] = "undecided", [END_LOST] = "lost",
};
static_assert(sizeof(end_names) / sizeof(end_names[0]) == END_COUNT, "a name for each");

static const struct table *const tables[] = {
	[OP_VCPUS] = &table_vcpu,      [OP_MEMORY] = &table_memory,   [OP_CPU] = &table_cpu,
	[OP_BALLOON] = &table_balloon, [OP_MIGRATE] = &table_migrate,
};

const char *txn_op_name(enum txn_op op)
{
	return op_names[op];
}

const char *txn_end_name(enum txn_end end)
{
	return end_names[end];
}

struct txn *txn_new(enum txn_op op, const char *id, unsigned n, bool up)
{
	struct txn *t = calloc(1, sizeof(*t));
	int holds = (int)tables[op]->holds, rows = (int)tables[op]->n;

	assert(n > 0 && rows <= TXN_ROWS_MAX);
	if (!t)
		return NULL;
	snprintf(t->id, sizeof(t->id), "%s", id);
	t->op = op;
	t->table = tables[op];
	t->n = n;
	t->walk = up ? step_to(holds, rows) : step_to(rows, holds);
	t->items = calloc(n, sizeof(*t->items));
	t->before = malloc((size_t)rows * n * sizeof(*t->before));
	if (op == OP_MIGRATE)
		t->mig = calloc(1, sizeof(*t->mig));
	if (!t->items || !t->before || (op == OP_MIGRATE && !t->mig)) {
		txn_free(t);
		return NULL;
	}
	for (size_t i = 0; i < (size_t)rows * n; i++)
		t->before[i] = LEVEL_ALL;
	return t;
}

/* From where it came to where it was to go, whichever way it has turned since. */
static struct step whole_walk(const struct txn *t)
{
	int holds = (int)t->table->holds, rows = (int)t->table->n;

	return t->walk.from == holds ? step_to(holds, rows) : step_to(rows, holds);
}

int txn_reopen(struct txn *t, bool undo, struct ls_err *err)
{
	if (t->end != END_NONE && t->end != END_STUCK && t->end != END_PENDING)
		return ls_err_set(err, -EALREADY, "it has ended: %s", txn_end_name(t->end));
	if (undo && t->crossed)
		return ls_err_set(err, -EPERM, "beyond the point of no return: resume is left");
	if (!undo)
		t->walk = whole_walk(t);
	for (unsigned i = 0; i < t->n && !undo; i++)
		if (t->items[i].state == ITEM_PENDING)
			t->items[i].state = ITEM_IN; /* it may have gone since */
	if (undo) /* it may be on its way back already, which needs a reason on record */
		ls_err_set(&t->reason, -ECANCELED, "taken back as asked, after it had ended: %s",
			   txn_end_name(t->end));
	else
		t->reason = (struct ls_err){ 0 };
	t->end = END_NONE;
	t->loaded = false;
	return 0;
}

void txn_free(struct txn *t)
{
	if (!t)
		return;
	free(t->items);
	free(t->before);
	free(t->mig);
	free(t);
}

void txn_item_name(const struct txn *t, unsigned item, char ret_name[ITEM_NAME_BYTES])
{
	const struct item *it = &t->items[item];

	if (t->op == OP_VCPUS)
		snprintf(ret_name, ITEM_NAME_BYTES, "slot %d", it->slot);
	else if (t->op == OP_CPU)
		snprintf(ret_name, ITEM_NAME_BYTES, "cpu%d", it->slot);
	else
		snprintf(ret_name, ITEM_NAME_BYTES, "%s", it->id[0] ? it->id : "the guest");
}

static bool any_pending(const struct txn *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->items[i].state == ITEM_PENDING)
			return true;
	return false;
}

const char *txn_item_result(const struct txn *t, unsigned item)
{
	const struct item *it = &t->items[item];

	if (it->state == ITEM_PENDING)
		return "pending";
	if (it->why.code)
		return "refused";
	if (t->end == END_DONE || t->partial)
		return "done";
	if (t->end == END_PARTIAL)
		return "partial";
	if (t->end == END_PENDING)
		return any_pending(t) ? "done" : "pending";
	if (t->end == END_LOST)
		return "lost";
	if (t->end != END_UNDONE && t->end != END_REFUSED)
		return "stuck";
	return t->entered ? "taken back" : "not tried";
}

/* A balloon is its driver's word; QEMU's own agent counts CPUs, and knows no memory. */
bool txn_guest_seen(const struct txn *t)
{
	return t->op == OP_BALLOON || t->agent == AGENT_LOCKSTEP ||
	       (t->agent == AGENT_QGA && t->op == OP_VCPUS);
}
