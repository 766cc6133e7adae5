/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One observation of a guest: every query at once, one state vector at the end.
 *
 * QEMU answers in order, so the queries are sent in one go and the last answer ends
 * the look. The agent is asked at the same time, and waited for only while the guest
 * runs: one that stands still cannot answer.
 */
#include "hv_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BUSY_RETRY_MS 50

void look_free(struct hv *hv)
{
	struct look *k = hv->look;

	if (!k)
		return;
	hv->look = NULL;
	sd_event_source_disable_unref(k->late);
	sd_event_source_disable_unref(k->agent_late);
	sd_event_source_disable_unref(k->tell);
	sd_event_source_disable_unref(k->retry);
	vm_done(&k->vm);
	free(k->mems);
	free(k->objects);
	free(k->ospm);
	free(k);
}

/* All of them were answered, or are known. */
static void put_facts(struct look *k)
{
	const struct hv_facts *f = &k->facts;

	k->vm.version = f->version;
	memcpy(k->vm.machine, f->machine, sizeof(k->vm.machine));
	k->vm.mem_boot = f->mem_boot;
	k->vm.mem_max = f->mem_max;
	k->vm.mem_slots = f->mem_slots;
	if (k->err.code || !f->version || !f->machine[0])
		return;
	k->hv->facts = *f;
	k->hv->facts.link = k->hv->monitor.opened;
}

static int tell(sd_event_source *s, uint64_t now, void *arg)
{
	struct look *k = arg;
	hv_look_fn fn = k->fn;
	void *fn_arg = k->arg;
	struct vm vm = k->vm;

	(void)s, (void)now;
	memset(&k->vm, 0, sizeof(k->vm));
	look_free(k->hv);
	fn(fn_arg, &vm);
	return 0;
}

static void finish(struct look *k, bool answers)
{
	struct hv *hv = k->hv;

	if (k->tell)
		return;
	k->vm.answers = answers && k->vm.version && k->vm.machine[0] && k->err.code == 0;
	if (!k->vm.answers) {
		k->vm.run = hv->gone ? VM_GONE : VM_BROKEN;
		if (k->err.code)
			hv->monitor.last = k->err;
	}
	k->vm.has_agent = hv->has_agent;
	k->vm.agent = hv->kind;
	k->vm.boots = hv->boots;
	k->vm.booting = hv->boot_until_ms > hv_now_ms();
	look_say_silence(k);
	if (hv->lease_until_ms > hv_now_ms())
		k->vm.lease_ms = hv->lease_until_ms - hv_now_ms();
	k->tell = hv_after(hv, 0, tell, k);
}

/* QEMU's own word that there is no such thing; a connection that was lost says nothing. */
static bool is_no(const struct look_query *what, const struct ls_err *err)
{
	return what->may_fail && err && err->code == -EREMOTEIO;
}

static void on_answer(struct qmp *qmp, struct json_object *value, const struct ls_err *err,
		      void *arg)
{
	struct query *q = arg;
	struct look *k = query_look(q);
	struct ls_err bad = { 0 };
	int r = err ? err->code : 0;

	(void)qmp;
	if (k) {
		if (!err)
			r = q->what->read(k, value, &bad);
		if (r < 0 && !is_no(q->what, err) && !k->err.code) {
			k->err = err ? *err : bad;
			ls_err_prefix(&k->err, "%s: %s", k->hv->monitor.address, q->what->name);
		}
		k->pending--;
		look_step(k);
	}
	query_free(q);
}

static struct json_object *query_args(const char *path, const char *property)
{
	if (!path)
		return NULL;
	return property ? qmp_args_qom_get(path, property) : qmp_args_qom_list(path);
}

static void ask_qemu(struct look *k)
{
	bool known = k->hv->facts.link == k->hv->monitor.opened;

	k->asked = true;
	if (known)
		k->facts = k->hv->facts;
	for (size_t i = 0; i < look_n_queries; i++) {
		const struct look_query *what = &look_queries[i];
		struct query *q;

		if (what->once && known)
			continue;
		q = query_new(k, what);
		if (conn_submit(&k->hv->monitor, what->name, query_args(what->path, what->property),
				on_answer, q, &k->err) < 0) {
			query_free(q);
			finish(k, false);
			return;
		}
		k->pending++;
	}
}

static int on_retry(sd_event_source *s, uint64_t now, void *arg)
{
	(void)s, (void)now;
	look_step(arg);
	return 0;
}

/* The monitor's queue is full: its client may be about to leave. No event tells of that. */
static void try_later(struct look *k)
{
	sd_event_source_unref(k->retry);
	k->retry = hv_after(k->hv, BUSY_RETRY_MS, on_retry, k);
}

void look_step(struct look *k)
{
	struct hv *hv = k->hv;
	int r = hv->gone ? -ESHUTDOWN : conn_want(&hv->monitor);

	if (k->tell)
		return;
	if (r == -EBUSY && !k->asked) {
		try_later(k);
		return;
	}
	if (r < 0 || (k->asked && !hv->monitor.is_ready)) {
		finish(k, false);
		return;
	}
	if (r == 0)
		return;
	if (!k->asked)
		ask_qemu(k);
	if (k->pending || k->tell)
		return;
	if (!k->vm.mems) {
		put_facts(k);
		look_put_together(k);
		/* The devices are known: now what the agent says of them can be placed. */
		look_ask_agent(k);
	}
	if (!look_agent_due(k))
		finish(k, true);
}

void look_connection(struct hv *hv)
{
	struct look *k = hv->look;

	if (!k || k->tell)
		return;
	look_ask_agent(k);
	if (hv->look == k)
		look_step(k);
}

/* One connection a look: what was wrong with it is the answer. */
void look_lost(struct hv *hv, const struct ls_err *err)
{
	struct look *k = hv->look;

	if (!k || k->tell)
		return;
	if (!k->err.code)
		k->err = *err;
	finish(k, false);
}

/* Connected and not greeted: that is what a monitor's second client sees. */
static void say_why_late(struct look *k)
{
	const struct conn *m = &k->hv->monitor;

	if (m->q && qmp_state(m->q) == QMP_CONNECTING)
		ls_err_set(&k->err, -ETIMEDOUT, "%s: still connecting after %d ms", m->address,
			   HV_LOOK_MS);
	else if (!k->asked)
		ls_err_set(&k->err, -EBUSY,
			   "%s: connected, but no greeting within %d ms: another client has this "
			   "monitor, or it is none",
			   m->address, HV_LOOK_MS);
	else
		ls_err_set(&k->err, -ETIMEDOUT, "%s: no answer within %d ms: QEMU stands still",
			   m->address, HV_LOOK_MS);
}

static int on_late(sd_event_source *s, uint64_t now, void *arg)
{
	struct look *k = arg;

	(void)s, (void)now;
	if (!k->asked || k->pending) {
		if (!k->err.code)
			say_why_late(k);
		query_drop(k->hv, &k->hv->monitor);
		finish(k, false);
	}
	return 0;
}

void hv_look(struct hv *hv, hv_look_fn fn, void *arg)
{
	struct look *k = calloc(1, sizeof(*k));

	look_free(hv);
	*k = (struct look){ .hv = hv, .number = ++hv->looks, .fn = fn, .arg = arg };
	hv->look = k;
	k->late = hv_after(hv, HV_LOOK_MS, on_late, k);
	look_agent_clock(k);
	look_step(k);
}
