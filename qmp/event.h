/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue of events that nobody has fetched yet: bounded in number and bytes.
 */
#ifndef QMP_EVENT_H
#define QMP_EVENT_H

#include <qmp.h>

#define EVENT_QUEUE_BYTES_MAX (8 * 1024 * 1024) /* as they came over the wire, all together */

struct queued_event {
	struct qmp_event event;
	size_t bytes;
};

/**
 * struct event_queue - A ring that loses its oldest when it is full
 * @ring:  @room places: it grows with what waits, up to @max, and goes when all is fetched
 * @head:  the oldest
 * @n:     how many
 * @bytes: of all of them
 * @lost:  dropped since an event was last handed out, and not yet told
 */
struct event_queue {
	struct queued_event *ring;
	unsigned max, room, head, n;
	size_t bytes;
	unsigned lost;
};

/* Queue the event that a message holds, if it is a well-formed one. 0 or -ENOMEM, -EPROTO. */
int event_push(struct event_queue *q, struct json_object *message, size_t bytes);

/* Take the oldest: 1 or 0. */
int event_pop(struct event_queue *q, struct qmp_event *ret_event);
void event_queue_done(struct event_queue *q);

#endif
