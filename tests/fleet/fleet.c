/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sockets of the fake guests.
 */
#include "fleet.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "hostile.h"

static void die(const char *what)
{
	fprintf(stderr, "fleet: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- words -------------------------------------------------------------------- */

struct json_object *json_of(const char *fmt, va_list ap)
{
	struct json_object *value;
	struct ls_err err;
	char text[8192];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n >= (int)sizeof(text) || qmp_parse(text, (size_t)n, NULL, &err, &value) < 0) {
		fprintf(stderr, "fleet: what it is to say is no JSON: %s\n", text);
		exit(1);
	}
	return value;
}

void say(struct qmp_call *call, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	qmp_reply(call, json_of(fmt, ap));
	va_end(ap);
}

/* ---- who is connected ------------------------------------------------------------ */

static void watch(struct fleet_port *p)
{
	sd_event_source_set_io_events(p->peer_io, (uint32_t)qmp_peer_poll_events(p->peer));
}

void port_event(struct fleet_port *p, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (!p->peer)
		return;
	va_start(ap, fmt);
	qmp_peer_event(p->peer, name, json_of(fmt, ap));
	va_end(ap);
	watch(p);
}

void port_hang_up(struct fleet_port *p)
{
	hostile_end(p);
	p->peer_io = sd_event_source_disable_unref(p->peer_io);
	qmp_peer_free(p->peer);
	p->peer = NULL;
	if (p->is_agent)
		p->guest->subscribed = false;
	sd_event_source_set_enabled(p->io, SD_EVENT_ON);
}

static int on_peer(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct fleet_port *p = arg;

	(void)s, (void)fd;
	if (qmp_peer_dispatch(p->peer, (short)revents) < 0)
		port_hang_up(p);
	else
		watch(p);
	return 0;
}

void port_serve(struct fleet_port *p, int fd)
{
	const struct qmp_peer_options options = {
		.dialect = p->is_agent ? QMP_DIALECT_QGA : QMP_DIALECT_QMP,
		.greeting = p->is_agent ? NULL : fake_qemu_greeting(),
		.verbs = p->is_agent ? fake_agent_verbs : fake_qemu_verbs,
		.arg = p->guest,
		.calls = 64,
	};

	p->peer = qmp_peer_new(fd, &options);
	if (!p->peer || sd_event_add_io(p->guest->fleet->loop, &p->peer_io, fd, 0, on_peer, p) < 0)
		die("a client");
	watch(p);
}

static int on_connect(sd_event_source *s, int listening, uint32_t revents, void *arg)
{
	struct fleet_port *p = arg;
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (fd < 0)
		return 0;
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	p->connections++;
	if (p->hostile)
		hostile_serve(p, fd);
	else
		port_serve(p, fd);
	return 0;
}

/* ---- life -------------------------------------------------------------------------- */

static void listen_at(struct fleet_port *p, struct fleet_guest *g, bool is_agent)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	*p = (struct fleet_port){ .guest = g, .is_agent = is_agent };
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.60s/%s.%s", g->fleet->dir, g->name,
		 is_agent ? "agent" : "qmp");
	p->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->listening < 0 || bind(p->listening, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(p->listening, 4) < 0 ||
	    sd_event_add_io(g->fleet->loop, &p->io, p->listening, EPOLLIN, on_connect, p) < 0)
		die(sun.sun_path);
}

static void begin(struct fleet *f, unsigned number)
{
	struct fleet_guest *g = &f->guest[number];
	char path[128];
	FILE *conf;

	g->fleet = f;
	snprintf(g->name, sizeof(g->name), "g%u", number);
	for (unsigned i = 0; i < FLEET_BOOT_CPUS; i++)
		g->cpu[i] = (struct fleet_cpu){ .plugged = true, .online = true };
	listen_at(&g->qemu, g, false);
	listen_at(&g->agent, g, true);
	snprintf(path, sizeof(path), "%s/guests.d/%s.conf", f->dir, g->name);
	conf = fopen(path, "we");
	if (!conf)
		die(path);
	fprintf(conf, "[guest]\nqmp = unix:%s/%s.qmp\nagent = unix:%s/%s.agent\n", f->dir, g->name,
		f->dir, g->name);
	fclose(conf);
}

struct fleet *fleet_new(sd_event *loop, unsigned n)
{
	const char *tmp = getenv("TMPDIR");
	struct rlimit files = { 0 };
	struct fleet *f = calloc(1, sizeof(*f));
	char path[128];

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	snprintf(f->dir, sizeof(f->dir), "%.32s/lockstep-fleet-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir))
		die(f->dir);
	snprintf(path, sizeof(path), "%s/guests.d", f->dir);
	mkdir(path, 0700);
	f->loop = sd_event_ref(loop);
	f->guest = calloc(n, sizeof(*f->guest));
	for (f->n = 0; f->n < n; f->n++)
		begin(f, f->n);
	return f;
}

static void port_end(struct fleet_port *p)
{
	port_hang_up(p);
	sd_event_source_disable_unref(p->io);
	close(p->listening);
}

void fleet_free(struct fleet *f)
{
	char command[80];

	for (unsigned i = 0; i < f->n; i++) {
		port_end(&f->guest[i].qemu);
		port_end(&f->guest[i].agent);
		for (unsigned k = 0; k < FLEET_OBJECTS; k++)
			free(f->guest[i].object[k].data);
	}
	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	if (system(command))
		die(f->dir);
	sd_event_unref(f->loop);
	free(f->guest);
	free(f);
}
