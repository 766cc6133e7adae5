/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the rows of a transaction to the requests that they would send.
 */
#include "dry.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "../core/dry.h"
#include "../hv/hv.h"
#include "json.h"
#include "report.h"

static void add_request(void *arg, const char *to, const char *name, struct json_object *args)
{
	struct json_object *o = json_object_new_object();

	json_add_str(o, "to", to);
	json_add_str(o, "execute", name);
	if (args)
		json_object_object_add(o, "arguments", json_object_get(args));
	json_object_array_add(arg, o);
}

static struct json_object *names(const struct txn *t, const unsigned *items, unsigned n)
{
	struct json_object *list = json_object_new_array();
	char name[ITEM_NAME_BYTES];

	for (unsigned i = 0; i < n; i++) {
		txn_item_name(t, items[i], name);
		json_object_array_add(list, json_object_new_string(name));
	}
	return list;
}

static struct json_object *requests(struct run *run, const struct txn *t, const struct view *v,
				    const struct dry_row *d)
{
	struct json_object *list = json_object_new_array();
	struct hv_request rq = {
		.verb = d->verb,
		.t = t,
		.view = v,
		.side = d->row->side,
		.todo = d->todo,
		.n = d->n,
		.level = d->level,
	};

	if (d->n)
		hv_dry(run_hv(run, d->row->side), &rq, add_request, list);
	return list;
}

static struct json_object *row_object(struct run *run, const struct txn *t, const struct view *v,
				      const struct dry_row *d)
{
	struct json_object *o = json_object_new_object();

	json_add_str(o, "row", d->row->name);
	json_add_str(o, "verb", verb_name(d->verb));
	json_add_num(o, "done", d->done);
	json_object_object_add(o, "requests", requests(run, t, v, d));
	json_object_object_add(o, "later", names(t, d->later, d->n_later));
	return o;
}

static struct json_object *rows(struct run *run, const struct txn *t)
{
	struct json_object *list = json_object_new_array();
	struct view v = *run_view(run); /* what it points to is only looked at */
	struct dry_row d = { .todo = calloc(t->n, sizeof(*d.todo)),
			     .later = calloc(t->n, sizeof(*d.later)),
			     .level = calloc(t->n, sizeof(*d.level)) };

	for (unsigned i = 0; dry_row(t, &v, i, &d); i++) {
		/* It would be ours by then, and only what is ours is given back. */
		if (d.release)
			memcpy(v.vm[SIDE_SRC].claimed_by, t->id, sizeof(t->id));
		json_object_array_add(list, row_object(run, t, &v, &d));
	}
	free(d.todo);
	free(d.later);
	free(d.level);
	return list;
}

struct json_object *dry_plan(struct run *run, const char *guest, struct txn *t)
{
	struct json_object *o = report_object("plan");

	run_set_epoch(run, t);
	t->holds = step_to(0, (int)t->table->holds); /* none is held */
	json_add_str(o, "guest", guest);
	json_add_str(o, "txn", t->id);
	json_add_str(o, "operation", txn_op_name(t->op));
	json_object_object_add(o, "items", json_object_new_int((int)t->n));
	json_object_object_add(o, "rows", rows(run, t));
	return o;
}
