/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What would be done, and what of it is done already: the rows of a walk not taken.
 */
#include "../sim/world.h"

#include "../../coordinator/core/dry.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

/* "row verb done/now/later" of each row, a line each. */
static void assert_rows(struct world *w, const char *want)
{
	unsigned todo[8], later[8];
	uint64_t level[8];
	struct dry_row d = { .todo = todo, .later = later, .level = level };
	char is[1024] = "";
	size_t at = 0;

	world_look(w, SIDE_SRC, &w->view.vm[SIDE_SRC]);
	for (unsigned i = 0; dry_row(w->t, &w->view, i, &d); i++)
		at += (size_t)snprintf(is + at, sizeof(is) - at, "%s %s %u/%u/%u\n", d.row->name,
				       verb_name(d.verb), d.done, d.n, d.n_later);
	if (strcmp(is, want))
		fail_msg("it was\n%s", is);
}

/* One is plugged already and only offline: it can be asked for now, the others later. */
static void test_when_vcpus_would_be_plugged_then_down_the_table(void **state)
{
	struct world *w = world_new();
	struct ls_err err;

	(void)state;
	world_has_cpu(w, 2);
	w->qemu[SIDE_SRC].cpus[2].device = w->qemu[SIDE_SRC].cpus[2].kernel = false;
	assert_int_equal(world_vcpus(w, 5, &err), 0);
	assert_rows(w, "claim claim 0/1/0\n"
		       "guest:lock lock 0/1/0\n"
		       "qemu:cpu device_add cpu 1/2/0\n"
		       "guest:online cpu-online 0/1/2\n"
		       "guest:lock unlock 0/1/0\n"
		       "claim unclaim 0/1/0\n");
	world_free(w);
}

/* Up the table, and what is offline already is counted as done. */
static void test_when_vcpus_would_be_unplugged_then_up_the_table(void **state)
{
	struct world *w = world_new();
	struct ls_err err;

	(void)state;
	world_has_cpu(w, 2);
	world_has_cpu(w, 3);
	w->qemu[SIDE_SRC].cpus[3].device = w->qemu[SIDE_SRC].cpus[3].kernel = false;
	assert_int_equal(world_vcpus(w, 2, &err), 0);
	assert_rows(w, "claim claim 0/1/0\n"
		       "guest:lock lock 0/1/0\n"
		       "guest:online cpu-offline 1/1/0\n"
		       "qemu:cpu device_del cpu 0/2/0\n"
		       "guest:lock unlock 0/1/0\n"
		       "claim unclaim 0/1/0\n");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_vcpus_would_be_plugged_then_down_the_table),
		cmocka_unit_test(test_when_vcpus_would_be_unplugged_then_up_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
