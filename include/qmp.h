/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqmp: a client for QEMU's machine protocol (QMP), for its guest agent's
 * dialect of it (QGA), and for lockstep's own daemon and agent, which speak both.
 *
 * Three ways to use it, each complete without the others:
 *
 * 1. Blocking calls with a deadline:
 *
 *	struct ls_err err;
 *	struct qmp *q;
 *
 *	if (qmp_open("unix:/run/vm1.qmp", NULL, qmp_now_ms() + 2000, &err, &q) < 0)
 *		die("%s", err.text);
 *	if (qmp_command(q, "query-status", NULL, qmp_now_ms() + 2000, &err, &status) < 0)
 *		...
 *	qmp_close(q);
 *
 * 2. Somebody's event loop: qmp_start() instead of qmp_open(); poll qmp_fd() for
 *    qmp_poll_events(); call qmp_dispatch(); qmp_submit() takes a function that gets
 *    the reply. Deadlines are the loop's own: qmp_cancel() or qmp_close().
 *
 * 3. No socket at all: struct qmp_framer cuts bytes into whole JSON values,
 *    qmp_parse() turns one into an object, refusing all that RFC 8259 forbids.
 *
 * A connection belongs to one thread at a time. Nothing here logs, exits, or
 * changes signal handling (a write to a closed peer is an error, never SIGPIPE).
 * All times are CLOCK_MONOTONIC milliseconds; a deadline of 0 waits for ever.
 *
 * Source: QEMU docs/interop/qmp-spec.rst, docs/interop/qemu-ga-ref.
 */
#ifndef QMP_H
#define QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lockstep/err.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_object;
struct qmp;

/* Defaults of struct qmp_options; what a peer may make us hold or walk through. */
#define QMP_VALUE_BYTES_MAX (8 * 1024 * 1024) /* QEMU's largest real reply: 385 kB */
#define QMP_DEPTH_MAX	    64		      /* QEMU itself nests less than 20 */
#define QMP_TOKENS_MAX	    (1024 * 1024)     /* values, keys and brackets in one message */
#define QMP_EVENTS_MAX	    1024	      /* events nobody has fetched yet */
#define QMP_PENDING_MAX	    256		      /* requests without a reply yet */
#define QMP_SEND_BYTES_MAX  (1024 * 1024)     /* accepted by us, not yet by the peer */

/**
 * uint64_t qmp_now_ms() - CLOCK_MONOTONIC in milliseconds
 */
uint64_t qmp_now_ms(void);

/* ---- the codec: no socket --------------------------------------------- */

/**
 * struct qmp_limits - What one message may cost
 * @bytes:  length of one JSON value
 * @depth:  nesting of arrays and objects
 * @tokens: values, keys and brackets
 *
 * A field of 0 means the default above.
 */
struct qmp_limits {
	size_t bytes;
	unsigned depth;
	unsigned tokens;
};

struct qmp_framer;

/**
 * qmp_framer_new() - A framer at the start of a stream
 * @limits: NULL for the defaults; copied
 *
 * Return: NULL when out of memory.
 */
struct qmp_framer *qmp_framer_new(const struct qmp_limits *limits);
void qmp_framer_free(struct qmp_framer *f);

/**
 * qmp_framer_feed() - Append bytes that came from the peer
 * @f:   framer
 * @buf: any bytes in any chunking
 * @len: how many
 *
 * The framer never holds more than @limits.bytes plus one chunk.
 *
 * Return: 0, -ENOMEM, or -ENOBUFS: too much is waiting for qmp_framer_next().
 */
int qmp_framer_feed(struct qmp_framer *f, const void *buf, size_t len);

/**
 * qmp_framer_next() - The next whole JSON value of the stream
 * @f:         framer
 * @err:       what was wrong with the bytes; may be NULL
 * @ret_value: the value; the caller drops it with json_object_put(). A JSON null
 *             is a NULL pointer with a return of 1
 *
 * Values need no newline after them, and may share a line. A byte 0xFF outside a
 * string resets the framer, as QGA's sync sentinel does; *ret_value is then NULL
 * and the return 2. After an error the framer has skipped the damage: up to the
 * next newline or sentinel, so that a session can go on (QGA) or be closed (QMP).
 *
 * Return: 1 a value, 2 a sentinel, 0 more bytes are needed, -EPROTO not JSON,
 *         -EMSGSIZE over a limit, -ENOMEM.
 */
int qmp_framer_next(struct qmp_framer *f, struct ls_err *err, struct json_object **ret_value);

/**
 * qmp_parse() - One JSON text, strictly by RFC 8259
 * @text:      the bytes; leading and trailing white space is fine
 * @len:       how many
 * @limits:    NULL for the defaults
 * @err:       position and reason; may be NULL
 * @ret_value: as in qmp_framer_next()
 *
 * Return: 0, -EPROTO, -EMSGSIZE, -ENOMEM.
 */
int qmp_parse(const char *text, size_t len, const struct qmp_limits *limits, struct ls_err *err,
	      struct json_object **ret_value);

/* ---- connecting ------------------------------------------------------- */

/**
 * enum qmp_dialect - How a session begins
 * @QMP_DIALECT_QMP: the server greets, the client negotiates with
 *                   qmp_capabilities; events may come (QEMU, lockstepd)
 * @QMP_DIALECT_QGA: nobody greets; the client finds its place in the stream with
 *                   guest-sync-delimited (qemu-ga, lockstep-agent)
 */
enum qmp_dialect { QMP_DIALECT_QMP, QMP_DIALECT_QGA };

/**
 * struct qmp_options - How to connect and what to hold at most
 * @dialect: see above
 * @oob:     negotiate out-of-band execution where the server offers it
 * @limits:  for what the peer sends
 * @events:  events kept for qmp_event_next(); 0 for QMP_EVENTS_MAX
 */
struct qmp_options {
	enum qmp_dialect dialect;
	bool oob;
	struct qmp_limits limits;
	unsigned events;
};

enum qmp_state {
	QMP_CONNECTING,	 /* the socket is not connected yet */
	QMP_GREETING,	 /* waiting for the greeting, or for the answer to our sync */
	QMP_NEGOTIATING, /* qmp_capabilities is under way */
	QMP_READY,
	QMP_DEAD, /* closed by either side or given up; only qmp_close() is left */
	QMP_STATE_COUNT
};

const char *qmp_state_name(enum qmp_state s);

/**
 * qmp_open() - Connect, and negotiate until the session is ready
 * @address:     "unix:PATH" or a plain path, "tcp:HOST:PORT", "vsock:CID:PORT", "fd:N"
 *               (ownership passes, also on failure), "ssh:HOST:PATH"; borrowed
 * @options:     NULL: QMP, no OOB, default limits; borrowed
 * @deadline_ms: for all of it
 * @err:         names the address and what was seen there; may be NULL
 * @ret_q:       the connection, in state QMP_READY
 *
 * A QEMU monitor has one client at a time: a second one is connected but not
 * greeted. That is reported as -EBUSY at the deadline.
 *
 * Return: 0, -EINVAL (address), -ENOENT, -EACCES, -ECONNREFUSED (from the socket),
 *         -EBUSY (connected, nobody spoke), -EPROTO (somebody who does not speak
 *         this dialect), -EPIPE (closed), -ETIMEDOUT, -ENOMEM.
 */
int qmp_open(const char *address, const struct qmp_options *options, uint64_t deadline_ms,
	     struct ls_err *err, struct qmp **ret_q);

/**
 * qmp_start() - Begin to connect; never blocks
 *
 * As qmp_open() but returns a connection in state QMP_CONNECTING or QMP_GREETING,
 * which qmp_dispatch() takes to QMP_READY. It does not watch a deadline. A host name
 * in "tcp:" is the exception: it is looked up first, as long as the resolver takes.
 */
int qmp_start(const char *address, const struct qmp_options *options, struct ls_err *err,
	      struct qmp **ret_q);

/* Close and forget; functions of requests still pending are not called. NULL is fine. */
void qmp_close(struct qmp *q);

enum qmp_state qmp_state(const struct qmp *q);

/* The greeting as it was received, NULL before it or in QGA; borrowed. */
struct json_object *qmp_greeting(const struct qmp *q);

/* The address that was given to qmp_open() or qmp_start(); borrowed. */
const char *qmp_address(const struct qmp *q);

/* Whether out-of-band execution was offered and negotiated. */
bool qmp_has_oob(const struct qmp *q);

/* ---- blocking calls --------------------------------------------------- */

/**
 * qmp_command() - Send one command and wait for its reply
 * @q:           connection in state QMP_READY
 * @name:        e.g. "device_del"; borrowed
 * @args:        JSON object or NULL; consumed, even on failure
 * @deadline_ms: for the reply
 * @err:         QEMU's class and desc, or ours; may be NULL
 * @ret_value:   what "return" held; the caller drops it with json_object_put();
 *               may be NULL
 *
 * Shape:   -> {"execute": name, "arguments": args, "id": n}   <- {"return": any, "id": n}
 * Context: replies to other requests that arrive meanwhile go to their functions,
 *          events into the queue.
 * Return:  0, -ETIMEDOUT (the reply will be dropped when it comes), -EPIPE (peer
 *          gone), -EPROTO (not QMP), -EREMOTEIO (the peer refused, see @err),
 *          -ENOBUFS (too much pending), -ENOMEM.
 */
int qmp_command(struct qmp *q, const char *name, struct json_object *args, uint64_t deadline_ms,
		struct ls_err *err, struct json_object **ret_value);

/* The same out of band ("exec-oob"); -EOPNOTSUPP if qmp_has_oob() is false. */
int qmp_command_oob(struct qmp *q, const char *name, struct json_object *args, uint64_t deadline_ms,
		    struct ls_err *err, struct json_object **ret_value);

/* ---- events ----------------------------------------------------------- */

/**
 * struct qmp_event - One event of the peer
 * @name:    e.g. "DEVICE_DELETED"
 * @data:    JSON object or NULL
 * @time_us: the peer's own timestamp, microseconds since the epoch; 0 if it gave none
 * @dropped: events lost just before this one because nobody fetched them: after
 *           that, look at the state again instead of trusting events
 *
 * Released with qmp_event_done().
 */
struct qmp_event {
	char *name;
	struct json_object *data;
	uint64_t time_us;
	unsigned dropped;
};

void qmp_event_done(struct qmp_event *event);

/**
 * qmp_event_next() - Take the oldest event out of the queue; never blocks
 *
 * Return: 1 and *ret_event set, or 0.
 */
int qmp_event_next(struct qmp *q, struct qmp_event *ret_event);

/**
 * qmp_event_wait() - Take the oldest event, waiting for one if there is none
 *
 * Return: 0, -ETIMEDOUT, -EPIPE, -EPROTO.
 */
int qmp_event_wait(struct qmp *q, uint64_t deadline_ms, struct ls_err *err,
		   struct qmp_event *ret_event);

/* ---- for an event loop ------------------------------------------------ */

/* The descriptor to poll; it stays the same for the connection's life. */
int qmp_fd(const struct qmp *q);

/* POLLIN, POLLOUT or both: what to poll for now. */
short qmp_poll_events(const struct qmp *q);

/**
 * qmp_dispatch() - Do what can be done without blocking
 * @q:       connection
 * @revents: what poll() said; 0 is allowed
 * @err:     why the connection is dead; may be NULL
 *
 * Reads, answers the greeting, calls reply functions, queues events, writes. A
 * reply function may submit further commands; it must not call qmp_close().
 *
 * Return: 0, or once the connection is dead the reason, at every call; before the
 *         first such return every pending request has got it, too.
 */
int qmp_dispatch(struct qmp *q, short revents, struct ls_err *err);

/**
 * qmp_reply_fn - Gets the one answer to a request
 * @q:     the connection
 * @value: what "return" held, borrowed; NULL if @err is set (or "return" was null)
 * @err:   NULL on success; otherwise code -EREMOTEIO with the peer's class and
 *         desc, or the reason why no reply will come
 * @arg:   as given to qmp_submit()
 */
typedef void (*qmp_reply_fn)(struct qmp *q, struct json_object *value, const struct ls_err *err,
			     void *arg);

/**
 * qmp_submit() - Send a command; its reply goes to a function
 * @q:      connection in state QMP_READY
 * @name:   borrowed
 * @args:   JSON object or NULL; consumed, even on failure
 * @fn:     called exactly once from qmp_dispatch(), unless the request is cancelled
 *          or the connection closed first; NULL: nobody wants to know
 * @arg:    for @fn
 * @err:    may be NULL
 * @ret_id: for qmp_cancel(); may be NULL
 *
 * Return: 0, -ENOTCONN (not ready), -ENOBUFS (QMP_PENDING_MAX or
 *         QMP_SEND_BYTES_MAX reached: the peer does not read), -ENOMEM.
 */
int qmp_submit(struct qmp *q, const char *name, struct json_object *args, qmp_reply_fn fn,
	       void *arg, struct ls_err *err, uint64_t *ret_id);

/*
 * Stop waiting: the function is not called, the late reply is dropped. In QMP the
 * request counts as pending until that reply has come.
 */
void qmp_cancel(struct qmp *q, uint64_t id);

/**
 * qmp_resync() - Find the place in a QGA stream again
 *
 * After a reply did not come in time, or garbage did: sends guest-sync-delimited
 * again; what was pending is answered with -ETIMEDOUT, and everything up to the
 * sentinel and the right id is dropped. State goes to QMP_GREETING.
 *
 * Return: 0, -EOPNOTSUPP (not QGA), -EPIPE, -ENOMEM.
 */
int qmp_resync(struct qmp *q, struct ls_err *err);

/* ---- fields of objects ------------------------------------------------ */

/*
 * One row says what one member of an arguments or return object must look like;
 * a table of them checks a whole object, and is what documentation is made from.
 */
enum qmp_type {
	QMP_BOOL,
	QMP_INT,     /* lo <= value <= hi; no fraction, no exponent */
	QMP_STRING,  /* lo <= strlen <= hi; no NUL inside */
	QMP_INTS,    /* array of distinct integers, each lo .. hi; at most count */
	QMP_OBJECT,  /* any object */
	QMP_OBJECTS, /* array of objects; at most count */
	QMP_ANY,
	QMP_TYPE_COUNT
};

/**
 * struct qmp_field - One member of an object
 * @name:     its key
 * @type:     see above
 * @optional: may be absent
 * @lo:       least value or length
 * @hi:       greatest value or length
 * @count:    most elements of an array
 * @doc:      one sentence, with the unit
 */
struct qmp_field {
	const char *name;
	enum qmp_type type;
	bool optional;
	int64_t lo, hi;
	unsigned count;
	const char *doc;
};

/* What qmp_fields_check() finds, as the class of an error. */
#define QMP_CLASS_MISSING    "ParameterMissing"
#define QMP_CLASS_UNEXPECTED "ParameterUnexpected"
#define QMP_CLASS_TYPE	     "ParameterType"
#define QMP_CLASS_VALUE	     "ParameterValue"
#define QMP_CLASS_TWICE	     "ParameterTwice"

/**
 * qmp_fields_check() - Hold an object against its table
 * @fields: table
 * @n:      its length
 * @closed: a member that is not in the table is an error (arguments); otherwise it
 *          is ignored (replies: a newer peer may say more)
 * @obj:    borrowed; NULL counts as an empty object
 * @err:    names the member, what it was and what it should be; its class is one of the
 *          above
 *
 * Return: 0, -EPROTO.
 */
int qmp_fields_check(const struct qmp_field *fields, size_t n, bool closed, struct json_object *obj,
		     struct ls_err *err);

/*
 * Members of an object, with a default where it is absent or of another type.
 * Strings and objects are borrowed from @obj; @obj may be NULL.
 */
bool qmp_get_bool(struct json_object *obj, const char *key, bool otherwise);
int64_t qmp_get_int(struct json_object *obj, const char *key, int64_t otherwise);
const char *qmp_get_str(struct json_object *obj, const char *key, const char *otherwise);
struct json_object *qmp_get_obj(struct json_object *obj, const char *key);
struct json_object *qmp_get_array(struct json_object *obj, const char *key);

#ifdef __cplusplus
}
#endif
#endif
