/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Narrate a scenario for somebody who watches. */
#include "show.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A terminal gets colours, a log does not. */
static const char *show_colour(const char *code)
{
	return isatty(1) ? code : "";
}

#define BOLD  show_colour("\033[1m")
#define DIM   show_colour("\033[2m")
#define GREEN show_colour("\033[32m")
#define RED   show_colour("\033[31m")
#define PLAIN show_colour("\033[0m")

static bool show_on(const struct run *r)
{
	return r->demo && !r->dry;
}

/* Which lines are shown as they stand, and how a person would call them. */
static const char *show_who(const char *verb)
{
	static const char *const who[][2] = {
		{ "guest", "lab" },	   { "lockstep", "$" },	      { "background", "$" },
		{ "console", "in guest" }, { "offline", "in guest" }, { "online", "in guest" },
		{ "kill", "lab" },	   { "remember", "lab" },     { "compare", "lab" },
	};

	for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++)
		if (!strcmp(who[i][0], verb))
			return who[i][1];
	return NULL;
}

void show_line(const struct run *r, const struct line *line)
{
	const char *who = show_who(line->words[0].text);

	if (!show_on(r) || !who)
		return;
	printf("  %s%-8s%s %s%s%s\n", DIM, who, PLAIN, BOLD, line->text, PLAIN);
	fflush(stdout);
}

void show_trigger(const struct run *r, const struct trigger *t)
{
	if (!show_on(r))
		return;
	printf("  %s%-8s%s now: %s\n", DIM, "lab", PLAIN, t->line->text);
	fflush(stdout);
}

void show_say(const struct run *r, const char *text)
{
	if (!show_on(r))
		return;
	printf("\n%s%s%s %s(%.1f s)%s\n", BOLD, text, PLAIN, DIM,
	       (double)(qmp_now_ms() - r->begin_ms) / 1000, PLAIN);
	fflush(stdout);
}

void show_output(const struct run *r, const char *text)
{
	if (!show_on(r))
		return;
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf("           %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	fflush(stdout);
}

void show_held(const struct run *r, const char *text)
{
	if (!show_on(r))
		return;
	printf("  %s%-8s%s %s✓%s %s\n", DIM, "check", PLAIN, GREEN, PLAIN, text);
	fflush(stdout);
}

void show_end(const struct run *r, bool passed)
{
	if (!show_on(r))
		return;
	if (!passed)
		printf("  %s%-8s%s %s✗ %s%s\n", DIM, "check", PLAIN, RED, r->failure, PLAIN);
	printf("\n%s%s%s in %.1f s\n", passed ? GREEN : RED,
	       passed ? "every claim held" : "a claim did not hold", PLAIN,
	       (double)(qmp_now_ms() - r->begin_ms) / 1000);
	fflush(stdout);
}
