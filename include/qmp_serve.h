/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqmp, the other side: serve QMP (greeting, capabilities, events) or QGA (no
 * greeting, guest-sync-delimited) on a connected descriptor.
 *
 * The agent, the daemon's control socket and the tests' fake QEMU all use it. It
 * owns no listening socket and no loop: the program accepts, polls and calls.
 *
 *	static const struct qmp_verb verbs[] = {
 *		{ "guest-ping", cmd_ping },
 *		{ "lockstep-lock", cmd_lock, lock_fields, ARRAY_SIZE(lock_fields) },
 *		{ }
 *	};
 *	p = qmp_peer_new(fd, &(struct qmp_peer_options){ .dialect = QMP_DIALECT_QGA,
 *	                 .verbs = verbs, .arg = agent });
 */
#ifndef QMP_SERVE_H
#define QMP_SERVE_H

#include <qmp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct qmp_peer;

/**
 * struct qmp_call - A request that is to be answered exactly once
 *
 * The handler answers with one of the qmp_reply*() functions, at once or later.
 * Replies to calls of one peer may be given in any order. A call stays valid when
 * its peer goes away; the reply then goes nowhere.
 */
struct qmp_call;

/* Handler of one verb; @args is borrowed for the call's life and never NULL. */
typedef void (*qmp_verb_fn)(struct qmp_call *call, struct json_object *args, void *arg);

/**
 * struct qmp_verb - One command that is offered
 * @name:     as on the wire
 * @fn:       handler
 * @fields:   its arguments; checked (closed) before @fn runs, so a handler reads
 *            them without checking
 * @n_fields: length of @fields
 */
struct qmp_verb {
	const char *name;
	qmp_verb_fn fn;
	const struct qmp_field *fields;
	size_t n_fields;
};

/**
 * struct qmp_peer_options - How to serve
 * @dialect:  QMP: @greeting is sent, commands need qmp_capabilities first.
 *            QGA: guest-sync and guest-sync-delimited are answered by the library
 * @greeting: the value of "QMP" in the greeting; consumed; NULL for a default
 * @verbs:    ends with an empty row; the library adds qmp_capabilities and
 *            query-commands (QMP)
 * @arg:      for the handlers
 * @limits:   for what the client sends
 * @classed:  verbs whose bad arguments are answered with their QMP_CLASS_...; the others',
 *            and with NULL all, with GenericError, as QEMU does
 * @calls:    calls not answered yet, at most; more are not read from the socket; 0 for 8
 * @synced:   QGA: called when a client syncs, before it is answered: it begins anew, and
 *            may be another one than before; may be NULL
 */
struct qmp_peer_options {
	enum qmp_dialect dialect;
	struct json_object *greeting;
	const struct qmp_verb *verbs;
	void *arg;
	struct qmp_limits limits;
	bool (*classed)(const char *name);
	unsigned calls;
	void (*synced)(struct qmp_peer *peer, void *arg);
};

/**
 * qmp_peer_new() - Serve a connected descriptor
 * @fd: made non-blocking; ownership passes, also on failure
 *
 * Return: NULL when out of memory.
 */
struct qmp_peer *qmp_peer_new(int fd, const struct qmp_peer_options *options);
void qmp_peer_free(struct qmp_peer *p);

int qmp_peer_fd(const struct qmp_peer *p);
short qmp_peer_poll_events(const struct qmp_peer *p);

/**
 * qmp_peer_dispatch() - Read, call handlers, write; never blocks
 *
 * Malformed input: QMP and QGA both answer with a GenericError and go on with the
 * next line, as QEMU does.
 *
 * Return: 0; -EPIPE the client is gone; -EMSGSIZE it sent more than the limits
 *         allow or does not read its replies: free the peer.
 */
int qmp_peer_dispatch(struct qmp_peer *p, short revents);

/* Set and read the program's own pointer for this client. */
void qmp_peer_set_data(struct qmp_peer *p, void *data);
void *qmp_peer_data(const struct qmp_peer *p);

/* The peer that a call came from, NULL if it has gone. */
struct qmp_peer *qmp_call_peer(const struct qmp_call *call);
const char *qmp_call_name(const struct qmp_call *call);

/* Answer with {"return": value}; @value is consumed, NULL stands for {}. */
void qmp_reply(struct qmp_call *call, struct json_object *value);

/* Answer with {"error": {"class": class, "desc": ...}}. */
void qmp_reply_error(struct qmp_call *call, const char *class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same from an error that was set somewhere; without a class it is GenericError. */
void qmp_reply_err(struct qmp_call *call, const struct ls_err *err);

/**
 * qmp_peer_event() - Send an event to this client
 * @name: e.g. "LOCKSTEP_CHANGE"
 * @data: object; consumed; may be NULL
 *
 * Dropped silently before negotiation, and when the client does not read: the next
 * event that fits then carries "dropped": N beside its timestamp.
 */
void qmp_peer_event(struct qmp_peer *p, const char *name, struct json_object *data);

#ifdef __cplusplus
}
#endif
#endif
