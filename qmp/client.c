/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client connection: its states, and one turn of its loop.
 *
 *	CONNECTING -> GREETING -> NEGOTIATING -> READY		DEAD from everywhere
 *
 * One turn: connect further if need be, read and handle what came, write what
 * waits. What messages mean is in session.c, which reply belongs to which request
 * in request.c.
 */
#include "client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <json-c/json.h>

#include <lockstep/cleanup.h>

#define READ_BYTES 16384
#define READS_MAX  16 /* of one turn: a peer that never stops must not own the loop */

const char *qmp_state_name(enum qmp_state s)
{
	static const char *const names[] = { "connecting", "greeting", "negotiating", "ready",
					     "dead" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == QMP_STATE_COUNT, "one per state");
	return (unsigned)s < QMP_STATE_COUNT ? names[s] : "invalid";
}

void client_set_state(struct qmp *q, enum qmp_state from, enum qmp_state to)
{
	if (q->state == from)
		q->state = to;
}

int client_fail(struct qmp *q, int code, const char *fmt, ...)
{
	va_list ap;

	if (q->state == QMP_DEAD)
		return q->dead.code;
	va_start(ap, fmt);
	ls_err_vset(&q->dead, code, fmt, ap);
	va_end(ap);
	ls_err_prefix(&q->dead, "%s", q->address);
	q->state = QMP_DEAD;
	return code;
}

/* What came first, fit for a terminal. */
const char *client_seen(const struct qmp *q, char text[SEEN_BYTES_MAX + 1])
{
	size_t i;

	for (i = 0; i < q->n_seen; i++)
		text[i] = q->seen[i] >= ' ' && q->seen[i] < 0x7F ? q->seen[i] : '.';
	while (i && (text[i - 1] == '.' || text[i - 1] == ' ') && q->seen[i - 1] <= ' ')
		i--;
	text[i] = '\0';
	return text;
}

/* ---- reading ---------------------------------------------------------- */

static int handle_all(struct qmp *q)
{
	struct json_object *value = NULL;
	struct ls_err err = { 0 };
	int r;

	while (q->state != QMP_DEAD && (r = qmp_framer_next(q->in, &err, &value)) != 0) {
		if (r == 1)
			session_message(q, value);
		else if (r == 2)
			session_sentinel(q);
		else
			session_damage(q, &err);
		json_object_put(ls_steal_ptr(&value));
	}
	return q->dead.code;
}

static void remember_first(struct qmp *q, const char *bytes, size_t len)
{
	size_t room = SEEN_BYTES_MAX - q->n_seen;

	if (q->state != QMP_GREETING || !room)
		return;
	len = len < room ? len : room;
	memcpy(q->seen + q->n_seen, bytes, len);
	q->n_seen += len;
}

static int peer_closed(struct qmp *q, int code)
{
	const char *said = transport_said(&q->link);
	const char *when = q->state == QMP_READY ? "" : " before the session was ready";

	return client_fail(q, -EPIPE, "the peer has closed the connection%s%s%s%s%s", when,
			   code ? ": " : "", code ? strerror(-code) : "", *said ? ": " : "", said);
}

/* One read: how many bytes, 0 nothing there, or the connection is dead. */
static ssize_t read_some(struct qmp *q)
{
	char *room = framer_reserve(q->in, READ_BYTES);
	ssize_t n;

	if (!room)
		return client_fail(q, -ENOMEM, "out of memory");
	n = transport_read(&q->link, room, READ_BYTES);
	if (n > 0)
		remember_first(q, room, n);
	framer_added(q->in, n > 0 ? n : 0);
	if (n == -EAGAIN)
		return 0;
	return n > 0 ? n : peer_closed(q, n);
}

/* A short read means there was no more: the EAGAIN of another one need not be seen. */
static int read_all(struct qmp *q)
{
	ssize_t n = READ_BYTES;

	for (int i = 0; i < READS_MAX && n == READ_BYTES; i++) {
		n = read_some(q);
		if (n > 0)
			n = handle_all(q) < 0 ? -EPIPE : n;
	}
	return q->dead.code;
}

/* ---- one turn --------------------------------------------------------- */

static int connect_further(struct qmp *q)
{
	struct ls_err err = { 0 };
	int r = transport_step(&q->link, &err);

	if (r < 0)
		return client_fail(q, r, "%s", err.text);
	return r ? session_begin(q) : 0;
}

static void client_turn(struct qmp *q, short revents)
{
	if (q->state == QMP_CONNECTING)
		connect_further(q);
	if (q->state == QMP_CONNECTING || q->state == QMP_DEAD)
		return;
	if (q->link.ssh)
		transport_said(&q->link);
	if (!revents || revents & ~POLLOUT)
		read_all(q);
	if (q->state != QMP_DEAD && buf_len(&q->out))
		request_flush(q);
}

int qmp_dispatch(struct qmp *q, short revents, struct ls_err *err)
{
	if (q->state != QMP_DEAD)
		client_turn(q, revents);
	if (q->state != QMP_DEAD)
		return 0;
	request_fail_all(q, &q->dead);
	if (err)
		*err = q->dead;
	return q->dead.code;
}

/* ---- life ------------------------------------------------------------- */

/*
 * Several clients may follow each other on an agent's port or a monitor, where late replies
 * to an earlier one, which was killed, can still arrive: their ids must not meet ours.
 */
static uint64_t first_id(void)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		return 1;
	return ((uint64_t)random << 20) + 1; /* stays below 2^53: exact in any JSON reader */
}

static struct qmp *client_new(const char *address, const struct qmp_options *options)
{
	struct qmp *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->link = (struct transport){ .sock = -1, .set = -1 };
	if (options)
		q->opt = *options;
	q->events.max = q->opt.events ? q->opt.events : QMP_EVENTS_MAX;
	q->next_id = first_id();
	q->address = strdup(address);
	q->in = qmp_framer_new(&q->opt.limits);
	if (q->address && q->in)
		return q;
	qmp_close(q);
	return NULL;
}

int client_begin(const char *address, const struct qmp_options *options, bool may_block,
		 uint64_t deadline_ms, struct ls_err *err, struct qmp **ret_q)
{
	struct transport link;
	struct qmp *q;
	int r;

	r = transport_open(&link, address, may_block, deadline_ms, err);
	if (r < 0)
		return r;
	q = client_new(address, options);
	if (!q) {
		transport_close(&link);
		return ls_err_set(err, -ENOMEM, "%s: out of memory", address);
	}
	q->link = link;
	if (!q->link.pending && session_begin(q) < 0) {
		r = q->dead.code;
		if (err)
			*err = q->dead;
		qmp_close(q);
		return r;
	}
	*ret_q = q;
	return 0;
}

int qmp_start(const char *address, const struct qmp_options *options, struct ls_err *err,
	      struct qmp **ret_q)
{
	return client_begin(address, options, false, 0, err, ret_q);
}

void qmp_close(struct qmp *q)
{
	if (!q)
		return;
	transport_close(&q->link);
	qmp_framer_free(q->in);
	buf_done(&q->out);
	event_queue_done(&q->events);
	free(q->pending);
	json_object_put(q->greeting);
	free(q->address);
	free(q);
}

/* ---- for users -------------------------------------------------------- */

enum qmp_state qmp_state(const struct qmp *q)
{
	return q->state;
}

struct json_object *qmp_greeting(const struct qmp *q)
{
	return q->greeting;
}

const char *qmp_address(const struct qmp *q)
{
	return q->address;
}

bool qmp_has_oob(const struct qmp *q)
{
	return q->oob && q->state == QMP_READY;
}

int qmp_fd(const struct qmp *q)
{
	return transport_fd(&q->link);
}

short qmp_poll_events(const struct qmp *q)
{
	return transport_events(&q->link);
}

int qmp_submit(struct qmp *q, const char *name, struct json_object *args, qmp_reply_fn fn,
	       void *arg, struct ls_err *err, uint64_t *ret_id)
{
	if (q->state == QMP_READY)
		return request_send(q, "execute", name, args, fn, arg, err, ret_id);
	json_object_put(args);
	return ls_err_set(err, -ENOTCONN, "%s: the session is not ready but %s", q->address,
			  qmp_state_name(q->state));
}

int qmp_resync(struct qmp *q, struct ls_err *err)
{
	struct ls_err late = { 0 };

	if (q->opt.dialect != QMP_DIALECT_QGA)
		return ls_err_set(err, -EOPNOTSUPP, "%s: only a guest agent can be synced with",
				  q->address);
	if (q->state == QMP_READY || q->state == QMP_GREETING) {
		q->state = QMP_GREETING;
		ls_err_set(&late, -ETIMEDOUT, "%s: given up for a new sync", q->address);
		request_fail_all(q, &late);
		session_sync(q);
	}
	if (q->state != QMP_DEAD)
		return 0;
	if (err)
		*err = q->dead;
	return q->dead.code;
}

int qmp_event_next(struct qmp *q, struct qmp_event *ret_event)
{
	return event_pop(&q->events, ret_event);
}
