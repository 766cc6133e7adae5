/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --dry-run: the rows of a transaction and the request that each would send.
 */
#ifndef COORDINATOR_DRY_H
#define COORDINATOR_DRY_H

#include "../run/run.h"

struct json_object;

/**
 * dry_plan() - What would be done, as a report "plan"
 * @run: has looked; sends nothing
 * @t:   planned upon that look
 *
 * The requests come from the functions that send them (hv_dry()). Where a row can only be
 * asked for what an earlier one brings, it says for whom that will be.
 */
struct json_object *dry_plan(struct run *run, const char *guest, struct txn *t);

#endif
