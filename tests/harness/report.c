/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Run scenarios side by side and say how they ended. */
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "expect.h"
#include "fake.h"
#include "guest.h"
#include "run.h"
#include "super.h"

#define REPORT_JOBS_MAX	  16
#define REPORT_TEXT_BYTES 16384 /* of one scenario's own words about its failure */

/**
 * struct options - Of `harness run`
 * @build: build directory
 * @jobs:  at a time
 * @demo:  narrate
 * @paths: scenarios
 * @n:     of @paths
 */
struct options {
	const char *build;
	int jobs;
	bool demo;
	char **paths;
	int n;
};

/**
 * struct slot - A scenario that runs
 * @number:   its place among all of them, from 1; 0: the slot is free
 * @scenario: what
 * @options:  for its process
 * @super:    who watches it
 * @keep:     where its files go if it fails
 * @begin_ms: start
 * @text:     what it has reported so far
 * @len:      of @text
 */
struct slot {
	int number;
	struct scenario *scenario;
	const struct options *options;
	struct super super;
	char keep[1024];
	uint64_t begin_ms;
	char text[REPORT_TEXT_BYTES];
	size_t len;
};

/* The first signal ends what runs and starts nothing more. */
static volatile sig_atomic_t report_stopped;

static void report_stop(int sig)
{
	(void)sig;
	report_stopped = 1;
}

static int slot_job(const char *dir, int report, void *arg)
{
	const struct slot *s = arg;

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	return run_scenario(s->scenario, dir, s->options->build, s->options->demo, report);
}

static void slot_start(struct slot *s, const struct options *o, int number)
{
	struct ls_err err;

	memset(s, 0, sizeof(*s));
	s->options = o;
	s->begin_ms = qmp_now_ms();
	if (scenario_load(o->paths[number - 1], &err, &s->scenario) < 0) {
		printf("not ok %d - %s\n# %s\n", number, o->paths[number - 1], err.text);
		return;
	}
	snprintf(s->keep, sizeof(s->keep), "%s/failed", o->build);
	mkdir(s->keep, 0777);
	snprintf(s->keep, sizeof(s->keep), "%s/failed/%s", o->build, s->scenario->name);
	if (super_start(slot_job, s, s->keep, &err, &s->super) < 0) {
		printf("not ok %d - %s\n# %s\n", number, s->scenario->name, err.text);
		scenario_free(s->scenario);
		return;
	}
	s->number = number;
}

/* What a scenario said, as TAP comments. */
static void slot_print_text(const struct slot *s)
{
	const char *at = s->text;

	while (*at) {
		size_t len = strcspn(at, "\n");

		printf("# %.*s\n", (int)len, at);
		at += len + (at[len] == '\n');
	}
}

/* Returns 1 if it did not pass. */
static int slot_end(struct slot *s)
{
	int end = super_wait(&s->super);
	bool bad = end != SUPER_PASSED && end != SUPER_SKIPPED;

	if (!s->options->demo)
		printf("%s %d - %s (%.1f s)%s%s\n", bad ? "not ok" : "ok", s->number,
		       s->scenario->name, (double)(qmp_now_ms() - s->begin_ms) / 1000,
		       end == SUPER_SKIPPED ? " # SKIP " : "", end == SUPER_SKIPPED ? s->text : "");
	if (!s->options->demo && end != SUPER_SKIPPED)
		slot_print_text(s);
	if (bad && !s->options->demo)
		printf("# logs: %s\n", s->keep);
	fflush(stdout);
	scenario_free(s->scenario);
	s->number = 0;
	return bad;
}

/* Reads a report; returns true once it is complete. */
static bool slot_read(struct slot *s)
{
	char rest[512];
	size_t room = sizeof(s->text) - 1 - s->len;
	ssize_t n =
		read(s->super.report, room ? s->text + s->len : rest, room ? room : sizeof(rest));

	if (n > 0 && room)
		s->len += n;
	return n == 0 || (n < 0 && errno != EINTR);
}

/* Waits for news of any slot; returns the number of scenarios that ended badly. */
static int report_wait(struct slot *slots, int n)
{
	struct pollfd fds[REPORT_JOBS_MAX];
	int bad = 0;

	for (int i = 0; i < n; i++) {
		fds[i] = (struct pollfd){ slots[i].number ? slots[i].super.report : -1, POLLIN, 0 };
		if (report_stopped && slots[i].number)
			super_stop(&slots[i].super);
	}
	if (poll(fds, n, -1) <= 0)
		return 0;
	for (int i = 0; i < n; i++)
		if (fds[i].revents && slot_read(&slots[i]))
			bad += slot_end(&slots[i]);
	return bad;
}

static int report_all(const struct options *o)
{
	struct slot *slots = calloc(o->jobs, sizeof(*slots));
	int next = 1, running = 0, bad = 0;

	if (!slots)
		return 1;
	do {
		running = 0;
		for (int i = 0; i < o->jobs; i++) {
			while (!slots[i].number && next <= o->n && !report_stopped) {
				slot_start(&slots[i], o, next++);
				bad += !slots[i].number;
			}
			running += slots[i].number != 0;
		}
		if (running)
			bad += report_wait(slots, o->jobs);
	} while (running);
	free(slots);
	return bad;
}

/* A mistake in any file is told before the first one is started. */
static int report_check(const struct options *o)
{
	struct scenario *s;
	struct ls_err err;
	int bad = 0;

	for (int i = 0; i < o->n; i++) {
		if (scenario_load(o->paths[i], &err, &s) < 0) {
			fprintf(stderr, "%s\n", err.text);
			bad++;
			continue;
		}
		if (run_check(s, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			bad++;
		}
		scenario_free(s);
	}
	return bad;
}

static int report_usage(void)
{
	fprintf(stderr,
		"usage: harness run [-j N] [--demo] SCENARIO ...   N at a time: as many as CPUs\n"
		"       harness check SCENARIO ...   only look for mistakes\n");
	return 2;
}

static int options_read(struct options *o, int argc, char **argv)
{
	o->jobs = (int)sysconf(_SC_NPROCESSORS_ONLN);
	o->paths = argv;
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--demo"))
			o->demo = true;
		else if (!strcmp(argv[i], "-j") && i + 1 < argc)
			o->jobs = atoi(argv[++i]);
		else if (!strncmp(argv[i], "-j", 2))
			o->jobs = atoi(argv[i] + 2);
		else if (argv[i][0] == '-')
			return -EINVAL;
		else
			o->paths[o->n++] = argv[i];
	}
	if (o->demo || o->jobs < 1)
		o->jobs = 1;
	if (o->jobs > REPORT_JOBS_MAX)
		o->jobs = REPORT_JOBS_MAX;
	return o->n ? 0 : -EINVAL;
}

int run_main(int argc, char **argv, const char *build)
{
	/* Not restarted: a signal is to wake poll(). */
	struct sigaction stop = { .sa_handler = report_stop };
	struct options o = { .build = build };
	struct ls_err err;
	int bad;

	if (options_read(&o, argc, argv) < 0)
		return report_usage();
	if (report_check(&o) > 0)
		return 2;
	if (lab_build_guest(build, NULL, &err) < 0) {
		fprintf(stderr, "harness: %s\n", err.text);
		return 1;
	}
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	super_sweep();
	if (!o.demo)
		printf("TAP version 13\n1..%d\n", o.n);
	bad = report_all(&o);
	if (report_stopped && !o.demo)
		printf("Bail out! stopped by a signal\n");
	return bad || report_stopped;
}

int check_main(int argc, char **argv, const char *build)
{
	struct options o = { .build = build };

	if (options_read(&o, argc, argv) < 0)
		return report_usage();
	return report_check(&o) > 0 ? 2 : 0;
}

int words_main(int argc, char **argv, const char *build)
{
	(void)argc;
	(void)argv;
	(void)build;
	printf("A line begins with one of:\n");
	for (const struct verb *v = verbs; v->name; v++)
		printf("  %-10s %s\n             %s\n", v->name, v->usage, v->doc);
	printf("\nAn OUTCOME is [fails CODE|any|or-not] [says \"TEXT\" ...] [within Ns]; without "
	       "\"fails\" the exit\n"
	       "code must be 0. In texts and arguments @G.qmp, @G.peer and @G.agent are the "
	       "sockets of\n"
	       "guest G, and @tmp is the scenario's directory. @txn is "
	       "the first transaction that the\n"
	       "last command named.\n");
	printf("\nExpectations of another form:\n"
	       "  expect GUEST gone|alive [within Ns]      its QEMU has ended, or has not\n"
	       "  expect one of GUEST ... runs [within Ns] exactly one of them executes\n"
	       "  expect says [no] \"TEXT\"                 in what the last command printed\n");
	printf("\nSettings of a guest:\n%s", guest_config_help());
	printf("\nWhat can be expected:\n");
	for (const struct view *v = views; v->property; v++)
		printf("  %-14s %-8s %s\n", v->property, v->by, v->doc);
	printf("\nFakes:\n");
	fake_list(stdout);
	return 0;
}
