/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fake guests (tests/fleet) say what real ones say: what lockstepd once asked a QEMU 7.2
 * and an agent, for two vCPUs more and two less (tests/fleet/vcpus.dialogue), is asked
 * again, and each answer and each event has the shape, or the class of error, that it had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <lockstep/cleanup.h>

#include "../fleet/fleet.h"

#define DIALOGUE   "tests/fleet/vcpus.dialogue"
#define HANG_MS	   10000
#define PARTS_MAX  256
#define EVENTS_MAX 32

/* ---- shapes --------------------------------------------------------------------- */

static char *shape(struct json_object *v, bool is_name);

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, each once: in a list it does not matter how many there are of a kind. */
static void print_parts(FILE *f, char **part, size_t n)
{
	qsort(part, n, sizeof(*part), by_text);
	for (size_t i = 0; i < n; i++)
		if (!i || strcmp(part[i], part[i - 1]) != 0)
			fprintf(f, "%s ", part[i]);
	for (size_t i = 0; i < n; i++)
		free(part[i]);
}

static void print_object(FILE *f, struct json_object *o)
{
	char *part[PARTS_MAX] = { 0 };
	size_t n = 0;

	json_object_object_foreach (o, key, member) {
		bool is_class = !strcmp(key, "class") || !strcmp(key, "event");
		ls_autofree char *of_member = shape(member, is_class);

		assert_true(n < PARTS_MAX);
		assert_true(asprintf(&part[n++], "%s:%s", key, of_member) > 0);
	}
	print_parts(f, part, n);
}

static void print_list(FILE *f, struct json_object *list)
{
	char *part[PARTS_MAX] = { 0 };
	size_t n = json_object_array_length(list);

	assert_true(n < PARTS_MAX);
	for (size_t i = 0; i < n; i++)
		part[i] = shape(json_object_array_get_idx(list, i), false);
	print_parts(f, part, n);
}

/* Keys and types; of an error's class and an event's name the text, too. */
static char *shape(struct json_object *v, bool is_name)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs(json_type_to_name(json_object_get_type(v)), f);
	if (is_name)
		fprintf(f, "=%s", json_object_get_string(v));
	if (json_object_is_type(v, json_type_object) || json_object_is_type(v, json_type_array))
		fputc('(', f);
	if (json_object_is_type(v, json_type_object))
		print_object(f, v);
	else if (json_object_is_type(v, json_type_array))
		print_list(f, v);
	if (json_object_is_type(v, json_type_object) || json_object_is_type(v, json_type_array))
		fputc(')', f);
	fclose(f);
	return text;
}

/* ---- one channel ------------------------------------------------------------------ */

/**
 * struct channel - A connection to one port of the fake, and the events on both sides
 * @was, @is: shapes of events, as recorded and as heard
 */
struct channel {
	int fd;
	struct qmp_framer *in;
	char *was[EVENTS_MAX], *is[EVENTS_MAX];
	size_t n_was, n_is;
};

static void channel_open(struct channel *c, struct fleet *f, const char *which)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	*c = (struct channel){ .in = qmp_framer_new(NULL) };
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.60s/g0.%s", f->dir, which);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
}

static void read_more(struct channel *c)
{
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n > 0)
		assert_int_equal(qmp_framer_feed(c->in, buf, (size_t)n), 0);
}

/* Events that come before it are kept. */
static struct json_object *next_answer(struct channel *c, sd_event *loop)
{
	uint64_t until_ms = qmp_now_ms() + HANG_MS;
	struct json_object *o = NULL;

	while (qmp_now_ms() < until_ms) {
		int r = qmp_framer_next(c->in, NULL, &o);

		if (r == 1 && !json_object_object_get_ex(o, "event", NULL))
			return o;
		if (r == 1) {
			assert_true(c->n_is < EVENTS_MAX);
			c->is[c->n_is++] = shape(o, false);
			json_object_put(o);
		} else if (r == 0) {
			sd_event_run(loop, 10000);
			read_more(c);
		}
	}
	fail_msg("no answer");
	return NULL;
}

static void compare_answer(struct channel *c, sd_event *loop, struct json_object *recorded)
{
	struct json_object *o = next_answer(c, loop);
	ls_autofree char *was = shape(recorded, false), *is = shape(o, false);

	assert_string_equal(is, was);
	json_object_put(o);
}

/* Each kind of event that was heard then is heard now, and no other. */
static void compare_events(struct channel *c)
{
	char *was, *is;
	size_t len;
	FILE *f = open_memstream(&was, &len), *g = open_memstream(&is, &len);

	print_parts(f, c->was, c->n_was);
	print_parts(g, c->is, c->n_is);
	fclose(f);
	fclose(g);
	assert_string_equal(is, was);
	free(was);
	free(is);
}

/* ---- the dialogue ------------------------------------------------------------------ */

static void one_line(struct channel *c, sd_event *loop, const char *line)
{
	struct json_object *o = NULL;

	if (*line == '>') {
		assert_int_equal(send(c->fd, line + 2, strlen(line + 2), MSG_NOSIGNAL),
				 strlen(line + 2));
		return;
	}
	assert_int_equal(qmp_parse(line + 2, strlen(line + 2), NULL, NULL, &o), 0);
	if (json_object_object_get_ex(o, "event", NULL)) {
		assert_true(c->n_was < EVENTS_MAX);
		c->was[c->n_was++] = shape(o, false);
	} else {
		compare_answer(c, loop, o);
	}
	json_object_put(o);
}

static void test_when_asked_what_real_ones_were_then_it_sounds_the_same(void **state)
{
	FILE *f = fopen(DIALOGUE, "re");
	char *line = NULL;
	size_t len = 0, lines = 0;
	struct channel channel[2];
	struct fleet *fleet;
	sd_event *loop;

	(void)state;
	assert_non_null(f);
	assert_int_equal(sd_event_new(&loop), 0);
	fleet = fleet_new(loop, 1);
	channel_open(&channel[0], fleet, "qmp");
	channel_open(&channel[1], fleet, "agent");
	for (; getline(&line, &len, f) > 0; lines++)
		one_line(&channel[!strncmp(line, "agent ", 6)], loop, strchr(line, ' ') + 1);
	assert_int_not_equal(lines, 0);
	for (int i = 0; i < 2; i++) {
		compare_events(&channel[i]);
		qmp_framer_free(channel[i].in);
		close(channel[i].fd);
	}
	free(line);
	fclose(f);
	fleet_free(fleet);
	sd_event_unref(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_asked_what_real_ones_were_then_it_sounds_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
