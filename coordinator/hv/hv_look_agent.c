/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent's part of a look: asked while the guest runs, as often as there is time for.
 */
#include "hv_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TRIES	  3
#define NO_ANSWER "it is not started, stopped, or hangs"

static void over(struct look *k, const char *text)
{
	k->guest_out = false;
	k->guest_tried = true;
	if (text)
		snprintf(k->vm.agent_text, sizeof(k->vm.agent_text), "%.159s", text);
	k->hv->agent_tried = true;
	look_step(k);
}

static void overdue(struct look *k)
{
	struct hv *hv = k->hv;

	/* What it says later belongs to nobody: begin a new session next time. */
	if (k->guest_out)
		query_drop(hv, &hv->agent);
	/* The next look does not wait, but has to say the same. */
	snprintf(hv->agent_why, sizeof(hv->agent_why), "%.*s", (int)sizeof(hv->agent_why) - 1,
		 k->reopened && !hv->agent.q ? hv->agent.last.text : NO_ANSWER);
	over(k, hv->running ? hv->agent_why : "the guest stands still");
}

static void on_vcpus(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct query *query = arg;
	struct look *k = query_look(query);

	(void)q;
	query_free(query);
	if (!k)
		return;
	k->vm.agent_answers = !err;
	if (!err) {
		k->hv->boot_until_ms = 0;
		guest_read_vcpus(value, &k->vm);
	}
	over(k, err ? err->text : NULL);
}

static void on_status(struct qmp *qmp, struct json_object *value, const struct ls_err *err,
		      void *arg)
{
	struct query *q = arg;
	struct look *k = query_look(q);
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
	over(k, err ? err->text : bad.code ? bad.text : NULL);
}

/* QEMU's part is there, and the guest runs. */
static bool can_be_asked(const struct look *k)
{
	return k->asked && !k->pending && k->vm.mems && !k->guest_tried && !k->guest_out &&
	       k->hv->running;
}

static void ask(struct look *k)
{
	struct hv *hv = k->hv;
	struct query *q;
	struct ls_err err;

	k->guest_out = true;
	if (!hv->subscribed)
		hv->subscribed = conn_submit(&hv->agent, ls_wire[LS_WIRE_SUBSCRIBE].name, NULL,
					     NULL, NULL, NULL) >= 0;
	q = query_new(k, NULL);
	if (conn_submit(&hv->agent, ls_wire[LS_WIRE_STATUS].name, NULL, on_status, q, &err) < 0) {
		query_free(q);
		over(k, err.text);
	}
}

void look_ask_agent(struct look *k)
{
	struct hv *hv = k->hv;
	int r;

	if (!can_be_asked(k))
		return;
	r = hv->has_agent ? conn_want(&hv->agent) : -ENOENT;
	if (k->guest_tried || k->guest_out)
		return; /* look_connection() was told at once */
	if (r < 0)
		over(k, hv->has_agent ? hv->agent.last.text : "it has no channel");
	else if (r > 0)
		ask(k);
	/* else look_connection() comes when the session is there, or lost */
}

bool look_agent_due(const struct look *k)
{
	if (!k->hv->has_agent || k->guest_tried)
		return false;
	if (k->vm.run != VM_RUNNING || !k->hv->running)
		return false;
	return k->guest_out || !k->hv->agent_tried || k->hv->kind != AGENT_NONE;
}

/*
 * A guest whose port was just let go by another client may not have noticed yet, and
 * loses the first thing that the next one says: say it again before giving up.
 */
static int on_late(sd_event_source *s, uint64_t now, void *arg)
{
	struct look *k = arg;

	(void)s, (void)now;
	if (k->guest_tried)
		return 0;
	if (++k->agent_tries == TRIES) {
		overdue(k);
		return 0;
	}
	conn_resync(&k->hv->agent);
	look_ask_agent(k);
	if (!k->tell && !k->guest_tried)
		look_agent_clock(k);
	return 0;
}

void look_agent_clock(struct look *k)
{
	sd_event_source_unref(k->agent_late);
	k->agent_late = hv_after(k->hv, HV_AGENT_MS / TRIES, on_late, k);
}

/* Once more at once, then at the rhythm of on_late(): it may close every time. */
void look_agent_lost(struct hv *hv)
{
	if (!hv->look || hv->look->reopened)
		return;
	hv->look->reopened = true;
	look_connection(hv);
}

void look_say_silence(struct look *k)
{
	const struct hv *hv = k->hv;

	if (k->vm.agent_answers || k->vm.agent_text[0])
		return;
	snprintf(k->vm.agent_text, sizeof(k->vm.agent_text), "%s",
		 k->vm.run != VM_RUNNING || !hv->running ? "the guest stands still"
		 : !hv->has_agent			 ? "it has no channel"
		 : hv->boot_until_ms			 ? "the guest was reset, and boots"
		 : hv->agent_why[0]			 ? hv->agent_why
							 : NO_ANSWER);
}
