/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands between lockstepd and a good monitor or agent.
 */
#include "hostile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

/* ---- to lockstepd ----------------------------------------------------------------- */

static void flush(struct mood *m)
{
	ssize_t n = 1;

	while (m->sent < m->len && n > 0) {
		n = send(m->outer, m->out + m->sent, m->len - m->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		m->sent += n > 0 ? (size_t)n : 0;
	}
	if (m->sent == m->len)
		m->sent = m->len = 0;
	sd_event_source_set_io_events(m->outer_io, m->len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void mood_say(struct mood *m, const void *bytes, size_t len)
{
	if (m->len + len > m->room) {
		m->room = (m->len + len) * 2;
		m->out = realloc(m->out, m->room);
	}
	memcpy(m->out + m->len, bytes, len);
	m->len += len;
	flush(m);
}

void mood_text(struct mood *m, const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mood_say(m, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void mood_repeat(struct mood *m, char c, size_t n)
{
	char *text = malloc(n);

	memset(text, c, n);
	mood_say(m, text, n);
	free(text);
}

/* Not at once: whoever calls goes on with the mood. */
void mood_hang_up(struct mood *m)
{
	m->dead = true;
	sd_event_source_set_enabled(m->over, SD_EVENT_ONESHOT);
}

/* ---- from lockstepd ---------------------------------------------------------------- */

static bool wants(struct mood *m, struct json_object *request)
{
	const struct hostile *h = m->port->hostile;
	const char *verb = qmp_get_str(request, "execute", "");
	int64_t id = qmp_get_int(request, "id", 0);

	snprintf(m->verb[(uint64_t)id % MOOD_VERBS], sizeof(m->verb[0]), "%s", verb);
	return !h || !h->ask || h->ask(m, verb, request);
}

static void pass_on(struct mood *m, struct json_object *request)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);

	if (m->inner < 0 || !wants(m, request))
		return;
	if (!strncmp(qmp_get_str(request, "execute", ""), "guest-sync", 10))
		send(m->inner, "\xff", 1, MSG_NOSIGNAL);
	send(m->inner, text, strlen(text), MSG_NOSIGNAL);
	send(m->inner, "\n", 1, MSG_NOSIGNAL);
}

static int on_outer(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct json_object *request;
	struct mood *m = arg;
	char buf[16384];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	(void)s, (void)revents;
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		port_hang_up(m->port);
		return 0;
	}
	if (n > 0)
		qmp_framer_feed(m->framer, buf, (size_t)n);
	while (!m->dead && qmp_framer_next(m->framer, NULL, &request) > 0) {
		if (request)
			pass_on(m, request);
		json_object_put(request);
	}
	flush(m);
	return 0;
}

/* ---- from the good one ----------------------------------------------------------------- */

static const char *verb_of(const struct mood *m, const char *line)
{
	const char *id = strstr(line, "\"id\"");

	id = id ? strpbrk(id + 4, "0123456789") : NULL;
	return id ? m->verb[strtoull(id, NULL, 10) % MOOD_VERBS] : "";
}

static void change(struct mood *m, const struct hostile *h, const char *line)
{
	const char *at = strstr(line, h->find);

	if (at) {
		mood_say(m, line, (size_t)(at - line));
		mood_say(m, h->put, strlen(h->put));
		line = at + strlen(h->find);
	}
	mood_text(m, "%s\n", line);
}

static void one_line(struct mood *m, const char *line)
{
	const struct hostile *h = m->port->hostile;
	const char *verb = verb_of(m, line);
	bool begins = *line == '\xff' || !strncmp(line, "{\"QMP\"", 6) ||
		      !strcmp(verb, "qmp_capabilities");

	if (!h || (begins && !h->sync) || (h->verb && strcmp(verb, h->verb) != 0))
		mood_text(m, "%s\n", line);
	else if (h->reply)
		h->reply(m, verb, line);
	else if (h->find)
		change(m, h, line);
	else
		mood_text(m, "%s\n", line);
}

static int on_inner(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct mood *m = arg;
	ssize_t n =
		recv(fd, m->line + m->line_len, sizeof(m->line) - 1 - m->line_len, MSG_DONTWAIT);
	char *end;

	(void)revents;
	if (n <= 0) {
		if (n == 0)
			sd_event_source_set_enabled(s, SD_EVENT_OFF);
		return 0;
	}
	m->line_len += (size_t)n;
	m->line[m->line_len] = '\0';
	while (!m->dead && (end = memchr(m->line, '\n', m->line_len))) {
		*end = '\0';
		if (end > m->line && end[-1] == '\r')
			end[-1] = '\0';
		one_line(m, m->line);
		m->line_len -= (size_t)(end + 1 - m->line);
		memmove(m->line, end + 1, m->line_len + 1);
	}
	return 0;
}

/* ---- life -------------------------------------------------------------------------------- */

static int on_tick(sd_event_source *s, uint64_t now, void *arg)
{
	struct mood *m = arg;
	const struct hostile *h = m->port->hostile;

	(void)now;
	if (!h || !h->tick)
		return 0;
	if (m->len < MOOD_FULL)
		h->tick(m);
	sd_event_source_set_time_relative(s, h->tick_ms * 1000);
	sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	return 0;
}

static int on_over(sd_event_source *s, void *arg)
{
	struct mood *m = arg;

	(void)s;
	port_hang_up(m->port);
	return 0;
}

void hostile_serve(struct fleet_port *p, int fd)
{
	sd_event *loop = p->guest->fleet->loop;
	struct mood *m = calloc(1, sizeof(*m));
	int pair[2];

	if (!m || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	p->mood = m;
	*m = (struct mood){ .port = p, .outer = fd, .inner = pair[0] };
	m->framer = qmp_framer_new(NULL);
	sd_event_add_io(loop, &m->outer_io, m->outer, EPOLLIN, on_outer, m);
	sd_event_add_io(loop, &m->inner_io, m->inner, EPOLLIN, on_inner, m);
	sd_event_add_defer(loop, &m->over, on_over, m);
	sd_event_source_set_enabled(m->over, SD_EVENT_OFF);
	port_serve(p, pair[1]);
	if (p->hostile->tick)
		sd_event_add_time_relative(loop, &m->timer, CLOCK_MONOTONIC,
					   p->hostile->tick_ms * 1000, 100, on_tick, m);
	if (p->hostile->begin)
		p->hostile->begin(m);
}

void hostile_end(struct fleet_port *p)
{
	struct mood *m = p->mood;

	p->mood = NULL;
	if (!m)
		return;
	sd_event_source_disable_unref(m->outer_io);
	sd_event_source_disable_unref(m->inner_io);
	sd_event_source_disable_unref(m->timer);
	sd_event_source_disable_unref(m->over);
	qmp_framer_free(m->framer);
	close(m->outer);
	close(m->inner);
	free(m->kept);
	free(m->out);
	free(m);
}
