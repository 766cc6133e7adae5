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

#define NO_ANSWER "it is not started, stopped, or hangs"

#define AGENT_TRIES   3
#define BUSY_RETRY_MS 50

static void look_step(struct look *k);
static void ask_agent(struct look *k);

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

/* ---- answers of QEMU --------------------------------------------------- */

/*
 * A question that is out. A look that was given up is freed while answers to it may still
 * come: they know it by its number.
 */
struct query {
	struct hv *hv;
	uint32_t look;
	const struct look_query *what; /* NULL: asked of the agent */
	struct query *next;
};

static struct query *query_new(struct look *k, const struct look_query *what)
{
	struct query *q = calloc(1, sizeof(*q));

	if (!q)
		abort(); /* 48 bytes */
	*q = (struct query){ k->hv, k->number, what, k->hv->queries };
	k->hv->queries = q;
	return q;
}

static void query_free(struct query *q)
{
	struct query **at = &q->hv->queries;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
}

/* A connection that is closed answers no more. */
static void drop(struct hv *hv, struct conn *c)
{
	struct query *next;

	conn_drop(c);
	for (struct query *q = hv->queries; q; q = next) {
		next = q->next;
		if ((c == &hv->agent) == !q->what)
			query_free(q);
	}
}

void look_queries_free(struct hv *hv)
{
	while (hv->queries)
		query_free(hv->queries);
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
	if (!k->vm.agent_answers && !k->vm.agent_text[0])
		snprintf(k->vm.agent_text, sizeof(k->vm.agent_text), "%s",
			 k->vm.run != VM_RUNNING || !hv->running ? "the guest stands still"
			 : !hv->has_agent			 ? "it has no channel"
			 : hv->boot_until_ms			 ? "the guest was reset, and boots"
			 : hv->agent_why[0]			 ? hv->agent_why
								 : NO_ANSWER);
	if (hv->lease_until_ms > hv_now_ms())
		k->vm.lease_ms = hv->lease_until_ms - hv_now_ms();
	k->tell = hv_after(hv, 0, tell, k);
}

/* ---- the agent's part -------------------------------------------------- */

static void agent_over(struct look *k, const char *text)
{
	k->guest_out = false;
	k->guest_tried = true;
	if (text)
		snprintf(k->vm.agent_text, sizeof(k->vm.agent_text), "%.159s", text);
	k->hv->agent_tried = true;
	look_step(k);
}

static void agent_overdue(struct look *k)
{
	struct hv *hv = k->hv;

	/* What it says later belongs to nobody: begin a new session next time. */
	if (k->guest_out)
		drop(hv, &hv->agent);
	/* The next look does not wait, but has to say the same. */
	snprintf(hv->agent_why, sizeof(hv->agent_why), "%.*s", (int)sizeof(hv->agent_why) - 1,
		 k->reopened && !hv->agent.q ? hv->agent.last.text : NO_ANSWER);
	agent_over(k, hv->running ? hv->agent_why : "the guest stands still");
}

/* QEMU's part is there, and the guest runs. */
static bool agent_can_be_asked(const struct look *k)
{
	return k->asked && !k->pending && k->vm.mems && !k->guest_tried && !k->guest_out &&
	       k->hv->running;
}

/*
 * A guest whose port was just let go by another client may not have noticed yet, and
 * loses the first thing that the next one says: say it again before giving up.
 */
static int on_agent_late(sd_event_source *s, uint64_t now, void *arg)
{
	struct look *k = arg;

	(void)s, (void)now;
	if (k->guest_tried)
		return 0;
	if (++k->agent_tries == AGENT_TRIES) {
		agent_overdue(k);
		return 0;
	}
	conn_resync(&k->hv->agent);
	if (agent_can_be_asked(k))
		ask_agent(k);
	if (k->tell || k->guest_tried)
		return 0;
	sd_event_source_unref(k->agent_late);
	k->agent_late = hv_after(k->hv, HV_AGENT_MS / AGENT_TRIES, on_agent_late, k);
	return 0;
}

static struct look *look_of(struct query *q)
{
	struct look *k = q->hv->look;

	return k && k->number == q->look ? k : NULL;
}

static void on_vcpus(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct query *query = arg;
	struct look *k = look_of(query);

	(void)q;
	query_free(query);
	if (!k)
		return;
	k->vm.agent_answers = !err;
	if (!err) {
		k->hv->boot_until_ms = 0;
		guest_read_vcpus(value, &k->vm);
	}
	agent_over(k, err ? err->text : NULL);
}

static void on_guest_status(struct qmp *qmp, struct json_object *value, const struct ls_err *err,
			    void *arg)
{
	struct query *q = arg;
	struct look *k = look_of(q);
	struct hv *hv = q->hv;
	struct ls_err bad = { 0 };

	(void)qmp;
	if (!k) {
		query_free(q);
		return;
	}
	if (err && !strcmp(err->class, "CommandNotFound")) {
		hv->kind = AGENT_QGA;
		if (conn_submit(&hv->agent, "guest-get-vcpus", NULL, on_vcpus, q, &bad) >= 0)
			return;
	}
	query_free(q);
	if (!err && qmp_fields_check(ls_wire_rets_STATUS, LS_WIRE_N(ls_wire_rets_STATUS), false,
				     value, &bad) >= 0) {
		hv->kind = AGENT_LOCKSTEP;
		k->vm.agent_answers = true;
		hv->boot_until_ms = 0;
		guest_read_status(hv, value, &k->vm);
	}
	if (bad.code)
		ls_err_prefix(&bad, "its status cannot be used (is the agent of another release?)");
	agent_over(k, err ? err->text : bad.code ? bad.text : NULL);
}

static void ask_agent(struct look *k)
{
	struct hv *hv = k->hv;
	struct ls_err err;
	int r = hv->has_agent ? conn_want(&hv->agent) : -ENOENT;

	if (k->guest_tried || k->guest_out)
		return;
	if (r < 0) {
		agent_over(k, hv->has_agent ? hv->agent.last.text : "it has no channel");
		return;
	}
	if (r == 0)
		return; /* look_connection() comes when the session is there, or lost */
	k->guest_out = true;
	if (!hv->subscribed)
		hv->subscribed = conn_submit(&hv->agent, ls_wire[LS_WIRE_SUBSCRIBE].name, NULL,
					     NULL, NULL, NULL) >= 0;
	if (conn_submit(&hv->agent, ls_wire[LS_WIRE_STATUS].name, NULL, on_guest_status,
			query_new(k, NULL), &err) < 0)
		agent_over(k, err.text);
}

/* ---- the look ---------------------------------------------------------- */

/* QEMU's own word that there is no such thing; a connection that was lost says nothing. */
static bool is_no(const struct look_query *what, const struct ls_err *err)
{
	return what->may_fail && err && err->code == -EREMOTEIO;
}

static void on_answer(struct qmp *qmp, struct json_object *value, const struct ls_err *err,
		      void *arg)
{
	struct query *q = arg;
	struct look *k = look_of(q);
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

/* Whether the agent still has to be waited for. */
static bool agent_due(const struct look *k)
{
	if (!k->hv->has_agent || k->guest_tried)
		return false;
	if (k->vm.run != VM_RUNNING || !k->hv->running)
		return false;
	return k->guest_out || !k->hv->agent_tried || k->hv->kind != AGENT_NONE;
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

static void look_step(struct look *k)
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
		if (hv->running)
			ask_agent(k);
	}
	if (!agent_due(k))
		finish(k, true);
}

void look_connection(struct hv *hv)
{
	struct look *k = hv->look;

	if (!k || k->tell)
		return;
	if (agent_can_be_asked(k))
		ask_agent(k);
	if (hv->look == k)
		look_step(k);
}

/* Once more at once, then at the rhythm of on_agent_late(): it may close every time. */
void look_agent_lost(struct hv *hv)
{
	if (!hv->look || hv->look->reopened)
		return;
	hv->look->reopened = true;
	look_connection(hv);
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
		drop(k->hv, &k->hv->monitor);
		finish(k, false);
	}
	return 0;
}

void hv_look(struct hv *hv, hv_look_fn fn, void *arg)
{
	struct look *k = calloc(1, sizeof(*k));

	look_free(hv);
	if (!k)
		abort();
	*k = (struct look){ .hv = hv, .number = ++hv->looks, .fn = fn, .arg = arg };
	hv->look = k;
	k->late = hv_after(hv, HV_LOOK_MS, on_late, k);
	k->agent_late = hv_after(hv, HV_AGENT_MS / AGENT_TRIES, on_agent_late, k);
	look_step(k);
}
