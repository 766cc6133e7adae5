/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The local claim on a guest.
 */
#include "claim.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <lockstep/cleanup.h>

#define ANSWER_MS 500 /* for a holder to say who it is */

struct claim {
	int fd;
	sd_event_source *io;
	char what[96];
};

static int make_address(const char *address, struct sockaddr_un *ret, socklen_t *ret_len)
{
	const char *path = !strncmp(address, "unix:", 5) ? address + 5 : address;
	struct stat st;
	int n;

	if (stat(path, &st) < 0)
		return -errno;
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	n = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "lockstep-%lx-%lx",
		     (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return 0;
}

bool claim_same(const char *a, const char *b)
{
	struct sockaddr_un sa, sb;
	socklen_t la = 0, lb = 0;

	if (!strcmp(a, b))
		return true;
	return make_address(a, &sa, &la) == 0 && make_address(b, &sb, &lb) == 0 && la == lb &&
	       !memcmp(&sa, &sb, la);
}

/* Anybody may ask; the answer is short and never waited for. */
static int on_asked(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct claim *c = arg;
	ls_autoclose int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)s, (void)revents;
	if (peer >= 0)
		send(peer, c->what, strlen(c->what), MSG_NOSIGNAL | MSG_DONTWAIT);
	return 0;
}

/* A holder that stands still has a full queue in the end: then even its pid is not known. */
static int say_who(const struct sockaddr_un *sun, socklen_t len, struct ls_err *err)
{
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred cred = { 0 };
	socklen_t cred_len = sizeof(cred);
	char text[96] = "";
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = 0;

	if (fd >= 0 && connect(fd, (const struct sockaddr *)sun, len) == 0) {
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len);
		if (poll(&p, 1, ANSWER_MS) == 1)
			n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	}
	text[n > 0 ? n : 0] = '\0';
	if (!cred.pid)
		return ls_err_set(err, -EBUSY,
				  "another lockstep works on this guest, and does not answer: is "
				  "it stopped?");
	return ls_err_set(err, -EBUSY, "another lockstep works on this guest: pid %d, %s",
			  (int)cred.pid, text[0] ? text : "which does not say what it does");
}

int claim_take(sd_event *loop, const char *address, const char *what, struct ls_err *err,
	       struct claim **ret_claim)
{
	struct sockaddr_un sun;
	struct claim *c;
	socklen_t len = 0;
	int r;

	*ret_claim = NULL;
	if (make_address(address, &sun, &len) < 0)
		return 0; /* whether there is anything to talk to, the connection will tell */
	c = calloc(1, sizeof(*c));
	if (!c)
		return ls_err_set(err, -ENOMEM, "out of memory");
	snprintf(c->what, sizeof(c->what), "%s", what);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = c->fd < 0 || bind(c->fd, (struct sockaddr *)&sun, len) < 0 || listen(c->fd, 8) < 0
		    ? -errno
		    : sd_event_add_io(loop, &c->io, c->fd, EPOLLIN, on_asked, c);
	if (r < 0) {
		claim_drop(c);
		if (r == -EADDRINUSE)
			return say_who(&sun, len, err);
		return ls_err_set(err, r, "claim of the guest: %s", strerror(-r));
	}
	*ret_claim = c;
	return 0;
}

struct claim *claim_drop(struct claim *c)
{
	if (!c)
		return NULL;
	sd_event_source_disable_unref(c->io);
	ls_closep(&c->fd);
	free(c);
	return NULL;
}
