/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client may ask of the set of guests. A guest that was added is kept, whether it can
 * be reached or not; who added it hears which of the two it is.
 */
#include "ctl_private.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "../report/json.h"

/* ---- add ------------------------------------------------------------------------- */

static void tell(struct qmp_call *call, const char *state, const char *reason)
{
	struct json_object *o = json_object_new_object();

	json_add_str(o, "state", state);
	json_add_str(o, "reason", reason);
	qmp_reply(call, o);
}

static void tell_state(struct qmp_call *call, const struct lane *l)
{
	const struct ls_err *why = lane_away(l);

	tell(call, lane_state_name(lane_state(l)), why ? why->text : "");
}

static bool is_known(const struct lane *l)
{
	return lane_away(l) || lane_state(l) == LANE_READY || lane_state(l) == LANE_BUSY;
}

void ctl_arrived(struct ctl *c, const struct lane *l, bool removed)
{
	struct arrival **at = c ? &c->arrivals : NULL, *a;

	while (at && (a = *at)) {
		if (strcmp(a->guest, lane_guest(l)->name)) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		if (removed)
			tell(a->call, lane_state_name(LANE_AWAY), "it was removed meanwhile");
		else
			tell_state(a->call, l);
		free(a);
	}
}

static void await(struct ctl *c, const struct lane *l, struct qmp_call *call)
{
	struct arrival *a = calloc(1, sizeof(*a));

	snprintf(a->guest, sizeof(a->guest), "%s", lane_guest(l)->name);
	a->call = call;
	a->next = c->arrivals;
	c->arrivals = a;
}

void do_add(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct guest g = { 0 };
	const struct lane *l;
	struct ls_err err;
	int r;

	snprintf(g.name, sizeof(g.name), "%s", qmp_get_str(args, "guest", ""));
	snprintf(g.qmp, sizeof(g.qmp), "%s", qmp_get_str(args, "qmp", ""));
	snprintf(g.agent, sizeof(g.agent), "%s", qmp_get_str(args, "agent", ""));
	r = daemon_add(d, &g, &err);
	if (r < 0) {
		ctl_fail(call, r, &err);
		return;
	}
	l = daemon_find(d, g.name);
	if (is_known(l) || qmp_get_bool(args, "no-wait", false))
		tell_state(call, l);
	else
		await(d->ctl, l, call);
}

/* ---- remove, reload ---------------------------------------------------------------- */

void do_remove(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct ls_err err;
	int r = daemon_remove(d, qmp_get_str(args, "guest", ""), &err);

	if (r < 0)
		ctl_fail(call, r, &err);
	else
		qmp_reply(call, NULL);
}

void do_reload(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct ls_err err;
	int r = daemon_load(d, false, &err);

	(void)args;
	if (r < 0)
		ctl_fail(call, r, &err);
	else
		qmp_reply(call, NULL);
}

void ctl_guests_done(struct ctl *c)
{
	while (c->arrivals) {
		struct arrival *a = c->arrivals;

		c->arrivals = a->next;
		tell(a->call, lane_state_name(LANE_AWAY), "lockstepd has ended");
		free(a);
	}
}
