/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one hostile guest costs 99 others: requests a second, and the 99th percentile of how
 * long one takes, with it and without it, in turns. The rows are those of
 * docs/hostile-peers.md that go on and on; the others end with their first words.
 *
 *	bench_hostile [NAME...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fleet/daemon.h"
#include "../fleet/hostile.h"

#define OTHERS	 99
#define EACH	 2
#define ROUNDS	 5
#define ROUND_MS 60000
#define AGAIN_MS 40000
#define TARGET	 0.05
#define CONFIG	 "[lockstepd]\nhello-limit = 10min\nreconnect-limit = 500ms\n"

static struct fleet *fleet;
static struct under_test *under;

/* Of one round, or the median of several. */
struct figures {
	double rate, p99_us;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct figures round_of_others(void)
{
	struct figures f = { 0 };
	struct load load;

	if (!load_run(under, 1, OTHERS, EACH, ROUND_MS, &load) || load.failed) {
		printf("bench_hostile: a request of another guest failed: %s\n", load.text);
		exit(1);
	}
	f.rate = load.ended / load.seconds;
	f.p99_us = load_us(&load, 0.99);
	load_done(&load);
	return f;
}

static struct figures median(const struct figures *of)
{
	double rate[ROUNDS], p99[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		rate[i] = of[i].rate;
		p99[i] = of[i].p99_us;
	}
	qsort(rate, ROUNDS, sizeof(double), compare);
	qsort(p99, ROUNDS, sizeof(double), compare);
	return (struct figures){ rate[ROUNDS / 2], p99[ROUNDS / 2] };
}

static void become(struct fleet_port *p, const struct hostile *h)
{
	unsigned before = p->connections;
	uint64_t until_ms = qmp_now_ms() + AGAIN_MS;

	p->hostile = h;
	port_hang_up(p);
	if (!h)
		daemon_await_ready(under, 0, AGAIN_MS);
	if (h && !under->asker[0].out)
		load_begin(under, 0, 1);
	while (h && p->connections == before && qmp_now_ms() < until_ms)
		loop_run(fleet->loop, 10);
}

static bool measure(const struct hostile *h, struct fleet_port *p)
{
	struct figures calm[ROUNDS], harm[ROUNDS], without, with;
	double rate, p99;

	for (int i = 0; i < ROUNDS; i++) {
		become(p, NULL);
		calm[i] = round_of_others();
		become(p, h);
		harm[i] = round_of_others();
	}
	become(p, NULL);
	without = median(calm);
	with = median(harm);
	rate = with.rate / without.rate;
	p99 = with.p99_us / without.p99_us;
	printf("  %-18s %8.1f/s %8.1f ms   without %8.1f/s %8.1f ms   %5.3f %5.3f  (%s)\n", h->name,
	       with.rate, with.p99_us / 1e3, without.rate, without.p99_us / 1e3, rate, p99,
	       rate >= 1 - TARGET && p99 <= 1 + TARGET ? "met" : "missed");
	return rate >= 1 - TARGET && p99 <= 1 + TARGET;
}

static bool is_named(const struct hostile *h, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], h->name))
			return true;
	return argc == 1 && (h->tick || h->begin || h->reply);
}

static bool measure_all(const struct hostile *rows, struct fleet_port *p, int argc, char **argv)
{
	bool met = true;

	for (; rows->name; rows++)
		if (is_named(rows, argc, argv))
			met &= measure(rows, p);
	return met;
}

int main(int argc, char **argv)
{
	char lockstepd[512];
	sd_event *loop;
	bool met;

	if (sd_event_new(&loop) < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	daemon_program(argv[0], lockstepd, sizeof(lockstepd));
	fleet = fleet_new(loop, OTHERS + 1);
	under = daemon_start(fleet, lockstepd, CONFIG);
	daemon_await_ready(under, 0, AGAIN_MS);
	printf("%d guests with a hostile one among them: requests a second, p99; medians of %d "
	       "rounds in turns; the parts (targets %.2f, %.2f)\n",
	       OTHERS, ROUNDS, 1 - TARGET, 1 + TARGET);
	met = measure_all(hostile_agents, &fleet->guest[0].agent, argc, argv);
	met &= measure_all(hostile_qemus, &fleet->guest[0].qemu, argc, argv);
	daemon_stop(under);
	fleet_free(fleet);
	sd_event_unref(loop);
	return !met;
}
