/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs that have been plugged, and the host's hooks that are told of them before the guest
 * brings them online: a thread is pinned before it works.
 *
 * The request of the engine is answered when the hooks have ended. They change nothing of
 * the answer, and the row's own time goes on.
 */
#include "hv_private.h"

#include <stdlib.h>
#include <string.h>

#include <lockstep/log.h>

#include "hooks.h"

/**
 * struct plug - One request
 * @fn, @arg: of the request; @err: its answer
 * @ids, @slots: of @n devices; @at is told of next
 * @cpus:     QEMU's vCPUs, @n_cpus of them
 */
struct plug {
	struct hv *hv;
	hv_reply_fn fn;
	void *arg;
	struct ls_err err;
	struct hook_call call;
	struct item *items;
	unsigned n, at;
	struct qmp_cpu *cpus;
	size_t n_cpus;
	struct hooks *hooks;
	struct plug *next;
};

static void plug_free(struct plug *p)
{
	struct plug **at = &p->hv->plugs;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	hooks_free(p->hooks);
	qmp_cpus_free(p->cpus, p->n_cpus);
	free(p->items);
	free(p);
}

void plugs_free(struct hv *hv)
{
	while (hv->plugs)
		plug_free(hv->plugs);
}

static void answer(struct plug *p)
{
	hv_reply_fn fn = p->fn;
	void *arg = p->arg;
	struct ls_err err = p->err;

	plug_free(p);
	fn(arg, &err);
}

/* "/machine/peripheral/ID", or of a core's threads "/machine/peripheral/ID/thread[0]". */
static bool is_of(const struct qmp_cpu *c, const char *id)
{
	const char *at = c->qom_path + strlen(PERIPHERAL_PATH);
	size_t n = strlen(id);

	return !strncmp(c->qom_path, PERIPHERAL_PATH, strlen(PERIPHERAL_PATH)) &&
	       !strncmp(at, id, n) && (!at[n] || at[n] == '/');
}

static bool find_threads(struct plug *p, const struct item *it)
{
	size_t len = 0;

	p->call.slot = it->slot;
	p->call.threads[0] = '\0';
	for (size_t i = 0; i < p->n_cpus && len + 24 < sizeof(p->call.threads); i++)
		if (is_of(&p->cpus[i], it->id))
			len += (size_t)snprintf(p->call.threads + len,
						sizeof(p->call.threads) - len, "%s%lld",
						len ? " " : "", (long long)p->cpus[i].thread_id);
	return len;
}

static void tell_next(void *arg)
{
	struct plug *p = arg;

	hooks_free(p->hooks);
	p->hooks = NULL;
	while (p->at < p->n && !p->hooks)
		if (find_threads(p, &p->items[p->at++]))
			p->hooks = hooks_tell(p->hv->loop, &p->call, tell_next, p);
	if (!p->hooks)
		answer(p);
}

/* ---- which threads -------------------------------------------------------------- */

static void on_cpus(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct batch *b = arg;
	struct plug *p = b->arg;
	struct ls_err why;

	(void)q;
	if (b->fn && !err && qmp_decode_cpus(value, &why, &p->cpus, &p->n_cpus) < 0)
		batch_fail(b, &why);
	if (err)
		batch_fail(b, err);
	batch_done(b);
}

static void on_listed(void *arg, const struct ls_err *err)
{
	struct plug *p = arg;

	if (err->code)
		log_warning("%s: the host's hooks are not told of its new vCPUs: %s", p->hv->name,
			    err->text);
	tell_next(p);
}

static void on_added(void *arg, const struct ls_err *err)
{
	struct plug *p = arg;
	struct batch *b;

	p->err = *err; /* of some, maybe: the others are there */
	b = batch_new(p->hv, on_listed, p);
	batch_add_fn(b, &p->hv->monitor, "query-cpus-fast", NULL, on_cpus);
	batch_done(b);
}

struct batch *plug_batch(struct hv *hv, const struct hv_request *rq, hv_reply_fn fn, void *arg)
{
	struct plug *p = hooks_any() ? calloc(1, sizeof(*p)) : NULL;

	if (p)
		p->items = calloc(rq->n, sizeof(*p->items));
	if (!p || !p->items) {
		free(p);
		return batch_new(hv, fn, arg);
	}
	p->hv = hv;
	p->fn = fn;
	p->arg = arg;
	p->n = rq->n;
	for (unsigned i = 0; i < rq->n; i++)
		p->items[i] = rq->t->items[rq->todo[i]];
	snprintf(p->call.guest, sizeof(p->call.guest), "%s", hv->name);
	memcpy(p->call.txn, rq->t->id, sizeof(p->call.txn));
	p->next = hv->plugs;
	hv->plugs = p;
	return batch_new(hv, on_added, p);
}
