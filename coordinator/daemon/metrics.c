/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters and histograms.
 *
 * The number of series is bounded, whatever a guest says: labels are names of ours, or a
 * word of a list, or "other".
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/wire.h>

#include "board.h"
#include "../store/store.h"

#define ROWS_MAX 64 /* names of rows in all tables; more are not counted */

/* Upper bounds: a row that finds all as it is, takes a look or two, or waits for a guest. */
static const unsigned bounds_ms[] = { 5, 20, 100, 500, 2000, 5000, 15000, 60000 };
#define N_BOUNDS (sizeof(bounds_ms) / sizeof(bounds_ms[0]))

/* Classes of errors: the agent's, QEMU's (qapi/error.json), and names of errno. */
static const char *const classes[] = {
#define E(id, class, doc) class,
	LS_WIRE_ERRORS(E)
#undef E
		"GenericError",
	"CommandNotFound",
	"DeviceNotActive",
	"KVMMissingCap",
	"ECANCELED",
	"ETIMEDOUT",
	"EPIPE",
	"EBUSY",
	"EINVAL",
	"EPERM",
	"ENOTCONN",
	"ENOSPC",
	"EIO",
	"other",
};
#define N_CLASSES (sizeof(classes) / sizeof(classes[0]))

/**
 * struct row_count - How long a row took
 * @bucket: those that took no longer than its bound, and no less than the one before;
 *          the last one: longer than all
 */
struct row_count {
	const char *name;
	_Atomic uint64_t bucket[N_BOUNDS + 1], sum_ms;
};

/**
 * struct metrics - All of them
 * @n_rows: of @row that are in use: published after the name is there
 */
struct metrics {
	_Atomic uint64_t ended[WISH_COUNT][END_COUNT];
	_Atomic uint64_t failed[N_CLASSES];
	struct row_count row[ROWS_MAX];
	_Atomic unsigned n_rows;
};

struct metrics *metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *m)
{
	free(m);
}

/* ---- counting ---------------------------------------------------------------------- */

static void add(_Atomic uint64_t *n, uint64_t by)
{
	atomic_fetch_add_explicit(n, by, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static unsigned class_index(const struct ls_err *err)
{
	const char *name = err->class[0] ? err->class : strerrorname_np(-err->code);
	unsigned i;

	for (i = 0; i < N_CLASSES - 1; i++)
		if (name && !strcmp(name, classes[i]))
			break;
	return i;
}

void metrics_ended(struct metrics *m, enum wish_kind kind, enum txn_end end,
		   const struct ls_err *why)
{
	if (!m)
		return;
	add(&m->ended[kind][end], 1);
	if (end != END_DONE)
		add(&m->failed[class_index(why)], 1);
}

static struct row_count *row_find(struct metrics *m, const char *name)
{
	unsigned n = atomic_load_explicit(&m->n_rows, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(m->row[i].name, name))
			return &m->row[i];
	if (n == ROWS_MAX)
		return NULL;
	m->row[n].name = name;
	atomic_store_explicit(&m->n_rows, n + 1, memory_order_release);
	return &m->row[n];
}

void metrics_row(struct metrics *m, const char *row, uint64_t took_ms)
{
	struct row_count *r = m && row ? row_find(m, row) : NULL;
	unsigned i = 0;

	if (!r)
		return;
	while (i < N_BOUNDS && took_ms > bounds_ms[i])
		i++;
	add(&r->bucket[i], 1);
	add(&r->sum_ms, took_ms);
}

/* ---- telling ------------------------------------------------------------------------- */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void count_state(void *arg, const struct seen *s)
{
	unsigned *by_state = arg;

	by_state[s->state]++;
}

static void print_guests(FILE *f, struct board *board)
{
	unsigned by_state[LANE_STATE_COUNT] = { 0 };

	board_begin();
	board_each(board, count_state, by_state);
	board_end();
	head(f, "lockstep_guests", "gauge", "Guests by state.");
	for (unsigned i = 0; i < LANE_STATE_COUNT; i++)
		fprintf(f, "lockstep_guests{state=\"%s\"} %u\n", lane_state_name(i), by_state[i]);
}

static void print_ended(FILE *f, const struct metrics *m)
{
	head(f, "lockstep_operations_total", "counter",
	     "Requests that have ended, by what was asked and how it ended.");
	for (unsigned kind = 0; kind < WISH_COUNT; kind++)
		for (unsigned end = END_NONE + 1; end < END_COUNT; end++)
			fprintf(f,
				"lockstep_operations_total{operation=\"%s\",end=\"%s\"} %" PRIu64
				"\n",
				wish_verb(kind), txn_end_name(end), get(&m->ended[kind][end]));
}

static void print_failed(FILE *f, const struct metrics *m)
{
	head(f, "lockstep_failures_total", "counter",
	     "Requests that did not end as done, by class of error.");
	for (unsigned i = 0; i < N_CLASSES; i++)
		fprintf(f, "lockstep_failures_total{class=\"%s\"} %" PRIu64 "\n", classes[i],
			get(&m->failed[i]));
}

/* Prometheus' buckets are cumulative. */
static void print_row(FILE *f, const struct row_count *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < N_BOUNDS; i++) {
		n += get(&r->bucket[i]);
		fprintf(f,
			"lockstep_row_duration_seconds_bucket{row=\"%s\",le=\"%g\"} %" PRIu64 "\n",
			r->name, bounds_ms[i] / 1000.0, n);
	}
	n += get(&r->bucket[N_BOUNDS]);
	fprintf(f,
		"lockstep_row_duration_seconds_bucket{row=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
		"lockstep_row_duration_seconds_sum{row=\"%s\"} %.3f\n"
		"lockstep_row_duration_seconds_count{row=\"%s\"} %" PRIu64 "\n",
		r->name, n, r->name, (double)get(&r->sum_ms) / 1000, r->name, n);
}

static void print_rows(FILE *f, const struct metrics *m)
{
	unsigned n = atomic_load_explicit(&m->n_rows, memory_order_acquire);

	if (!n)
		return;
	head(f, "lockstep_row_duration_seconds", "histogram",
	     "How long a row of a transaction took, done or failed.");
	for (unsigned i = 0; i < n; i++)
		print_row(f, &m->row[i]);
}

void metrics_print(FILE *f, const struct metrics *m, struct board *board, const struct store *store)
{
	head(f, "lockstep_build_info", "gauge", "The version that runs; always 1.");
	fprintf(f, "lockstep_build_info{version=\"%s\"} 1\n", LOCKSTEP_VERSION);
	if (board)
		print_guests(f, board);
	print_ended(f, m);
	print_failed(f, m);
	print_rows(f, m);
	if (!store)
		return;
	head(f, "lockstep_journal_commits_total", "counter",
	     "Transactions of the journal's file that the disk has confirmed.");
	fprintf(f, "lockstep_journal_commits_total %" PRIu64 "\n", store_commits(store));
}
