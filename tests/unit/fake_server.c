/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sockets of a fake QEMU or agent.
 */
#include "fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS 64 /* more than one look has */

void server_hang_up(struct server *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	s->flush = sd_event_source_disable_unref(s->flush);
	qmp_peer_free(s->peer);
	s->peer = NULL;
}

void server_turn(struct server *s, uint32_t revents)
{
	if (qmp_peer_dispatch(s->peer, (short)revents) < 0)
		server_hang_up(s);
	else
		sd_event_source_set_io_events(s->io, (uint32_t)qmp_peer_poll_events(s->peer));
}

static int on_flushed(sd_event_source *src, uint64_t now, void *arg)
{
	(void)src, (void)now;
	server_hang_up(arg);
	return 0;
}

void server_hang_up_later(struct server *s, unsigned ms)
{
	sd_event_add_time_relative(s->loop, &s->flush, CLOCK_MONOTONIC, ms * 1000, 1, on_flushed,
				   s);
}

static int on_io(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	(void)src, (void)fd;
	server_turn(arg, revents);
	return 0;
}

static int on_connect(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct qmp_peer_options options = { .calls = CALLS };
	struct server *s = arg;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)src, (void)revents;
	s->opened++;
	if (s->closes || s->peer) {
		close(peer);
		return 0;
	}
	options.dialect = s->dialect;
	options.verbs = s->verbs;
	s->peer = qmp_peer_new(peer, &options);
	sd_event_add_io(s->loop, &s->io, qmp_peer_fd(s->peer), EPOLLIN, on_io, s);
	server_turn(s, 0);
	return 0;
}

void server_begin(struct server *s, sd_event *loop, const char *dir, const char *name,
		  enum qmp_dialect dialect, const struct qmp_verb *verbs)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	*s = (struct server){ .loop = loop, .dialect = dialect, .verbs = verbs };
	snprintf(s->path, sizeof(s->path), "%s/%s", dir, name);
	memcpy(sun.sun_path, s->path, sizeof(s->path));
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	sd_event_add_io(loop, &s->listening, s->fd, EPOLLIN, on_connect, s);
}

void server_end(struct server *s)
{
	server_hang_up(s);
	sd_event_source_disable_unref(s->listening);
	close(s->fd);
	unlink(s->path);
}
