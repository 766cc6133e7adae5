/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client may ask. The table is CTL_VERBS; a verb is done only for who is in its
 * class. The class of an error is the name of the exit code that it stands for.
 */
#include "ctl_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "daemon_log.h"
#include "../report/exit.h"
#include "../report/json.h"

/* ---- errors -------------------------------------------------------------------- */

void ctl_fail(struct qmp_call *call, int r, const struct ls_err *err)
{
	int code = r == -EBUSY ? XC_BUSY : r == -EPIPE ? XC_REACH : XC_USAGE;

	qmp_reply_error(call, exit_name(code), "%s", err->text);
}

struct lane *ctl_lane(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	const char *name = qmp_get_str(args, "guest", "");
	struct lane *l = daemon_find(d, name);

	if (!l)
		qmp_reply_error(call, "GuestUnknown",
				"lockstepd has no guest \"%s\": lockstep list", name);
	return l;
}

struct client *ctl_client(const struct qmp_call *call)
{
	return qmp_peer_data(qmp_call_peer(call));
}

/* ---- looking ------------------------------------------------------------------- */

static void do_list(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct json_object *list = json_object_new_array();

	(void)args;
	for (unsigned i = 0; i < d->n_lanes; i++)
		json_object_array_add(list, lane_summary(d->lanes[i]));
	qmp_reply(call, list);
}

static void do_status(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct lane *l = ctl_lane(call, args, d);

	if (l)
		qmp_reply(call, lane_status(l));
}

static void do_subscribe(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	(void)args, (void)d;
	ctl_client(call)->subscribed = true;
	qmp_reply(call, NULL);
}

/* ---- changing -------------------------------------------------------------------- */

void ctl_remember(struct ctl *c, struct qmp_call *call, const char *txn)
{
	struct pending *p = calloc(1, sizeof(*p));

	snprintf(p->txn, sizeof(p->txn), "%s", txn);
	p->call = call;
	p->next = c->pending;
	c->pending = p;
}

static void answer(struct pending *p, struct json_object *o, bool refused)
{
	struct json_object *value;

	if (refused) {
		qmp_reply_error(p->call, exit_name((int)qmp_get_int(o, "exit", XC_REFUSED)), "%s",
				qmp_get_str(o, "error", ""));
		return;
	}
	value = json_object_new_object();
	json_add_str(value, "txn", p->txn);
	if (!qmp_get_bool(o, "on-record", true))
		json_add_str(value, "end", qmp_get_str(o, "end", ""));
	qmp_reply(p->call, value);
}

void ctl_answer_pending(struct ctl *c, const char *txn, struct json_object *o)
{
	const char *event = qmp_get_str(o, "event", "");
	bool refused = !strcmp(event, "error");
	struct pending *p;

	if (!refused && strcmp(event, "accepted") && strcmp(event, "end"))
		return;
	for (struct pending **at = &c->pending; *at; at = &(*at)->next) {
		p = *at;
		if (strcmp(p->txn, txn))
			continue;
		*at = p->next;
		answer(p, o, refused);
		free(p);
		return;
	}
}

static void wish(struct qmp_call *call, struct json_object *args, struct daemon *d,
		 enum wish_kind kind)
{
	struct lane_job job = { .owner = ctl_client(call)->number,
				.timeout_ms = (unsigned)qmp_get_int(args, "timeout-ms", 0) };
	struct lane *l = ctl_lane(call, args, d);
	char id[LS_TXN_BYTES], text[WISH_TEXT_BYTES];
	struct log_about about = { .message = LOG_ASKED, .txn = id };
	struct ls_err err;
	int r;

	if (!l)
		return;
	wish_from_json(kind, args, &job.wish);
	r = wish_allowed(&job.wish, d->config.folders, &err);
	if (!r)
		r = lane_ask(l, &job, &err, id);
	if (r < 0) {
		ctl_fail(call, r, &err);
		return;
	}
	wish_text(&job.wish, text, sizeof(text));
	about.guest = lane_guest(l)->name;
	log_about(LOG_INFO, &about, "%s, asked by uid %u, pid %d", text,
		  (unsigned)ctl_client(call)->who.uid, (int)ctl_client(call)->who.pid);
	ctl_remember(d->ctl, call, id);
}

static void do_cancel(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	struct lane *l = ctl_lane(call, args, d);
	struct ls_err err;
	int r = l ? lane_cancel(l, qmp_get_str(args, "txn", NULL), &err) : 0;

	if (l && r < 0)
		ctl_fail(call, r, &err);
	else if (l)
		qmp_reply(call, NULL);
}

/* ---- the table ------------------------------------------------------------------------ */

static bool allowed(struct qmp_call *call, const struct daemon *d, enum access_class class)
{
	struct client *k = ctl_client(call);

	k->spoke = true;
	if (access_allows(&d->config.access, class, &k->who))
		return true;
	qmp_reply_error(call, "AccessDenied",
			"%s: uid %u may not: it takes the class \"%s\", whose users and groups are "
			"in the section [access] of lockstepd.conf",
			qmp_call_name(call), (unsigned)k->who.uid, access_class_name(class));
	return false;
}

#define DO(fn)	   do_##fn(call, args, d)
#define WISH(kind) wish(call, args, d, WISH_##kind)
#define X(name, fields, class, act, doc)                                                           \
	static void gate_##fields(struct qmp_call *call, struct json_object *args, void *d)        \
	{                                                                                          \
		if (allowed(call, d, ACCESS_##class))                                              \
			(act);                                                                     \
	}
CTL_VERBS(X)
#undef X

/* clang-format off */
#define GUEST   { "guest", QMP_STRING, false, 1, LS_NAME_BYTES - 1, 0, "its name" }
#define DEVICE	{ "device", QMP_STRING, false, 1, LS_NAME_BYTES - 1, 0, "its id" }
#define LIMIT   { "timeout-ms", QMP_INT, true, 1, 86400000, 0, "for the operation as a whole" }
#define NO_WAIT { "no-wait", QMP_BOOL, true, 0, 0, 0, "not for the end of it" }
#define HOW \
	LIMIT, \
	{ "best-effort", QMP_BOOL, true, 0, 0, 0, "drop what cannot be had, do the rest" }, \
	{ "dry-run", QMP_BOOL, true, 0, 0, 0, "tell what would be done, send nothing" }

static const struct qmp_field list_fields[] = {};
#define subscribe_fields list_fields
#define reload_fields	 list_fields
static const struct qmp_field status_fields[] = { GUEST };
#define remove_fields status_fields
static const struct qmp_field vcpus_fields[] = {
	GUEST, HOW, { "count", QMP_INT, false, 0, LS_CPUS_MAX, 0, "vCPUs afterwards" },
	{ "node", QMP_INT, true, 0, LS_CPUS_MAX, 0, "of this NUMA node only" },
};
static const struct qmp_field vcpus_plug_fields[] = {
	GUEST, HOW, { "slots", QMP_INTS, false, 0, LS_CPUS_MAX - 1, LS_CPUS_MAX, "vCPU slots" },
};
#define vcpus_unplug_fields vcpus_plug_fields
static const struct qmp_field memory_fields[] = {
	GUEST, HOW, { "bytes", QMP_INT, false, 0, INT64_MAX, 0, "memory afterwards" },
};
static const struct qmp_field cpu_online_fields[] = {
	GUEST, HOW, { "cpus", QMP_INTS, false, 0, LS_CPUS_MAX - 1, LS_CPUS_MAX, "guest CPU numbers" },
};
#define cpu_offline_fields cpu_online_fields
#define balloon_fields memory_fields
static const struct qmp_field dimm_add_fields[] = {
	GUEST, HOW, { "bytes", QMP_INT, false, 0, INT64_MAX, 0, "of the DIMM" },
	{ "backend", QMP_STRING, true, 0, BACKING_TEXT_BYTES - 1, 0, "what it is made of" },
};
static const struct qmp_field dimm_remove_fields[] = { GUEST, HOW, DEVICE };
static const struct qmp_field memory_resize_fields[] = {
	GUEST, HOW, DEVICE,
	{ "bytes", QMP_INT, false, 0, INT64_MAX, 0, "of the device afterwards" },
};
static const struct qmp_field txn_list_fields[] = {
	{ "guest", QMP_STRING, true, 1, LS_NAME_BYTES - 1, 0, "of this one only" },
	{ "limit", QMP_INT, true, 1, CTL_TXNS_MAX, 0, "at most so many" },
};
static const struct qmp_field txn_show_fields[] = {
	{ "txn", QMP_STRING, false, 1, LS_TXN_BYTES - 1, 0, "which" },
};
#define txn_forget_fields txn_show_fields
static const struct qmp_field txn_resume_fields[] = {
	{ "txn", QMP_STRING, false, 1, LS_TXN_BYTES - 1, 0, "which" }, LIMIT,
};
#define txn_undo_fields txn_resume_fields
static const struct qmp_field cancel_fields[] = {
	GUEST, { "txn", QMP_STRING, true, 1, LS_TXN_BYTES - 1, 0, "which" },
};
static const struct qmp_field doctor_fields[] = {
	GUEST, LIMIT, NO_WAIT, { "fix", QMP_BOOL, true, 0, 0, 0, "heal what is found" },
};
static const struct qmp_field add_fields[] = {
	GUEST, NO_WAIT,
	{ "qmp", QMP_STRING, false, 1, GUEST_ADDRESS_BYTES - 1, 0, "address of its monitor" },
	{ "agent", QMP_STRING, true, 0, GUEST_ADDRESS_BYTES - 1, 0, "of its agent's channel" },
};
/* clang-format on */

const struct qmp_verb ctl_verbs[] = {
#define X(name, fields, class, act, doc)                                                           \
	{ name, gate_##fields, fields##_fields,                                                    \
	  sizeof(fields##_fields) / sizeof(fields##_fields[0]) },
	CTL_VERBS(X)
#undef X
		{ 0 },
};

void ctl_verbs_done(struct ctl *c)
{
	ctl_guests_done(c);
	while (c->pending) {
		struct pending *p = c->pending;

		c->pending = p->next;
		qmp_reply_error(p->call, "STUCK", "lockstepd has ended");
		free(p);
	}
}
