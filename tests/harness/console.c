/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request at a time over a serial line, framed by a nonce. */
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

/**
 * struct console - A connected serial line
 * @pump:   reads it
 * @watch:  the socket
 * @closed: the other side has gone
 * @text:   what has come since the last request, always terminated; when it is
 *          full its first half is dropped
 * @len:    of @text
 * @nonce:  rises with each request, so that a late answer is never taken for
 *          a later one
 */
struct console {
	struct pump *pump;
	struct watch watch;
	bool closed;
	char text[CONSOLE_TEXT_BYTES];
	size_t len;
	unsigned nonce;
};

static void console_ready(void *arg, short revents)
{
	struct console *c = arg;
	ssize_t n;

	(void)revents;
	if (c->len + 1 >= sizeof(c->text)) {
		c->len -= sizeof(c->text) / 2;
		memmove(c->text, c->text + sizeof(c->text) / 2, c->len);
	}
	n = recv(c->watch.fd, c->text + c->len, sizeof(c->text) - 1 - c->len, MSG_DONTWAIT);
	if (n > 0) {
		/* A NUL on the line would hide what comes after it. */
		for (ssize_t i = 0; i < n; i++)
			if (!c->text[c->len + i])
				c->text[c->len + i] = '?';
		c->len += n;
		c->text[c->len] = '\0';
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->closed = true;
		c->watch.fd = -1 - c->watch.fd; /* poll() ignores it, close() finds it */
	}
}

int console_open(struct pump *pump, const char *path, struct ls_err *err,
		 struct console **ret_console)
{
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	ls_autofree struct console *c = calloc(1, sizeof(*c));

	if (fd < 0 || !c)
		return ls_err_set(err, -ENOMEM, "%s: no socket", path);
	if (snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= (int)sizeof(to.sun_path))
		return ls_err_set(err, -ENAMETOOLONG, "%s: too long for a socket", path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return ls_err_set(err, -errno, "%s: %s", path, strerror(errno));
	c->pump = pump;
	c->nonce = (unsigned)getpid() * 1000;
	c->watch = (struct watch){
		.fd = ls_steal_fd(&fd), .events = POLLIN, .ready = console_ready, .arg = c
	};
	pump_add(pump, &c->watch);
	*ret_console = ls_steal_ptr(&c);
	return 0;
}

void console_close(struct console *c)
{
	if (!c)
		return;
	pump_remove(c->pump, &c->watch);
	close(c->watch.fd >= 0 ? c->watch.fd : -1 - c->watch.fd);
	free(c);
}

/**
 * struct awaited - A mark that is to appear, with the rest of its line
 * @c:    console
 * @mark: how the line begins
 */
struct awaited {
	struct console *c;
	const char *mark;
};

static bool console_has(const struct console *c, const char *mark)
{
	const char *at = strstr(c->text, mark);

	return at && strchr(at + strlen(mark), '\n');
}

static bool console_came(void *arg)
{
	struct awaited *a = arg;

	return a->c->closed || console_has(a->c, a->mark);
}

static int console_await(struct console *c, const char *mark, uint64_t deadline_ms,
			 struct ls_err *err)
{
	struct awaited a = { c, mark };

	if (pump_until(c->pump, console_came, &a, deadline_ms) < 0)
		return ls_err_set(err, -ETIMEDOUT, "the guest's console does not answer");
	if (!console_has(c, mark))
		return ls_err_set(err, -EPIPE, "the guest's console has closed");
	return 0;
}

int console_await_boot(struct console *c, uint64_t deadline_ms, struct ls_err *err)
{
	return console_await(c, "lab-ready", deadline_ms, err);
}

static int console_send(struct console *c, const char *line, struct ls_err *err)
{
	size_t len = strlen(line);
	ssize_t n;

	for (size_t at = 0; at < len; at += n) {
		n = send(c->watch.fd, line + at, len - at, MSG_NOSIGNAL);
		if (n < 0)
			return ls_err_set(err, -EPIPE, "console: %s", strerror(errno));
	}
	return 0;
}

/* The answer between its two marks, once both are there. */
static char *console_answer(const char *text, const char *begin, const char *end, int *ret_status)
{
	const char *from = strstr(text, begin) + strlen(begin);
	const char *to = strstr(text, end);
	size_t len = to > from ? (size_t)(to - from) : 0;

	*ret_status = atoi(to + strlen(end));
	while (len && from[len - 1] == '\n')
		len--;
	return strndup(from, len);
}

int console_run(struct console *c, const char *command, uint64_t deadline_ms, struct ls_err *err,
		char **ret_output)
{
	ls_autofree char *line = NULL;
	char begin[32], end[32];
	int r, status;

	if (c->closed)
		return ls_err_set(err, -EPIPE, "the guest's console has closed");
	if (strchr(command, '\n'))
		return ls_err_set(err, -EINVAL, "a command for the console is one line");
	c->nonce++;
	snprintf(begin, sizeof(begin), "<<%u\n", c->nonce);
	snprintf(end, sizeof(end), "\n>>%u ", c->nonce);
	/* The empty line ends whatever a client before us may have left half sent. */
	if (asprintf(&line, "\n%u %s\n", c->nonce, command) < 0)
		return -ENOMEM;
	c->len = 0;
	c->text[0] = '\0';
	r = console_send(c, line, err);
	if (r < 0 || (r = console_await(c, end, deadline_ms, err)) < 0)
		return r;
	if (!strstr(c->text, begin))
		return ls_err_set(err, -EMSGSIZE, "console: the answer is too long");
	*ret_output = console_answer(c->text, begin, end, &status);
	return *ret_output ? status : -ENOMEM;
}
