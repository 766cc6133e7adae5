/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Go through a scenario's lines, dry or for real. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "args.h"
#include "fake.h"
#include "show.h"
#include "super.h"

struct guest *run_guest(struct run *r, const char *name)
{
	for (int i = 0; r->guests[i]; i++)
		if (!strcmp(r->guests[i]->name, name))
			return r->guests[i];
	return NULL;
}

struct job *run_job(struct run *r, const char *name)
{
	for (int i = 0; i < r->n_jobs; i++)
		if (!strcmp(r->jobs[i].name, name))
			return &r->jobs[i];
	return NULL;
}

void run_say(struct run *r, char *text)
{
	free(r->said);
	r->said = text;
}

char *run_read_file(const char *path)
{
	char *text = calloc(1, CONSOLE_TEXT_BYTES);
	FILE *in = fopen(path, "re");
	size_t n = 0;

	if (!text)
		abort();
	if (in) {
		n = fread(text, 1, CONSOLE_TEXT_BYTES - 1, in);
		fclose(in);
	}
	/* strstr() is to see all of it. */
	for (size_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = '?';
	return text;
}

int run_words(struct run *r, const struct line *line, int at)
{
	struct args a = { r, line, at };
	const struct verb *v;
	const struct word *w;

	if (args_word(&a, "an action", &w) < 0)
		return -EINVAL;
	v = w->quoted ? NULL : verb_find(w->text);
	if (!v)
		return args_fail(&a,
				 "nothing can be done with \"%s\"; `harness words` lists the verbs",
				 w->text);
	return v->fn(&a);
}

static bool trigger_hit(const struct trigger *t, const struct guest *g,
			const struct qmp_event *event)
{
	return t->guest == g && !t->fired && !strcmp(t->event, event->name) &&
	       (!*t->status || !strcmp(t->status, qmp_get_str(event->data, "status", "")));
}

void run_event(const struct qmp_event *event, void *guest)
{
	struct guest *g = guest;
	struct run *r = (struct run *)g->lab; /* the lab is a run's first member */

	refusal_note(r, event);
	for (int i = 0; i < r->n_triggers; i++) {
		struct trigger *t = &r->triggers[i];

		if (!trigger_hit(t, g, event))
			continue;
		t->fired = true;
		show_trigger(r, t);
		run_words(r, t->line, t->at);
	}
}

static void run_clear(struct run *r)
{
	for (int i = 0; i < r->n_fakes; i++)
		fake_free(r->fakes[i]);
	for (int i = 0; i < r->n_jobs; i++)
		proc_free(r->jobs[i].proc);
	for (int i = 0; r->guests[i]; i++)
		guest_free(r->guests[i]);
	for (int i = 0; i < r->n_vectors; i++)
		free(r->vectors[i].text);
	free(r->said);
}

static int run_lines(struct run *r)
{
	while (r->next < r->scenario->n) {
		r->line = &r->scenario->lines[r->next++];
		show_line(r, r->line);
		/* A trigger's action may have failed meanwhile. */
		if (run_words(r, r->line, 0) < 0 || *r->failure)
			return -EINVAL;
	}
	if (r->loop)
		return args_fail(&(struct args){ r, r->line, 1 },
				 "\"for\" has no \"again\" behind it");
	for (int i = 0; i < r->n_triggers; i++) {
		struct args a = { r, r->triggers[i].line, 1 };

		if (!r->dry && !r->triggers[i].fired)
			return args_fail(&a, "this has never happened");
	}
	return 0;
}

int run_check(const struct scenario *s, struct ls_err *err)
{
	struct run r = { .scenario = s, .dry = true, .report = -1 };
	int failed;

	strcpy(r.lab.dir, "/tmp/lockstep-lab.XXXXXX");
	failed = run_lines(&r);
	run_clear(&r);
	return failed < 0 ? ls_err_set(err, -EINVAL, "%s", r.failure) : 0;
}

/* The end of what was said last and of each guest's logs: what one looks at first. */
static void run_report(struct run *r)
{
	int report = r->report;

	dprintf(report, "%s\n", r->failure);
	if (r->said && *r->said)
		dprintf(report, "said last: %.1000s\n", r->said);
	for (int i = 0; r->guests[i]; i++) {
		ls_autofree char *log = run_read_file(r->guests[i]->paths.log);
		size_t len = strlen(log);

		if (len)
			dprintf(report, "%s: qemu says: %s\n", r->guests[i]->name,
				log + (len > 500 ? len - 500 : 0));
	}
}

int run_scenario(const struct scenario *s, const char *dir, const char *build, bool demo,
		 int report)
{
	struct run r = { 0 };
	struct ls_err err;
	char path[LS_PATH_BYTES + 16];
	int failed;

	if (lab_init(&r.lab, dir, build, &err) < 0) {
		dprintf(report, "%s\n", err.text);
		return SUPER_FAILED;
	}
	r.scenario = s;
	r.demo = demo;
	r.report = report;
	r.begin_ms = qmp_now_ms();
	snprintf(path, sizeof(path), "%s/guests.d", dir);
	mkdir(path, 0755);
	failed = run_lines(&r);
	if (r.skip)
		dprintf(report, "%s\n", r.failure);
	else if (failed < 0)
		run_report(&r);
	show_end(&r, failed == 0);
	run_clear(&r);
	return r.skip ? SUPER_SKIPPED : failed < 0 ? SUPER_FAILED : SUPER_PASSED;
}
