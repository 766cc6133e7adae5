/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lockstepd costs its host: memory and processor time with no guest, and with a
 * thousand that are connected, first idle, then each with a vCPU more and a vCPU less.
 * The guests are fakes (tests/fleet) in this process; the daemon is the real one.
 *
 *	bench_daemon [GUESTS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../coordinator/daemon/files.h"
#include "../fleet/daemon.h"

#define CONFIG	    "[lockstepd]\nmax-guests = 10000\nhello-limit = 10min\n"
#define GUESTS	    1000
#define CLIENTS	    64 /* max-clients */
#define READY_MS    120000
#define WORK_MS	    600000
#define IDLE_MS	    10000
#define BASE_KIB    4096 /* the budget: so much, and so much a guest */
#define GUEST_KIB   64
#define IDLE_TARGET 0.01 /* of one processor, with all guests */

static int missed;

static void row(const char *what, double value, const char *unit)
{
	printf("  %-44s %10.1f %s\n", what, value, unit);
}

static void row_limit(const char *what, double value, double limit, const char *unit)
{
	bool met = value <= limit;

	missed |= !met;
	printf("  %-44s %10.1f %s  (target %.1f: %s)\n", what, value, unit, limit,
	       met ? "met" : "missed");
}

static void measure_none(sd_event *loop, const char *lockstepd)
{
	struct fleet *f = fleet_new(loop, 0);
	struct under_test *d = daemon_start(f, lockstepd, "");

	row_limit("no guest: RssAnon", (double)daemon_rss_kib(d), BASE_KIB, "KiB");
	daemon_stop(d);
	fleet_free(f);
}

static void measure_idle(struct under_test *d)
{
	double from_us = daemon_cpu_us(d);

	loop_run(d->fleet->loop, IDLE_MS);
	row_limit("idle: of one processor", (daemon_cpu_us(d) - from_us) / (IDLE_MS * 1e3) * 100,
		  IDLE_TARGET * 100, "%");
}

static void measure_work(struct under_test *d, unsigned guests, double limit_kib)
{
	double from_us = daemon_cpu_us(d);
	struct load load;

	if (!load_run(d, 0, guests, 2, WORK_MS, &load) || load.failed) {
		printf("bench_daemon: %u requests failed; %s\n", load.failed, load.text);
		missed = 1;
	}
	row("working: requests a second", load.ended / load.seconds, "/s");
	row("working: p50 of a request", load_us(&load, 0.5) / 1e3, "ms");
	row("working: p99", load_us(&load, 0.99) / 1e3, "ms");
	row("working: processor time a request",
	    (daemon_cpu_us(d) - from_us) / (load.ended ? load.ended : 1) / 1e3, "ms");
	row_limit("after the work: RssAnon", (double)daemon_rss_kib(d), limit_kib, "KiB");
	load_done(&load);
}

static void measure(sd_event *loop, const char *lockstepd, unsigned guests)
{
	double limit_kib = BASE_KIB + (double)guests * GUEST_KIB;
	struct fleet *f = fleet_new(loop, guests);
	struct under_test *d = daemon_start(f, lockstepd, CONFIG);
	int ms = daemon_await_ready(d, 0, READY_MS);
	long kib;

	if (ms < 0) {
		printf("bench_daemon: not every guest became ready; see %s/log\n", f->dir);
		exit(1);
	}
	row("until all are ready", ms, "ms");
	kib = daemon_rss_kib(d);
	row_limit("idle: RssAnon", (double)kib, limit_kib, "KiB");
	row_limit("idle: open files", daemon_files(d), files_needed(guests, CLIENTS), "");
	measure_idle(d);
	measure_work(d, guests, limit_kib);
	daemon_stop(d);
	fleet_free(f);
}

int main(int argc, char **argv)
{
	unsigned guests = argc > 1 ? (unsigned)atoi(argv[1]) : GUESTS;
	char lockstepd[512];
	sd_event *loop;

	daemon_program(argv[0], lockstepd, sizeof(lockstepd));
	if (sd_event_new(&loop) < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("lockstepd with %u guests\n", guests);
	measure_none(loop, lockstepd);
	measure(loop, lockstepd, guests);
	sd_event_unref(loop);
	return missed;
}
