/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the tests of libqmp: a socket pair with a client on one end and, on the other,
 * the server half or a hand that writes bytes; and a check that no descriptor leaks.
 */
#ifndef QMP_FIXTURE_H
#define QMP_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <qmp_serve.h>

#define HANG_MS	 10000 /* nothing here takes as long, unless it hangs */
#define TURN_MS	 20    /* so long nothing happened: both sides are idle */
#define CALLS_IN 16

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- descriptors ------------------------------------------------------ */

static inline long open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	long n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static long fds_before;

static inline int count_fds(void **state)
{
	(void)state;
	fds_before = open_fds();
	return 0;
}

static inline int compare_fds(void **state)
{
	(void)state;
	if (open_fds() == fds_before)
		return 0;
	fprintf(stderr, "descriptors: %ld before, %ld after\n", fds_before, open_fds());
	return -1;
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, count_fds, compare_fds)

/* ---- a pair ----------------------------------------------------------- */

/* The address of one end, the descriptor of the other. */
static inline int pair(char address[32])
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	snprintf(address, 32, "fd:%d", fds[0]);
	return fds[1];
}

static inline void say(int fd, const char *bytes)
{
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
}

/* What the other side has sent so far, NUL at its end. */
static inline const char *heard(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size - 1, MSG_DONTWAIT);

	buf[n < 0 ? 0 : n] = '\0';
	return buf;
}

/* A client with a hand on the other end. */
static inline struct qmp *start_by_hand(const struct qmp_options *options, int *ret_fd)
{
	struct ls_err err = { 0 };
	char address[32];
	struct qmp *q = NULL;

	*ret_fd = pair(address);
	if (qmp_start(address, options, &err, &q) < 0)
		fail_msg("%s", err.text);
	return q;
}

/* Turn the client's loop as long as there is something for it to read. */
static inline int turn(struct qmp *q, struct ls_err *err)
{
	struct pollfd pfd = { qmp_fd(q), POLLIN, 0 };
	int r = qmp_dispatch(q, POLLOUT, err);

	while (!r && poll(&pfd, 1, 0) == 1)
		r = qmp_dispatch(q, pfd.revents, err);
	return r;
}

/* The other side says this, and the client is content with it. */
static inline void tell(struct qmp *q, int fd, const char *bytes)
{
	say(fd, bytes);
	assert_int_equal(turn(q, NULL), 0);
}

static inline void hang_up(struct qmp *q, int fd)
{
	qmp_close(q);
	close(fd);
}

#define GREETING                                                                                   \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "         \
	"\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"

/* The same, as far as READY. */
static inline struct qmp *ready_by_hand(const struct qmp_options *options, int *ret_fd)
{
	struct qmp *q = start_by_hand(options, ret_fd);
	char buf[256];

	tell(q, *ret_fd, GREETING);
	heard(*ret_fd, buf, sizeof(buf));
	tell(q, *ret_fd, "{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(qmp_state(q), QMP_READY);
	return q;
}

/* The same in the other dialect: answers the sync that the client has sent. */
static inline void answer_sync(int fd)
{
	char buf[512], text[128];
	const char *id = strstr(heard(fd, buf, sizeof(buf)), "\"id\":");

	assert_non_null(id);
	snprintf(text, sizeof(text), "\xFF{\"return\": %lld}\n", atoll(id + 5));
	say(fd, text);
}

static inline struct qmp *agent_by_hand(int *ret_fd)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QGA };
	struct qmp *q = start_by_hand(&options, ret_fd);

	answer_sync(*ret_fd);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_READY);
	return q;
}

/* ---- a client and a server in one thread ------------------------------- */

/* Turn both loops until neither has anything to do. */
static inline int pump(struct qmp *q, struct qmp_peer *p)
{
	int r = 0;

	for (;;) {
		struct pollfd pfds[] = {
			{ qmp_fd(q), qmp_poll_events(q), 0 },
			{ qmp_peer_fd(p), qmp_peer_poll_events(p), 0 },
		};

		if (poll(pfds, 2, TURN_MS) == 0)
			return r;
		if (pfds[0].revents && qmp_dispatch(q, pfds[0].revents, NULL) < 0)
			return -EPIPE;
		if (pfds[1].revents)
			r = qmp_peer_dispatch(p, pfds[1].revents);
		if (r < 0)
			return r;
	}
}

/* Deferred calls: the handler "later" puts them here. */
static struct qmp_call *calls_in[CALLS_IN];
static unsigned n_calls_in;

static inline void do_later(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	assert_true(n_calls_in < CALLS_IN);
	calls_in[n_calls_in++] = call;
}

static inline void do_now(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)arg;
	qmp_reply(call, json_object_get(args));
}

static inline void do_refuse(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	qmp_reply_error(call, "DeviceNotFound", "Device '%s' not found", "cpu9");
}

static const struct qmp_field now_fields[] = {
	{ "n", QMP_INT, true, 0, 1000, 0, "comes back" },
	{ "s", QMP_STRING, true, 0, 1 << 20, 0, "comes back" },
};

static const struct qmp_verb verbs[] = {
	{ "now", do_now, now_fields, COUNT(now_fields) },
	{ "later", do_later, NULL, 0 },
	{ "refuse", do_refuse, NULL, 0 },
	{ 0 },
};

static inline struct qmp_peer *serve(int fd, enum qmp_dialect dialect, const char *greeting)
{
	struct qmp_peer_options options = { .dialect = dialect, .verbs = verbs };
	struct qmp_peer *p;

	if (greeting)
		assert_int_equal(
			qmp_parse(greeting, strlen(greeting), NULL, NULL, &options.greeting), 0);
	p = qmp_peer_new(fd, &options);
	assert_non_null(p);
	n_calls_in = 0;
	return p;
}

/* Client and server, both ready. */
static inline struct qmp *ready_pair(const struct qmp_options *options, const char *greeting,
				     struct qmp_peer **ret_p)
{
	enum qmp_dialect dialect = options ? options->dialect : QMP_DIALECT_QMP;
	struct qmp *q;
	int fd;

	q = start_by_hand(options, &fd);
	*ret_p = serve(fd, dialect, greeting);
	assert_int_equal(pump(q, *ret_p), 0);
	assert_int_equal(qmp_state(q), QMP_READY);
	return q;
}

/* ---- answers ---------------------------------------------------------- */

/**
 * struct note - What a reply function was called with
 * @calls: how often
 * @order: which of all notes it was, counted from 1
 */
struct note {
	unsigned calls, order;
	int code;
	int64_t n;
	struct ls_err err;
};

static unsigned notes_taken;

static inline void take_note(struct qmp *q, struct json_object *value, const struct ls_err *err,
			     void *arg)
{
	struct note *note = arg;

	(void)q;
	note->calls++;
	note->order = ++notes_taken;
	note->code = err ? err->code : 0;
	note->n = qmp_get_int(value, "n", -1);
	if (err)
		note->err = *err;
}

/* Send a request whose answer @note takes; @ret_id may be NULL. */
static inline void request(struct qmp *q, const char *name, struct note *note, uint64_t *ret_id)
{
	assert_int_equal(qmp_submit(q, name, NULL, take_note, note, NULL, ret_id), 0);
}

static inline struct json_object *object(const char *text)
{
	struct json_object *v = NULL;

	assert_int_equal(qmp_parse(text, strlen(text), NULL, NULL, &v), 0);
	return v;
}

#endif
