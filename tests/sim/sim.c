/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The simulation: lives of guests in worlds that are slow, half there and unlucky, run by
 * the coordinator's own engine in virtual time.
 *
 *	sim --seed N [--trace]            one life; its hash, and with --trace its story
 *	sim --seeds A-B [--jobs J]        many; the hash of all, and what was struck how often
 *
 * A broken rule prints the story of its transaction and the command that shows it again.
 */
#include "life.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64
#define TWICE	 5   /* seeds of a process that are run a second time */
#define LEAST	 100 /* how often each cell is struck by the seeds of `make check` */

static struct story story;
static struct life life;

/* What a process with a share of the seeds tells in the end; @broken: the seed that broke a rule.
 */
struct sums {
	uint64_t hash;
	unsigned ends[END_COUNT];
	uint64_t broken;
	char why[256];
};

static struct sums sums;
static int tell_fd = -1; /* -1: this is no such process */

static void tell(void)
{
	if (write(tell_fd, &sums, sizeof(sums)) == sizeof(sums))
		cover_write(tell_fd);
	exit(sums.why[0] != 0);
}

static _Noreturn void broken(const char *why)
{
	sums.broken = life.seed;
	snprintf(sums.why, sizeof(sums.why), "%s", why);
	if (tell_fd >= 0)
		tell();
	fflush(stdout);
	if (!story.show)
		fputs(story.kept, stderr);
	fprintf(stderr, "seed %llu: %s\nbuild/sim --seed %llu --trace shows it again\n",
		(unsigned long long)life.seed, why, (unsigned long long)life.seed);
	exit(1);
}

void world_failed(const struct world *w, const char *why)
{
	(void)w;
	broken(why);
}

/* ---- one seed -------------------------------------------------------------------- */

static uint64_t run_seed(uint64_t seed, bool show)
{
	story_begin(&story, show);
	life_run(&life, seed, &story);
	return story.hash;
}

static int one_seed(uint64_t seed, bool show)
{
	uint64_t hash = run_seed(seed, show), again;

	if (show) {
		printf("seed %llu: %016llx\n", (unsigned long long)seed, (unsigned long long)hash);
		return 0;
	}
	again = run_seed(seed, false);
	printf("seed %llu: %016llx, and again %016llx\n", (unsigned long long)seed,
	       (unsigned long long)hash, (unsigned long long)again);
	return hash != again;
}

/* ---- many ------------------------------------------------------------------------ */

/*
 * Seeds whose lives broke a rule once, and what was wrong: they are run with every range. A
 * seed is the same life as long as nobody changes what is drawn.
 */
static const uint64_t kept[] = {
	5018,	/* vcpus down undone: a silent qemu-ga's vCPU counted as offline before */
	43711,	/* migrate done: a lie about what a silent QEMU had not even heard */
	509603, /* migrate undone: a user in the fake guest changed a CPU in somebody's hands */
	689686, /* vcpus down undone: a user's offline CPU hid that what came back was, too */
	886603, /* vcpus down undone: a rival got the lock while work was done under it */
	244446, /* migrate done: the fake let what was asked before undo what a user did since */
};

/**
 * struct job - A process with its share of the seeds: every @of-th from @first
 * @fd: on which it sends its sums when it is done; @keeps: it runs those that are kept, too
 */
struct job {
	pid_t pid;
	int fd;
	bool keeps;
	uint64_t first, last;
	unsigned of;
};

/* Its first broken rule ends it. The first few seeds are run twice: that is the same run. */
static void work(const struct job *job, int fd)
{
	unsigned n = 0;

	tell_fd = fd;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && job->keeps; i++)
		run_seed(kept[i], false);
	for (uint64_t seed = job->first; seed <= job->last; seed += job->of) {
		uint64_t hash = run_seed(seed, false);

		if (n++ < TWICE && run_seed(seed, false) != hash)
			broken("it was another run when it was run again");
		sums.hash += hash * (2 * seed + 1);
	}
	memcpy(sums.ends, life.ends, sizeof(sums.ends));
	tell();
}

static bool start(struct job *job)
{
	int fds[2];

	if (pipe(fds) < 0)
		return false;
	fflush(stdout);
	job->pid = fork();
	if (job->pid == 0)
		work(job, fds[1]);
	close(fds[1]);
	job->fd = fds[0];
	return job->pid > 0;
}

/* The first seed of all that broke a rule is the one that is told. */
static void collect(struct job *job, struct sums *all)
{
	struct sums one = { 0 };
	int status = 0;

	if (read(job->fd, &one, sizeof(one)) != sizeof(one))
		snprintf(one.why, sizeof(one.why), "the process that had it has ended");
	cover_add(job->fd);
	close(job->fd);
	waitpid(job->pid, &status, 0);
	all->hash += one.hash;
	for (unsigned i = 0; i < END_COUNT; i++)
		all->ends[i] += one.ends[i];
	if (one.why[0] && (!all->why[0] || one.broken < all->broken)) {
		all->broken = one.broken;
		memcpy(all->why, one.why, sizeof(all->why));
	}
}

static void print_sums(uint64_t n, const struct sums *all)
{
	printf("# %llu seeds, %d transactions each, hash %016llx\n# ends:", (unsigned long long)n,
	       LIFE_TXNS, (unsigned long long)all->hash);
	for (unsigned i = 0; i < END_COUNT; i++)
		printf(" %s %u%s", i ? txn_end_name((enum txn_end)i) : "not begun", all->ends[i],
		       i + 1 < END_COUNT ? "," : "\n");
}

/* As TAP: no rule broken; every cell struck often enough. */
static int many_seeds(uint64_t from, uint64_t to, unsigned n_jobs)
{
	struct job jobs[JOBS_MAX] = { 0 };
	struct sums all = { 0 };
	struct least least;

	for (unsigned i = 0; i < n_jobs; i++) {
		jobs[i] = (struct job){
			.keeps = i == 0, .first = from + i, .last = to, .of = n_jobs
		};
		if (!start(&jobs[i]))
			exit(1);
	}
	for (unsigned i = 0; i < n_jobs; i++)
		collect(&jobs[i], &all);
	print_sums(to - from + 1, &all);
	least = cover_print();
	printf("1..2\n%sok 1 - ", all.why[0] ? "not " : "");
	if (all.why[0])
		printf("seed %llu: %s\n", (unsigned long long)all.broken, all.why);
	else
		printf("no rule is broken by seeds %llu to %llu\n", (unsigned long long)from,
		       (unsigned long long)to);
	printf("%sok 2 - each of %u cells was struck at least %d times: least %u\n",
	       least.n >= LEAST ? "" : "not ", least.of, LEAST, least.n);
	if (all.broken)
		run_seed(all.broken, false); /* again, with its story */
	return !all.why[0] && least.n >= LEAST ? 0 : 1;
}

/* ---- the command line -------------------------------------------------------------- */

static int usage(void)
{
	fprintf(stderr, "usage: sim --seed N [--trace] | sim --seeds A-B [--jobs J]\n");
	return 2;
}

static bool number(const char **s, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(*s, &end, 10);
	if (errno || end == *s || **s == '-')
		return false;
	*s = end;
	return true;
}

static bool range(const char *s, uint64_t *ret_from, uint64_t *ret_to)
{
	return number(&s, ret_from) && *s++ == '-' && number(&s, ret_to) && !*s &&
	       *ret_from <= *ret_to;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seeds", required_argument, NULL, 'm' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "trace", no_argument, NULL, 't' },
		{ 0 },
	};
	uint64_t from = 0, to = 0, jobs = 1;
	bool one = false, many = false, trace = false;
	const char *arg;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		arg = optarg;
		if (c == 's' && number(&arg, &from) && !*arg)
			one = true;
		else if (c == 'm' && range(arg, &from, &to))
			many = true;
		else if (c == 't')
			trace = true;
		else if (c != 'j' || !number(&arg, &jobs) || *arg || !jobs || jobs > JOBS_MAX)
			return usage();
	}
	if (optind < argc || one == many)
		return usage();
	return one ? one_seed(from, trace) : many_seeds(from, to, (unsigned)jobs);
}
