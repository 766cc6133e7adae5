/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that do what none should: something stands between lockstepd and a good monitor
 * or agent, and changes, drops, adds or delays what that one says.
 *
 *	lockstepd ◄──outer──► mood ◄──inner──► a good one (fleet.h)
 */
#ifndef FLEET_HOSTILE_H
#define FLEET_HOSTILE_H

#include "fleet.h"

/*
 * A sanitizer makes lockstepd and its peers some four times slower. A storm that did not slow
 * down with them would be another storm, and its load all that is seen.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STORM_MS 4
#else
#define STORM_MS 1
#endif

#define MOOD_VERBS 1024		/* requests whose verb is remembered, by id */
#define MOOD_FULL  (256 * 1024) /* waiting to be read: then a flood pauses */

struct mood;

/**
 * struct hostile - One way to do harm; a row of a table
 * @name:  of the test
 * @verb:  the replies that it is about; NULL: all, and events
 * @find:  its first occurrence in such a reply becomes @put
 * @reply: instead of that: says what it likes, or nothing. @line has no newline
 * @sync:  a sync's answer, and a greeting, are no exception
 * @ask:   sees each request; false: the good one never gets it
 * @begin: somebody has connected
 * @tick:  every @tick_ms, while lockstepd reads
 */
struct hostile {
	const char *name, *verb, *find, *put;
	void (*reply)(struct mood *m, const char *verb, const char *line);
	bool sync;
	bool (*ask)(struct mood *m, const char *verb, struct json_object *request);
	void (*begin)(struct mood *m);
	void (*tick)(struct mood *m);
	unsigned tick_ms;
};

/**
 * struct mood - One connection to a hostile port
 * @outer, @inner: descriptors; @out: @len bytes for lockstepd, of which it has @sent
 * @line:    of the good one, not whole yet
 * @framer:  of requests; @verb: of each, by its id
 * @n, @kept: for whatever the row counts or keeps
 * @dead:    hang up when the loop comes back
 */
struct mood {
	struct fleet_port *port;
	int outer, inner;
	sd_event_source *outer_io, *inner_io, *timer, *over;
	char *out;
	size_t len, sent, room;
	char line[65536];
	size_t line_len;
	struct qmp_framer *framer;
	char verb[MOOD_VERBS][32];
	unsigned n;
	char *kept;
	bool dead;
};

/* Say bytes to lockstepd; a text; the line as it was. */
void mood_say(struct mood *m, const void *bytes, size_t len);
void mood_text(struct mood *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mood_repeat(struct mood *m, char c, size_t n);
void mood_hang_up(struct mood *m);

/* Somebody has connected to a port that is hostile: @fd is consumed. */
void hostile_serve(struct fleet_port *p, int fd);
void hostile_end(struct fleet_port *p);

/* hostile_agent.c, hostile_qemu.c; each ends with an empty row */
extern const struct hostile hostile_agents[], hostile_qemus[];

#endif
