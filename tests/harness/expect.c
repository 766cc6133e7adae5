/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Look again until what is expected is so, or its time is over. */
#include "expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>

#include "show.h"

#define EXPECT_LOOK_MS	 50 /* between two looks: a sysfs file tells nobody of its change */
#define EXPECT_TERMS_MAX 16
#define EXPECT_CPUS	 4096

/**
 * struct term - One property that a line expects
 * @property: its name, for finding the view once "by" is known
 * @view:     who is asked, and how
 * @thing:    the property's thing, or NULL
 * @value:    expected
 * @saw:      what was there at the last look
 */
struct term {
	char property[LS_NAME_BYTES];
	const struct view *view;
	char thing[LS_NAME_BYTES];
	char value[VIEW_VALUE_BYTES];
	char saw[VIEW_VALUE_BYTES];
};

/* ---- comparing -------------------------------------------------------- */

static int list_parse(const char *text, bool set[EXPECT_CPUS])
{
	memset(set, 0, EXPECT_CPUS * sizeof(*set));
	while (*text) {
		char *end;
		unsigned long lo = strtoul(text, &end, 10), hi = lo;

		if (end == text)
			return -EINVAL;
		if (*end == '-') {
			text = end + 1;
			hi = strtoul(text, &end, 10);
		}
		if (end == text || hi < lo || hi >= EXPECT_CPUS || (*end && *end != ','))
			return -EINVAL;
		for (unsigned long i = lo; i <= hi; i++)
			set[i] = true;
		text = end + (*end == ',');
	}
	return 0;
}

static bool value_equal(enum view_kind kind, const char *a, const char *b)
{
	static bool one[EXPECT_CPUS], two[EXPECT_CPUS];
	unsigned mib_a, mib_b;

	switch (kind) {
	case VIEW_LIST:
		return list_parse(a, one) == 0 && list_parse(b, two) == 0 &&
		       !memcmp(one, two, sizeof(one));
	case VIEW_SIZE:
		return guest_parse_mib(a, &mib_a) == 0 && guest_parse_mib(b, &mib_b) == 0 &&
		       mib_a == mib_b;
	default:
		return !strcmp(a, b);
	}
}

/* An expected value that could never be equal to anything is a mistake. */
static int value_check(struct args *a, const struct term *t)
{
	static bool set[EXPECT_CPUS];
	unsigned mib;

	if (t->view->kind == VIEW_LIST && list_parse(t->value, set) < 0)
		return args_fail(a, "\"%s\" is not a list such as 0-2,5", t->value);
	if (t->view->kind == VIEW_SIZE && guest_parse_mib(t->value, &mib) < 0)
		return args_fail(a, "\"%s\" is not a size such as 512M or 2G", t->value);
	return 0;
}

/* ---- reading the line ------------------------------------------------- */

/* The word without the comma at its end; says whether there was one. */
static int term_word(struct args *a, const char *what, char *to, size_t size, bool *ret_comma)
{
	const struct word *w;
	size_t len;

	if (args_word(a, what, &w) < 0)
		return -EINVAL;
	len = strlen(w->text);
	*ret_comma = len > 1 && w->text[len - 1] == ',';
	len -= *ret_comma;
	if (len >= size)
		return args_fail(a, "this is too long");
	memcpy(to, w->text, len);
	to[len] = '\0';
	return 0;
}

static int term_read(struct args *a, struct term *t, bool *ret_comma)
{
	const struct view *any;

	if (term_word(a, "a property", t->property, sizeof(t->property), ret_comma) < 0)
		return -EINVAL;
	any = view_find(t->property, NULL);
	if (!any)
		return args_fail(a,
				 "nobody knows a \"%s\" of a guest; `harness words` lists what "
				 "can be expected",
				 t->property);
	if (any->thing && term_word(a, any->thing, t->thing, sizeof(t->thing), ret_comma) < 0)
		return -EINVAL;
	return term_word(a, "a value", t->value, sizeof(t->value), ret_comma);
}

static int terms_read(struct args *a, struct term *terms, int *ret_n)
{
	const struct word *by;
	bool comma = true;

	for (*ret_n = 0; comma; (*ret_n)++) {
		if (*ret_n == EXPECT_TERMS_MAX)
			return args_fail(a, "too many properties in a line");
		if (term_read(a, &terms[*ret_n], &comma) < 0)
			return -EINVAL;
	}
	if (!args_take(a, "by")) {
		a->at += args_more(a);
		return args_fail(a, "\"by console\", \"by agent\" or \"by qemu\" is missing");
	}
	if (args_word(a, "console, agent or qemu", &by) < 0)
		return -EINVAL;
	for (int i = 0; i < *ret_n; i++) {
		terms[i].view = view_find(terms[i].property, by->text);
		if (!terms[i].view)
			return args_fail(a, "\"%s\" cannot be seen by %s", terms[i].property,
					 by->text);
		if (value_check(a, &terms[i]) < 0)
			return -EINVAL;
	}
	return 0;
}

/* ---- looking ---------------------------------------------------------- */

static bool term_holds(struct guest *g, struct term *t, struct ls_err *err)
{
	if (t->view->read(g, t->view, *t->thing ? t->thing : NULL, t->saw, err) < 0) {
		snprintf(t->saw, sizeof(t->saw), "nothing (%s)", err->text);
		return false;
	}
	return value_equal(t->view->kind, t->saw, t->value);
}

static void term_show(const struct run *r, const struct guest *g, const struct term *t)
{
	char text[3 * VIEW_VALUE_BYTES];

	snprintf(text, sizeof(text), "%s: %s%s%s %s, by %s", g->name, t->property,
		 *t->thing ? " " : "", t->thing, t->saw, t->view->by);
	show_held(r, text);
}

static int terms_await(struct args *a, struct guest *g, struct term *terms, int n, unsigned ms)
{
	uint64_t deadline_ms = qmp_now_ms() + ms;
	struct ls_err err = { 0 };
	int i = 0;

	for (;;) {
		for (i = 0; i < n && term_holds(g, &terms[i], &err); i++)
			;
		if (i == n)
			break;
		if (qmp_now_ms() >= deadline_ms)
			return args_fail(a, "%s: %s%s%s is not %s but %s, by %s, after %u ms",
					 g->name, terms[i].property, *terms[i].thing ? " " : "",
					 terms[i].thing, terms[i].value, terms[i].saw,
					 terms[i].view->by, ms);
		pump_once(&g->lab->pump, qmp_now_ms() + EXPECT_LOOK_MS);
	}
	for (i = 0; i < n; i++)
		term_show(a->run, g, &terms[i]);
	return 0;
}

static int expect_views(struct args *a, struct guest *g)
{
	ls_autofree struct term *terms = calloc(EXPECT_TERMS_MAX, sizeof(*terms));
	unsigned ms;
	int n;

	if (!terms || terms_read(a, terms, &n) < 0 || args_within(a, RUN_EXPECT_MS, &ms) < 0 ||
	    args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	a->at = 2;
	return terms_await(a, g, terms, n, ms);
}

/* ---- the other forms -------------------------------------------------- */

static bool guest_is_gone(void *arg)
{
	return !guest_alive(arg);
}

static int expect_life(struct args *a, struct guest *g, bool gone)
{
	char text[128];
	unsigned ms;

	if (args_within(a, RUN_EXPECT_MS, &ms) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	a->at = 2;
	if (!gone && !guest_alive(g))
		return args_fail(a, "%s has ended", g->name);
	if (gone && pump_until(&g->lab->pump, guest_is_gone, g, qmp_now_ms() + ms) < 0)
		return args_fail(a, "%s still runs after %u ms", g->name, ms);
	snprintf(text, sizeof(text), "%s: its QEMU %s", g->name, gone ? "has ended" : "is there");
	show_held(a->run, text);
	return 0;
}

static int expect_says(struct args *a)
{
	bool no = args_take(a, "no");
	ls_autofree char *text = NULL;
	bool found;

	if (args_text(a, "a text", &text) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	found = a->run->said && strstr(a->run->said, text);
	if (found == no)
		return args_fail(a, "\"%s\" is %s what was said: %s", text, no ? "in" : "not in",
				 a->run->said ? a->run->said : "");
	show_held(a->run, a->line->text);
	return 0;
}

/* Guests that execute now, by QEMU's word; a dead one does not. */
static int count_running(struct guest **guests, int n)
{
	const struct view *status = view_find("status", "qemu");
	char value[VIEW_VALUE_BYTES];
	int running = 0;

	for (int i = 0; i < n; i++)
		running += status->read(guests[i], status, NULL, value, NULL) == 0 &&
			   !strcmp(value, "running");
	return running;
}

/* "one of g1 g2 runs": never both, never none once the time is over. */
static int expect_one(struct args *a)
{
	struct guest *guests[RUN_GUESTS_MAX];
	uint64_t deadline_ms;
	unsigned ms;
	int n = 0, running;

	while (!args_take(a, "runs")) {
		if (n == RUN_GUESTS_MAX || args_guest(a, &guests[n++]) < 0)
			return args_fail(a, "guests' names and \"runs\" are expected here");
	}
	if (args_within(a, RUN_EXPECT_MS, &ms) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	deadline_ms = qmp_now_ms() + ms;
	while ((running = count_running(guests, n)) != 1) {
		if (running > 1)
			return args_fail(a, "%d of them run", running);
		if (qmp_now_ms() >= deadline_ms)
			return args_fail(a, "none of them runs after %u ms", ms);
		pump_once(&a->run->lab.pump, qmp_now_ms() + EXPECT_LOOK_MS);
	}
	show_held(a->run, a->line->text);
	return 0;
}

int verb_expect(struct args *a)
{
	struct guest *g;

	if (args_take(a, "says"))
		return expect_says(a);
	if (args_take(a, "refusal"))
		return expect_refusal(a);
	if (args_take(a, "one")) {
		if (args_take(a, "of"))
			return expect_one(a);
		return args_fail(a, "\"one of\" is meant, perhaps");
	}
	if (args_guest(a, &g) < 0)
		return -EINVAL;
	if (args_take(a, "gone"))
		return expect_life(a, g, true);
	if (args_take(a, "alive"))
		return expect_life(a, g, false);
	return expect_views(a, g);
}
