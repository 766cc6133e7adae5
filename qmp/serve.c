/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server half: one turn of one client's loop.
 *
 * Nothing a client does costs more than its limits: while as many calls are open as
 * are allowed, or replies wait to be taken, no further request is looked at. What is
 * then left in our own buffer announces itself to nobody, so qmp_peer_poll_events()
 * asks for POLLOUT, which comes at once, as soon as it can be handled.
 */
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include <lockstep/cleanup.h>

#include "transport.h"

#define READ_BYTES    4096
#define READS_MAX     16
#define CALLS_DEFAULT 8

/* ---- greeting --------------------------------------------------------- */

static const char default_greeting[] =
	"{\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 0},"
	" \"package\": \"lockstep\"}, \"capabilities\": []}";

static bool has_oob(struct json_object *greeting)
{
	struct json_object *list = qmp_get_array(greeting, "capabilities");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);

		if (json_object_is_type(e, json_type_string) &&
		    !strcmp(json_object_get_string(e), "oob"))
			return true;
	}
	return false;
}

static int greet(struct qmp_peer *p, struct json_object *greeting)
{
	struct json_object *message = json_object_new_object();

	if (!greeting)
		qmp_parse(default_greeting, sizeof(default_greeting) - 1, NULL, NULL, &greeting);
	p->oob = has_oob(greeting);
	if (!message || json_object_object_add(message, "QMP", greeting) < 0) {
		json_object_put(greeting);
		json_object_put(message);
		return -ENOMEM;
	}
	peer_send(p, message, false);
	return 0;
}

/* ---- reading and writing ---------------------------------------------- */

static bool may_handle(const struct qmp_peer *p)
{
	return p->n_calls < p->opt.calls && buf_len(&p->out) <= QMP_SEND_BYTES_MAX;
}

void peer_flush(struct qmp_peer *p)
{
	ssize_t n;

	while (buf_len(&p->out) && !p->dead) {
		n = fd_write(p->fd, p->socket, buf_head(&p->out), buf_len(&p->out));
		if (n == -EAGAIN)
			return;
		if (n <= 0)
			p->dead = -EPIPE;
		else
			buf_take(&p->out, n);
	}
}

/* As QEMU: say that it was not understood, and go on behind the damage. */
static void on_damage(struct qmp_peer *p, const struct ls_err *what)
{
	char desc[LS_ERR_TEXT_BYTES];

	snprintf(desc, sizeof(desc), "JSON parse error, %.200s", what->text);
	peer_send_error(p, NULL, "GenericError", desc);
	if (what->code != -EPROTO && !p->dead)
		p->dead = what->code;
}

static void handle_all(struct qmp_peer *p)
{
	struct json_object *value = NULL;
	struct ls_err err = { 0 };
	int r;

	while (!p->dead && may_handle(p) && (r = qmp_framer_next(p->in, &err, &value)) != 0) {
		if (r == 1)
			verbs_message(p, value);
		else if (r < 0)
			on_damage(p, &err);
		json_object_put(ls_steal_ptr(&value));
	}
}

/* How many bytes, 0 nothing there now, or the client is gone. */
static ssize_t read_some(struct qmp_peer *p)
{
	char *room = framer_reserve(p->in, READ_BYTES);
	ssize_t n;

	if (!room) {
		p->dead = -ENOMEM;
		return -ENOMEM;
	}
	n = fd_read(p->fd, p->socket, room, READ_BYTES);
	framer_added(p->in, n > 0 ? n : 0);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0) {
		p->dead = -EPIPE;
		return -EPIPE;
	}
	return n;
}

static void read_all(struct qmp_peer *p)
{
	ssize_t n = READ_BYTES;

	for (int i = 0; i < READS_MAX && n == READ_BYTES && !p->dead && may_handle(p); i++) {
		n = read_some(p);
		if (n > 0)
			handle_all(p);
	}
}

int qmp_peer_dispatch(struct qmp_peer *p, short revents)
{
	int last;

	p->busy = true;
	handle_all(p);
	if (!revents || revents & ~POLLOUT)
		read_all(p);
	if (revents & (POLLHUP | POLLERR) && !may_handle(p) && !p->dead)
		p->dead = -EPIPE; /* nobody is left to read the answers */
	p->busy = false;
	last = p->dead; /* the reason is worth a last attempt to tell the client */
	if (last == -EMSGSIZE)
		p->dead = 0;
	peer_flush(p);
	if (last)
		p->dead = last;
	return p->dead;
}

/* ---- life ------------------------------------------------------------- */

struct qmp_peer *qmp_peer_new(int fd, const struct qmp_peer_options *options)
{
	struct qmp_peer *p = calloc(1, sizeof(*p));

	if (p)
		p->in = qmp_framer_new(&options->limits);
	if (!p || !p->in || fd_prepare(fd) < 0) {
		json_object_put(options->greeting);
		close(fd);
		if (p)
			qmp_framer_free(p->in);
		free(p);
		return NULL;
	}
	p->fd = fd;
	p->socket = fd_is_socket(fd);
	p->opt = *options;
	p->opt.greeting = NULL;
	p->opt.calls = options->calls ? options->calls : CALLS_DEFAULT;
	p->ready = options->dialect == QMP_DIALECT_QGA;
	if (options->dialect == QMP_DIALECT_QGA)
		json_object_put(options->greeting);
	else if (greet(p, options->greeting) < 0)
		p->dead = -ENOMEM;
	return p;
}

void qmp_peer_free(struct qmp_peer *p)
{
	if (!p)
		return;
	call_abandon_all(p);
	close(p->fd);
	qmp_framer_free(p->in);
	buf_done(&p->out);
	free(p);
}

int qmp_peer_fd(const struct qmp_peer *p)
{
	return p->fd;
}

short qmp_peer_poll_events(const struct qmp_peer *p)
{
	short events = 0;

	if (may_handle(p))
		events |= framer_has_unseen(p->in) ? POLLIN | POLLOUT : POLLIN;
	if (buf_len(&p->out) || p->dead)
		events |= POLLOUT;
	return events;
}

void qmp_peer_set_data(struct qmp_peer *p, void *data)
{
	p->data = data;
}

void *qmp_peer_data(const struct qmp_peer *p)
{
	return p->data;
}
