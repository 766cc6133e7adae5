/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests and their replies: matched by id, so they may come in any order.
 *
 * DOC: ids
 *
 * QEMU 7.2 takes its monitor's input byte by byte: each digit of an id costs a round
 * trip several microseconds. So in QMP the id on the wire is the least number that
 * no unanswered request has. A cancelled request keeps its number, and its place in
 * the table, until its reply has come: no late reply can be taken for another one's.
 *
 * An agent may lose requests when it restarts, and late replies to an earlier client
 * can still be under way on its port. In QGA ids therefore start anywhere, only rise,
 * and a cancelled request is forgotten at once.
 */
#include "client.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "scan.h"

#define NAME_BYTES_MAX 128 /* QEMU's longest command name has 40 */
#define ROOM_FIRST     16  /* requests */

/* ---- sending ---------------------------------------------------------- */

/* A lost peer is noticed by the next read; what was answered before it went is kept. */
void request_flush(struct qmp *q)
{
	ssize_t n;

	while (buf_len(&q->out)) {
		n = transport_write(&q->link, buf_head(&q->out), buf_len(&q->out));
		if (n <= 0)
			break;
		buf_take(&q->out, n);
	}
	transport_want_out(&q->link, buf_len(&q->out) != 0);
}

int request_send_raw(struct qmp *q, const char *bytes, size_t len)
{
	if (buf_len(&q->out) + len > QMP_SEND_BYTES_MAX)
		return -ENOBUFS;
	if (buf_append(&q->out, bytes, len) < 0)
		return -ENOMEM;
	request_flush(q);
	return 0;
}

static int check_name(const char *name, struct ls_err *err)
{
	size_t len = strnlen(name, NAME_BYTES_MAX + 1);

	if (!len || len > NAME_BYTES_MAX)
		return ls_err_set(err, -EINVAL, "a command's name has 1 to %d bytes",
				  NAME_BYTES_MAX);
	for (size_t i = 0; i < len; i++)
		if (!isascii(name[i]) || (!isalnum(name[i]) && !strchr("-_.", name[i])))
			return ls_err_set(err, -EINVAL, "not a command's name: %s", name);
	return 0;
}

/* What we send is held against the same rules as what we get: strings may be a user's. */
static int check_args(const char *name, const char *text, size_t len, struct ls_err *err)
{
	struct qmp_limits none = { SIZE_MAX, SCAN_DEPTH_MAX, UINT32_MAX };
	struct scan scan;
	size_t used;

	scan_init(&scan, &none);
	if (scan_run(&scan, text, len, &used) == SCAN_VALUE && used == len && *text == '{')
		return 0;
	return ls_err_set(err, -EINVAL, "the arguments of %s are no JSON object: byte %zu: %s",
			  name, used, scan.why ? scan.why : "more than one value");
}

static int write_request(struct qmp *q, const char *verb, const char *name,
			 struct json_object *args, uint64_t id, struct ls_err *err)
{
	const char *text = NULL;
	size_t len = 0, room;
	char *to;
	int r = 0;

	if (args) {
		text = json_object_to_json_string_length(
			args, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
		r = text ? check_args(name, text, len, err)
			 : ls_err_set(err, -ENOMEM, "out of memory");
	}
	if (r < 0)
		return r;
	room = NAME_BYTES_MAX + 80 + len;
	if (buf_len(&q->out) + room > QMP_SEND_BYTES_MAX)
		return ls_err_set(err, -ENOBUFS, "%s: the peer does not read: %zu bytes waiting",
				  q->address, buf_len(&q->out));
	to = buf_reserve(&q->out, room);
	if (!to)
		return ls_err_set(err, -ENOMEM, "out of memory");
	r = snprintf(to, room, "{\"%s\":\"%s\",%s%s%s\"id\":%" PRIu64 "}\n", verb, name,
		     text ? "\"arguments\":" : "", text ? text : "", text ? "," : "", id);
	buf_added(&q->out, r);
	return 0;
}

static uint64_t wire_id(const struct qmp *q)
{
	if (q->opt.dialect == QMP_DIALECT_QGA)
		return q->next_id;
	for (unsigned i = 0; i < QMP_PENDING_MAX / 64; i++)
		if (~q->wire_used[i])
			return i * 64 + __builtin_ctzll(~q->wire_used[i]) + 1;
	return 0; /* never: there are as many numbers as places in the table */
}

static void mark_wire_id(struct qmp *q, uint64_t wire, bool used)
{
	uint64_t *word, bit;

	if (q->opt.dialect == QMP_DIALECT_QGA)
		return;
	word = &q->wire_used[(wire - 1) / 64];
	bit = 1ULL << ((wire - 1) % 64);
	*word = used ? *word | bit : *word & ~bit;
}

/* Twice the places: a connection that waits for nothing costs nothing for it. */
static int make_room(struct qmp *q)
{
	unsigned room = q->room ? q->room * 2 : ROOM_FIRST;
	struct request *pending;

	if (q->n_pending < q->room)
		return 0;
	pending = realloc(q->pending, room * sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	q->pending = pending;
	q->room = room;
	return 0;
}

/* @args is borrowed here. */
static int request_queue(struct qmp *q, const char *verb, const char *name,
			 struct json_object *args, uint64_t wire, struct ls_err *err)
{
	if (check_name(name, err) < 0)
		return -EINVAL;
	if (q->n_pending == QMP_PENDING_MAX)
		return ls_err_set(err, -ENOBUFS, "%s: %d requests without an answer", q->address,
				  QMP_PENDING_MAX);
	if (make_room(q) < 0)
		return ls_err_set(err, -ENOMEM, "out of memory");
	return write_request(q, verb, name, args, wire, err);
}

int request_send(struct qmp *q, const char *verb, const char *name, struct json_object *args,
		 qmp_reply_fn fn, void *arg, struct ls_err *err, uint64_t *ret_id)
{
	uint64_t wire = wire_id(q);
	int r = request_queue(q, verb, name, args, wire, err);

	json_object_put(args);
	if (r < 0)
		return r;
	mark_wire_id(q, wire, true);
	q->pending[q->n_pending++] = (struct request){ q->next_id, wire, fn, arg };
	if (ret_id)
		*ret_id = q->next_id;
	q->next_id++;
	request_flush(q);
	return 0;
}

/* ---- answers ---------------------------------------------------------- */

static void request_remove(struct qmp *q, unsigned i)
{
	mark_wire_id(q, q->pending[i].wire, false);
	q->n_pending--;
	memmove(&q->pending[i], &q->pending[i + 1], (q->n_pending - i) * sizeof(q->pending[0]));
}

/* Remove the request with this wire id; false if there is none. */
static bool request_take(struct qmp *q, uint64_t wire, struct request *ret)
{
	for (unsigned i = 0; i < q->n_pending; i++) {
		if (q->pending[i].wire != wire)
			continue;
		*ret = q->pending[i];
		request_remove(q, i);
		return true;
	}
	return false;
}

void qmp_cancel(struct qmp *q, uint64_t id)
{
	for (unsigned i = 0; i < q->n_pending; i++) {
		if (q->pending[i].id != id)
			continue;
		q->pending[i].fn = NULL;
		if (q->opt.dialect == QMP_DIALECT_QGA)
			request_remove(q, i);
		return;
	}
}

/* One line out of what the peer says: no control bytes, cut to fit. */
static void copy_line(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	for (; *to; to++)
		if ((unsigned char)*to < ' ' || *to == 0x7F)
			*to = ' ';
}

static void peer_error(struct json_object *error, struct ls_err *ret)
{
	ret->code = -EREMOTEIO;
	copy_line(ret->class, sizeof(ret->class), qmp_get_str(error, "class", "GenericError"));
	copy_line(ret->text, sizeof(ret->text), qmp_get_str(error, "desc", "no reason given"));
}

void request_answer(struct qmp *q, struct json_object *message)
{
	struct json_object *value = NULL;
	struct ls_err err = { 0 };
	struct request r;
	int64_t id = qmp_get_int(message, "id", 0);

	if (id <= 0 || !request_take(q, id, &r) || !r.fn)
		return;
	if (!json_object_object_get_ex(message, "return", &value))
		peer_error(qmp_get_obj(message, "error"), &err);
	r.fn(q, value, err.code ? &err : NULL, r.arg);
}

/* Only those that are pending now: a reply function may submit more. */
void request_fail_all(struct qmp *q, const struct ls_err *why)
{
	struct ls_err err = *why;
	struct request r;

	for (unsigned n = q->n_pending; n && q->n_pending; n--)
		if (request_take(q, q->pending[0].wire, &r) && r.fn)
			r.fn(q, NULL, &err, r.arg);
}
