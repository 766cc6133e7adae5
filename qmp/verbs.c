/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a client's message to the handler of its verb.
 *
 * The sentences of refusal are QEMU's, so that a client tells them apart the same
 * way; one unit test holds them against a real QEMU.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

static const struct qmp_field sync_fields[] = {
	{ "id", QMP_INT, false, INT64_MIN, INT64_MAX, 0, "comes back in the reply" },
};

static const struct qmp_field capabilities_fields[] = {
	{ "enable", QMP_ANY, true, 0, 0, 0, "names of capabilities that the greeting offered" },
};

/* ---- verbs of our own ------------------------------------------------- */

static void do_sync(struct qmp_call *call, struct json_object *args, void *arg)
{
	if (call->peer->opt.synced)
		call->peer->opt.synced(call->peer, arg);
	qmp_reply(call, json_object_new_int64(qmp_get_int(args, "id", 0)));
}

static void do_sync_delimited(struct qmp_call *call, struct json_object *args, void *arg)
{
	call->sync = true;
	do_sync(call, args, arg);
}

static bool enables_only(struct json_object *list, bool oob_offered, bool *ret_oob)
{
	*ret_oob = false;
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);

		if (!json_object_is_type(e, json_type_string) || !oob_offered ||
		    strcmp(json_object_get_string(e), "oob"))
			return false;
		*ret_oob = true;
	}
	return true;
}

static void do_capabilities(struct qmp_call *call, struct json_object *args, void *arg)
{
	bool given = json_object_object_get_ex(args, "enable", NULL);
	struct json_object *list = qmp_get_array(args, "enable");
	struct qmp_peer *p = call->peer;
	bool oob;

	(void)arg;
	if (p->ready) {
		qmp_reply_error(call, "CommandNotFound",
				"Capabilities negotiation is already complete, command ignored");
	} else if (given != !!list || !enables_only(list, p->oob, &oob)) {
		qmp_reply_error(call, "GenericError", "Capability is not available");
	} else {
		p->ready = true;
		p->oob_on = oob;
		qmp_reply(call, NULL);
	}
}

static void do_query_commands(struct qmp_call *call, struct json_object *args, void *arg);

/* clang-format off */
static const struct qmp_verb qmp_own[] = {
	{ "qmp_capabilities", do_capabilities, capabilities_fields, 1 },
	{ "query-commands",   do_query_commands, NULL, 0 },
	{ 0 }
};
static const struct qmp_verb qga_own[] = {
	{ "guest-sync",		  do_sync,	     sync_fields, 1 },
	{ "guest-sync-delimited", do_sync_delimited, sync_fields, 1 },
	{ 0 }
};
/* clang-format on */

static void list_names(struct json_object *list, const struct qmp_verb *verbs)
{
	for (; verbs && verbs->name; verbs++) {
		struct json_object *row = json_object_new_object();

		json_object_object_add(row, "name", json_object_new_string(verbs->name));
		json_object_array_add(list, row);
	}
}

static void do_query_commands(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct json_object *list = json_object_new_array();

	(void)args, (void)arg;
	list_names(list, qmp_own);
	list_names(list, call->peer->opt.verbs);
	qmp_reply(call, list);
}

/* ---- finding and running ---------------------------------------------- */

static const struct qmp_verb *find(const struct qmp_verb *verbs, const char *name)
{
	for (; verbs && verbs->name; verbs++)
		if (!strcmp(verbs->name, name))
			return verbs;
	return NULL;
}

static const struct qmp_verb *find_verb(struct qmp_peer *p, const char *name)
{
	const bool qmp = p->opt.dialect == QMP_DIALECT_QMP;
	const struct qmp_verb *v = find(qmp ? qmp_own : qga_own, name);

	return v ? v : find(p->opt.verbs, name);
}

static void refuse(struct qmp_peer *p, struct json_object *request, const char *class,
		   const char *fmt, const char *what)
{
	char desc[LS_ERR_TEXT_BYTES];

	snprintf(desc, sizeof(desc), fmt, what);
	peer_send_error(p, request, class, desc);
}

/* The shape around the arguments; NULL when it is right, else QEMU's sentence. */
static const char *check_shape(struct qmp_peer *p, struct json_object *request,
			       const char **ret_what)
{
	json_object_object_foreach (request, key, v) {
		*ret_what = key;
		if (!strcmp(key, "execute") || (p->oob_on && !strcmp(key, "exec-oob"))) {
			if (!json_object_is_type(v, json_type_string))
				return "QMP input member '%.64s' must be a string";
		} else if (!strcmp(key, "arguments")) {
			if (!json_object_is_type(v, json_type_object))
				return "QMP input member 'arguments' must be an object";
		} else if (strcmp(key, "id")) {
			return "QMP input member '%.64s' is unexpected";
		}
	}
	return NULL;
}

/* One of the two, not both. */
static const char *verb_name(struct json_object *request)
{
	const char *name = qmp_get_str(request, "execute", NULL);
	const char *oob = qmp_get_str(request, "exec-oob", NULL);

	return name && oob ? NULL : name ? name : oob;
}

static void run(struct qmp_peer *p, struct json_object *request, const struct qmp_verb *v)
{
	struct ls_err err = { 0 };
	struct qmp_call *call = call_new(p, request, v->name);
	bool classed = p->opt.classed && p->opt.classed(v->name);

	if (!call || !call->args) {
		p->dead = -ENOMEM;
		return;
	}
	if (qmp_fields_check(v->fields, v->n_fields, true, call->args, &err) < 0) {
		qmp_reply_error(call, classed && *err.class ? err.class : "GenericError",
				"Parameter %.240s", err.text);
		return;
	}
	v->fn(call, call->args, p->opt.arg);
}

static void dispatch(struct qmp_peer *p, struct json_object *request, const char *name)
{
	const struct qmp_verb *v = find_verb(p, name);

	if (!p->ready && (!v || v->fn != do_capabilities))
		refuse(p, request, "CommandNotFound",
		       "Expecting capabilities negotiation with '%s'", "qmp_capabilities");
	else if (!v)
		refuse(p, request, "CommandNotFound", "The command %.64s has not been found", name);
	else
		run(p, request, v);
}

void verbs_message(struct qmp_peer *p, struct json_object *message)
{
	const char *fmt, *what = "execute", *name;

	if (!json_object_is_type(message, json_type_object)) {
		refuse(p, NULL, "GenericError", "%s must be a JSON object", "QMP input");
		return;
	}
	fmt = check_shape(p, message, &what);
	name = verb_name(message);
	if (!fmt && !name) {
		what = "execute";
		fmt = "QMP input lacks member '%s'";
	}
	if (fmt)
		refuse(p, message, "GenericError", fmt, what);
	else
		dispatch(p, message, name);
}
