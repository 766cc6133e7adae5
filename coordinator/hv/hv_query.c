/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The questions of looks that are out. A look that was given up is freed while answers to it
 * may still come: they know it by its number.
 */
#include "hv_private.h"

struct query *query_new(struct look *k, const struct look_query *what)
{
	struct query *q = calloc(1, sizeof(*q));

	*q = (struct query){ k->hv, k->number, what, k->hv->queries };
	k->hv->queries = q;
	return q;
}

void query_free(struct query *q)
{
	struct query **at = &q->hv->queries;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
}

void query_drop(struct hv *hv, struct conn *c)
{
	struct query *next;

	conn_drop(c);
	for (struct query *q = hv->queries; q; q = next) {
		next = q->next;
		if ((c == &hv->agent) == !q->what)
			query_free(q);
	}
}

void queries_free(struct hv *hv)
{
	while (hv->queries)
		query_free(hv->queries);
}

struct look *query_look(const struct query *q)
{
	struct look *k = q->hv->look;

	return k && k->number == q->look ? k : NULL;
}
