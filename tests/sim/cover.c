/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rows x faults: how often each fault struck in each row; and ways x faults.
 *
 * The cells are those in which a fault can strike. They are gone through in a fixed
 * order that mixes them, so that a range of seeds has each of them equally often.
 */
#include "life.h"

#include "../../coordinator/core/table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FAULTS_MAX 48
#define PACE_MAX   1000
#define CELLS_MAX  (OPS * (TXN_ROWS_MAX + 2) * FAULTS_MAX)
#define STRIDE	   7919 /* a prime that does not divide the number of cells */

static struct cell cells[CELLS_MAX];
static unsigned n_cells;

/**
 * struct counts - What one process has seen
 * @rows:  [1]: on the way back
 * @paces: lives, by percent of the usual time that everything took
 * @looks: [1]: in which something was half there
 */
struct counts {
	unsigned rows[2][OPS][TXN_ROWS_MAX + 2][FAULTS_MAX];
	unsigned ways[OPS][WAYS][FAULTS_MAX];
	unsigned paces[PACE_MAX];
	unsigned looks[2];
};

static struct counts counts;

unsigned cover_cells(void)
{
	if (n_cells)
		return n_cells;
	for (unsigned op = 0; op < OPS; op++)
		for (unsigned row = 0; row < ROWS(&ops[op]); row++)
			for (unsigned f = 0; f < n_faults; f++)
				if (!fault_cannot(f, &ops[op], row))
					cells[n_cells++] = (struct cell){ op, row, f };
	return n_cells;
}

struct cell cover_cell(unsigned number)
{
	return cells[(uint64_t)number * STRIDE % n_cells];
}

void cover_struck(const struct life *l, unsigned row, unsigned fault, bool back)
{
	counts.rows[back][l->op][row][fault]++;
	for (unsigned way = 0; way < WAYS; way++)
		counts.ways[l->op][way][fault] += life_has(l, (enum way)way);
}

void cover_world(unsigned pace)
{
	counts.paces[pace]++;
}

void cover_looked(bool half_there)
{
	counts.looks[half_there]++;
}

void cover_write(int fd)
{
	if (write(fd, &counts, sizeof(counts)) < 0)
		perror("sim: the counts");
}

void cover_add(int fd)
{
	static struct counts more;
	unsigned *to = (unsigned *)&counts, *from = (unsigned *)&more;
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, (char *)&more + at, sizeof(more) - at)) > 0)
		at += (size_t)n;
	for (size_t i = 0; at == sizeof(more) && i < sizeof(more) / sizeof(*to); i++)
		to[i] += from[i];
}

/* ---- the two tables ------------------------------------------------------------ */

static void print_heads(const char *what)
{
	printf("#\n# %-28s", what);
	for (unsigned f = 0; f < n_faults; f++)
		printf(" %4u", f + 1);
	printf("\n");
}

static void print_cell(const char *why_not, unsigned n, struct least *least)
{
	if (why_not) {
		printf("    %c", why_not[0]);
		return;
	}
	printf(" %4u", n);
	least->of++;
	least->n = n < least->n ? n : least->n;
}

static const char *row_name(const struct op *op, unsigned row)
{
	if (row == ROW_FIRST(op))
		return "(first look)";
	return row == ROW_LAST(op) ? "(last record)" : op->table->rows[row].name;
}

static void print_row(unsigned op, unsigned row, struct least *least)
{
	unsigned back = 0;

	printf("# %-14s%-14s", ops[op].name, row_name(&ops[op], row));
	for (unsigned f = 0; f < n_faults; f++) {
		back += counts.rows[1][op][row][f];
		print_cell(fault_cannot(f, &ops[op], row), counts.rows[0][op][row][f], least);
	}
	printf(" %5u\n", back);
}

/* NULL when the fault can strike somewhere in what is wanted in that way. */
static const char *way_cannot(unsigned op, enum way way, unsigned fault)
{
	const char *why = NULL;

	for (unsigned row = 0; row < ROWS(&ops[op]); row++) {
		if (!way_can(way, &ops[op], row))
			continue;
		why = fault_cannot(fault, &ops[op], row);
		if (!why)
			return NULL;
	}
	return why;
}

static bool way_is(unsigned op, enum way way)
{
	return way_can(way, &ops[op], ROW_FIRST(&ops[op]));
}

static void print_way(unsigned op, enum way way, struct least *least)
{
	printf("# %-14s%-14s", ops[op].name, way_name(way));
	for (unsigned f = 0; f < n_faults; f++)
		print_cell(way_cannot(op, way, f), counts.ways[op][way][f], least);
	printf("\n");
}

/* The letters of the tables, each once. */
static void print_reasons(void)
{
	char seen[64] = "";

	for (unsigned op = 0; op < OPS; op++)
		for (unsigned row = 0; row < ROWS(&ops[op]); row++)
			for (unsigned f = 0; f < n_faults; f++) {
				const char *why = fault_cannot(f, &ops[op], row);

				if (!why || strchr(seen, why[0]))
					continue;
				strncat(seen, why, 1);
				printf("#   %s\n", why);
			}
}

/* ---- sums ------------------------------------------------------------------------ */

static unsigned times(unsigned fault)
{
	unsigned n = 0;

	for (unsigned op = 0; op < OPS; op++)
		for (unsigned row = 0; row < ROWS(&ops[op]); row++)
			n += counts.rows[0][op][row][fault] + counts.rows[1][op][row][fault];
	return n;
}

static bool is_first_of_kind(unsigned fault)
{
	unsigned f = 0;

	while (strcmp(fault_kind(f), fault_kind(fault)))
		f++;
	return f == fault;
}

static void print_kind(const char *kind)
{
	unsigned n = 0;

	for (unsigned f = 0; f < n_faults; f++)
		n += strcmp(fault_kind(f), kind) ? 0 : times(f);
	printf("# %9u  %s:", n, kind);
	for (unsigned f = 0; f < n_faults; f++)
		if (!strcmp(fault_kind(f), kind))
			printf(" %u", f + 1);
	printf("\n");
}

static void print_worlds(void)
{
	printf("#\n# worlds that take so many percent of the usual time:");
	for (unsigned i = 0; i < PACE_MAX; i++)
		if (counts.paces[i])
			printf(" %u%%: %u;", i, counts.paces[i]);
	printf("\n# looks: %u, of them at something half there: %u\n",
	       counts.looks[0] + counts.looks[1], counts.looks[1]);
}

struct least cover_print(void)
{
	struct least least = { ~0u, 0 };

	print_heads("row");
	for (unsigned op = 0; op < OPS; op++)
		for (unsigned row = 0; row < ROWS(&ops[op]); row++)
			print_row(op, row, &least);
	print_heads("way");
	for (unsigned op = 0; op < OPS; op++)
		for (unsigned way = 0; way < WAYS; way++)
			if (way_is(op, (enum way)way))
				print_way(op, (enum way)way, &least);
	printf("#\n");
	for (unsigned f = 0; f < n_faults; f++)
		printf("# %4u %s\n", f + 1, fault_name(f));
	print_reasons();
	printf("#\n# how often, in all:\n");
	for (unsigned f = 0; f < n_faults; f++)
		if (is_first_of_kind(f))
			print_kind(fault_kind(f));
	print_worlds();
	return least;
}
