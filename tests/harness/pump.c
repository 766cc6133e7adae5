/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One poll() over all watches. */
#include "pump.h"

#include <errno.h>
#include <poll.h>

#include <qmp.h>

#define PUMP_NAP_MS 60000 /* longest poll(); its timeout is an int */

void pump_add(struct pump *p, struct watch *w)
{
	w->next = p->first;
	p->first = w;
	p->changed = true;
}

void pump_remove(struct pump *p, struct watch *w)
{
	for (struct watch **at = &p->first; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			p->changed = true;
			return;
		}
}

/* Fills in what to poll for; returns how many, and the earliest time to wake. */
static int pump_collect(struct pump *p, struct pollfd *fds, struct watch **of, uint64_t *wake_ms)
{
	int n = 0;

	for (struct watch *w = p->first; w && n < PUMP_WATCHES_MAX; w = w->next) {
		if (w->want)
			w->events = w->want(w->arg);
		if (w->wake_ms && w->wake_ms < *wake_ms)
			*wake_ms = w->wake_ms;
		fds[n] = (struct pollfd){ .fd = w->fd, .events = w->events };
		of[n++] = w;
	}
	return n;
}

static bool pump_due(struct watch *w, uint64_t now_ms)
{
	if (!w->wake_ms || w->wake_ms > now_ms)
		return false;
	w->wake_ms = 0;
	return true;
}

static int pump_timeout(uint64_t now_ms, uint64_t wake_ms)
{
	if (wake_ms <= now_ms)
		return 0;
	return wake_ms - now_ms < PUMP_NAP_MS ? (int)(wake_ms - now_ms) : PUMP_NAP_MS;
}

void pump_once(struct pump *p, uint64_t deadline_ms)
{
	struct pollfd fds[PUMP_WATCHES_MAX];
	struct watch *of[PUMP_WATCHES_MAX];
	uint64_t now_ms = qmp_now_ms(), wake_ms = deadline_ms;
	int n = pump_collect(p, fds, of, &wake_ms);

	if (poll(fds, n, pump_timeout(now_ms, wake_ms)) < 0)
		return;
	now_ms = qmp_now_ms();
	p->changed = false;
	/* A change makes of[] stale; whoever is left is found by the next poll. */
	for (int i = 0; i < n && !p->changed; i++)
		if (fds[i].revents || pump_due(of[i], now_ms))
			of[i]->ready(of[i]->arg, fds[i].revents);
}

int pump_until(struct pump *p, bool (*done)(void *arg), void *arg, uint64_t deadline_ms)
{
	while (!done(arg)) {
		if (qmp_now_ms() >= deadline_ms)
			return -ETIMEDOUT;
		pump_once(p, deadline_ms);
	}
	return 0;
}
