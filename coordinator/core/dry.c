/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way forward, without taking it: the holds, the rows in the direction of the walk, the
 * holds again in reverse. The levels are those that the engine judges by.
 */
#include "dry.h"

static void measure(const struct txn *t, const struct view *v, struct dry_row *d)
{
	bool up = t->walk.dir == STEP_UP;
	const struct row *r = d->row;

	for (unsigned i = 0; i < t->n; i++) {
		uint64_t goal = t->items[i].goal;

		d->level[i] = goal;
		if (up ? r->full(t, v, i) >= goal : r->any(t, v, i) <= goal)
			d->done++;
		else if (up && r->ready && !r->ready(t, v, i))
			d->later[d->n_later++] = i;
		else
			d->todo[d->n++] = i;
	}
}

static void hold(const struct txn *t, const struct view *v, struct dry_row *d)
{
	d->level[0] = !d->release;
	d->todo[0] = 0;
	d->done = !d->release && d->row->full(t, v, 0);
	d->n = !d->done;
}

bool dry_row(const struct txn *t, const struct view *v, unsigned nth, struct dry_row *ret)
{
	unsigned holds = t->table->holds, n = t->table->n;
	bool up = t->walk.dir == STEP_UP;

	if (nth >= n + holds)
		return false;
	ret->release = nth >= n;
	ret->n = ret->n_later = ret->done = 0;
	if (nth < holds)
		ret->row = &t->table->rows[nth];
	else if (nth >= n)
		ret->row = &t->table->rows[n + holds - 1 - nth];
	else
		ret->row = &t->table->rows[up ? nth : n + holds - 1 - nth];
	if (nth < holds || nth >= n) {
		ret->verb = ret->release ? ret->row->down : ret->row->up;
		hold(t, v, ret);
	} else {
		ret->verb = up ? ret->row->up : ret->row->down;
		measure(t, v, ret);
	}
	return true;
}
