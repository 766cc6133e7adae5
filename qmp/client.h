/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of a client connection, shared by client.c, session.c, block.c.
 */
#ifndef QMP_CLIENT_H
#define QMP_CLIENT_H

#include <qmp.h>

#include "buf.h"
#include "event.h"
#include "frame.h"
#include "transport.h"

#define SEEN_BYTES_MAX 40 /* of what came instead of a greeting, shown in the error */

/**
 * struct request - Sent, and no reply yet
 * @id:   for qmp_cancel(); never used twice
 * @wire: the id as it was sent
 * @fn:   NULL: nobody wants the reply, or not any more
 * @arg:  for @fn
 */
struct request {
	uint64_t id, wire;
	qmp_reply_fn fn;
	void *arg;
};

/**
 * struct qmp - One connection
 * @state:     changed by client_set_state() only
 * @opt:       as given, defaults filled in
 * @address:   copy
 * @link:      how the peer is reached
 * @in:        what came and is not handled yet
 * @out:       what is to be sent and the peer has not taken yet
 * @pending:   requests without a reply, in the order sent
 * @n_pending: how many; @room: places there are for them
 * @wire_used: QMP: bit n is set while a request of @pending has wire id n + 1
 * @events:    events without a reader
 * @next_id:   of the next request
 * @sync_id:   QGA: what the answer to our sync must say
 * @synced:    QGA: the sentinel has come, the answer has not
 * @oob:       out-of-band execution was negotiated
 * @greeting:  as received
 * @dead:      why the connection is dead
 * @seen:      first bytes that came
 * @n_seen:    how many
 */
struct qmp {
	enum qmp_state state;
	struct qmp_options opt;
	char *address;
	struct transport link;
	struct qmp_framer *in;
	struct buf out;
	struct request *pending;
	unsigned n_pending, room;
	uint64_t wire_used[QMP_PENDING_MAX / 64];
	struct event_queue events;
	uint64_t next_id, sync_id;
	bool synced;
	bool oob;
	struct json_object *greeting;
	struct ls_err dead;
	char seen[SEEN_BYTES_MAX];
	size_t n_seen;
};

/* client.c */
void client_set_state(struct qmp *q, enum qmp_state from, enum qmp_state to);
int client_fail(struct qmp *q, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int client_begin(const char *address, const struct qmp_options *options, bool may_block,
		 uint64_t deadline_ms, struct ls_err *err, struct qmp **ret_q);
const char *client_seen(const struct qmp *q, char text[SEEN_BYTES_MAX + 1]);

/* request.c */
int request_send(struct qmp *q, const char *verb, const char *name, struct json_object *args,
		 qmp_reply_fn fn, void *arg, struct ls_err *err, uint64_t *ret_id);
int request_send_raw(struct qmp *q, const char *bytes, size_t len);
void request_answer(struct qmp *q, struct json_object *message);
void request_fail_all(struct qmp *q, const struct ls_err *why);
void request_flush(struct qmp *q);

/* session.c */
int session_begin(struct qmp *q);
int session_sync(struct qmp *q);
int session_message(struct qmp *q, struct json_object *message);
int session_sentinel(struct qmp *q);
int session_damage(struct qmp *q, const struct ls_err *what);

#endif
