/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening for the guest's own root.
 */
#include "local.h"

#include <errno.h>
#include <stdbool.h>
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

int local_path(const char *state_dir, char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/" LOCAL_NAME, state_dir);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

/* The kernel remembers who connected, whatever the file's mode has become since. */
static bool is_root(int fd, uid_t *ret_uid)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*ret_uid = cred.uid;
	return cred.uid == 0 || cred.uid == geteuid();
}

static void accept_ready(struct source *src, uint32_t events)
{
	struct agent *a = src->arg;
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uid_t uid = (uid_t)-1;

	(void)events;
	if (fd < 0)
		return;
	if (is_root(fd, &uid) && a->n_clients < AGENT_CLIENTS_MAX) {
		agent_serve_fd(a, fd);
		return;
	}
	log_warning("local: user %u is turned away", (unsigned)uid);
	close(fd);
}

/* Who listens there: its process, 0 if it cannot be told; -1: nobody does. */
static pid_t who_answers(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (fd < 0 || strlen(path) >= sizeof(sun.sun_path))
		return -1;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return errno == EAGAIN ? 0 : -1; /* EAGAIN: its queue is full */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ? 0 : cred.pid;
}

static int listen_at(const char *path, struct ls_err *err)
{
	pid_t other = who_answers(path);
	int fd;

	if (other >= 0)
		return ls_err_set(err, -EADDRINUSE,
				  "process %d is an agent with this state directory (it has %s): "
				  "end it, or give this one another with -t DIR",
				  (int)other, path);
	fd = serve_bind_unix(path);
	if (fd < 0)
		return ls_err_set(err, fd, "local socket %s: %s", path, strerror(-fd));
	chmod(path, 0600);
	return fd;
}

int local_open(struct agent *a, const char *state_dir, struct ls_err *err)
{
	int fd = local_path(state_dir, a->local_path, sizeof(a->local_path));

	if (fd < 0)
		ls_err_set(err, fd, "local socket in %s: the path is too long", state_dir);
	mkdir(state_dir, 0755);
	fd = fd < 0 ? fd : listen_at(a->local_path, err);
	if (fd < 0) {
		a->local_path[0] = '\0';
		return fd;
	}
	a->local_source = (struct source){ fd, accept_ready, a, EPOLLIN };
	return loop_add(&a->loop, &a->local_source);
}

void local_close(struct agent *a)
{
	if (!a->local_path[0])
		return;
	close(a->local_source.fd);
	unlink(a->local_path);
	a->local_path[0] = '\0';
}
