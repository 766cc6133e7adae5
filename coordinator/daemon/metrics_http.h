/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metrics over HTTP, on a unix socket or the loopback, in a thread of their own: a scrape
 * takes nothing from the loop, and is answered when the loop stands still.
 */
#ifndef COORDINATOR_METRICS_HTTP_H
#define COORDINATOR_METRICS_HTTP_H

#include <lockstep/err.h>

#define METRICS_ADDRESS_BYTES 116 /* "unix:" and a sun_path, with the final NUL */

struct board;
struct metrics;
struct metrics_http;
struct store;

/* What is told; all of it outlives the server. */
struct metrics_sources {
	const struct metrics *metrics;
	struct board *board;
	const struct store *store;
};

/* "unix:/PATH", "tcp:127.0.0.1:PORT" or "tcp:[::1]:PORT". Return: 0, -EINVAL. */
int metrics_address_check(const char *address, struct ls_err *err);

/**
 * metrics_http_at() - Serve GET /metrics at this address from now on
 * @server:  that runs already, or NULL; replaced if its address is another one
 * @address: checked; empty: nowhere
 *
 * Return: 0; -EADDRINUSE, -errno: all is as before.
 */
int metrics_http_at(struct metrics_http **server, const char *address,
		    const struct metrics_sources *sources, struct ls_err *err);

/* Waits for the thread, which waits for nobody. NULL is fine. Return: NULL. */
struct metrics_http *metrics_http_free(struct metrics_http *h);

#endif
