/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmicrohttpd serves a socket that is made here.
 */
#include "metrics_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <microhttpd.h>
#include <urcu.h>

#include <lockstep/cleanup.h>

#include "metrics.h"

#define CONTENT_TYPE   "text/plain; version=0.0.4; charset=utf-8"
#define CLIENTS_MAX    16
#define CLIENT_BYTES   (32 * 1024) /* that libmicrohttpd may take for one */
#define CLIENT_SECONDS 10	   /* without a byte from it, or to it */
#define LOOPBACK_4     "tcp:127.0.0.1:"
#define LOOPBACK_6     "tcp:[::1]:"

struct metrics_http {
	struct metrics_sources sources;
	struct MHD_Daemon *server;
	char address[METRICS_ADDRESS_BYTES];
};

/* ---- addresses ------------------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static int parse_unix(const char *path, union address *ret)
{
	if (path[0] != '/' || strlen(path) >= sizeof(ret->un.sun_path))
		return -EINVAL;
	ret->un.sun_family = AF_UNIX;
	strcpy(ret->un.sun_path, path);
	return sizeof(ret->un);
}

static int parse_port(const char *text, in_port_t *ret)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || !port || port > UINT16_MAX)
		return -EINVAL;
	*ret = htons((uint16_t)port);
	return 0;
}

/* Return: the address' length, -EINVAL. */
static int parse(const char *text, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text + 5, ret);
	if (!strncmp(text, LOOPBACK_4, strlen(LOOPBACK_4))) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return parse_port(text + strlen(LOOPBACK_4), &ret->in.sin_port) < 0
			       ? -EINVAL
			       : (int)sizeof(ret->in);
	}
	if (!strncmp(text, LOOPBACK_6, strlen(LOOPBACK_6))) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_addr = in6addr_loopback;
		return parse_port(text + strlen(LOOPBACK_6), &ret->in6.sin6_port) < 0
			       ? -EINVAL
			       : (int)sizeof(ret->in6);
	}
	return -EINVAL;
}

int metrics_address_check(const char *address, struct ls_err *err)
{
	union address a;

	if (strlen(address) < METRICS_ADDRESS_BYTES && parse(address, &a) > 0)
		return 0;
	return ls_err_set(err, -EINVAL,
			  "\"%.120s\": unix:/PATH, " LOOPBACK_4 "PORT or " LOOPBACK_6
			  "PORT is meant",
			  address);
}

/* ---- the socket --------------------------------------------------------------------- */

/* Left over from a daemon that was killed: a socket that nobody listens on. */
static void remove_dead(const union address *a)
{
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (a->any.sa_family == AF_UNIX && connect(fd, &a->any, sizeof(a->un)) < 0 &&
	    errno == ECONNREFUSED)
		unlink(a->un.sun_path);
}

/* Numbers without names of guests: who may reach the socket may read them. */
static int listen_at(const char *text, struct ls_err *err)
{
	union address a;
	int len = parse(text, &a), one = 1, r;
	ls_autoclose int fd = -1;

	remove_dead(&a);
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && a.any.sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	r = fd < 0 || bind(fd, &a.any, (socklen_t)len) < 0 ? -errno : 0;
	if (r == 0 && a.any.sa_family == AF_UNIX && chmod(a.un.sun_path, 0666) < 0)
		r = -errno;
	if (r == 0 && listen(fd, CLIENTS_MAX) < 0)
		r = -errno;
	if (r < 0)
		return ls_err_set(err, r, "metrics: %.120s: %s", text, strerror(-r));
	return ls_steal_fd(&fd);
}

/* ---- requests ------------------------------------------------------------------------ */

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type,
			     char *text, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result result;

	if (!r) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *text)
{
	return reply(c, status, "text/plain", (char *)text, strlen(text), MHD_RESPMEM_PERSISTENT);
}

/* The thread is libmicrohttpd's own: it is a reader only for as long as it reads. */
static enum MHD_Result tell(struct MHD_Connection *c, const struct metrics_sources *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return MHD_NO;
	rcu_register_thread();
	metrics_print(f, s->metrics, s->board, s->store);
	rcu_unregister_thread();
	if (fclose(f) != 0) {
		free(text);
		return MHD_NO;
	}
	return reply(c, MHD_HTTP_OK, CONTENT_TYPE, text, len, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *body,
				  size_t *body_len, void **data)
{
	struct metrics_http *h = arg;

	(void)version, (void)body, (void)data;
	if (*body_len) {
		*body_len = 0; /* nobody wants it; the answer comes when all of it is here */
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET /metrics is meant\n");
	if (strcmp(url, "/metrics") != 0)
		return refuse(c, MHD_HTTP_NOT_FOUND, "there is /metrics\n");
	return tell(c, &h->sources);
}

/* ---- life ------------------------------------------------------------------------------ */

static struct MHD_Daemon *start(struct metrics_http *h, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, h,
				MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				(unsigned)CLIENTS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				(size_t)CLIENT_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
				(unsigned)CLIENT_SECONDS, MHD_OPTION_END);
}

static int serve(const char *address, const struct metrics_sources *sources, struct ls_err *err,
		 struct metrics_http **ret_server)
{
	struct metrics_http *h = calloc(1, sizeof(*h));
	int fd = h ? listen_at(address, err) : ls_err_set(err, -ENOMEM, "out of memory");

	if (fd < 0) {
		free(h);
		return fd;
	}
	h->sources = *sources;
	snprintf(h->address, sizeof(h->address), "%s", address);
	h->server = start(h, fd);
	if (!h->server) {
		close(fd);
		metrics_http_free(h);
		return ls_err_set(err, -ENOMEM, "metrics: %.120s: it cannot be served", address);
	}
	*ret_server = h;
	return 0;
}

int metrics_http_at(struct metrics_http **server, const char *address,
		    const struct metrics_sources *sources, struct ls_err *err)
{
	struct metrics_http *now = NULL;
	int r = 0;

	if (!strcmp(address, *server ? (*server)->address : ""))
		return 0;
	if (address[0])
		r = serve(address, sources, err, &now);
	if (r < 0)
		return r;
	metrics_http_free(*server);
	*server = now;
	return 0;
}

struct metrics_http *metrics_http_free(struct metrics_http *h)
{
	if (!h)
		return NULL;
	if (h->server)
		MHD_stop_daemon(h->server);
	if (!strncmp(h->address, "unix:", 5))
		unlink(h->address + 5);
	free(h);
	return NULL;
}
