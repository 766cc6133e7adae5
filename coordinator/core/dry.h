/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a transaction would do, row by row, from one view; nothing is done.
 */
#ifndef CORE_DRY_H
#define CORE_DRY_H

#include "table.h"

/**
 * struct dry_row - One row of the way forward
 * @row, @verb: what is asked; @release: of a hold: it is given back
 * @todo:  items that it would be asked for now, @n of them; @level: by item, as for ACT_ASK
 * @later: items that it will be asked for when the rows before have brought them, @n_later
 * @done:  how many are where they should be already
 */
struct dry_row {
	const struct row *row;
	enum verb verb;
	bool release;
	unsigned *todo, *later;
	uint64_t *level;
	unsigned n, n_later, done;
};

/**
 * dry_row() - The @nth row that would be visited, from 0
 * @ret: the caller's, with room for t->n items in each array
 *
 * Return: false: there are no more.
 */
bool dry_row(const struct txn *t, const struct view *v, unsigned nth, struct dry_row *ret);

#endif
