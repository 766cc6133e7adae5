/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event queue.
 *
 * When it is full the oldest goes: what is newest says most about now, and the event
 * that is handed out next tells how many are missing in front of it.
 */
#include "event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define US_PER_S   1000000
#define ROOM_FIRST 16 /* places; a thousand connections mostly have nothing waiting */

void qmp_event_done(struct qmp_event *event)
{
	if (!event)
		return;
	free(event->name);
	json_object_put(event->data);
	*event = (struct qmp_event){ 0 };
}

int event_pop(struct event_queue *q, struct qmp_event *ret_event)
{
	struct queued_event *oldest;

	if (!q->n)
		return 0; /* there is not even a ring */
	oldest = &q->ring[q->head];
	*ret_event = oldest->event;
	ret_event->dropped = q->lost;
	q->lost = 0;
	q->bytes -= oldest->bytes;
	q->head = (q->head + 1) % q->room;
	if (--q->n == 0)
		event_queue_done(q);
	return 1;
}

static void drop_oldest(struct event_queue *q)
{
	unsigned lost = q->lost + 1;
	struct qmp_event e;

	if (!event_pop(q, &e))
		return;
	qmp_event_done(&e);
	q->lost = lost;
}

static uint64_t timestamp_us(struct json_object *message)
{
	struct json_object *at = qmp_get_obj(message, "timestamp");
	int64_t s = qmp_get_int(at, "seconds", -1), us = qmp_get_int(at, "microseconds", 0);

	if (s < 0 || s > INT64_MAX / US_PER_S - 1 || us < 0 || us >= US_PER_S)
		return 0;
	return (uint64_t)s * US_PER_S + us;
}

/* Twice the places, the oldest first. */
static int grow(struct event_queue *q)
{
	unsigned room = q->room ? q->room * 2 : ROOM_FIRST;
	struct queued_event *ring = calloc(room < q->max ? room : q->max, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	for (unsigned i = 0; i < q->n; i++)
		ring[i] = q->ring[(q->head + i) % q->room];
	free(q->ring);
	q->ring = ring;
	q->room = room < q->max ? room : q->max;
	q->head = 0;
	return 0;
}

static int make_room(struct event_queue *q, size_t bytes)
{
	while (q->n == q->max || (q->n && q->bytes + bytes > EVENT_QUEUE_BYTES_MAX))
		drop_oldest(q);
	return q->n == q->room ? grow(q) : 0;
}

int event_push(struct event_queue *q, struct json_object *message, size_t bytes)
{
	const char *name = qmp_get_str(message, "event", NULL);
	struct queued_event *place;
	char *copy;

	if (!name)
		return -EPROTO;
	copy = strdup(name);
	if (!copy || make_room(q, bytes) < 0) {
		free(copy);
		return -ENOMEM;
	}
	place = &q->ring[(q->head + q->n++) % q->room];
	place->bytes = bytes;
	place->event = (struct qmp_event){
		.name = copy,
		.data = json_object_get(qmp_get_obj(message, "data")),
		.time_us = timestamp_us(message),
	};
	q->bytes += bytes;
	return 0;
}

void event_queue_done(struct event_queue *q)
{
	while (q->n)
		drop_oldest(q);
	free(q->ring);
	q->ring = NULL;
	q->room = q->head = 0;
}
