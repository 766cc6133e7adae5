/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libqmp's asynchronous client, driven by the pump. */
#include "peer.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>

#include <lockstep/cleanup.h>

/**
 * struct peer - One monitor
 * @q:        connection
 * @pump:     drives it
 * @watch:    its descriptor
 * @on_event: see peer_open()
 * @arg:      for @on_event
 * @dead:     why there will be no more answers; code 0 while there may be
 */
struct peer {
	struct qmp *q;
	struct pump *pump;
	struct watch watch;
	peer_event_fn on_event;
	void *arg;
	struct ls_err dead;
};

static short peer_want(void *arg)
{
	struct peer *p = arg;

	return qmp_poll_events(p->q);
}

static void peer_ready(void *arg, short revents)
{
	struct peer *p = arg;
	struct qmp_event event;

	if (qmp_dispatch(p->q, revents, &p->dead) < 0)
		pump_remove(p->pump, &p->watch);
	while (qmp_event_next(p->q, &event)) {
		if (p->on_event)
			p->on_event(&event, p->arg);
		qmp_event_done(&event);
	}
}

int peer_open(struct pump *pump, const char *path, peer_event_fn on_event, void *arg,
	      uint64_t deadline_ms, struct ls_err *err, struct peer **ret_peer)
{
	ls_autofree struct peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = qmp_open(path, NULL, deadline_ms, err, &p->q);
	if (r < 0)
		return r;
	p->pump = pump;
	p->on_event = on_event;
	p->arg = arg;
	p->watch = (struct watch){
		.fd = qmp_fd(p->q), .want = peer_want, .ready = peer_ready, .arg = p
	};
	pump_add(pump, &p->watch);
	*ret_peer = ls_steal_ptr(&p);
	return 0;
}

void peer_close(struct peer *p)
{
	if (!p)
		return;
	pump_remove(p->pump, &p->watch);
	qmp_close(p->q);
	free(p);
}

bool peer_dead(const struct peer *p)
{
	return p->dead.code != 0;
}

/**
 * struct answer - What peer_call() waits for
 * @came:  it is here
 * @value: owned
 * @err:   code 0 for a good answer
 */
struct answer {
	bool came;
	struct json_object *value;
	struct ls_err err;
};

static void answer_take(struct qmp *q, struct json_object *value, const struct ls_err *err,
			void *arg)
{
	struct answer *a = arg;

	(void)q;
	a->came = true;
	if (err)
		a->err = *err;
	else
		a->value = json_object_get(value);
}

static bool answer_came(void *arg)
{
	struct answer *a = arg;

	return a->came;
}

int peer_call(struct peer *p, const char *name, struct json_object *args, uint64_t deadline_ms,
	      struct ls_err *err, struct json_object **ret_value)
{
	struct answer a = { 0 };
	uint64_t id;
	int r = qmp_submit(p->q, name, args, answer_take, &a, err, &id);

	if (r < 0)
		return r;
	if (pump_until(p->pump, answer_came, &a, deadline_ms) < 0) {
		qmp_cancel(p->q, id);
		return ls_err_set(err, -ETIMEDOUT, "%s: no answer from QEMU", name);
	}
	if (a.err.code) {
		if (err)
			*err = a.err;
		return a.err.code;
	}
	if (ret_value)
		*ret_value = a.value;
	else
		json_object_put(a.value);
	return 0;
}
