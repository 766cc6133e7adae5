/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a session begins, in both dialects, and what each message means.
 *
 *	state		QMP				QGA
 *	GREETING	{"QMP": ...} -> NEGOTIATING	0xFF, then our number -> READY
 *	NEGOTIATING	the reply -> READY		-
 *	READY		replies, events			replies, events
 *
 * In QGA everything before the sentinel is left over from somebody else's session
 * and dropped, however it looks. In QMP the first thing that is not a greeting ends
 * the connection: it is not a QEMU.
 */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <json-c/json.h>

static int not_this_dialect(struct qmp *q)
{
	char text[SEEN_BYTES_MAX + 1];

	return client_fail(q, -EPROTO, "not a QMP server: it said \"%s\"", client_seen(q, text));
}

/* ---- QMP -------------------------------------------------------------- */

static void on_negotiated(struct qmp *q, struct json_object *value, const struct ls_err *err,
			  void *arg)
{
	(void)value, (void)arg;
	if (!err)
		client_set_state(q, QMP_NEGOTIATING, QMP_READY);
	else if (q->state != QMP_DEAD)
		client_fail(q, -EPROTO, "qmp_capabilities was refused: %s", err->text);
}

static bool offers_oob(struct json_object *greeting)
{
	struct json_object *list = qmp_get_array(qmp_get_obj(greeting, "QMP"), "capabilities");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(list, i));

		if (name && !strcmp(name, "oob"))
			return true;
	}
	return false;
}

static int negotiate(struct qmp *q)
{
	struct json_object *args = NULL;
	struct ls_err err;

	q->oob = q->opt.oob && offers_oob(q->greeting);
	if (q->oob && qmp_parse("{\"enable\":[\"oob\"]}", 18, NULL, &err, &args) < 0)
		return client_fail(q, -ENOMEM, "%s", err.text);
	if (request_send(q, "execute", "qmp_capabilities", args, on_negotiated, NULL, &err, NULL))
		return client_fail(q, err.code, "%s", err.text);
	client_set_state(q, QMP_GREETING, QMP_NEGOTIATING);
	return 0;
}

static int on_greeting(struct qmp *q, struct json_object *message)
{
	if (!qmp_get_obj(message, "QMP"))
		return not_this_dialect(q);
	q->greeting = json_object_get(message);
	return negotiate(q);
}

/* ---- QGA -------------------------------------------------------------- */

/* The leading 0xFF makes the agent drop half a command that somebody left there. */
int session_sync(struct qmp *q)
{
	char text[128];
	int n, r;

	q->sync_id = q->next_id++;
	q->synced = false;
	n = snprintf(text, sizeof(text),
		     "\xFF{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%" PRIu64
		     "}}\n",
		     q->sync_id);
	r = request_send_raw(q, text, n);
	if (r < 0)
		return client_fail(q, r, "cannot send guest-sync-delimited: %s", strerror(-r));
	return 0;
}

static int on_sync(struct qmp *q, struct json_object *message)
{
	if (qmp_get_obj(message, "QMP"))
		return client_fail(q, -EPROTO, "a QMP server, not a guest agent");
	if (q->synced && qmp_get_int(message, "return", -1) == (int64_t)q->sync_id)
		client_set_state(q, QMP_GREETING, QMP_READY);
	q->synced = false;
	return 0;
}

/* ---- both ------------------------------------------------------------- */

int session_begin(struct qmp *q)
{
	client_set_state(q, QMP_CONNECTING, QMP_GREETING);
	return q->opt.dialect == QMP_DIALECT_QGA ? session_sync(q) : 0;
}

/* A message that is no event, no answer: QMP ends, QGA goes on. */
static int on_nonsense(struct qmp *q, const char *what)
{
	struct ls_err err = { 0 };

	ls_err_set(&err, -EPROTO, "%s", what);
	return session_damage(q, &err);
}

static int on_message(struct qmp *q, struct json_object *message)
{
	bool error = qmp_get_obj(message, "error");
	struct json_object *value;
	int r;

	if (qmp_get_str(message, "event", NULL)) {
		r = event_push(&q->events, message, framer_value_bytes(q->in));
		return r < 0 ? client_fail(q, r, "an event: %s", strerror(-r)) : 0;
	}
	if (!error && !json_object_is_type(message, json_type_object))
		return on_nonsense(q, "a message that is no object");
	if (!error && !json_object_object_get_ex(message, "return", &value))
		return on_nonsense(q, "a message that is neither reply nor event");
	if (error && q->opt.dialect == QMP_DIALECT_QMP && qmp_get_int(message, "id", 0) <= 0)
		return on_nonsense(q, "an error that answers no request");
	request_answer(q, message);
	return 0;
}

int session_message(struct qmp *q, struct json_object *message)
{
	if (q->state != QMP_GREETING)
		return on_message(q, message);
	return q->opt.dialect == QMP_DIALECT_QMP ? on_greeting(q, message) : on_sync(q, message);
}

int session_sentinel(struct qmp *q)
{
	q->synced = q->state == QMP_GREETING;
	return 0;
}

/*
 * Bytes that are no JSON, or over a limit. A guest agent is not given up for that:
 * but one of the replies we wait for may have been in the damage, so none of them
 * is waited for any longer.
 */
int session_damage(struct qmp *q, const struct ls_err *what)
{
	struct ls_err err = { 0 };

	if (what->code == -ENOMEM)
		return client_fail(q, -ENOMEM, "%s", what->text);
	if (q->opt.dialect == QMP_DIALECT_QMP)
		return q->state == QMP_GREETING ? not_this_dialect(q)
						: client_fail(q, what->code, "%s", what->text);
	if (q->state == QMP_GREETING)
		return 0;
	ls_err_set(&err, what->code, "%s: the agent sent garbage: %s", q->address, what->text);
	request_fail_all(q, &err);
	return 0;
}
