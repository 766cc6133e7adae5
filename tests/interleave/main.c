/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs every schedule of the cases and prints TAP; of one that is wrong the steps, and how
 * to have it again.
 *
 *	interleave [--long] [--bound N] [--all] [CASE...]
 *	interleave --replay CHOICES CASE
 *
 * --long: as many preemptions as a case is looked at with in `make check-long`; --bound: as
 * many as this; --all: also schedules that differ in the order of independent
 * steps only.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "sched.h"

#define AT_LONGEST  (-1)
#define AS_USUAL    (-2)
#define CHOICE_TEXT 1024

static const char *const kind_names[] = {
	[OP_NONE] = "",		[OP_LOCK] = "lock",	[OP_TRY] = "trylock", [OP_SLEEP] = "wait",
	[OP_WAKE] = "wakes up", [OP_SIGNAL] = "signal", [OP_JOIN] = "join",   [OP_KILL] = "kill",
	[OP_POINT] = "step",	[OP_UNTIL] = "until",
};

/* ---- where in the code ------------------------------------------------------------- */

/**
 * struct site - What a return address is
 * @text: "function (file:line)" of the innermost function that is no inline helper
 */
struct site {
	const void *at;
	char text[160];
};

static struct site sites[SCHED_STEPS_MAX];
static int n_sites;

static void add_site(const void *at)
{
	int i;

	for (i = 0; i < n_sites; i++)
		if (sites[i].at == at)
			return;
	sites[n_sites++].at = at;
}

static const char *site_text(const void *at)
{
	int i;

	for (i = 0; i < n_sites; i++)
		if (sites[i].at == at)
			return sites[i].text;
	return "";
}

/* addr2line -a -f -i: an address, then pairs of lines, the innermost function first. */
static void read_sites(FILE *f)
{
	char fn[256], where[512];
	struct site *s = NULL;
	const char *file;
	void *at;

	while (fgets(fn, sizeof(fn), f)) {
		fn[strcspn(fn, "\n")] = '\0';
		if (sscanf(fn, "%p", &at) == 1 && !strncmp(fn, "0x", 2)) {
			for (s = sites; s->at != (char *)at + 1 && s < sites + n_sites - 1; s++)
				;
			continue;
		}
		if (!s || !fgets(where, sizeof(where), f) || s->text[0] ||
		    strstr(where, "cleanup.h"))
			continue;
		where[strcspn(where, " \n")] = '\0';
		file = strrchr(where, '/');
		snprintf(s->text, sizeof(s->text), "%.60s (%.60s)", fn, file ? file + 1 : where);
	}
}

/* The address is where the call returns to: the call is one before. */
static void find_sites(void)
{
	char exe[256], *command = NULL;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	size_t size;
	FILE *f;
	int i;

	for (n_sites = i = 0; i < sched.n_steps; i++)
		if (sched.step[i].site)
			add_site(sched.step[i].site);
	f = open_memstream(&command, &size);
	fprintf(f, "addr2line -a -f -i -e %.*s", n > 0 ? (int)n : 0, exe);
	for (i = 0; i < n_sites; i++)
		fprintf(f, " %p", (void *)((char *)sites[i].at - 1));
	fprintf(f, " 2>/dev/null");
	fclose(f);
	f = popen(command, "r");
	if (f) {
		read_sites(f);
		pclose(f);
	}
	free(command);
}

/* ---- a schedule that is wrong --------------------------------------------------------- */

static void print_step(int i, const struct step *s)
{
	printf("# %4d. %-12s %-9s %s%s%s\n", i, s->thread->name,
	       s->what ? s->what : kind_names[s->kind], s->site ? site_text(s->site) : "",
	       s->late ? " [its time is over]" : "", s->preempts ? " [preempts]" : "");
}

static void print_waiting(void)
{
	const struct thread *t;

	for (t = sched.thread; t < sched.thread + sched.n; t++)
		if (!t->done && !t->killed)
			printf("# then %s is at: %s%s%s\n", t->name,
			       t->next.what ? t->next.what : kind_names[t->next.kind],
			       t->next.on && t->next.on->owner ? " of " : "",
			       t->next.on && t->next.on->owner ? t->next.on->owner->name : "");
}

static void print_wrong(const struct sched_case *c)
{
	char choices[CHOICE_TEXT];
	int i;

	find_sites();
	for (i = 0; i < sched.n_steps; i++)
		print_step(i + 1, &sched.step[i]);
	print_waiting();
	explore_choices(choices, sizeof(choices));
	printf("# again: interleave --replay '%s' %s\n", choices, c->name);
}

/* ---- the cases --------------------------------------------------------------------------- */

static long ms(void)
{
	struct timespec now;

	timespec_get(&now, TIME_UTC);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* With no preemption first, then one more each time: the first mistake is a short one. */
static bool search_up_to(const struct sched_case *c, int bound, bool all, struct count *count,
			 unsigned long *ret_before)
{
	bool right;
	int b = 0;

	*ret_before = 0;
	while ((right = explore(c, b, all, count)) && b++ < bound)
		*ret_before += count->runs;
	return right;
}

static bool try_case(const struct sched_case *c, int n, int bound, bool all)
{
	unsigned long before;
	struct count count;
	long since = ms();
	bool right;

	if (bound < 0)
		bound = bound == AT_LONGEST ? c->longest : c->bound;
	sched.bare = all;
	right = search_up_to(c, bound, all, &count, &before);
	if (!right && c->expect && strstr(sched.wrong, c->expect)) {
		printf("ok %d - %s: found after %lu schedules: %s\n", n, c->name,
		       before + count.runs, sched.wrong);
		return true;
	}
	if (right && !c->expect) {
		printf("ok %d - %s: %lu schedules, bound %d, 0 violations "
		       "(longest %d steps, %lu merged, %ld ms)\n",
		       n, c->name, count.runs, bound, count.longest, count.merged, ms() - since);
		return true;
	}
	printf("not ok %d - %s: after %lu schedules: %s\n", n, c->name, before + count.runs,
	       right ? "the mistake was not found" : sched.wrong);
	if (!right)
		print_wrong(c);
	return false;
}

static const struct sched_case *find_case(const char *name)
{
	const struct sched_case *c;

	for (c = cases; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	fprintf(stderr, "interleave: no case '%s'; there are:", name);
	for (c = cases; c->name; c++)
		fprintf(stderr, " %s", c->name);
	fprintf(stderr, "\n");
	exit(2);
}

static int replay(const char *name, const char *choices)
{
	const struct sched_case *c = find_case(name);
	bool right = explore_again(c, choices);

	printf("1..1\n%sok 1 - %s: %s\n", right ? "" : "not ", name, right ? "" : sched.wrong);
	print_wrong(c);
	return !right;
}

static int all_cases(int bound, bool all)
{
	const struct sched_case *c;
	int n = 0, bad = 0;

	for (c = cases; c->name; c++)
		n++;
	printf("1..%d\n", n);
	for (c = cases; c->name; c++)
		bad |= !try_case(c, (int)(c - cases) + 1, bound, all);
	return bad;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "bound", required_argument, NULL, 'b' },
						 { "replay", required_argument, NULL, 'r' },
						 { "long", no_argument, NULL, 'l' },
						 { "all", no_argument, NULL, 'a' },
						 { 0 } };
	const char *choices = NULL;
	int c, i, bound = AS_USUAL, bad = 0;
	bool all = false;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'b')
			bound = abs(atoi(optarg));
		else if (c == 'l')
			bound = AT_LONGEST;
		else if (c == 'r')
			choices = optarg;
		else if (c == 'a')
			all = true;
		else
			return 2;
	}
	if (choices)
		return optind < argc ? replay(argv[optind], choices) : 2;
	if (optind == argc)
		return all_cases(bound, all);
	printf("1..%d\n", argc - optind);
	for (i = optind; i < argc; i++)
		bad |= !try_case(find_case(argv[i]), i - optind + 1, bound, all);
	return bad;
}
