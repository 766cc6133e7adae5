/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients: how they come, how they go, and what they are told unasked.
 *
 * DOC: a virtio-serial port in a loop
 *
 * The port is a character device that stays; what comes and goes is the host's end.
 * Without a host's end it polls as HUP all the time, so it is watched edge-triggered:
 * a level-triggered loop would spin. Each time a session has been served it is armed
 * again, which makes epoll look once more: a read may have returned one of several
 * buffers that are waiting. With HUP, a read that says "end" ends the session - half a
 * line, replies not sent, subscriptions - and the port is not armed: the kernel wakes us
 * when something changes. The descriptor goes on; a session works on a duplicate of it.
 * Migration closes the port at switchover and opens it again from the destination.
 *
 * HUP with something to read says nothing about whose it is. The kernel learns of a new
 * host's end from a work queue and of its bytes from an interrupt, so that the bytes may
 * be there while the port still polls as HUP: taking the port's word for it lost the
 * first request of one client in thirty. Such bytes are served *early*: the session that
 * they are in is left alone until the HUP is over. What an old client has left in it,
 * the new one's sync tells apart.
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>
#include <lockstep/cleanup.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>

#include "vsock.h"

#define REQUEST_BYTES_MAX (1024 * 1024) /* 65536 memory blocks by number fit */
#define REQUEST_DEPTH_MAX 16
#define PORT_NAMES	  "/sys/class/virtio-ports"

/**
 * struct client - A port, or one connection of a socket
 * @next:       in the agent's list
 * @agent:      owner
 * @src:        its descriptor in the loop
 * @peer:       the session; a port may be without one
 * @port:       outlives its sessions
 * @kind:       who it is, and so what it may do
 * @early:      port: what was read last came while it polled as HUP
 * @subscribed: wants events
 */
struct client {
	struct client *next;
	struct agent *agent;
	struct source src;
	struct qmp_peer *peer;
	bool port;
	enum client_kind kind;
	bool early;
	bool subscribed;
};

/* ---- sessions ------------------------------------------------------------ */

static uint32_t wanted(const struct client *c)
{
	short events = c->peer ? qmp_peer_poll_events(c->peer) : POLLIN;
	uint32_t want = 0;

	if (events & POLLIN)
		want |= EPOLLIN;
	if (events & POLLOUT)
		want |= EPOLLOUT;
	return c->port ? want | EPOLLET : want;
}

/*
 * Whoever syncs begins anew. On a port that may be another client than the one before:
 * if the host's end changes hands between two looks of ours there is no HUP to see.
 */
static void begin_anew(struct qmp_peer *peer, void *agent)
{
	struct client *c = qmp_peer_data(peer);

	(void)agent;
	c->subscribed = false;
}

static int begin_session(struct client *c, int fd)
{
	const struct qmp_peer_options opt = {
		.dialect = QMP_DIALECT_QGA,
		.verbs = ops_verbs(c->kind),
		.arg = c->agent,
		.classed = ops_classed,
		.synced = begin_anew,
		.limits = { .bytes = REQUEST_BYTES_MAX, .depth = REQUEST_DEPTH_MAX },
	};

	if (fd < 0)
		return -errno;
	c->peer = qmp_peer_new(fd, &opt);
	if (!c->peer)
		return -ENOMEM;
	qmp_peer_set_data(c->peer, c);
	return 0;
}

static void end_session(struct client *c)
{
	qmp_peer_free(ls_steal_ptr(&c->peer));
	c->subscribed = c->early = false;
}

static void client_free(struct client *c)
{
	struct client **p = &c->agent->clients;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	c->agent->n_clients--;
	loop_remove(&c->agent->loop, &c->src);
	end_session(c);
	if (c->port)
		close(c->src.fd);
	listen_again(&c->agent->listener);
	listen_again(&c->agent->local);
	free(c);
}

/* Serve what there is. Return: false if the client is gone, with its memory. */
static bool dispatch(struct client *c, short revents)
{
	if (qmp_peer_dispatch(c->peer, revents) == 0) {
		loop_change(&c->agent->loop, &c->src, wanted(c));
		return true;
	}
	if (!c->port) {
		client_free(c);
		return false;
	}
	end_session(c);
	return true;
}

static void connection_ready(struct source *src, uint32_t events)
{
	short revents = 0;

	if (events & EPOLLIN)
		revents |= POLLIN;
	if (events & EPOLLOUT)
		revents |= POLLOUT;
	if (events & (EPOLLHUP | EPOLLERR))
		revents |= POLLHUP;
	dispatch(src->arg, revents);
}

static void port_ready(struct source *src, uint32_t events)
{
	struct client *c = src->arg;
	bool hup = events & (EPOLLHUP | EPOLLERR);

	if (hup && c->early)
		return;
	if (!c->peer && begin_session(c, fcntl(src->fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		log_error("port: no session can be begun: out of memory or descriptors");
		return;
	}
	c->early = hup;
	c->subscribed &= !hup;
	dispatch(c, (events & EPOLLIN ? POLLIN : 0) | (events & EPOLLOUT ? POLLOUT : 0));
}

static struct client *client_new(struct agent *a, int fd, bool port, enum client_kind kind)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->agent = a;
	c->port = port;
	c->kind = kind;
	c->src = (struct source){ fd, port ? port_ready : connection_ready, c, EPOLLIN };
	if (port)
		c->src.events |= EPOLLET;
	if (loop_add(&a->loop, &c->src) < 0) {
		free(c);
		return NULL;
	}
	c->next = a->clients;
	a->clients = c;
	a->n_clients++;
	return c;
}

/* Those who may only look leave room for the others. */
static bool is_full(const struct agent *a, enum client_kind kind)
{
	const struct client *c;
	unsigned n = 0;

	for (c = a->clients; c; c = c->next)
		n += c->kind == kind;
	return a->n_clients >= AGENT_CLIENTS_MAX ||
	       (kind == CLIENT_MEMBER && n >= AGENT_MEMBERS_MAX);
}

int agent_serve_fd(struct agent *a, int fd, enum client_kind kind)
{
	bool full = is_full(a, kind);
	struct client *c = full ? NULL : client_new(a, fd, false, kind);
	int r;

	if (!c) {
		close(fd);
		return full ? -EBUSY : -ENOMEM;
	}
	r = begin_session(c, fd);
	if (r < 0)
		client_free(c);
	return r;
}

/* ---- all clients ---------------------------------------------------------- */

static void dispatch_all(struct agent *a, short revents)
{
	struct client *c, *next;

	for (c = a->clients; c; c = next) {
		next = c->next;
		if (c->peer)
			dispatch(c, revents);
	}
}

void serve_drain(struct agent *a)
{
	dispatch_all(a, POLLIN);
}

void serve_refresh(struct agent *a)
{
	dispatch_all(a, POLLOUT);
}

void serve_subscribe(struct agent *a, void *client)
{
	struct client *c = client;

	(void)a;
	c->subscribed = true;
}

enum client_kind serve_kind(const void *client)
{
	const struct client *c = client;

	return c->kind;
}

static struct json_object *change_object(const struct change *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "kind", json_object_new_string(c->kind));
	json_object_object_add(o, "id", json_object_new_int64(c->id));
	json_object_object_add(o, "count", json_object_new_int64(c->count));
	json_object_object_add(o, "state", json_object_new_string(c->state));
	json_object_object_add(o, "by", json_object_new_string(c->by));
	return o;
}

void serve_changes(struct agent *a)
{
	struct client *c;
	unsigned i;

	ls_guard(&a->changes.lock);
	for (c = a->clients; c && a->changes.n; c = c->next) {
		if (!c->subscribed)
			continue;
		for (i = 0; i < a->changes.n; i++)
			qmp_peer_event(c->peer, LS_WIRE_EVENT, change_object(&a->changes.item[i]));
		loop_change(&a->loop, &c->src, wanted(c));
	}
	a->changes.n = 0;
}

/* ---- opening -------------------------------------------------------------- */

/* Without udev there are no links in /dev/virtio-ports: look the port up by its name. */
static int find_port(const char *path, char *ret_dev, size_t size)
{
	const char *want = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	DIR *d = opendir(PORT_NAMES);
	char file[320], name[128];
	struct dirent *de;
	int r = -ENOENT;

	while (d && r < 0 && (de = readdir(d))) {
		ls_autoclose int fd = -1;
		ssize_t n;

		snprintf(file, sizeof(file), PORT_NAMES "/%s/name", de->d_name);
		fd = open(file, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = '\0';
		name[strcspn(name, "\n")] = '\0';
		if (!strcmp(name, want))
			r = snprintf(ret_dev, size, "/dev/%s", de->d_name) < (int)size ? 0
										       : -ENOENT;
	}
	if (d)
		closedir(d);
	return r;
}

/* What to do about a port that cannot be opened. */
static const char *port_advice(int error)
{
	switch (error) {
	case ENOENT:
		return "; the host gives it to the guest (lockstep-agent --help), -p names another";
	case EBUSY:
		return "; another program has it: an agent that runs already, or qemu-ga";
	case EACCES:
	case EPERM:
		return "; run as root";
	default:
		return "";
	}
}

static int open_port(struct agent *a, const char *path, struct ls_err *err)
{
	int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	char dev[280];
	int fd = open(path, flags);

	if (fd < 0 && errno == ENOENT && find_port(path, dev, sizeof(dev)) == 0)
		fd = open(dev, flags);
	if (fd < 0)
		return ls_err_set(err, -errno, "port %s: %s%s", path, strerror(errno),
				  port_advice(errno));
	if (client_new(a, fd, true, CLIENT_HOST))
		return 0;
	close(fd);
	return ls_err_set(err, -ENOMEM, "port %s: cannot be polled", path);
}

static int open_unix(struct agent *a, const char *path, struct ls_err *err)
{
	pid_t owner = listen_owner(path);

	if (owner >= 0)
		return ls_err_set(err, -EADDRINUSE,
				  "socket %s: process %d serves it: end it, or give this agent "
				  "another with -p PATH",
				  path, (int)owner);
	return listen_open(&a->listener, a, path, NULL, err);
}

int serve_open(struct agent *a, const struct agent_options *opt, struct ls_err *err)
{
	if (!opt->method)
		return 0;
	if (!strcmp(opt->method, "virtio-serial"))
		return open_port(a, opt->path, err);
	if (!strcmp(opt->method, "vsock-listen"))
		return vsock_open(a, opt->path, err);
	return open_unix(a, opt->path, err);
}

void serve_close(struct agent *a)
{
	while (a->clients)
		client_free(a->clients);
	listen_close(&a->listener);
}
