/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it costs to put a record into the daemon's journal: groups of 1, 8 and 64 that
 * wait together, beside bare SQLite that commits one row of the same size, with the same
 * settings, in a file of its own. Rounds of all alternate; the medians count.
 *
 *	bench_store [DIRECTORY]        on the disk to be measured; otherwise under /var/tmp
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "../../coordinator/store/store.h"

#define ROUNDS	   201
#define TEXT_BYTES 1500 /* a plug of four vCPUs */
#define TARGET	   1.5	/* a commit of ours beside a bare one: a step and a sum more */

static const unsigned sizes[] = { 1, 8, 64 };
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), BARE = SIZES, KINDS };

static sd_event *loop;
static struct store *store;
static sqlite3 *sql;
static sqlite3_stmt *insert;
static unsigned answered, failed, number;
static char text[TEXT_BYTES + 1];

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void on_done(void *arg, const struct ls_err *err)
{
	(void)arg;
	answered++;
	failed += err->code != 0;
}

static void ask(void)
{
	char txn[16];
	struct store_record r = { .txn = txn,
				  .guest = "vm1",
				  .op = "vcpus",
				  .row = "row",
				  .text = text,
				  .boot = "boot",
				  .seq = ++number };

	snprintf(txn, sizeof(txn), "t%u", number % 100);
	if (store_write(store, &r, on_done, NULL, NULL) < 0)
		abort();
}

static double group_us(unsigned size)
{
	double from = now_us();

	answered = 0;
	for (unsigned i = 0; i < size; i++)
		ask();
	while (answered < size)
		if (sd_event_run(loop, UINT64_MAX) < 0)
			abort();
	return now_us() - from;
}

/* The same row each hundredth time, as ours. */
static double bare_us(void)
{
	static unsigned n;
	double from = now_us();

	sqlite3_bind_int(insert, 1, (int)(n++ % 100));
	sqlite3_bind_text(insert, 2, text, TEXT_BYTES, SQLITE_STATIC);
	sqlite3_step(insert);
	if (sqlite3_reset(insert) != SQLITE_OK)
		abort();
	return now_us() - from;
}

static void open_bare(const char *dir)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/bare.db", dir);
	if (sqlite3_open(path, &sql) ||
	    sqlite3_exec(sql,
			 "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
			 "PRAGMA synchronous=FULL; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)",
			 NULL, NULL, NULL) ||
	    sqlite3_prepare_v2(sql, "INSERT OR REPLACE INTO t VALUES(?, ?)", -1, &insert, NULL)) {
		fprintf(stderr, "bench_store: %s: %s\n", path, sqlite3_errmsg(sql));
		exit(1);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(double *ret_median)
{
	static double us[KINDS][ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		for (int kind = 0; kind < (int)SIZES; kind++)
			us[kind][i] = group_us(sizes[kind]);
		us[BARE][i] = bare_us();
	}
	for (int kind = 0; kind < KINDS; kind++) {
		qsort(us[kind], ROUNDS, sizeof(double), compare);
		ret_median[kind] = us[kind][ROUNDS / 2];
	}
}

/* Of this process, in KiB; 0: the kernel does not say. */
static long rss_anon_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "RssAnon:", 8))
			kib = strtol(line + 8, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static void report(const double *median)
{
	double ratio = median[0] / median[BARE];

	printf("journal, records of %d bytes, median of %d rounds, us\n", TEXT_BYTES, ROUNDS);
	printf("  %-33s %8.1f\n", "bare SQLite, one row a commit", median[BARE]);
	for (int kind = 0; kind < (int)SIZES; kind++)
		printf("  records that wait together: %-5u %8.1f      (%.1f a record)\n",
		       sizes[kind], median[kind], median[kind] / sizes[kind]);
	printf("  %-33s %8.3f      (target %.2f: %s)\n", "one record/bare", ratio, TARGET,
	       ratio <= TARGET ? "met" : "missed");
	printf("  %-33s %8.3f\n", "each of 64/bare", median[SIZES - 1] / 64 / median[BARE]);
}

int main(int argc, char **argv)
{
	const struct store_limits limits = { 1000, 1 << 24, 30, 10000, 1000 };
	char dir[150], command[200];
	double median[KINDS];
	struct ls_err err;
	long kib = rss_anon_kib();

	snprintf(dir, sizeof(dir), "%.100s/lockstep-bench-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
	memset(text, 'x', TEXT_BYTES);
	if (!mkdtemp(dir) || sd_event_new(&loop) < 0)
		abort();
	if (store_open(loop, dir, &limits, &err, &store) < 0) {
		fprintf(stderr, "bench_store: %s\n", err.text);
		return 1;
	}
	for (unsigned i = 0; i < 10; i++)
		group_us(64);
	kib = rss_anon_kib() - kib;
	open_bare(dir);
	measure(median);
	report(median);
	printf("  %-33s %8ld KiB  (after 640 records; the daemon's budget is 4096)\n",
	       "memory of a store (RssAnon)", kib);
	store_close(store);
	sqlite3_finalize(insert);
	sqlite3_close(sql);
	sd_event_unref(loop);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) || failed;
}
