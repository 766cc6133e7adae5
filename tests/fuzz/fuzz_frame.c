/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: the framer, in any chunking, and the server half behind it.
 *
 * The first byte of the input seeds the chunking. What must hold, beside no crash
 * and no sanitizer report: the chunking changes nothing, what the framer gives is
 * what qmp_parse() gives, printed JSON can be read again, and a server always ends.
 *
 *	make fuzz				with libFuzzer (clang)
 *	cc -DFUZZ_DRIVER ... && fuzz_frame DIR	every file of a folder (gcc)
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include <qmp_serve.h>

#define OUTCOMES_MAX	 64
#define SERVER_BYTES_MAX 4096
#define SERVER_TURNS_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct qmp_limits limits = { .bytes = 512, .depth = 16, .tokens = 64 };

/* ---- the framer -------------------------------------------------------- */

struct outcomes {
	int code[OUTCOMES_MAX];
	unsigned n;
};

/* A value that came out can be printed, and read again as the same. */
static void check_value(struct json_object *v)
{
	size_t len;
	const char *text = json_object_to_json_string_length(v, JSON_C_TO_STRING_PLAIN, &len);
	struct json_object *again = NULL;

	if (qmp_parse(text, len, NULL, NULL, &again) < 0 || !json_object_equal(v, again))
		abort();
	json_object_put(again);
}

static void drain(struct qmp_framer *f, struct outcomes *o)
{
	struct json_object *v = NULL;
	struct ls_err err = { 0 };
	int r;

	while ((r = qmp_framer_next(f, &err, &v)) != 0) {
		if (r < 0 && (err.code != r || !err.text[0]))
			abort();
		if (r == 1)
			check_value(v);
		if (o->n < OUTCOMES_MAX)
			o->code[o->n++] = r;
		json_object_put(v);
		v = NULL;
	}
}

static void run_framer(const uint8_t *data, size_t size, unsigned seed, struct outcomes *o)
{
	struct qmp_framer *f = qmp_framer_new(&limits);
	size_t chunk;

	memset(o, 0, sizeof(*o));
	while (size) {
		chunk = seed ? (size_t)(rand_r(&seed) % 9) + 1 : size;
		chunk = chunk < size ? chunk : size;
		if (qmp_framer_feed(f, data, chunk) < 0)
			abort();
		drain(f, o);
		data += chunk;
		size -= chunk;
	}
	qmp_framer_free(f);
}

static void fuzz_framer(const uint8_t *data, size_t size, unsigned seed)
{
	struct outcomes whole, cut;

	run_framer(data, size, 0, &whole);
	run_framer(data, size, seed + 1, &cut);
	if (memcmp(&whole, &cut, sizeof(whole)))
		abort();
}

/* ---- one text ---------------------------------------------------------- */

static void fuzz_parse(const uint8_t *data, size_t size)
{
	struct json_object *v = NULL;
	struct ls_err err = { 0 };
	int r = qmp_parse((const char *)data, size, &limits, &err, &v);

	if (r < 0 && err.code != r)
		abort();
	if (r == 0)
		check_value(v);
	json_object_put(v);
}

/* ---- the server half --------------------------------------------------- */

static const struct qmp_field echo_fields[] = {
	{ "n", QMP_INT, true, -10, 10, 0, "" }, { "s", QMP_STRING, true, 0, 20, 0, "" },
	{ "l", QMP_INTS, true, 0, 99, 4, "" },	{ "o", QMP_OBJECTS, true, 0, 0, 4, "" },
	{ "b", QMP_BOOL, true, 0, 0, 0, "" },
};

static void do_echo(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)arg;
	qmp_reply(call, json_object_get(args));
}

static void do_late(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct qmp_call **late = arg;

	(void)args;
	if (*late)
		qmp_reply_error(*late, "GenericError", "too late");
	*late = call;
}

static const struct qmp_verb verbs[] = {
	{ "echo", do_echo, echo_fields, sizeof(echo_fields) / sizeof(echo_fields[0]) },
	{ "late", do_late, NULL, 0 },
	{ 0 },
};

/* What a server says is JSON, however mad its client. */
static void check_reply(int fd)
{
	static char reply[1 << 20];
	struct qmp_framer *f = qmp_framer_new(NULL);
	struct json_object *v = NULL;
	ssize_t n = recv(fd, reply, sizeof(reply), MSG_DONTWAIT);
	int r;

	if (n > 0 && qmp_framer_feed(f, reply, n) < 0)
		abort();
	while ((r = qmp_framer_next(f, NULL, &v)) != 0) {
		if (r < 0)
			abort();
		json_object_put(v);
		v = NULL;
	}
	qmp_framer_free(f);
}

static void fuzz_server(const uint8_t *data, size_t size, enum qmp_dialect dialect)
{
	struct qmp_call *late = NULL;
	struct qmp_peer *p;
	int fds[2], turns = 0;

	size = size < SERVER_BYTES_MAX ? size : SERVER_BYTES_MAX;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	p = qmp_peer_new(fds[0], &(struct qmp_peer_options){ .dialect = dialect,
							     .verbs = verbs,
							     .arg = &late,
							     .limits = limits });
	if (write(fds[1], data, size) != (ssize_t)size)
		abort();
	shutdown(fds[1], SHUT_WR);
	while (qmp_peer_dispatch(p, POLLIN) == 0)
		if (++turns > SERVER_TURNS_MAX)
			abort(); /* it must notice that the client has gone */
	check_reply(fds[1]);
	qmp_peer_free(p);
	if (late)
		qmp_reply(late, NULL);
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	fuzz_framer(data + 1, size - 1, data[0]);
	fuzz_parse(data + 1, size - 1);
	fuzz_server(data + 1, size - 1, data[0] & 1 ? QMP_DIALECT_QGA : QMP_DIALECT_QMP);
	return 0;
}

#ifdef FUZZ_DRIVER
static void run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return;
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
}

int main(int argc, char **argv)
{
	struct dirent *e;
	char path[4096];
	unsigned n = 0;
	DIR *d;

	for (int i = 1; i < argc; i++) {
		d = opendir(argv[i]);
		while (d && (e = readdir(d))) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			run_file(path);
			n++;
		}
		if (d)
			closedir(d);
	}
	printf("fuzz_frame: %u files\n", n);
	return n ? 0 : 1;
}
#endif
