/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For stories of the engine: a wish in a small world, how it has to end, and the trace
 * that it has to leave. Those are the traces of docs/steps.md: a block there is what the
 * test of its name expects, to the letter.
 */
#ifndef STORY_FIXTURE_H
#define STORY_FIXTURE_H

#include "../sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS "docs/steps.md" /* tests run from the top of the tree */

/* The block of docs/steps.md below the line "<!-- trace: NAME -->"; caller frees. */
static inline char *documented(const char *name)
{
	FILE *f = fopen(STEPS, "r");
	char marker[80], line[256], *block = calloc(1, 8192);
	int fences = -1;

	if (!f)
		fail_msg("%s cannot be read: run this from the top of the tree", STEPS);
	snprintf(marker, sizeof(marker), "<!-- trace: %s -->\n", name);
	while (fences < 2 && fgets(line, sizeof(line), f)) {
		if (!strcmp(line, marker))
			fences = 0;
		else if (fences >= 0 && !strncmp(line, "```", 3))
			fences++;
		else if (fences == 1)
			strncat(block, line, 8191 - strlen(block));
	}
	fclose(f);
	if (fences != 2)
		fail_msg("%s has no trace \"%s\"", STEPS, name);
	return block;
}

static inline void assert_trace(const struct world *w, const char *name)
{
	char *want = documented(name);

	if (strcmp(want, w->trace)) {
		fprintf(stderr, "\"%s\" was\n%s.\n", name, w->trace); /* cmocka cuts long texts */
		fail_msg("it is not what %s says of \"%s\"", STEPS, name);
	}
	free(want);
}

static inline void assert_end(struct world *w, enum txn_end want)
{
	enum txn_end end = world_run(w);

	if (end != want)
		fail_msg("ended %s, not %s\n%s", txn_end_name(end), txn_end_name(want), w->trace);
}

static inline void assert_said(const struct world *w, const char *what)
{
	if (!strstr(w->trace, what))
		fail_msg("nobody said \"%s\"\n%s", what, w->trace);
}

static inline unsigned times(const struct world *w, const char *what)
{
	unsigned n = 0;

	for (const char *at = w->trace; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

static inline void assert_all_is_before(struct world *w)
{
	world_wait(w, 30000);
	world_check_as_before(w);
	world_check_no_holds(w);
}

/* Until the trace says @what; a transaction that ends without ever saying it has failed. */
static inline void wait_for(struct world *w, const char *what)
{
	while (!strstr(w->trace, what)) {
		if (w->over || w->now_ms > 600000)
			fail_msg("it never came to \"%s\"\n%s", what, w->trace);
		world_wait(w, 1);
	}
}

/* ---- whole stories --------------------------------------------------------- */

static inline void goes_well(int which, const char *trace)
{
	const struct scenario *s = &scenarios[which];
	struct world *w = world_with(s);

	world_wish(w, s);
	assert_end(w, s->partial ? END_PARTIAL : END_DONE);
	assert_true(s->reached(w));
	world_wait(w, 30000);
	assert_true(s->reached(w));
	world_check_no_holds(w);
	assert_trace(w, trace);
	world_free(w);
}

static inline struct world *failing(int which, enum verb a, enum verb b)
{
	struct world *w = world_with(&scenarios[which]);

	w->fail_verb[0] = a;
	w->fail_verb[1] = b;
	world_wish(w, &scenarios[which]);
	return w;
}

static inline void fails_and_undoes(int which, enum verb verb, const char *trace)
{
	struct world *w = failing(which, verb, VERB_NONE);
	enum txn_end end = world_run(w);

	if (end != END_UNDONE && end != END_REFUSED)
		fail_msg("%s fails: ended %s\n%s", verb_name(verb), txn_end_name(end), w->trace);
	assert_all_is_before(w);
	if (trace)
		assert_trace(w, trace);
	world_free(w);
}

#endif
