/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the server half says: replies, errors, events.
 *
 * A call outlives its peer: whoever is going to answer it may hold nothing else.
 */
#include "peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <json-c/json.h>

#define EVENTS_BYTES_MAX (QMP_SEND_BYTES_MAX / 4) /* waiting bytes beyond which events are lost */
#define OUT_BYTES_MAX	 (QMP_SEND_BYTES_MAX + 2 * QMP_VALUE_BYTES_MAX)
#define PLAIN		 (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* ---- onto the wire ---------------------------------------------------- */

static int put_line(struct qmp_peer *p, const char *text, size_t len, bool sentinel)
{
	if (buf_len(&p->out) + len > OUT_BYTES_MAX)
		return -EMSGSIZE;
	if (!buf_reserve(&p->out, len + 2))
		return -ENOMEM;
	if (sentinel)
		buf_append(&p->out, "\xFF", 1);
	buf_append(&p->out, text, len);
	return buf_append(&p->out, "\n", 1);
}

/* A message that cannot be sent ends the session: its client would wait for ever. */
void peer_send(struct qmp_peer *p, struct json_object *message, bool sentinel)
{
	const char *text;
	size_t len;
	int r;

	text = message ? json_object_to_json_string_length(message, PLAIN, &len) : NULL;
	r = text ? put_line(p, text, len, sentinel) : -ENOMEM;
	json_object_put(message);
	if (r < 0 && !p->dead)
		p->dead = r;
	if (!p->busy)
		peer_flush(p);
}

static struct json_object *answer(const char *key, struct json_object *value,
				  struct json_object *request)
{
	struct json_object *message = json_object_new_object(), *id = NULL;

	if (!message || json_object_object_add(message, key, value) < 0) {
		json_object_put(message);
		json_object_put(value);
		return NULL;
	}
	if (json_object_is_type(request, json_type_object) &&
	    json_object_object_get_ex(request, "id", &id))
		json_object_object_add(message, "id", json_object_get(id));
	return message;
}

void peer_send_error(struct qmp_peer *p, struct json_object *request, const char *class,
		     const char *desc)
{
	struct json_object *error = json_object_new_object();

	json_object_object_add(error, "class", json_object_new_string(class));
	json_object_object_add(error, "desc", json_object_new_string(desc));
	peer_send(p, answer("error", error, request), false);
}

/* ---- calls ------------------------------------------------------------ */

struct qmp_call *call_new(struct qmp_peer *p, struct json_object *request, const char *name)
{
	struct json_object *args = qmp_get_obj(request, "arguments");
	struct qmp_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->args = args ? json_object_get(args) : json_object_new_object();
	call->request = json_object_get(request);
	call->name = name;
	call->peer = p;
	call->next = p->calls;
	p->calls = call;
	p->n_calls++;
	return call;
}

static void call_free(struct qmp_call *call)
{
	struct qmp_call **at;

	if (call->peer) {
		for (at = &call->peer->calls; *at != call; at = &(*at)->next)
			;
		*at = call->next;
		call->peer->n_calls--;
	}
	json_object_put(call->args);
	json_object_put(call->request);
	free(call);
}

void call_abandon_all(struct qmp_peer *p)
{
	for (struct qmp_call *call = p->calls; call; call = call->next)
		call->peer = NULL;
	p->calls = NULL;
	p->n_calls = 0;
}

struct qmp_peer *qmp_call_peer(const struct qmp_call *call)
{
	return call->peer;
}

const char *qmp_call_name(const struct qmp_call *call)
{
	return call->name;
}

void qmp_reply(struct qmp_call *call, struct json_object *value)
{
	struct qmp_peer *p = call->peer;

	if (!p) {
		json_object_put(value);
		call_free(call);
		return;
	}
	if (!value)
		value = json_object_new_object();
	struct json_object *message = answer("return", value, call->request);
	bool sync = call->sync;

	call_free(call);
	peer_send(p, message, sync);
}

static void reply_error(struct qmp_call *call, const char *class, const char *desc)
{
	struct qmp_peer *p = call->peer;
	struct json_object *request = json_object_get(call->request);

	call_free(call);
	if (p)
		peer_send_error(p, request, class, desc);
	json_object_put(request);
}

void qmp_reply_error(struct qmp_call *call, const char *class, const char *fmt, ...)
{
	char desc[LS_ERR_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(desc, sizeof(desc), fmt, ap);
	va_end(ap);
	reply_error(call, class, desc);
}

void qmp_reply_err(struct qmp_call *call, const struct ls_err *err)
{
	reply_error(call, err->class[0] ? err->class : "GenericError", err->text);
}

/* ---- events ----------------------------------------------------------- */

static struct json_object *timestamp(void)
{
	struct json_object *at = json_object_new_object();
	struct timeval tv;

	gettimeofday(&tv, NULL);
	json_object_object_add(at, "seconds", json_object_new_int64(tv.tv_sec));
	json_object_object_add(at, "microseconds", json_object_new_int64(tv.tv_usec));
	return at;
}

void qmp_peer_event(struct qmp_peer *p, const char *name, struct json_object *data)
{
	struct json_object *message;

	if (!p->ready || p->dead || buf_len(&p->out) > EVENTS_BYTES_MAX) {
		p->lost += p->ready;
		json_object_put(data);
		return;
	}
	message = json_object_new_object();
	json_object_object_add(message, "event", json_object_new_string(name));
	if (data)
		json_object_object_add(message, "data", data);
	json_object_object_add(message, "timestamp", timestamp());
	if (p->lost)
		json_object_object_add(message, "dropped", json_object_new_int64(p->lost));
	p->lost = 0;
	peer_send(p, message, false);
}
