/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CPU table: every row failing on the way up and on the way down, and every undo
 * failing, for tables of one to five rows; each callback counted, the order compared.
 */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <lockstep/err.h>

#define ROWS 5

/* What the rows of the made-up table did: "+0" row 0 up, "-0" row 0 down, "!" failed. */
static char trace[128];
static int fail_row, fail_up; /* the row that fails forward, and in which direction */
static int undo_row;	      /* the row whose undo fails; -1 none */
static bool turned;

static int note(int row, bool up)
{
	char what[8];
	bool fails = turned ? row == undo_row : row == fail_row && up == (bool)fail_up;

	snprintf(what, sizeof(what), "%c%d%s", up ? '+' : '-', row, fails ? "!" : "");
	strcat(trace, what);
	if (!fails)
		return 0;
	turned = true;
	return -EIO;
}

#define ROW(n)                                                                                     \
	static int up##n(struct device *dev, struct ls_err *err)                                   \
	{                                                                                          \
		(void)dev;                                                                         \
		(void)err;                                                                         \
		return note(n, true);                                                              \
	}                                                                                          \
	static int down##n(struct device *dev, struct ls_err *err)                                 \
	{                                                                                          \
		(void)dev;                                                                         \
		(void)err;                                                                         \
		return note(n, false);                                                             \
	}
/* clang-format off */
ROW(0)
ROW(1)
ROW(2)
ROW(3)
ROW(4)

static const struct cpuhp_step rows[ROWS] = {
	{ "test:0", up0, down0, .on_cpu = false },
	{ "test:1", up1, down1, .on_cpu = false },
	{ "test:2", up2, down2, .on_cpu = true },
	{ "test:3", up3, down3, .on_cpu = true },
	{ "test:4", up4, down4, .on_cpu = true },
};
/* clang-format on */

static int walk(int n, bool up, int failing, int undo, struct device *dev)
{
	const struct cpuhp_table table = { rows, n };

	trace[0] = '\0';
	fail_row = failing;
	fail_up = up;
	undo_row = undo;
	turned = false;
	*dev = (struct device){ .id = 3, .hp = { .at = up ? 0 : n, .fail = -1 } };
	return cpuhp_walk(&table, dev, up ? n : 0, NULL);
}

/* What the trace must be: forward to the failure, then back, each undo once. */
static void expected(int n, bool up, int failing, int undo, char *ret_trace)
{
	int first = up ? 0 : n - 1, step = up ? 1 : -1, row;

	ret_trace[0] = '\0';
	for (row = first; row >= 0 && row < n; row += step) {
		sprintf(ret_trace + strlen(ret_trace), "%c%d%s", up ? '+' : '-', row,
			row == failing ? "!" : "");
		if (row == failing)
			break;
	}
	if (failing < 0)
		return;
	for (row -= step; row >= 0 && row < n; row -= step) {
		sprintf(ret_trace + strlen(ret_trace), "%c%d%s", up ? '-' : '+', row,
			row == undo ? "!" : "");
		if (row == undo)
			return;
	}
}

static bool undone(int n, bool up, int failing, int undo)
{
	return undo >= 0 && undo < n && (up ? undo < failing : undo > failing);
}

static void check_one(int n, bool up, int failing, int undo)
{
	char want[128];
	struct device dev;
	int r = walk(n, up, failing, undo, &dev), from = up ? 0 : n, goal = up ? n : 0;

	expected(n, up, failing, undo, want);
	assert_string_equal(trace, want);
	assert_int_equal(r, failing < 0 ? 0 : -EIO);
	assert_int_equal(dev.hp.stuck, failing >= 0 && undone(n, up, failing, undo));
	if (failing < 0)
		assert_int_equal(dev.hp.at, goal);
	else if (!dev.hp.stuck)
		assert_int_equal(dev.hp.at, from);
	else
		assert_int_equal(dev.hp.at, up ? undo + 1 : undo);
	if (failing >= 0)
		assert_int_equal(dev.hp.failed_row, failing);
}

/* Every table x every failing row (or none) x every failing undo (or none) x up, down. */
static void test_when_any_row_fails_then_exactly_what_was_done_is_undone(void **state)
{
	int n, failing, undo, up, cases = 0;

	(void)state;
	for (n = 1; n <= ROWS; n++)
		for (up = 0; up <= 1; up++)
			for (failing = -1; failing < n; failing++)
				for (undo = -1; undo < n; undo++, cases++)
					check_one(n, up, failing, undo);
	print_message("%d walks\n", cases);
	assert_int_equal(cases, 2 * (4 + 9 + 16 + 25 + 36));
}

/* The knob makes one visit of one row fail, in either direction, and only one. */
static void test_when_the_knob_is_set_then_one_visit_fails(void **state)
{
	const struct cpuhp_table table = { rows, 3 };
	struct device dev;

	(void)state;
	walk(3, true, -1, -1, &dev);
	dev.hp.fail = 1;
	trace[0] = '\0';
	assert_int_equal(cpuhp_walk(&table, &dev, 0, NULL), -EAGAIN);
	assert_string_equal(trace, "-2+2");
	assert_int_equal(dev.hp.at, 3);
	assert_int_equal(cpuhp_walk(&table, &dev, 0, NULL), 0);
}

static int cannot(struct device *dev, struct ls_err *err)
{
	(void)dev;
	(void)err;
	strcat(trace, "c");
	return -EIO;
}

/* A row that cannot stop is passed whatever it says, and the knob leaves it alone. */
static void test_when_a_row_cannot_stop_then_the_walk_goes_on(void **state)
{
	const struct cpuhp_step steps[] = { { "test:a", cannot, cannot, .cant_stop = true },
					    { "test:0", up0, down0, .on_cpu = false } };
	const struct cpuhp_table table = { steps, 2 };
	struct device dev = { .id = 3, .hp = { .fail = 0 } };

	(void)state;
	trace[0] = '\0';
	fail_row = -1;
	turned = false;
	assert_int_equal(cpuhp_walk(&table, &dev, 2, NULL), 0);
	assert_string_equal(trace, "c+0");
}

static int in_kernel(struct device *dev, struct ls_err *err)
{
	(void)dev;
	(void)err;
	return -EINPROGRESS;
}

/* What the kernel has not come back from is neither done nor undone. */
static void test_when_the_kernel_does_not_return_then_nothing_is_undone(void **state)
{
	const struct cpuhp_step steps[] = { { "test:0", up0, down0, .on_cpu = false },
					    { "test:k", in_kernel, in_kernel, .on_cpu = false } };
	const struct cpuhp_table table = { steps, 2 };
	struct device dev = { .id = 3, .hp = { .fail = -1 } };

	(void)state;
	trace[0] = '\0';
	fail_row = -1;
	turned = false;
	assert_int_equal(cpuhp_walk(&table, &dev, 2, NULL), -EINPROGRESS);
	assert_string_equal(trace, "+0");
	assert_int_equal(dev.hp.at, 1);
}

static int probe_says;

static int probe(int cpu, unsigned deadline_ms)
{
	assert_int_equal(cpu, 2);
	assert_true(deadline_ms > 0);
	return probe_says;
}

/* The real table: a CPU on which nothing runs is taken offline again, once. */
static void test_when_nothing_runs_there_then_the_cpu_goes_down_again(void **state)
{
	struct ls_err err = { 0 };
	struct guest g;

	(void)state;
	guest_init(&g, 4, 2, 0);
	g.model.probe = probe;
	probe_says = -EIO;
	guest_lock(&g, "t1");
	assert_int_equal(device_online(guest_cpu(&g, 2), &err), -EIO);
	assert_non_null(strstr(err.text, "cpu2 ap:alive"));
	assert_true(fake_agrees(&g.kernel, 2, false));
	assert_int_equal(fake_writes(&g.kernel, NULL, "0"), 1);
	guest_done(&g);
}

/* A thread that cannot be pinned proves nothing: unverified, not failed. */
static void test_when_it_cannot_be_proved_then_unverified(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 4, 2, 0);
	g.model.probe = probe;
	probe_says = 1;
	guest_lock(&g, "t1");
	assert_int_equal(device_online(guest_cpu(&g, 2), NULL), 0);
	assert_true(guest_cpu(&g, 2)->hp.unverified);
	guest_done(&g);
}

/* Every row of the real table failing by the knob, up and down: sysfs is as before. */
static void test_when_a_real_row_fails_then_sysfs_is_as_before(void **state)
{
	struct guest g;
	int row, up;

	(void)state;
	for (row = 0; row < cpuhp_table.n; row++) {
		for (up = 0; up <= 1; up++) {
			guest_init(&g, 4, up ? 2 : 4, 0);
			guest_lock(&g, "t1");
			guest_cpu(&g, 3)->hp.fail = row;
			if (up)
				assert_int_equal(device_online(guest_cpu(&g, 3), NULL), -EAGAIN);
			else
				assert_int_equal(device_offline(guest_cpu(&g, 3), NULL), -EAGAIN);
			assert_true(fake_agrees(&g.kernel, 3, !up));
			guest_done(&g);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_any_row_fails_then_exactly_what_was_done_is_undone),
		cmocka_unit_test(test_when_the_knob_is_set_then_one_visit_fails),
		cmocka_unit_test(test_when_a_row_cannot_stop_then_the_walk_goes_on),
		cmocka_unit_test(test_when_the_kernel_does_not_return_then_nothing_is_undone),
		cmocka_unit_test(test_when_nothing_runs_there_then_the_cpu_goes_down_again),
		cmocka_unit_test(test_when_it_cannot_be_proved_then_unverified),
		cmocka_unit_test(test_when_a_real_row_fails_then_sysfs_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
