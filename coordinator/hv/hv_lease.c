/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lease on the guest's lock or window, renewed while a transaction holds it.
 *
 * DOC: theory
 *
 * The agent gives back by itself what nobody renews. What is known here must never be
 * more than what the agent grants: a lease counts from when its renewal was sent. The
 * timer is armed anew before anything else is done, at a quarter of what is left, so
 * that neither a refusal, nor a lost connection, nor a reply that never comes ends the
 * renewing; only lease_stop() does. One renewal is out at a time: an agent answers in
 * order, and a second would wait behind the first.
 */
#include "hv_private.h"

#include <stdio.h>
#include <string.h>

#define RENEW_MIN_MS 250 /* not more often, however little is left */

static void renew(struct hv *hv);

static int on_time(sd_event_source *s, uint64_t now, void *arg)
{
	(void)s, (void)now;
	renew(arg);
	return 0;
}

static void arm(struct hv *hv)
{
	uint64_t now = hv_now_ms();
	uint64_t left = hv->lease_until_ms > now ? hv->lease_until_ms - now : 0;

	sd_event_source_disable_unref(hv->lease_timer);
	hv->lease_timer =
		hv_after(hv, left / 4 > RENEW_MIN_MS ? left / 4 : RENEW_MIN_MS, on_time, hv);
}

static void on_renewed(struct qmp *q, struct json_object *value, const struct ls_err *err,
		       void *arg)
{
	struct hv *hv = arg;

	(void)q, (void)value;
	hv->lease_out = false;
	if (!hv->lease_timer || err)
		return;
	hv->lease_until_ms = hv->lease_sent_ms + LEASE_MS;
	arm(hv);
}

/* A reply is lost with its connection; a guest that stands still has no time for one. */
static bool may_ask(const struct hv *hv)
{
	return hv->agent.is_ready && hv->running &&
	       !(hv->lease_out && hv->lease_link == hv->agent.opened);
}

static void renew(struct hv *hv)
{
	struct json_object *args;

	arm(hv);
	if (!may_ask(hv))
		return;
	args = json_object_new_object();
	json_object_object_add(args, "txn", json_object_new_string(hv->lease_txn));
	json_object_object_add(args, "lease-ms", json_object_new_int(LEASE_MS));
	hv->lease_sent_ms = hv_now_ms();
	hv->lease_link = hv->agent.opened;
	hv->lease_out = conn_submit(&hv->agent, ls_wire[hv->lease_verb].name, args, on_renewed, hv,
				    NULL) >= 0;
}

void hv_expect_lease(struct hv *hv, const char *txn)
{
	snprintf(hv->lease_txn, sizeof(hv->lease_txn), "%s", txn);
	hv->lease_over = false;
}

void lease_ask(struct hv *hv, const char *txn, enum ls_wire_command renewal)
{
	snprintf(hv->lease_txn, sizeof(hv->lease_txn), "%s", txn);
	hv->lease_verb = renewal;
	hv->lease_taken_ms = hv_now_ms();
}

void lease_begin(struct hv *hv)
{
	hv->lease_over = false;
	hv->lease_until_ms = hv->lease_taken_ms + LS_LEASE_FIRST_MAX_MS;
	renew(hv);
}

void lease_adopt(struct hv *hv, const struct vm *vm)
{
	bool window = hv->lease_txn[0] && !strcmp(vm->window_txn, hv->lease_txn);
	bool lock = hv->lease_txn[0] && !strcmp(vm->lock_txn, hv->lease_txn);

	if (hv->lease_timer || hv->lease_over || (!window && !lock))
		return;
	hv->lease_verb = window ? LS_WIRE_WINDOW_RENEW : LS_WIRE_RENEW;
	renew(hv);
}

void lease_stop(struct hv *hv)
{
	hv->lease_timer = sd_event_source_disable_unref(hv->lease_timer);
	hv->lease_until_ms = 0;
	hv->lease_over = true;
}
