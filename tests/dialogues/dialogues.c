/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Holds one dialogue, and compares its two sides.
 *
 *	dialogues                 names them
 *	dialogues guests NAME     what its guests are to be
 *	dialogues NAME LAB        the guests are those of LAB, as `harness up` writes it
 */
#include "dialogues.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include <lockstep/log.h>

/* What the host's hooks say: nothing of it is compared. */
void log_sink(int priority, const char *fmt, ...)
{
	(void)priority, (void)fmt;
}

/* Side by side, with a bar between what differs. Return: whether nothing does. */
static bool same(const char *what, const struct record *real, const struct record *fake)
{
	unsigned n = real->n > fake->n ? real->n : fake->n;
	bool all = true;

	if (n)
		printf("# %s\n", what);
	for (unsigned i = 0; i < n; i++) {
		const char *a = i < real->n ? real->line[i] : "-";
		const char *b = i < fake->n ? fake->line[i] : "-";

		all &= !strcmp(a, b);
		printf("#   %-40s %s %s\n", a, strcmp(a, b) ? "|" : " ", strcmp(a, b) ? b : "");
	}
	return all;
}

static int compare(const struct dialogue *d, const struct story *real, const struct story *fake)
{
	bool alike = same("rows", &real->talk, &fake->talk);

	alike &= same("events", &real->events[SIDE_SRC], &fake->events[SIDE_SRC]);
	alike &=
		same("events of the destination", &real->events[SIDE_DST], &fake->events[SIDE_DST]);
	printf("%sok 1 - %s: %u rows, %u events\n", alike ? "" : "not ", d->name, real->talk.n,
	       real->events[SIDE_SRC].n + real->events[SIDE_DST].n);
	return !alike;
}

static int hold(const struct dialogue *d, const char *harness, const char *lab)
{
	static struct story real_s, fake_s;
	struct ls_err err = { 0 };
	struct real *real = real_prepare(d, harness, lab, &real_s, &err);

	puts("1..1");
	if (!real) {
		printf("not ok 1 - %s: %s\n", d->name, err.text);
		return 1;
	}
	fake_hold(d, real_seen(real), &fake_s);
	real_hold(real, &fake_s);
	real_free(real);
	return compare(d, &real_s, &fake_s);
}

static const struct dialogue *find(const char *name)
{
	for (unsigned i = 0; i < n_dialogues; i++)
		if (!strcmp(dialogues[i].name, name))
			return &dialogues[i];
	return NULL;
}

int main(int argc, char **argv)
{
	bool guests = argc == 3 && !strcmp(argv[1], "guests");
	const struct dialogue *d = argc == 3 ? find(argv[guests ? 2 : 1]) : NULL;
	char harness[512];

	for (unsigned i = 0; i < n_dialogues && argc == 1; i++)
		puts(dialogues[i].name);
	if (guests && d)
		puts(d->guests ? d->guests : GUESTS);
	if (guests || !d)
		return argc == 1 || d ? 0 : 2;
	snprintf(harness, sizeof(harness), "%s/harness", dirname(argv[0]));
	return hold(d, harness, argv[2]);
}
