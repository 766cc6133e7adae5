/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of the server half, shared by serve.c, verbs.c and call.c.
 */
#ifndef QMP_PEER_H
#define QMP_PEER_H

#include <qmp_serve.h>

#include "buf.h"
#include "frame.h"

/**
 * struct qmp_call - One request
 * @peer:    NULL when the client has gone
 * @next:    in the peer's list
 * @request: the whole request: name, arguments, id are borrowed from it
 * @args:    its arguments, {} if it had none; own reference
 * @name:    of the verb
 * @sync:    the reply begins with a sentinel
 */
struct qmp_call {
	struct qmp_peer *peer;
	struct qmp_call *next;
	struct json_object *request;
	struct json_object *args;
	const char *name;
	bool sync;
};

/**
 * struct qmp_peer - One client
 * @fd:        its descriptor
 * @socket:    send() and recv() work on it
 * @opt:       as given, defaults filled in; the greeting has been sent and dropped
 * @data:      the program's
 * @in:        what came and is not handled yet
 * @out:       what the client has not taken yet
 * @calls:     not answered yet
 * @n_calls:   how many
 * @oob:       the greeting offers out-of-band execution; @oob_on: it was taken
 * @ready:     QMP: negotiated; QGA: from the start
 * @lost:      events dropped since the last one that was sent
 * @dead:      0, or what dispatch returns from now on
 * @busy:      dispatch is running: replies wait for its end to be written together
 */
struct qmp_peer {
	int fd;
	bool socket;
	struct qmp_peer_options opt;
	void *data;
	struct qmp_framer *in;
	struct buf out;
	struct qmp_call *calls;
	unsigned n_calls;
	bool oob, oob_on;
	bool ready;
	unsigned lost;
	int dead;
	bool busy;
};

/* serve.c */
void peer_flush(struct qmp_peer *p);

/* verbs.c: one message of the client */
void verbs_message(struct qmp_peer *p, struct json_object *message);

/* call.c */
struct qmp_call *call_new(struct qmp_peer *p, struct json_object *request, const char *name);
void call_abandon_all(struct qmp_peer *p);
void peer_send(struct qmp_peer *p, struct json_object *message, bool sentinel);
void peer_send_error(struct qmp_peer *p, struct json_object *request, const char *class,
		     const char *desc);

#endif
