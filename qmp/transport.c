/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kinds of address: unix:PATH, tcp:HOST:PORT, vsock:CID:PORT, fd:N, ssh:HOST:PATH.
 *
 * A row of the table begins to connect; what cannot be done at once (a handshake,
 * ssh's start) is done by transport_step() when something happens.
 */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <lockstep/limits.h>
#include <lockstep/vsock.h>

#include "ssh.h"

#define TCP_HOST_BYTES 256

struct how {
	bool may_block;
	uint64_t deadline_ms;
};

typedef int (*open_fn)(struct transport *t, const char *rest, const struct how *how,
		       struct ls_err *err);

/* ---- unix, fd --------------------------------------------------------- */

static const char *unix_reason(int code)
{
	switch (-code) {
	case ENOENT:
		return "no such socket";
	case EACCES:
		return "no permission to connect";
	case ECONNREFUSED:
		return "nobody listens on it";
	case EAGAIN:
		return "its queue is full: another client holds it, or its owner hangs";
	case EPROTOTYPE:
		return "not a stream socket";
	default:
		return strerror(-code);
	}
}

static int open_unix(struct transport *t, const char *path, const struct how *how,
		     struct ls_err *err)
{
	if (!*path)
		return ls_err_set(err, -EINVAL, "no path");
	t->sock = unix_connect(path, how->may_block, how->deadline_ms);
	if (t->sock == -ENAMETOOLONG)
		return ls_err_set(err, -EINVAL,
				  "the path is %zu bytes long, a socket's path has at most %d",
				  strlen(path), LS_PATH_BYTES - 1);
	if (t->sock < 0)
		return ls_err_set(err, t->sock == -EAGAIN ? -EBUSY : t->sock, "%s",
				  unix_reason(t->sock));
	t->socket = true;
	return 0;
}

static int open_fd(struct transport *t, const char *rest, const struct how *how, struct ls_err *err)
{
	unsigned long n;
	char *end;
	int r;

	(void)how;
	errno = 0;
	n = strtoul(rest, &end, 10);
	if (*rest < '0' || *rest > '9' || *end || errno || n > INT_MAX)
		return ls_err_set(err, -EINVAL, "want fd:N, N a number");
	r = fd_prepare(n);
	if (r < 0)
		return ls_err_set(err, -EINVAL, "no such descriptor");
	t->sock = n;
	t->socket = fd_is_socket(n);
	return 0;
}

/* ---- what takes time to connect ---------------------------------------- */

static int watch_sock(struct transport *t, int op)
{
	struct epoll_event ev = { .events = EPOLLIN | (t->want_out ? EPOLLOUT : 0) };

	if (epoll_ctl(t->set, op, t->sock, &ev) < 0)
		return -errno;
	return 0;
}

static int open_set(struct transport *t, struct ls_err *err)
{
	t->set = epoll_create1(EPOLL_CLOEXEC);
	if (t->set < 0)
		return ls_err_set(err, -errno, "epoll_create1: %s", strerror(errno));
	t->pending = true;
	return 0;
}

/* Begin to connect @t->sock: 0, or -errno and it is closed. */
static int sock_begin(struct transport *t, const struct sockaddr *to, socklen_t len)
{
	int r;

	t->want_out = true; /* writable means: decided */
	if (!connect(t->sock, to, len) || errno == EINPROGRESS)
		r = watch_sock(t, EPOLL_CTL_ADD);
	else
		r = -errno;
	if (r < 0)
		close(ls_steal_fd(&t->sock));
	return r;
}

/* How it went: 1 connected, 0 not decided yet, -errno and it is closed. */
static int sock_step(struct transport *t)
{
	struct pollfd pfd = { .fd = t->sock, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int r = 0;

	if (poll(&pfd, 1, 0) == 0)
		return 0;
	if (getsockopt(t->sock, SOL_SOCKET, SO_ERROR, &r, &len) < 0)
		r = errno;
	if (!r)
		return 1;
	close(ls_steal_fd(&t->sock));
	return -r;
}

/* ---- tcp -------------------------------------------------------------- */

/* Begin with the next address of the name that lets us begin. */
static int tcp_next(struct transport *t, int last)
{
	int one = 1;

	for (; t->host; t->host = t->host->ai_next) {
		t->sock = socket(t->host->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (t->sock < 0) {
			last = -errno;
			continue;
		}
		setsockopt(t->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		last = sock_begin(t, t->host->ai_addr, t->host->ai_addrlen);
		if (last == 0)
			return 0;
	}
	return last;
}

static int tcp_step(struct transport *t, struct ls_err *err)
{
	int r = sock_step(t);

	if (r >= 0)
		return r;
	t->host = t->host->ai_next;
	r = tcp_next(t, r);
	if (r < 0)
		return ls_err_set(err, r, "%s", strerror(-r));
	return 0;
}

static int tcp_split(const char *rest, char host[TCP_HOST_BYTES], const char **ret_port,
		     struct ls_err *err)
{
	const char *colon = strrchr(rest, ':'), *from = rest, *to = colon;

	if (!colon || colon == rest || !colon[1])
		return ls_err_set(err, -EINVAL, "want tcp:HOST:PORT");
	if (*from == '[' && to[-1] == ']') {
		from++;
		to--;
	}
	if (to - from >= TCP_HOST_BYTES)
		return ls_err_set(err, -EINVAL, "the host name is longer than %d bytes",
				  TCP_HOST_BYTES - 1);
	memcpy(host, from, to - from);
	host[to - from] = '\0';
	*ret_port = colon + 1;
	return 0;
}

static int open_tcp(struct transport *t, const char *rest, const struct how *how,
		    struct ls_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	char host[TCP_HOST_BYTES];
	const char *port = NULL;
	int r;

	(void)how;
	if (tcp_split(rest, host, &port, err) < 0)
		return -EINVAL;
	r = getaddrinfo(host, port, &hints, &t->hosts);
	if (r)
		return ls_err_set(err, -EINVAL, "%s", gai_strerror(r));
	t->host = t->hosts;
	t->socket = true;
	if (open_set(t, err) < 0)
		return -ENFILE;
	r = tcp_next(t, -EHOSTUNREACH);
	return r < 0 ? ls_err_set(err, r, "%s", strerror(-r)) : 0;
}

/* ---- vsock ------------------------------------------------------------ */

static int vsock_failed(struct ls_err *err, int code)
{
	switch (-code) {
	case EAFNOSUPPORT:
		return ls_err_set(err, code, "this kernel has no vsock; try: modprobe vhost_vsock");
	case ENODEV:
		return ls_err_set(err, code, "no guest has this CID");
	case ECONNRESET:
		return ls_err_set(err, -ECONNREFUSED, "nobody listens on that port");
	default:
		return ls_err_set(err, code, "%s", strerror(-code));
	}
}

static int open_vsock(struct transport *t, const char *rest, const struct how *how,
		      struct ls_err *err)
{
	struct sockaddr_vm to;
	int r;

	(void)how;
	if (ls_vsock_parse(rest, &to) < 0 || to.svm_cid == VMADDR_CID_ANY)
		return ls_err_set(err, -EINVAL, "want vsock:CID:PORT, both numbers");
	if (open_set(t, err) < 0)
		return -ENFILE;
	t->vsock = t->socket = true;
	t->sock = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->sock < 0)
		return vsock_failed(err, -errno);
	r = sock_begin(t, (const struct sockaddr *)&to, sizeof(to));
	return r < 0 ? vsock_failed(err, r) : 0;
}

static int vsock_step(struct transport *t, struct ls_err *err)
{
	int r = sock_step(t);

	return r < 0 ? vsock_failed(err, r) : r;
}

/* ---- ssh -------------------------------------------------------------- */

static int open_ssh(struct transport *t, const char *rest, const struct how *how,
		    struct ls_err *err)
{
	(void)how;
	if (open_set(t, err) < 0)
		return -ENFILE;
	t->socket = true;
	return ssh_start(rest, t->set, err, &t->ssh);
}

static int ssh_transport_step(struct transport *t, struct ls_err *err)
{
	int fd = ssh_step(t->ssh, err);

	if (fd == -EAGAIN)
		return 0;
	if (fd < 0)
		return fd;
	t->sock = fd;
	if (watch_sock(t, EPOLL_CTL_ADD) < 0)
		return ls_err_set(err, -errno, "epoll_ctl: %s", strerror(errno));
	return 1;
}

/* ---- all of them ------------------------------------------------------ */

/* clang-format off */
static const struct {
	const char *prefix;
	open_fn open;
} transports[] = {
	{ "unix:",  open_unix },
	{ "tcp:",   open_tcp },
	{ "vsock:", open_vsock },
	{ "fd:",    open_fd },
	{ "ssh:",   open_ssh },
};
/* clang-format on */

static int open_any(struct transport *t, const char *address, const struct how *how,
		    struct ls_err *err)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		size_t n = strlen(transports[i].prefix);

		if (!strncmp(address, transports[i].prefix, n))
			return transports[i].open(t, address + n, how, err);
	}
	return open_unix(t, address, how, err);
}

int transport_open(struct transport *t, const char *address, bool may_block, uint64_t deadline_ms,
		   struct ls_err *err)
{
	struct how how = { may_block, deadline_ms };
	int r;

	*t = (struct transport){ .sock = -1, .set = -1 };
	r = open_any(t, address, &how, err);
	if (r < 0) {
		ls_err_prefix(err, "%s", address);
		transport_close(t);
	}
	return r;
}

static int pending_step(struct transport *t, struct ls_err *err)
{
	if (t->ssh)
		return ssh_transport_step(t, err);
	return t->vsock ? vsock_step(t, err) : tcp_step(t, err);
}

int transport_step(struct transport *t, struct ls_err *err)
{
	int r = t->pending ? pending_step(t, err) : 1;

	if (r == 1 && t->pending) {
		t->pending = false;
		transport_want_out(t, false);
	}
	return r;
}

int transport_fd(const struct transport *t)
{
	return t->set >= 0 ? t->set : t->sock;
}

short transport_events(const struct transport *t)
{
	return t->set < 0 && t->want_out ? POLLIN | POLLOUT : POLLIN;
}

void transport_want_out(struct transport *t, bool want)
{
	if (t->want_out == want)
		return;
	t->want_out = want;
	if (t->set >= 0 && t->sock >= 0)
		watch_sock(t, EPOLL_CTL_MOD);
}

ssize_t transport_read(struct transport *t, void *buf, size_t len)
{
	return fd_read(t->sock, t->socket, buf, len);
}

ssize_t transport_write(struct transport *t, const void *buf, size_t len)
{
	return fd_write(t->sock, t->socket, buf, len);
}

const char *transport_said(struct transport *t)
{
	return t->ssh ? ssh_said(t->ssh) : "";
}

void transport_close(struct transport *t)
{
	ssh_stop(ls_steal_ptr(&t->ssh));
	if (t->hosts)
		freeaddrinfo(t->hosts);
	t->hosts = NULL;
	if (t->sock >= 0)
		close(ls_steal_fd(&t->sock));
	if (t->set >= 0)
		close(ls_steal_fd(&t->set));
}
