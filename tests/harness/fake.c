/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DOC: A fake is a listening socket and a row of a table that says how it
 * misbehaves: what it says when somebody connects, and what it answers to each
 * request. A row with @play set is an agent that finds its place in the stream
 * (guest-sync) like a good one, and misbehaves from the next request on.
 */
#include "fake_private.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FAKE_SLOW_MS 1000 /* between two bytes */

static void client_close(struct fake_client *c)
{
	if (!c->fake)
		return;
	pump_remove(c->fake->pump, &c->watch);
	close(c->watch.fd);
	qmp_framer_free(c->framer);
	free(c->out);
	*c = (struct fake_client){ 0 };
}

/* Returns false once the client has been closed. */
static bool client_request(struct fake_client *c, struct json_object *request)
{
	const struct kind *k = c->fake->kind;
	static const char ok[] = "{\"return\": {}}\r\n";

	if (k->play && k->agent && request_is_sync(request))
		client_say_sync(c, request, 0);
	else if (k->play && !strcmp(qmp_get_str(request, "execute", ""), "qmp_capabilities"))
		client_say(c, ok, sizeof(ok) - 1);
	else if (k->answer == FAKE_CLOSE)
		client_close(c);
	else
		client_misbehave(c, request);
	return c->fake;
}

static void client_read(struct fake_client *c)
{
	struct json_object *request;
	char buf[4096];
	ssize_t n = recv(c->watch.fd, buf, sizeof(buf), MSG_DONTWAIT);
	bool there = true;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		client_close(c);
		return;
	}
	if (n < 0)
		return;
	qmp_framer_feed(c->framer, buf, n);
	while (there && qmp_framer_next(c->framer, NULL, &request) > 0) {
		if (request)
			there = client_request(c, request);
		json_object_put(request);
	}
}

static void client_write(struct fake_client *c)
{
	bool slow = c->fake->kind->answer == FAKE_SLOW;
	size_t len = slow ? 1 : c->len - c->sent;
	ssize_t n;

	if (c->sent == c->len || c->watch.wake_ms)
		return;
	n = send(c->watch.fd, c->out + c->sent, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		client_close(c);
		return;
	}
	c->sent += n > 0 ? n : 0;
	if (slow)
		c->watch.wake_ms = qmp_now_ms() + FAKE_SLOW_MS;
}

static short client_want(void *arg)
{
	struct fake_client *c = arg;

	/* A slow one is woken by its timer only. */
	return c->sent < c->len && !c->watch.wake_ms ? POLLIN | POLLOUT : POLLIN;
}

static void client_ready(void *arg, short revents)
{
	struct fake_client *c = arg;

	if (revents & (POLLIN | POLLHUP | POLLERR))
		client_read(c);
	if (c->fake)
		client_write(c);
}

static void fake_accept(void *arg, short revents)
{
	struct fake *f = arg;
	int fd = accept4(f->watch.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)revents;
	for (int i = 0; fd >= 0 && i < FAKE_CLIENTS_MAX; i++) {
		struct fake_client *c = &f->clients[i];

		if (c->fake)
			continue;
		*c = (struct fake_client){ .fake = f, .framer = qmp_framer_new(NULL) };
		c->watch = (struct watch){
			.fd = fd, .want = client_want, .ready = client_ready, .arg = c
		};
		pump_add(f->pump, &c->watch);
		if (f->kind->hello)
			client_say(c, f->kind->hello, strlen(f->kind->hello));
		return;
	}
	if (fd >= 0)
		close(fd);
}

void fake_free(struct fake *f)
{
	if (!f)
		return;
	for (int i = 0; i < FAKE_CLIENTS_MAX; i++)
		client_close(&f->clients[i]);
	pump_remove(f->pump, &f->watch);
	if (f->watch.fd >= 0)
		close(f->watch.fd);
	free(f);
}

int fake_listen(struct fake *f, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	f->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	if (f->watch.fd < 0 || bind(f->watch.fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	if (f->kind->socket == FAKE_DEAD)
		return 0;
	if (f->kind->socket == FAKE_FORBIDDEN && chmod(path, 0) < 0)
		return -errno;
	if (listen(f->watch.fd, FAKE_CLIENTS_MAX) < 0)
		return -errno;
	f->watch.events = POLLIN;
	f->watch.ready = fake_accept;
	f->watch.arg = f;
	pump_add(f->pump, &f->watch);
	return 0;
}
