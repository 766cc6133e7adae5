/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DOC: A fake is a listening socket and a row of a table that says how it
 * misbehaves: what it says when somebody connects, and what it answers to each
 * request. A row with @play set is an agent that finds its place in the stream
 * (guest-sync) like a good one, and misbehaves from the next request on.
 */
#include "fake.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#define FAKE_CLIENTS_MAX 8
#define FAKE_HUGE_BYTES	 (10 * 1024 * 1024)
#define FAKE_DEEP	 100000
#define FAKE_SLOW_MS	 1000 /* between two bytes */

/* What a kind of fake does with a request. */
enum fake_answer {
	FAKE_NOTHING,  /* reads it */
	FAKE_GARBAGE,  /* bytes that are no JSON */
	FAKE_OTHER_ID, /* a good answer to another request */
	FAKE_HUGE,     /* a reply of 10 MiB */
	FAKE_DEEP_ONE, /* a reply nested 100,000 deep */
	FAKE_SLOW,     /* a good answer, one byte a second */
	FAKE_HALF,     /* the first half of a good answer, then nothing */
	FAKE_TYPES,    /* a reply of the wrong type */
	FAKE_UNKNOWN,  /* it knows no command */
	FAKE_CLOSE,    /* it hangs up */
};

/**
 * struct kind - A way to misbehave
 * @name:   word of the scenario
 * @agent:  an agent; otherwise a monitor
 * @hello:  said to whoever connects; NULL nothing
 * @play:   syncs (agent), negotiates (monitor) like a good one first
 * @answer: to everything else
 * @nobody: -1: there is no socket at all; 1: a socket that nobody listens on
 * @doc:    for the reference
 */
struct kind {
	const char *name;
	bool agent;
	const char *hello;
	bool play;
	enum fake_answer answer;
	int nobody;
	const char *doc;
};

#define GREETING                                                                                   \
	"{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}, "          \
	"\"package\": \"\"}, \"capabilities\": []}}\r\n"

/* clang-format off */
static const struct kind kinds[] = {
	{ "silent",   true, NULL, false, FAKE_NOTHING,  0, "reads everything, says nothing" },
	{ "garbage",  true, NULL, false, FAKE_GARBAGE,  0, "answers with bytes that are no JSON" },
	{ "wrong-id", true, NULL, false, FAKE_OTHER_ID, 0, "answers a sync with somebody else's id" },
	{ "slow",     true, NULL, false, FAKE_SLOW,     0, "good answers, one byte a second" },
	{ "mute",     true, NULL, true,  FAKE_NOTHING,  0, "syncs, then says nothing" },
	{ "huge",     true, NULL, true,  FAKE_HUGE,     0, "syncs, then replies with 10 MiB" },
	{ "deep",     true, NULL, true,  FAKE_DEEP_ONE, 0, "syncs, then replies with 100,000 brackets" },
	{ "half",     true, NULL, true,  FAKE_HALF,     0, "syncs, then sends the first half of a reply" },
	{ "types",    true, NULL, true,  FAKE_TYPES,    0, "syncs, then replies with values of the wrong type" },
	{ "stranger", true, NULL, true,  FAKE_UNKNOWN,  0, "syncs, then knows no command" },
	{ "closes",   true, NULL, false, FAKE_CLOSE,    0, "hangs up at the first request" },
	{ "no-greeting",    false, NULL, false, FAKE_NOTHING, 0, "accepts and says nothing, as a monitor in use does" },
	{ "garbage",        false, "\x01\xfe not json }{\n", false, FAKE_NOTHING, 0, "greets with garbage" },
	{ "other-greeting", false, "RFB 003.008\n", false, FAKE_NOTHING, 0, "greets as a VNC server does" },
	{ "other-json",     false, "{\"hello\": \"world\"}\n", false, FAKE_NOTHING, 0, "greets with JSON that is not QMP's" },
	{ "mute",           false, GREETING, true, FAKE_NOTHING, 0, "negotiates, then never answers" },
	{ "closes",         false, GREETING, true, FAKE_CLOSE, 0, "negotiates, then hangs up" },
	{ "absent",         false, NULL, false, FAKE_NOTHING, -1, "there is no such socket" },
	{ "dead",           false, NULL, false, FAKE_NOTHING, 1, "a socket that nobody listens on" },
	{ 0 },
};
/* clang-format on */

/**
 * struct fake_client - Somebody who connected
 * @fake:   to whom; NULL: free
 * @watch:  socket
 * @framer: cuts what it sends
 * @out:    what it is to get; allocated
 * @len:    of @out
 * @sent:   of @out
 */
struct fake_client {
	struct fake *fake;
	struct watch watch;
	struct qmp_framer *framer;
	char *out;
	size_t len, sent;
};

/**
 * struct fake - A server that misbehaves, or a client that holds a monitor
 * @pump:    drives it
 * @guest:   whose monitor is held; NULL for a server
 * @kind:    how
 * @watch:   listening or connected socket
 * @clients: connections
 */
struct fake {
	struct pump *pump;
	struct guest *guest;
	const struct kind *kind;
	struct watch watch;
	struct fake_client clients[FAKE_CLIENTS_MAX];
};

void fake_list(FILE *out)
{
	for (const struct kind *k = kinds; k->name; k++)
		fprintf(out, "  %-10s %-15s %s\n", k->agent ? "fake-agent" : "fake-qmp", k->name,
			k->doc);
}

/* ---- what is said ----------------------------------------------------- */

static void client_close(struct fake_client *c)
{
	if (!c->fake)
		return;
	pump_remove(c->fake->pump, &c->watch);
	close(c->watch.fd);
	qmp_framer_free(c->framer);
	free(c->out);
	*c = (struct fake_client){ 0 };
}

static void client_say(struct fake_client *c, const char *text, size_t len)
{
	char *out = realloc(c->out, c->len + len);

	if (!out)
		abort();
	memcpy(out + c->len, text, len);
	c->out = out;
	c->len += len;
}

/* {"return": BEGIN, n times FILL, END} */
static void client_say_long(struct fake_client *c, const char *begin, char fill, size_t n,
			    const char *end)
{
	ls_autofree char *text = malloc(n);

	if (!text)
		abort();
	memset(text, fill, n);
	client_say(c, begin, strlen(begin));
	client_say(c, text, n);
	client_say(c, end, strlen(end));
}

/* A good answer to a sync; @shift makes it somebody else's. */
static void client_say_sync(struct fake_client *c, struct json_object *request, int shift)
{
	bool delimited = !strcmp(qmp_get_str(request, "execute", ""), "guest-sync-delimited");
	int64_t id = qmp_get_int(qmp_get_obj(request, "arguments"), "id", 0);
	char text[64];
	int n;

	n = snprintf(text, sizeof(text), "%s{\"return\": %lld}\n", delimited ? "\xff" : "",
		     (long long)id + shift);
	client_say(c, text, n);
}

static bool request_is_sync(struct json_object *request)
{
	return !strncmp(qmp_get_str(request, "execute", ""), "guest-sync", 10);
}

static void client_say_good(struct fake_client *c, struct json_object *request)
{
	static const char good[] = "{\"return\": {}}\n";

	if (request_is_sync(request))
		client_say_sync(c, request, 0);
	else
		client_say(c, good, strlen(good));
}

static void client_misbehave(struct fake_client *c, struct json_object *request)
{
	static const char garbage[] = "]} \x01\x02 what? {\"return\": 'x'}\n";
	static const char half[] = "{\"return\": {\"version\": 1, \"ag";
	static const char types[] =
		"{\"return\": {\"version\": \"one\", \"cpus\": {\"0\": [true]}, "
		"\"lock\": 7, \"window\": null, \"results\": 1e999}}\n";
	static const char unknown[] = "{\"error\": {\"class\": \"CommandNotFound\", "
				      "\"desc\": \"The command has not been found\"}}\n";

	switch (c->fake->kind->answer) {
	case FAKE_NOTHING:
	case FAKE_CLOSE:
		return;
	case FAKE_GARBAGE:
		return client_say(c, garbage, sizeof(garbage) - 1);
	case FAKE_OTHER_ID:
		return client_say_sync(c, request, 1);
	case FAKE_HUGE:
		return client_say_long(c, "{\"return\": \"", 'x', FAKE_HUGE_BYTES, "\"}\n");
	case FAKE_DEEP_ONE:
		return client_say_long(c, "{\"return\": ", '[', FAKE_DEEP, "\n");
	case FAKE_SLOW:
		return client_say_good(c, request);
	case FAKE_HALF:
		return client_say(c, half, sizeof(half) - 1);
	case FAKE_TYPES:
		return client_say(c, types, sizeof(types) - 1);
	case FAKE_UNKNOWN:
		return client_say(c, unknown, sizeof(unknown) - 1);
	}
}

/* ---- sockets ---------------------------------------------------------- */

/* Returns false once the client has been closed. */
static bool client_request(struct fake_client *c, struct json_object *request)
{
	const struct kind *k = c->fake->kind;
	static const char ok[] = "{\"return\": {}}\r\n";

	if (k->play && k->agent && request_is_sync(request))
		client_say_sync(c, request, 0);
	else if (k->play && !strcmp(qmp_get_str(request, "execute", ""), "qmp_capabilities"))
		client_say(c, ok, sizeof(ok) - 1);
	else if (k->answer == FAKE_CLOSE)
		client_close(c);
	else
		client_misbehave(c, request);
	return c->fake;
}

static void client_read(struct fake_client *c)
{
	struct json_object *request;
	char buf[4096];
	ssize_t n = recv(c->watch.fd, buf, sizeof(buf), MSG_DONTWAIT);
	bool there = true;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		client_close(c);
		return;
	}
	if (n < 0)
		return;
	qmp_framer_feed(c->framer, buf, n);
	while (there && qmp_framer_next(c->framer, NULL, &request) > 0) {
		if (request)
			there = client_request(c, request);
		json_object_put(request);
	}
}

static void client_write(struct fake_client *c)
{
	bool slow = c->fake->kind->answer == FAKE_SLOW;
	size_t len = slow ? 1 : c->len - c->sent;
	ssize_t n;

	if (c->sent == c->len || c->watch.wake_ms)
		return;
	n = send(c->watch.fd, c->out + c->sent, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		client_close(c);
		return;
	}
	c->sent += n > 0 ? n : 0;
	if (slow)
		c->watch.wake_ms = qmp_now_ms() + FAKE_SLOW_MS;
}

static short client_want(void *arg)
{
	struct fake_client *c = arg;

	/* A slow one is woken by its timer only. */
	return c->sent < c->len && !c->watch.wake_ms ? POLLIN | POLLOUT : POLLIN;
}

static void client_ready(void *arg, short revents)
{
	struct fake_client *c = arg;

	if (revents & (POLLIN | POLLHUP | POLLERR))
		client_read(c);
	if (c->fake)
		client_write(c);
}

static void fake_accept(void *arg, short revents)
{
	struct fake *f = arg;
	int fd = accept4(f->watch.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)revents;
	for (int i = 0; fd >= 0 && i < FAKE_CLIENTS_MAX; i++) {
		struct fake_client *c = &f->clients[i];

		if (c->fake)
			continue;
		*c = (struct fake_client){ .fake = f, .framer = qmp_framer_new(NULL) };
		c->watch = (struct watch){
			.fd = fd, .want = client_want, .ready = client_ready, .arg = c
		};
		pump_add(f->pump, &c->watch);
		if (f->kind->hello)
			client_say(c, f->kind->hello, strlen(f->kind->hello));
		return;
	}
	if (fd >= 0)
		close(fd);
}

void fake_free(struct fake *f)
{
	if (!f)
		return;
	for (int i = 0; i < FAKE_CLIENTS_MAX; i++)
		client_close(&f->clients[i]);
	pump_remove(f->pump, &f->watch);
	if (f->watch.fd >= 0)
		close(f->watch.fd);
	free(f);
}

static int fake_listen(struct fake *f, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	f->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	if (f->watch.fd < 0 || bind(f->watch.fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	if (f->kind->nobody)
		return 0;
	if (listen(f->watch.fd, FAKE_CLIENTS_MAX) < 0)
		return -errno;
	f->watch.events = POLLIN;
	f->watch.ready = fake_accept;
	f->watch.arg = f;
	pump_add(f->pump, &f->watch);
	return 0;
}

/* ---- verbs ------------------------------------------------------------ */

int fake_conf(struct run *r, const char *name, const char *qmp, const char *agent)
{
	char path[LS_PATH_BYTES + 128];
	FILE *conf;

	snprintf(path, sizeof(path), "%s/guests.d/%s.conf", r->lab.dir, name);
	conf = fopen(path, "we");
	if (!conf)
		return -errno;
	fprintf(conf, "[guest]\nqmp = unix:%s\n", qmp);
	if (agent)
		fprintf(conf, "agent = unix:%s\n", agent);
	return fclose(conf) ? -errno : 0;
}

static int fake_new(struct args *a, struct fake **ret_fake)
{
	struct run *r = a->run;

	if (r->n_fakes == RUN_FAKES_MAX)
		return args_fail(a, "too many fakes");
	*ret_fake = calloc(1, sizeof(**ret_fake));
	if (!*ret_fake)
		return args_fail(a, "out of memory");
	(*ret_fake)->pump = &r->lab.pump;
	(*ret_fake)->watch.fd = -1;
	r->fakes[r->n_fakes++] = *ret_fake;
	return 0;
}

static int fake_kind(struct args *a, bool agent, const struct kind **ret_kind)
{
	const struct word *w;

	if (args_word(a, "a kind of misbehaviour", &w) < 0)
		return -EINVAL;
	for (const struct kind *k = kinds; k->name; k++)
		if (k->agent == agent && !strcmp(k->name, w->text)) {
			*ret_kind = k;
			return args_end(a);
		}
	return args_fail(a, "no fake is called \"%s\"; `harness words` lists them", w->text);
}

static int fake_serve(struct args *a, const struct kind *kind, const char *path)
{
	struct fake *f;
	int r;

	if (fake_new(a, &f) < 0)
		return -EINVAL;
	f->kind = kind;
	r = kind->nobody < 0 ? 0 : fake_listen(f, path);
	return r < 0 ? args_fail(a, "%s: %s", path, strerror(-r)) : 0;
}

int verb_fake_agent(struct args *a)
{
	const struct kind *kind;
	struct guest *g;
	char path[LS_PATH_BYTES + 16];

	if (args_guest(a, &g) < 0 || fake_kind(a, true, &kind) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	snprintf(path, sizeof(path), "%s.fake", g->paths.agent);
	if (fake_serve(a, kind, path) < 0)
		return -EINVAL;
	return fake_conf(a->run, g->name, g->paths.qmp, path) < 0
		       ? args_fail(a, "its configuration could not be written")
		       : 0;
}

int verb_fake_qmp(struct args *a)
{
	const struct kind *kind;
	const char *name;
	char path[LS_PATH_BYTES + LS_NAME_BYTES];

	if (args_new_name(a, &name) < 0 || fake_kind(a, false, &kind) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	snprintf(path, sizeof(path), "%s/%s.qmp", a->run->lab.dir, name);
	if (fake_serve(a, kind, path) < 0)
		return -EINVAL;
	return fake_conf(a->run, name, path, NULL) < 0
		       ? args_fail(a, "its configuration could not be written")
		       : 0;
}

int verb_hold(struct args *a)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct guest *g;
	struct fake *f;

	if (args_guest(a, &g) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	if (fake_new(a, &f) < 0)
		return -EINVAL;
	f->guest = g;
	f->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(to.sun_path, g->paths.qmp, sizeof(to.sun_path));
	if (connect(f->watch.fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return args_fail(a, "%s: %s", g->paths.qmp, strerror(errno));
	return 0;
}

int verb_release(struct args *a)
{
	struct guest *g;

	if (args_guest(a, &g) < 0 || args_end(a) < 0)
		return -EINVAL;
	for (int i = 0; i < a->run->n_fakes; i++) {
		struct fake *f = a->run->fakes[i];

		if (f->guest != g || f->watch.fd < 0)
			continue;
		close(f->watch.fd);
		f->watch.fd = -1;
		return 0;
	}
	return a->run->dry ? 0 : args_fail(a, "%s's monitor is not held", g->name);
}
