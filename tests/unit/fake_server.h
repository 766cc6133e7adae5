/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QMP server at a socket of its own, on the loop of whoever asks it.
 */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <qmp_serve.h>
#include <systemd/sd-event.h>

/**
 * struct server - A fake QEMU or agent; one client at a time
 * @closes: it hangs up on whoever connects; @opened counts them
 * @flush:  it hangs up when this is due
 */
struct server {
	sd_event *loop;
	enum qmp_dialect dialect;
	const struct qmp_verb *verbs;
	bool closes;
	unsigned opened;
	int fd;
	char path[64];
	struct qmp_peer *peer;
	sd_event_source *listening, *io, *flush;
};

/* @dir: where its socket is made. */
void server_begin(struct server *s, sd_event *loop, const char *dir, const char *name,
		  enum qmp_dialect dialect, const struct qmp_verb *verbs);
void server_end(struct server *s);

/* Take what has come and send what is to be said. */
void server_turn(struct server *s, uint32_t revents);

void server_hang_up(struct server *s);

/* Hang up when what has been answered by now has left. */
void server_hang_up_later(struct server *s, unsigned ms);

#endif
