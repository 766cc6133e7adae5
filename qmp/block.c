/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The blocking calls: the non-blocking ones and a poll() around them.
 */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <json-c/json.h>

/* poll()'s timeout for a deadline: rounded so that it is never early. */
static int left_ms(uint64_t deadline_ms)
{
	uint64_t now = qmp_now_ms();

	if (!deadline_ms)
		return -1;
	if (deadline_ms <= now)
		return 0;
	return deadline_ms - now < INT_MAX ? (int)(deadline_ms - now) : INT_MAX;
}

/* One wait and one turn: 0, -ETIMEDOUT, or why the connection is dead. */
static int wait_turn(struct qmp *q, uint64_t deadline_ms, struct ls_err *err)
{
	struct pollfd pfd = { .fd = qmp_fd(q), .events = qmp_poll_events(q) };
	int n = poll(&pfd, 1, left_ms(deadline_ms));

	if (n < 0 && errno != EINTR)
		return ls_err_set(err, -errno, "poll: %s", strerror(errno));
	if (n > 0)
		return qmp_dispatch(q, pfd.revents, err);
	if (deadline_ms && qmp_now_ms() >= deadline_ms)
		return -ETIMEDOUT;
	return 0;
}

/* ---- opening ---------------------------------------------------------- */

/* Nobody spoke, or not enough: what that means depends on the dialect. */
static int open_timed_out(struct qmp *q, struct ls_err *err)
{
	char text[SEEN_BYTES_MAX + 1];

	if (q->state == QMP_CONNECTING)
		return ls_err_set(err, -ETIMEDOUT, "%s: no connection in time", q->address);
	if (q->n_seen)
		return ls_err_set(err, -ETIMEDOUT, "%s: no session in time; it said \"%s\"",
				  q->address, client_seen(q, text));
	if (q->opt.dialect == QMP_DIALECT_QGA)
		return ls_err_set(err, -EBUSY,
				  "%s: connected, but no agent answers: it does not run, or "
				  "another client holds its port",
				  q->address);
	return ls_err_set(err, -EBUSY,
			  "%s: connected, but not greeted: another client holds this monitor",
			  q->address);
}

int qmp_open(const char *address, const struct qmp_options *options, uint64_t deadline_ms,
	     struct ls_err *err, struct qmp **ret_q)
{
	struct qmp *q;
	int r = client_begin(address, options, true, deadline_ms, err, &q);

	if (r < 0)
		return r;
	while (!r && q->state != QMP_READY)
		r = wait_turn(q, deadline_ms, err);
	if (r == -ETIMEDOUT && q->state != QMP_DEAD)
		r = open_timed_out(q, err);
	if (r < 0)
		qmp_close(q);
	else
		*ret_q = q;
	return r;
}

/* ---- commands --------------------------------------------------------- */

struct answer {
	bool here;
	struct json_object *value;
	struct ls_err err;
};

static void on_answer(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct answer *a = arg;

	(void)q;
	a->here = true;
	a->value = json_object_get(value);
	if (err)
		a->err = *err;
}

/* The request has an answer now, perhaps that none will come. */
static int take_answer(struct answer *a, struct ls_err *err, struct json_object **ret_value)
{
	if (a->err.code) {
		if (err)
			*err = a->err;
		return a->err.code;
	}
	if (ret_value)
		*ret_value = a->value;
	else
		json_object_put(a->value);
	return 0;
}

static int command(struct qmp *q, const char *verb, const char *name, struct json_object *args,
		   uint64_t deadline_ms, struct ls_err *err, struct json_object **ret_value)
{
	struct answer a = { 0 };
	uint64_t id = 0;
	int r;

	if (q->state != QMP_READY) {
		json_object_put(args);
		return qmp_dispatch(q, 0, err) < 0
			       ? q->dead.code
			       : ls_err_set(err, -ENOTCONN, "%s: not ready", q->address);
	}
	r = request_send(q, verb, name, args, on_answer, &a, err, &id);
	while (!r && !a.here)
		r = wait_turn(q, deadline_ms, err);
	if (a.here)
		return take_answer(&a, err, ret_value);
	qmp_cancel(q, id);
	if (r == -ETIMEDOUT)
		ls_err_set(err, r, "%s: no answer to %s in time", q->address, name);
	return r;
}

int qmp_command(struct qmp *q, const char *name, struct json_object *args, uint64_t deadline_ms,
		struct ls_err *err, struct json_object **ret_value)
{
	return command(q, "execute", name, args, deadline_ms, err, ret_value);
}

int qmp_command_oob(struct qmp *q, const char *name, struct json_object *args, uint64_t deadline_ms,
		    struct ls_err *err, struct json_object **ret_value)
{
	if (qmp_has_oob(q))
		return command(q, "exec-oob", name, args, deadline_ms, err, ret_value);
	json_object_put(args);
	return ls_err_set(err, -EOPNOTSUPP, "%s: no out-of-band execution here", q->address);
}

int qmp_event_wait(struct qmp *q, uint64_t deadline_ms, struct ls_err *err,
		   struct qmp_event *ret_event)
{
	int r = 0;

	while (!qmp_event_next(q, ret_event)) {
		if (r < 0)
			return r;
		r = wait_turn(q, deadline_ms, err);
		if (r == -ETIMEDOUT)
			ls_err_set(err, r, "%s: no event in time", q->address);
	}
	return 0;
}
