/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metrics of a lockstepd that works: scraped again and again while twenty guests are
 * changed, each text held to Prometheus' format, and the last one to what was done.
 */
#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <lockstep/cleanup.h>

#include "../fleet/daemon.h"

#define GUESTS	   20
#define EACH	   4
#define LIMIT_MS   60000
#define SCRAPE_S   10
#define TEXT_BYTES 65536
#define SLOW_MS	   1000 /* for a scrape, on a machine that has other work */

static struct fleet *fleet;
static struct under_test *under;
static char program[512];

/* ---- scraping -------------------------------------------------------------------- */

/* Return: bytes of the whole reply, 0 if there is none. */
static size_t get(const char *request, char *text)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = SCRAPE_S };
	ls_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.60s/metrics", fleet->dir);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return 0;
	while ((n = recv(fd, text + len, TEXT_BYTES - 1 - len, 0)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

static size_t scrape(char *text)
{
	return get("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text);
}

/* ---- the format -------------------------------------------------------------------- */

static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(isalpha((unsigned char)s[i]) || s[i] == '_' ||
		      (i && isdigit((unsigned char)s[i]))))
			return false;
	return n > 0;
}

/* {name="value",...}; values of ours have nothing to escape. Return: behind it, or NULL. */
static const char *skip_labels(const char *s)
{
	while (*s++ != '}') {
		size_t n = strcspn(s, "=");

		if (!is_name(s, n) || s[n + 1] != '"')
			return NULL;
		s += n + 2;
		s += strcspn(s, "\"\\\n");
		if (*s++ != '"' || (*s != ',' && *s != '}'))
			return NULL;
	}
	return s;
}

/**
 * struct format - Where a text is
 * @family: of the last TYPE line; @kind: what it is
 * @bucket: cumulative so far, in one histogram
 */
struct format {
	char family[128], kind[16];
	double bucket;
};

static bool belongs(const struct format *f, const char *name, size_t n)
{
	size_t family = strlen(f->family);

	if (strncmp(name, f->family, family) != 0)
		return false;
	if (!strcmp(f->kind, "counter"))
		return n == family && !strncmp(name + n - 6, "_total", 6);
	if (strcmp(f->kind, "histogram") != 0)
		return n == family;
	return !strncmp(name + family, "_bucket", n - family) ||
	       !strncmp(name + family, "_sum", n - family) ||
	       !strncmp(name + family, "_count", n - family);
}

/* Buckets rise; the last one is all there are, and so says the count. @part: "_bucket{..." */
static bool buckets_ok(struct format *f, const char *part, double value)
{
	double was = f->bucket;

	if (!strncmp(part, "_bucket{", 8)) {
		f->bucket = value;
		return value >= was;
	}
	if (strncmp(part, "_count{", 7) != 0)
		return true;
	f->bucket = 0;
	return value == was;
}

static bool sample_ok(struct format *f, const char *line)
{
	size_t n = strcspn(line, "{ ");
	const char *at = line[n] == '{' ? skip_labels(line + n) : line + n;
	char *end;
	double value;

	if (!is_name(line, n) || !belongs(f, line, n) || !at || *at != ' ')
		return false;
	value = strtod(at + 1, &end);
	return end > at + 1 && *end == '\n' && value >= 0 &&
	       buckets_ok(f, line + strlen(f->family), value);
}

static bool line_ok(struct format *f, const char *line)
{
	char help[128];

	if (sscanf(line, "# HELP %127s", help) == 1) {
		snprintf(f->family, sizeof(f->family), "%s", help);
		return is_name(help, strlen(help));
	}
	if (sscanf(line, "# TYPE %127s %15s", help, f->kind) == 2)
		return !strcmp(help, f->family) &&
		       (!strcmp(f->kind, "counter") || !strcmp(f->kind, "gauge") ||
			!strcmp(f->kind, "histogram"));
	return sample_ok(f, line);
}

/* Return: the first line that is wrong, NULL if none is. */
static const char *first_wrong(const char *text)
{
	struct format f = { 0 };
	const char *line = strstr(text, "\r\n\r\n");

	if (!line)
		return text;
	for (line += 4; *line; line = strchr(line, '\n') + 1)
		if (!strchr(line, '\n') || !line_ok(&f, line))
			return line;
	return NULL;
}

static double value_of(const char *text, const char *series)
{
	char line[128];
	const char *at;

	snprintf(line, sizeof(line), "\nlockstep_%s ", series);
	at = strstr(text, line);
	return at ? strtod(at + strlen(line), NULL) : -1;
}

/* ---- under load ------------------------------------------------------------------------ */

/**
 * struct scraper - A thread that scrapes as fast as it can
 * @wrong: what was not as it should be; empty: nothing
 */
struct scraper {
	pthread_t thread;
	atomic_bool stop;
	unsigned n;
	uint64_t slowest_ms;
	char wrong[512];
};

static void *scrape_all_the_time(void *arg)
{
	struct scraper *s = arg;
	char *text = malloc(TEXT_BYTES);

	while (!s->stop && !s->wrong[0]) {
		uint64_t from_ms = qmp_now_ms();
		const char *wrong = scrape(text) ? first_wrong(text) : "no answer";

		if (wrong)
			snprintf(s->wrong, sizeof(s->wrong), "%.500s", wrong);
		if (qmp_now_ms() - from_ms > s->slowest_ms)
			s->slowest_ms = qmp_now_ms() - from_ms;
		s->n++;
	}
	free(text);
	return NULL;
}

static void test_when_scraped_under_load_then_well_formed_and_right(void **state)
{
	struct scraper s = { 0 };
	char *text = malloc(TEXT_BYTES);
	struct load load;

	(void)state;
	pthread_create(&s.thread, NULL, scrape_all_the_time, &s);
	assert_true(load_run(under, 0, GUESTS, EACH, LIMIT_MS, &load));
	s.stop = true;
	pthread_join(s.thread, NULL);
	assert_string_equal(load.text, "");
	assert_string_equal(s.wrong, "");
	assert_true(s.n > 1);
	print_message("# scrapes: %u, the slowest took %u ms\n", s.n, (unsigned)s.slowest_ms);
	assert_true(s.slowest_ms < SLOW_MS);
	assert_int_not_equal(scrape(text), 0);
	assert_true(value_of(text, "operations_total{operation=\"vcpus\",end=\"done\"}") ==
		    GUESTS * EACH);
	assert_true(value_of(text, "guests{state=\"ready\"}") == GUESTS);
	assert_true(value_of(text, "guests{state=\"busy\"}") == 0);
	assert_true(value_of(text, "row_duration_seconds_count{row=\"claim\"}") == GUESTS * EACH);
	assert_true(value_of(text, "journal_commits_total") > 0);
	free(text);
	load_done(&load);
}

/* ---- the rest ---------------------------------------------------------------------------- */

/* Refused requests are counted by class; a word that a guest made up has no class. */
static void test_when_a_request_is_refused_then_its_class_is_counted(void **state)
{
	char *text = malloc(TEXT_BYTES);
	struct ls_err err;

	(void)state;
	assert_true(daemon_ask(under, "vcpus", "{\"guest\": \"g0\", \"count\": 500}", &err, NULL) <
		    0);
	scrape(text);
	assert_true(value_of(text, "operations_total{operation=\"vcpus\",end=\"refused\"}") == 1);
	assert_true(value_of(text, "failures_total{class=\"EINVAL\"}") == 1);
	free(text);
}

/* Another path, another method, no HTTP at all: said so, and the next scrape is as before. */
static void test_when_the_daemon_is_asked_for_something_else_then_refused(void **state)
{
	char *text = malloc(TEXT_BYTES);

	(void)state;
	get("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text);
	assert_non_null(strstr(text, "404"));
	get("POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
	    "4\r\n\r\nabcd",
	    text);
	assert_non_null(strstr(text, "405"));
	get("\x16\x03\x01 nonsense\r\n\r\n", text);
	assert_null(strstr(text, " 200 "));
	assert_true(scrape(text) && !first_wrong(text));
	free(text);
}

static int setup(void **state)
{
	char config[256];
	sd_event *loop;

	(void)state;
	if (sd_event_new(&loop) < 0)
		return -1;
	fleet = fleet_new(loop, GUESTS);
	snprintf(config, sizeof(config),
		 "[lockstepd]\nhello-limit = 10min\n[metrics]\nlisten = unix:%s/metrics\n",
		 fleet->dir);
	under = daemon_start(fleet, program, config);
	return daemon_await_ready(under, 0, LIMIT_MS) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	sd_event *loop = fleet->loop;
	int r = daemon_stop(under);

	(void)state;
	fleet_free(fleet);
	sd_event_unref(loop);
	return r;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_scraped_under_load_then_well_formed_and_right),
		cmocka_unit_test(test_when_a_request_is_refused_then_its_class_is_counted),
		cmocka_unit_test(test_when_the_daemon_is_asked_for_something_else_then_refused),
	};

	(void)argc;
	daemon_program(argv[0], program, sizeof(program));
	return cmocka_run_group_tests(tests, setup, teardown);
}
