/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Letting clients in, and binding unix sockets.
 */
#include "listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/log.h>

#include "agent.h"

/* ---- clients ------------------------------------------------------------------ */

static void let_in(const struct listener *l, int fd)
{
	int who = l->who ? l->who(l, fd) : CLIENT_ROOT;

	if (who < 0)
		close(fd);
	else if (agent_serve_fd(l->agent, fd, (enum client_kind)who) == -EBUSY)
		log_warning("%s: %u clients: one more is turned away", l->path,
			    l->agent->n_clients);
}

static void accept_ready(struct source *src, uint32_t events)
{
	struct listener *l = src->arg;
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0 && errno == EAGAIN)
		return;
	if (fd < 0 && errno != EINTR && errno != ECONNABORTED) {
		log_warning("%s: %s: who connects waits until a client goes", l->path,
			    strerror(errno));
		return;
	}
	if (fd >= 0)
		let_in(l, fd);
	listen_again(l);
}

void listen_again(struct listener *l)
{
	if (l->path[0])
		loop_change(&l->agent->loop, &l->src, l->src.events);
}

/* ---- the socket ----------------------------------------------------------------- */

static int address_of(const char *path, struct sockaddr_un *ret_sun)
{
	*ret_sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret_sun->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret_sun->sun_path, path, strlen(path) + 1);
	return 0;
}

pid_t listen_owner(const char *path)
{
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	struct sockaddr_un sun;

	if (fd < 0 || address_of(path, &sun) < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return errno == EAGAIN ? 0 : -1; /* EAGAIN: its queue is full */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ? 0 : cred.pid;
}

/* Left behind by an agent that was killed. What is no socket was named by mistake. */
static int remove_old(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) < 0 ? -errno : 0;
}

static int bind_listen(int fd, const char *path)
{
	struct sockaddr_un sun;
	int r = address_of(path, &sun);
	mode_t was;

	if (r == 0)
		r = remove_old(path);
	if (r < 0)
		return r;
	was = umask(0177);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	umask(was);
	if (r == 0 && listen(fd, AGENT_CLIENTS_MAX) < 0)
		r = -errno;
	return r;
}

int listen_on(struct listener *l, struct agent *a, int fd, const char *name, listen_who_fn *who)
{
	int r;

	*l = (struct listener){ .agent = a, .who = who };
	l->src = (struct source){ fd, accept_ready, l, EPOLLIN | EPOLLET };
	r = loop_add(&a->loop, &l->src);
	if (r == 0)
		snprintf(l->path, sizeof(l->path), "%s", name);
	return r;
}

int listen_open(struct listener *l, struct agent *a, const char *path, listen_who_fn *who,
		struct ls_err *err)
{
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : bind_listen(fd, path);

	if (r == 0)
		r = listen_on(l, a, fd, path, who);
	if (r < 0)
		return ls_err_set(err, r, "socket %s: %s", path, strerror(-r));
	l->file = true;
	ls_steal_fd(&fd);
	return 0;
}

void listen_close(struct listener *l)
{
	if (!l->path[0])
		return;
	close(l->src.fd);
	if (l->file)
		unlink(l->path);
	l->path[0] = '\0';
}
