/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a fault can strike: rows in which there is something for it to strike at.
 */
#include "where.h"

#include "../../coordinator/core/table.h"

#include <string.h>

static const struct row *row_of(const struct op *op, unsigned row)
{
	return row < op->table->n ? &op->table->rows[row] : NULL;
}

static enum verb verb_of(const struct op *op, const struct row *r)
{
	return op->removes && r->mark != MARK_HOLD ? r->down : r->up;
}

const char *anywhere(const struct op *op, unsigned row)
{
	const struct row *r = row_of(op, row);

	return r && !strcmp(r->name, "dst:check") ? "c: decided from the look before it" : NULL;
}

const char *where_asked(const struct op *op, unsigned row)
{
	const struct row *r = row_of(op, row);

	return r && verb_of(op, r) != VERB_NONE ? NULL : "a: nothing is asked there";
}

const char *where_written(const struct op *op, unsigned row)
{
	const struct row *r = row_of(op, row);

	if (row == ROW_LAST(op))
		return NULL;
	if (r && r->mark == MARK_HOLD && !r->journalled)
		return "h: such a hold is not on record";
	return where_asked(op, row);
}

const char *where_looked(const struct op *op, unsigned row)
{
	return row == ROW_LAST(op) ? "l: no look follows" : anywhere(op, row);
}

const char *before_end(const struct op *op, unsigned row)
{
	return row == ROW_LAST(op) ? "e: the end is decided by then" : anywhere(op, row);
}

const char *in_a_move(const struct op *op, unsigned row)
{
	return op->table == &table_migrate ? anywhere(op, row) : "m: there is one QEMU only";
}

const char *asks_for_devices(const struct op *op, unsigned row)
{
	if (!op->removes)
		return "g: the guest is asked for no device";
	return before_end(op, row);
}

const char *brings_online(const struct op *op, unsigned row)
{
	if (op->removes || (op->table != &table_vcpu && op->table != &table_cpu))
		return "o: no CPU is to come online";
	return before_end(op, row);
}

const char *asks_for_memory(const struct op *op, unsigned row)
{
	if (op->table != &table_memory && op->table != &table_balloon)
		return "v: no virtio-mem device and no balloon is meant";
	return before_end(op, row);
}
