/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libqmp connection on an sd-event loop: monitors and agents alike.
 *
 * A loop has a thousand of them, and any may say as much as it likes. So each has a budget of
 * processor time, for what it says and what comes of that: who has used it up is not
 * listened to until there is some again. That bounds what a flood costs others, whatever it
 * is made of; a connection that is merely busy does not come near it.
 *
 * It is opened again at every conn_want() after it was lost; nothing here decides
 * what a loss means.
 */
#ifndef COORDINATOR_CONN_H
#define COORDINATOR_CONN_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include <qmp.h>

#define CONN_BURST_US 50000 /* of processor time, at once */
#define CONN_SHARE    25    /* one part in so many, always */

/**
 * struct conn_ops - Who hears of what
 * @ready: the session is negotiated
 * @event: the peer sent an event; borrowed
 * @lost:  the connection is dead, with the reason; every request has been answered
 */
struct conn_ops {
	void (*ready)(void *arg);
	void (*event)(void *arg, const struct qmp_event *event);
	void (*lost)(void *arg, const struct ls_err *err);
};

/**
 * struct conn - One connection; embedded in its owner
 * @q:       NULL while there is none
 * @last:    why there is none
 * @opened:  how often one was opened
 * @budget_us: left of it, as of @refilled_us; it outlives a connection; @rest: until there is more
 */
struct conn {
	sd_event *loop;
	const char *address;
	struct qmp_options options;
	const struct conn_ops *ops;
	void *arg;
	struct qmp *q;
	struct ls_err last;
	unsigned opened;
	int64_t budget_us;
	uint64_t refilled_us;
	sd_event_source *io, *kick, *rest;
	bool is_ready;
};

/* @address is borrowed for the connection's life. */
void conn_init(struct conn *c, sd_event *loop, const char *address,
	       const struct qmp_options *options, const struct conn_ops *ops, void *arg);
void conn_done(struct conn *c);

/**
 * conn_want() - Open the connection if there is none; never blocks
 *
 * Return: 1 it is ready, 0 it is under way, -errno it cannot be (and conn.last says why).
 */
int conn_want(struct conn *c);

/* Close it now; @lost is not called. */
void conn_drop(struct conn *c);

/* Not ready yet and nothing heard: say hello again (QGA only). */
/* Who was there has gone: what was asked has failed, and a session begins with who comes. */
void conn_restart(struct conn *c);

void conn_resync(struct conn *c);

/* qmp_submit() that arranges for the bytes to be written. Return: as qmp_submit(). */
int conn_submit(struct conn *c, const char *name, struct json_object *args, qmp_reply_fn fn,
		void *arg, struct ls_err *err);

#endif
