/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqmp on sd-event.
 */
#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define REST_US 10000 /* at least: a rest for each turn would cost more than it saves */

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void conn_init(struct conn *c, sd_event *loop, const char *address,
	       const struct qmp_options *options, const struct conn_ops *ops, void *arg)
{
	memset(c, 0, sizeof(*c));
	c->loop = loop;
	c->address = address;
	c->options = *options;
	c->ops = ops;
	c->arg = arg;
	c->budget_us = CONN_BURST_US;
	c->refilled_us = clock_us(CLOCK_MONOTONIC);
}

void conn_drop(struct conn *c)
{
	c->io = sd_event_source_unref(c->io);
	c->kick = sd_event_source_unref(c->kick);
	c->rest = sd_event_source_disable_unref(c->rest);
	qmp_close(c->q);
	c->q = NULL;
	c->is_ready = false;
}

void conn_done(struct conn *c)
{
	conn_drop(c);
}

static void watch(struct conn *c)
{
	if (c->io)
		sd_event_source_set_io_events(c->io, (uint32_t)qmp_poll_events(c->q));
}

static void drain_events(struct conn *c)
{
	struct qmp_event event;

	while (c->q && qmp_event_next(c->q, &event) > 0) {
		c->ops->event(c->arg, &event);
		qmp_event_done(&event);
	}
}

static void dispatch(struct conn *c, short revents)
{
	struct ls_err err = { 0 };
	int r = qmp_dispatch(c->q, revents, &err);

	drain_events(c);
	if (r < 0) {
		c->last = err;
		conn_drop(c);
		c->ops->lost(c->arg, &c->last);
		return;
	}
	if (!c->is_ready && qmp_state(c->q) == QMP_READY) {
		c->is_ready = true;
		c->ops->ready(c->arg);
	}
	if (c->q)
		watch(c);
}

/* ---- the budget ------------------------------------------------------------- */

static int on_rested(sd_event_source *s, uint64_t now, void *arg)
{
	struct conn *c = arg;

	(void)s, (void)now;
	c->rest = sd_event_source_unref(c->rest);
	sd_event_source_set_enabled(c->io, SD_EVENT_ON);
	return 0;
}

static void spend(struct conn *c, uint64_t us)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);

	c->budget_us += (int64_t)((now_us - c->refilled_us) / CONN_SHARE);
	c->refilled_us = now_us;
	if (c->budget_us > CONN_BURST_US)
		c->budget_us = CONN_BURST_US;
	c->budget_us -= (int64_t)us;
	if (c->budget_us > 0 || !c->io || c->rest)
		return;
	if (sd_event_add_time_relative(c->loop, &c->rest, CLOCK_MONOTONIC,
				       (uint64_t)-c->budget_us * CONN_SHARE + REST_US, 1000,
				       on_rested, c) >= 0)
		sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	uint64_t from_us = clock_us(CLOCK_THREAD_CPUTIME_ID);

	(void)s, (void)fd;
	dispatch(arg, (short)revents);
	spend(arg, clock_us(CLOCK_THREAD_CPUTIME_ID) - from_us);
	return 0;
}

/* ---- opening ------------------------------------------------------------------ */

/* Also right after opening: an abstract or fd: connection is ready to go on at once. */
static int on_kick(sd_event_source *s, void *arg)
{
	struct conn *c = arg;

	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	dispatch(c, 0);
	return 0;
}

static int open_now(struct conn *c)
{
	int r = qmp_start(c->address, &c->options, &c->last, &c->q);

	if (r < 0)
		return r;
	c->opened++;
	r = sd_event_add_io(c->loop, &c->io, qmp_fd(c->q), (uint32_t)qmp_poll_events(c->q), on_io,
			    c);
	if (r >= 0)
		r = sd_event_add_defer(c->loop, &c->kick, on_kick, c);
	if (r < 0) {
		conn_drop(c);
		return ls_err_set(&c->last, r, "%s: %s", c->address, strerror(-r));
	}
	return 0;
}

int conn_want(struct conn *c)
{
	if (c->is_ready)
		return 1;
	return c->q ? 0 : open_now(c);
}

void conn_resync(struct conn *c)
{
	if (c->q && !c->is_ready && qmp_state(c->q) == QMP_GREETING && qmp_resync(c->q, NULL) >= 0)
		watch(c);
}

void conn_restart(struct conn *c)
{
	if (!c->is_ready || qmp_resync(c->q, NULL) < 0)
		return;
	c->is_ready = false;
	watch(c);
}

int conn_submit(struct conn *c, const char *name, struct json_object *args, qmp_reply_fn fn,
		void *arg, struct ls_err *err)
{
	int r = qmp_submit(c->q, name, args, fn, arg, err, NULL);

	if (r >= 0)
		watch(c);
	return r;
}
