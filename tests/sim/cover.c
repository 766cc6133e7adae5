/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rows x faults: how often each fault struck in each row.
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
#define CELLS_MAX  (OPS * (TXN_ROWS_MAX + 2) * FAULTS_MAX)
#define STRIDE	   7919 /* a prime that does not divide the number of cells */

static struct cell cells[CELLS_MAX];
static unsigned n_cells;

/* [1]: on the way back. */
static unsigned counts[2][OPS][TXN_ROWS_MAX + 2][FAULTS_MAX];

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

void cover_struck(unsigned op, unsigned row, unsigned fault, bool back)
{
	counts[back][op][row][fault]++;
}

void cover_write(int fd)
{
	if (write(fd, counts, sizeof(counts)) < 0)
		perror("sim: the counts");
}

void cover_add(int fd)
{
	static unsigned more[2][OPS][TXN_ROWS_MAX + 2][FAULTS_MAX];
	unsigned *to = &counts[0][0][0][0], *from = &more[0][0][0][0];
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, (char *)more + at, sizeof(more) - at)) > 0)
		at += (size_t)n;
	for (size_t i = 0; at == sizeof(more) && i < sizeof(more) / sizeof(*to); i++)
		to[i] += from[i];
}

static const char *row_name(const struct op *op, unsigned row)
{
	if (row == ROW_FIRST(op))
		return "(first look)";
	return row == ROW_LAST(op) ? "(last record)" : op->table->rows[row].name;
}

static void print_heads(void)
{
	printf("#\n# %-28s", "row");
	for (unsigned f = 0; f < n_faults; f++)
		printf(" %4u", f + 1);
	printf("  back\n");
}

static void print_row(unsigned op, unsigned row, unsigned *least)
{
	unsigned back = 0;

	printf("# %-14s%-14s", ops[op].name, row_name(&ops[op], row));
	for (unsigned f = 0; f < n_faults; f++) {
		const char *why = fault_cannot(f, &ops[op], row);
		unsigned n = counts[0][op][row][f];

		back += counts[1][op][row][f];
		if (why)
			printf("    %c", why[0]);
		else
			printf(" %4u", n);
		*least = why || n > *least ? *least : n;
	}
	printf(" %5u\n", back);
}

/* The letters of the table, each once. */
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

unsigned cover_print(void)
{
	unsigned least = ~0u;

	print_heads();
	for (unsigned op = 0; op < OPS; op++)
		for (unsigned row = 0; row < ROWS(&ops[op]); row++)
			print_row(op, row, &least);
	printf("#\n");
	for (unsigned f = 0; f < n_faults; f++)
		printf("# %4u %s\n", f + 1, fault_name(f));
	print_reasons();
	return least;
}
