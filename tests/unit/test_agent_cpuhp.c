/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CPU table: every row failing on the way up and on the way down, and every undo
 * failing, for tables with up to three rows on the control side and three on the CPU;
 * each callback counted, the order and the thread compared.
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

#define CONTROL_MAX 2
#define AP_MAX	    3
#define ROWS	    (CONTROL_MAX + 1 + AP_MAX)

/*
 * The made-up tables have rows on the control side, the kick row with a real worker,
 * and rows on the CPU. What they did: "+0" row 0 up, "-0" down, "u0" its way up given
 * up, "f4" its way down given up; "@" in the worker's thread; "!" failed.
 */
static char trace[256];
static struct model model;
static pthread_t control;
static int kick;     /* index of the kick row; -1 none */
static int fail_row; /* the row that fails forward; -1 none */
static int undo_row; /* the row whose undo fails; -1 none */
static bool turned;

static int kick_worker(bool up)
{
	struct worker *w = workers_get(&model.workers, 3);

	return up ? worker_unpark(w) < 0 : worker_park(w, 10000) < 0;
}

static int note(int row, char what)
{
	bool fails = row == (turned ? undo_row : fail_row);

	sprintf(trace + strlen(trace), "%c%d%s%s", what, row,
		pthread_equal(control, pthread_self()) ? "" : "@", fails ? "!" : "");
	if (!fails)
		return row == kick && kick_worker(what == '+' || what == 'f') ? -EIO : 0;
	turned = true;
	return -EIO;
}

#define ROW_FN(name, n, what)                                                                      \
	static int name##n(struct device *dev, struct ls_err *err)                                 \
	{                                                                                          \
		(void)dev;                                                                         \
		(void)err;                                                                         \
		return note(n, what);                                                              \
	}
#define ROW(n)                                                                                     \
	ROW_FN(up, n, '+')                                                                         \
	ROW_FN(down, n, '-')                                                                       \
	ROW_FN(give_up_up, n, 'u')                                                                 \
	ROW_FN(give_up_down, n, 'f')
/* clang-format off */
ROW(0)
ROW(1)
ROW(2)
ROW(3)
ROW(4)
ROW(5)

static const struct cpuhp_step rows[ROWS] = {
	{ "test:0", up0, down0, give_up_up0, give_up_down0, .on_cpu = false },
	{ "test:1", up1, down1, give_up_up1, give_up_down1, .on_cpu = false },
	{ "test:2", up2, down2, give_up_up2, give_up_down2, .on_cpu = false },
	{ "test:3", up3, down3, give_up_up3, give_up_down3, .on_cpu = true },
	{ "test:4", up4, down4, give_up_up4, give_up_down4, .on_cpu = true },
	{ "test:5", up5, down5, give_up_up5, give_up_down5, .on_cpu = true },
};
/* clang-format on */

/**
 * struct shape - A table and one way through it
 * @control: rows before the kick row
 * @ap:      rows after it; the last of them has an undo of its own for the way down, as
 *           the table's first row has for the way up
 * @up:      direction
 * @failing: row that fails forward; -1 none
 * @undo:    row whose undo fails; -1 none
 */
struct shape {
	int control, ap;
	bool up;
	int failing, undo;
};

static int rows_of(const struct shape *s)
{
	return s->control + 1 + s->ap;
}

static void build(const struct shape *s, struct cpuhp_step *steps)
{
	int i;

	for (i = 0; i < rows_of(s); i++) {
		steps[i] = rows[i];
		steps[i].on_cpu = i > s->control;
		if (i > 0 || !s->control)
			steps[i].undo_startup = NULL;
		if (i < rows_of(s) - 1 || !s->ap)
			steps[i].undo_teardown = NULL;
	}
}

static void start(int kick_row, int failing, int undo)
{
	trace[0] = '\0';
	kick = kick_row;
	fail_row = failing;
	undo_row = undo;
	turned = false;
	control = pthread_self();
}

static void workers_start(bool accepting)
{
	workers_init(&model.workers);
	model.workers.ops = &fake_machine;
	if (accepting)
		worker_unpark(workers_get(&model.workers, 3));
}

static int walk(const struct shape *s, struct device *dev)
{
	struct cpuhp_step steps[ROWS];
	const struct cpuhp_table table = { steps, rows_of(s) };

	build(s, steps);
	start(s->control, s->failing, s->undo);
	workers_start(!s->up);
	*dev = (struct device){ .model = &model,
				.id = 3,
				.hp = { .at = s->up ? 0 : table.n, .fail = -1 } };
	return cpuhp_walk(&table, dev, s->up ? table.n : 0, NULL);
}

static void expect_row(const struct shape *s, char *want, int row, bool up, bool back)
{
	char what = up ? '+' : '-';

	if (back && !up && row == 0 && s->control)
		what = 'u';
	if (back && up && row == rows_of(s) - 1 && s->ap)
		what = 'f';
	sprintf(want + strlen(want), "%c%d%s%s", what, row, row > s->control ? "@" : "",
		row == (back ? s->undo : s->failing) ? "!" : "");
}

/* What the trace must be: forward to the failure, then back, each undo once. */
static void expected(const struct shape *s, char *ret_trace)
{
	int n = rows_of(s), row, step = s->up ? 1 : -1;

	ret_trace[0] = '\0';
	for (row = s->up ? 0 : n - 1; row >= 0 && row < n; row += step) {
		expect_row(s, ret_trace, row, s->up, false);
		if (row == s->failing)
			break;
	}
	if (s->failing < 0)
		return;
	for (row -= step; row >= 0 && row < n; row -= step) {
		expect_row(s, ret_trace, row, !s->up, true);
		if (row == s->undo)
			return;
	}
}

static bool is_stuck(const struct shape *s)
{
	if (s->failing < 0 || s->undo < 0)
		return false;
	return s->up ? s->undo < s->failing : s->undo > s->failing;
}

static int where_it_ends(const struct shape *s)
{
	if (is_stuck(s))
		return s->up ? s->undo + 1 : s->undo;
	return s->up == (s->failing < 0) ? rows_of(s) : 0;
}

static int times(char what, int row)
{
	const char text[] = { what, (char)('0' + row), '\0' };
	const char *at = trace;
	int n = 0;

	while ((at = strstr(at, text))) {
		n++;
		at++;
	}
	return n;
}

/* DOWN_FAILED: once for whoever was told that the CPU goes, and never beside ONLINE. */
static void check_told(const struct shape *s)
{
	int last = rows_of(s) - 1;

	if (s->up || !s->ap)
		return;
	assert_int_equal(times('-', last), 1);
	assert_int_equal(times('+', last), 0);
	assert_true(times('f', last) <= 1);
	if (s->failing >= 0 && s->failing < last && !is_stuck(s))
		assert_int_equal(times('f', last), 1);
	if (s->failing < 0 || s->failing == last)
		assert_int_equal(times('f', last), 0);
}

static bool accepts(void)
{
	struct worker *w = model.workers.of[3];
	bool yes;

	if (!w)
		return false;
	pthread_mutex_lock(worker_lock(w));
	yes = worker_accepts_locked(w) == 0;
	pthread_mutex_unlock(worker_lock(w));
	return yes;
}

static void check_one(const struct shape *s)
{
	char want[256];
	struct device dev;
	int r = walk(s, &dev);

	expected(s, want);
	assert_string_equal(trace, want);
	assert_int_equal(r, s->failing < 0 ? 0 : -EIO);
	assert_int_equal(dev.hp.stuck, is_stuck(s));
	assert_int_equal(dev.hp.at, where_it_ends(s));
	assert_int_equal(dev.hp.target, s->up ? rows_of(s) : 0);
	if (s->failing >= 0)
		assert_int_equal(dev.hp.failed_row, s->failing);
	assert_int_equal(accepts(), dev.hp.at > s->control);
	check_told(s);
	workers_forget(&model.workers, 3);
}

static int check_shape(int rows_control, int rows_ap)
{
	struct shape s = { .control = rows_control, .ap = rows_ap };
	int up, n = rows_of(&s), cells = 0;

	for (up = 0; up <= 1; up++) {
		s.up = up;
		for (s.failing = -1; s.failing < n; s.failing++)
			for (s.undo = -1; s.undo < n; s.undo++, cells++)
				check_one(&s);
	}
	return cells;
}

/* Every table x up, down x every failing row (or none) x every failing undo (or none). */
static void test_when_any_row_fails_then_exactly_what_was_done_is_undone(void **state)
{
	int c, a, cells = 0, want = 0;

	(void)state;
	for (c = 0; c <= CONTROL_MAX; c++) {
		for (a = 0; a <= AP_MAX; a++) {
			cells += check_shape(c, a);
			want += 2 * (c + a + 2) * (c + a + 2);
		}
	}
	print_message("%d cells\n", cells);
	assert_int_equal(cells, want);
}

/* The knob makes one visit of one row fail, in either direction, and only one. */
static void test_when_the_knob_is_set_then_one_visit_fails(void **state)
{
	const struct cpuhp_table table = { rows, 4 };
	struct device dev = { .model = &model, .id = 3, .hp = { .at = 4, .fail = 1 } };

	(void)state;
	start(2, -1, -1);
	workers_start(true);
	assert_int_equal(cpuhp_walk(&table, &dev, 0, NULL), -EAGAIN);
	assert_string_equal(trace, "-3@-2f2f3@");
	assert_int_equal(dev.hp.at, 4);
	assert_int_equal(cpuhp_walk(&table, &dev, 0, NULL), 0);
	workers_forget(&model.workers, 3);
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
	struct device dev = { .model = &model, .id = 3, .hp = { .fail = 0 } };

	(void)state;
	start(-1, -1, -1);
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
	struct device dev = { .model = &model, .id = 3, .hp = { .fail = -1 } };

	(void)state;
	start(-1, -1, -1);
	assert_int_equal(cpuhp_walk(&table, &dev, 2, NULL), -EINPROGRESS);
	assert_string_equal(trace, "+0");
	assert_int_equal(dev.hp.at, 1);
}

/* ---- the real table --------------------------------------------------------------- */

static int pin_says, runs_on;
static int64_t behind_ns;

static int test_pin(pthread_t thread, int cpu)
{
	(void)thread;
	return cpu < 0 ? 0 : pin_says;
}

static int test_here(int cpu)
{
	return runs_on < 0 ? cpu : runs_on;
}

static int64_t test_now_ns(int cpu)
{
	return cpu < 0 ? 1000000 : 1000000 - behind_ns;
}

static const struct worker_ops machine = { test_pin, test_here, test_now_ns };

/* A guest of 4 CPUs, 2 online, on a machine that says these things of CPU 2. */
static void guest_on_machine(struct guest *g, int pin, int here, int64_t behind)
{
	guest_init(g, 4, 2, 0);
	g->model.workers.ops = &machine;
	pin_says = pin;
	runs_on = here;
	behind_ns = behind;
	guest_lock(g, "t1");
}

static void expect_down_again(struct guest *g, const char *row)
{
	struct ls_err err = { 0 };

	assert_int_equal(device_online(guest_cpu(g, 2), &err), -EIO);
	assert_non_null(strstr(err.text, row));
	assert_true(fake_agrees(&g->kernel, 2, false));
	assert_int_equal(fake_writes(&g->kernel, NULL, "0"), 1);
	guest_done(g);
}

/* A CPU whose own worker runs elsewhere is taken offline again, once. */
static void test_when_its_worker_runs_elsewhere_then_the_cpu_goes_down_again(void **state)
{
	struct guest g;

	(void)state;
	guest_on_machine(&g, 0, 1, 0);
	expect_down_again(&g, "cpu2 ap:alive");
}

/* A CPU whose clock is behind would let time go back for whoever moves there. */
static void test_when_its_clock_is_behind_then_the_cpu_goes_down_again(void **state)
{
	struct guest g;

	(void)state;
	guest_on_machine(&g, 0, -1, 1);
	expect_down_again(&g, "cpu2 ap:clock");
}

/* A thread that cannot be pinned proves nothing, wherever it ran: unverified, not failed. */
static void test_when_it_cannot_be_proved_then_unverified(void **state)
{
	struct guest g;

	(void)state;
	guest_on_machine(&g, -EINVAL, 1, 1);
	assert_int_equal(device_online(guest_cpu(&g, 2), NULL), 0);
	assert_true(guest_cpu(&g, 2)->hp.unverified);
	guest_done(&g);
}

/* What the driver core refuses below the kick point is undone by the CPU's own worker. */
static void test_when_the_kernel_refuses_then_the_worker_accepts_again(void **state)
{
	struct guest g;
	struct worker *w;

	(void)state;
	guest_init(&g, 4, 4, 0);
	guest_lock(&g, "t1");
	fake_fail(&g.kernel, "", 0, 1, -EBUSY);
	assert_int_equal(device_offline(guest_cpu(&g, 3), NULL), -EBUSY);
	w = g.model.workers.of[3];
	assert_int_equal(worker_unpark(w), 1);
	assert_int_equal(guest_cpu(&g, 3)->hp.at, cpuhp_table.n);
	assert_int_equal(device_offline(guest_cpu(&g, 3), NULL), 0);
	assert_int_equal(worker_park(w, 0), 1);
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
		cmocka_unit_test(test_when_its_worker_runs_elsewhere_then_the_cpu_goes_down_again),
		cmocka_unit_test(test_when_its_clock_is_behind_then_the_cpu_goes_down_again),
		cmocka_unit_test(test_when_it_cannot_be_proved_then_unverified),
		cmocka_unit_test(test_when_the_kernel_refuses_then_the_worker_accepts_again),
		cmocka_unit_test(test_when_a_real_row_fails_then_sysfs_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
