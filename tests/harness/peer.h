/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QEMU monitor of the harness's own, beside the one that lockstep holds: asks
 * QEMU what is so, and hears its events.
 */
#ifndef HARNESS_PEER_H
#define HARNESS_PEER_H

#include <qmp.h>

#include "pump.h"

struct peer;

/* Gets every event; borrowed. May call peer_call(). */
typedef void (*peer_event_fn)(const struct qmp_event *event, void *arg);

/**
 * peer_open() - Connect to a monitor that QEMU has opened
 * @pump:     drives the connection from now on
 * @path:     unix socket
 * @on_event: may be NULL
 * @arg:      for @on_event
 * @err:      why not
 * @ret_peer: ready for commands
 *
 * Return: 0 or as qmp_open().
 */
int peer_open(struct pump *pump, const char *path, peer_event_fn on_event, void *arg,
	      uint64_t deadline_ms, struct ls_err *err, struct peer **ret_peer);
void peer_close(struct peer *p);

/* True once QEMU has closed the connection. */
bool peer_dead(const struct peer *p);

/**
 * peer_call() - One command and its answer; everything else goes on meanwhile
 * @p:           monitor
 * @name:        command
 * @args:        consumed; may be NULL
 * @deadline_ms: CLOCK_MONOTONIC
 * @err:         QEMU's words, or ours
 * @ret_value:   what it returned, for json_object_put(); may be NULL
 *
 * Return: 0, -EREMOTEIO (QEMU refused), -ETIMEDOUT, -EPIPE.
 */
int peer_call(struct peer *p, const char *name, struct json_object *args, uint64_t deadline_ms,
	      struct ls_err *err, struct json_object **ret_value);

#endif
