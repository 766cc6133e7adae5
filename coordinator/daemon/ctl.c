/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients of the control socket: taken, served, told, hung up. A client costs the others
 * nothing: what it sends and what it does not read is bounded by libqmp, how many there
 * are by max-clients, and one that says nothing is hung up after hello-limit.
 */
#include "ctl_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>
#include <lockstep/cleanup.h>
#include <lockstep/log.h>

#include "../store/rival.h"

#define REQUEST_BYTES 65536
#define REQUEST_DEPTH 8
#define BACKLOG	      64

/* ---- a client ------------------------------------------------------------------ */

static void client_free(struct client *k)
{
	struct client **at = &k->c->clients;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	k->c->n_clients--;
	sd_event_source_disable_unref(k->io);
	sd_event_source_disable_unref(k->hello);
	qmp_peer_free(k->peer);
	access_peer_done(&k->who);
	free(k);
}

static void watch(struct client *k)
{
	sd_event_source_set_io_events(k->io, (uint32_t)qmp_peer_poll_events(k->peer));
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct client *k = arg;

	(void)s, (void)fd;
	if (qmp_peer_dispatch(k->peer, (short)revents) < 0)
		client_free(k);
	else
		watch(k);
	return 0;
}

static int on_silent(sd_event_source *s, uint64_t now, void *arg)
{
	struct client *k = arg;

	(void)s, (void)now;
	if (!k->spoke) {
		log_info("client pid %d, uid %u: it has said nothing and is hung up",
			 (int)k->who.pid, (unsigned)k->who.uid);
		client_free(k);
	}
	return 0;
}

/* @fd is consumed. */
static int client_begin(struct client *k, int fd)
{
	const struct qmp_peer_options options = {
		.dialect = QMP_DIALECT_QMP,
		.verbs = ctl_verbs,
		.arg = k->c->d,
		.limits = { .bytes = REQUEST_BYTES, .depth = REQUEST_DEPTH },
	};
	sd_event *loop = k->c->d->loop;
	int r = access_peer_read(fd, &k->who);

	k->peer = r < 0 ? NULL : qmp_peer_new(fd, &options);
	if (r < 0)
		close(fd);
	if (!k->peer)
		return r < 0 ? r : -ENOMEM;
	qmp_peer_set_data(k->peer, k);
	r = sd_event_add_io(loop, &k->io, qmp_peer_fd(k->peer), 0, on_io, k);
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &k->hello, CLOCK_MONOTONIC,
					       (uint64_t)k->c->d->config.hello_ms * 1000, 0,
					       on_silent, k);
	if (r >= 0)
		watch(k);
	return r;
}

static void turn_away(int fd)
{
	static const char text[] = "{\"error\": {\"class\": \"BUSY\", \"desc\": \"lockstepd has as "
				   "many clients as it may (max-clients), or files "
				   "(LimitNOFILE)\"}}\r\n";

	send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* Left where it is, who cannot be taken would wake the loop again and again. */
static void turn_away_without_a_file(struct ctl *c, int listening)
{
	int fd;

	close(c->spare);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		turn_away(fd);
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int on_connect(sd_event_source *s, int listening, uint32_t revents, void *arg)
{
	struct ctl *c = arg;
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *k;

	(void)s, (void)revents;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away_without_a_file(c, listening);
		return 0;
	}
	k = c->n_clients < c->d->config.max_clients ? calloc(1, sizeof(*k)) : NULL;
	if (!k) {
		turn_away(fd);
		return 0;
	}
	*k = (struct client){ .c = c, .number = ++c->numbers, .next = c->clients };
	c->clients = k;
	c->n_clients++;
	if (client_begin(k, fd) < 0)
		client_free(k);
	return 0;
}

/* ---- events --------------------------------------------------------------------- */

void ctl_event(void *arg, const struct lane *l, const struct lane_job *j, struct json_object *o)
{
	struct daemon *d = arg;

	(void)l;
	if (!d->ctl)
		return;
	ctl_answer_pending(d->ctl, j->id, o);
	for (struct client *k = d->ctl->clients; k; k = k->next) {
		if (k->number == j->owner || k->subscribed)
			qmp_peer_event(k->peer, CTL_EVENT, json_object_get(o));
		watch(k);
	}
}

/* ---- the socket ------------------------------------------------------------------- */

/* Return: -1 for a socket that nobody serves: left over from a daemon that was killed. */
static int served_by(const struct sockaddr_un *sun)
{
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (fd < 0 ||
	    (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 && errno != EAGAIN))
		return -1;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.pid;
}

static int check_free(const struct sockaddr_un *sun, struct ls_err *err)
{
	int pid;

	while ((pid = served_by(sun)) >= 0)
		if (!rival_ends(pid))
			return ls_err_set(err, -EADDRINUSE,
					  "%s is served by process %d: another lockstepd runs",
					  sun->sun_path, pid);
	return 0;
}

/* Its directory, if it is not there: systemd makes it, a shell does not. */
static void make_parent(const char *path)
{
	ls_autofree char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash || slash == dir)
		return;
	*slash = '\0';
	mkdir(dir, 0755);
}

/* The mode lets everybody connect: what they may is decided for each verb. */
static int listen_at(struct ctl *c, const char *path, struct ls_err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return ls_err_set(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes",
				  path, sizeof(sun.sun_path) - 1);
	strcpy(sun.sun_path, path);
	r = check_free(&sun, err);
	if (r < 0)
		return r;
	unlink(path);
	make_parent(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || chmod(path, 0666) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		r = ls_err_set(err, -errno, "%s: %s", path, strerror(errno));
		ls_closep(&fd);
		return r;
	}
	c->path = strdup(path);
	c->fds[c->n_fds++] = fd;
	return 0;
}

int ctl_new(struct daemon *d, const int *fds, unsigned n, const char *path, struct ls_err *err)
{
	struct ctl *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c)
		return ls_err_set(err, -ENOMEM, "out of memory");
	c->d = d;
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < n && i < CTL_FDS_MAX; i++)
		c->fds[c->n_fds++] = fds[i];
	if (!n)
		r = listen_at(c, path, err);
	for (unsigned i = 0; i < c->n_fds && r >= 0; i++) {
		r = sd_event_add_io(d->loop, &c->io[i], c->fds[i], EPOLLIN, on_connect, c);
		if (r < 0)
			ls_err_set(err, r, "%s: %s", path, strerror(-r));
	}
	if (r < 0)
		ctl_free(c);
	else
		d->ctl = c;
	return r < 0 ? r : 0;
}

void ctl_free(struct ctl *c)
{
	if (!c)
		return;
	while (c->clients)
		client_free(c->clients);
	ctl_verbs_done(c);
	for (unsigned i = 0; i < c->n_fds; i++) {
		sd_event_source_disable_unref(c->io[i]);
		close(c->fds[i]);
	}
	ls_closep(&c->spare);
	if (c->path)
		unlink(c->path);
	free(c->path);
	free(c);
}
