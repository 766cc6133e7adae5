/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several commands that make one request: the reply is one, and comes from the loop.
 */
#include "hv_private.h"

#include <errno.h>
#include <stdlib.h>

void batch_free_parts(struct batch *b)
{
	while (b->parts) {
		struct part *p = b->parts;

		b->parts = p->next;
		free(p->items);
		free(p);
	}
}

void batch_free(struct batch *b)
{
	struct batch **at = &b->hv->batches;

	while (*at && *at != b)
		at = &(*at)->next;
	if (*at)
		*at = b->next;
	sd_event_source_unref(b->limit);
	batch_free_parts(b);
	free(b);
}

/* The reply is told from the loop, never from inside hv_ask(). */
static int batch_tell(sd_event_source *s, uint64_t now, void *arg)
{
	struct batch *b = arg;
	hv_reply_fn fn = b->fn;
	void *fn_arg = b->arg;
	struct ls_err err = b->err;

	(void)s, (void)now;
	b->fn = NULL;
	if (!b->pending)
		batch_free(b);
	fn(fn_arg, &err);
	return 0;
}

static int batch_late(sd_event_source *s, uint64_t now, void *arg)
{
	struct batch *b = arg;

	if (!b->err.code)
		ls_err_set(&b->err, -ETIMEDOUT, "no answer within %u ms", b->limit_ms);
	return batch_tell(s, now, b);
}

void batch_limit(struct batch *b, unsigned ms)
{
	b->limit_ms = ms;
	sd_event_source_disable_unref(b->limit);
	b->limit = hv_after(b->hv, ms, batch_late, b);
}

struct batch *batch_new(struct hv *hv, hv_reply_fn fn, void *arg)
{
	struct batch *b = calloc(1, sizeof(*b));

	*b = (struct batch){ .hv = hv, .pending = 1, .fn = fn, .arg = arg, .next = hv->batches };
	hv->batches = b;
	batch_limit(b, HV_ASK_MS);
	return b;
}

void batch_fail(struct batch *b, const struct ls_err *err)
{
	if (!b->err.code)
		b->err = *err;
}

void batch_done(struct batch *b)
{
	if (--b->pending)
		return;
	if (!b->fn) {
		batch_free(b); /* it was late; this was the last straggler */
		return;
	}
	sd_event_source_unref(b->limit);
	b->limit = hv_after(b->hv, 0, batch_tell, b);
}

void batch_bad(struct batch *b, unsigned item, const struct ls_err *err)
{
	batch_fail(b, err);
	if (b->fn && b->bad)
		b->bad(b->arg, item, err);
}

/* ---- commands ------------------------------------------------------------ */

struct part *part_new(struct batch *b)
{
	struct part *p = calloc(1, sizeof(*p));

	*p = (struct part){ .b = b, .next = b->parts };
	b->parts = p;
	return p;
}

void part_item(struct part *p, unsigned item, int64_t id)
{
	if (p->n == p->size) {
		p->size = p->size ? 2 * p->size : 4;
		p->items = reallocarray(p->items, p->size, sizeof(*p->items));
	}
	p->items[p->n++] = (struct part_item){ item, id };
}

static void submit(struct batch *b, struct conn *c, const char *name, struct json_object *args,
		   qmp_reply_fn fn, void *arg)
{
	struct ls_err err;

	if (b->sink) {
		b->sink(b->arg, c == &b->hv->monitor ? "qemu" : "agent", name, args);
		json_object_put(args);
		return;
	}
	if (!c->is_ready) {
		json_object_put(args);
		ls_err_set(&err, -ENOTCONN, "%s: not connected", c->address);
		batch_fail(b, &err);
		return;
	}
	b->pending++;
	if (conn_submit(c, name, args, fn, arg, &err) < 0) {
		batch_fail(b, &err);
		b->pending--;
	}
}

static void on_reply(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	(void)q, (void)value;
	if (err)
		batch_fail(arg, err);
	batch_done(arg);
}

void batch_add_fn(struct batch *b, struct conn *c, const char *name, struct json_object *args,
		  qmp_reply_fn fn)
{
	submit(b, c, name, args, fn, b);
}

void batch_add(struct batch *b, struct conn *c, const char *name, struct json_object *args)
{
	batch_add_fn(b, c, name, args, on_reply);
}

void batch_add_part(struct part *p, struct conn *c, const char *name, struct json_object *args,
		    qmp_reply_fn fn)
{
	submit(p->b, c, name, args, fn, p);
}

static void on_part(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct part *p = arg;

	(void)q, (void)value;
	if (err)
		batch_bad(p->b, p->items[0].item, err);
	batch_done(p->b);
}

void batch_add_item(struct batch *b, struct conn *c, const char *name, struct json_object *args,
		    unsigned item)
{
	struct part *p = part_new(b);

	part_item(p, item, 0);
	batch_add_part(p, c, name, args, on_part);
}
