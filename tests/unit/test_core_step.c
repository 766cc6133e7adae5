/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The step cursor, enumerated: every table of up to eight rows, every way through it,
 * every row failing, every undo failing.
 */
#include <lockstep/step.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define ROWS 8

/* What was visited: +n row n-1 up, -n row n-1 down. */
struct walk {
	int visited[4 * ROWS];
	int n;
};

static void note(struct walk *w, int row, enum step_dir dir)
{
	assert_true(w->n < 4 * ROWS);
	w->visited[w->n++] = dir * (row + 1);
}

/* Walk from @from to @goal; the visit number @bad fails, and @bad_undo of those after it. */
static struct step walk(int from, int goal, int bad, int bad_undo, bool half, struct walk *w)
{
	struct step s = step_to(from, goal);
	int row, failed_at = -1;

	*w = (struct walk){ { 0 }, 0 };
	while ((row = step_next(&s)) >= 0) {
		note(w, row, s.dir);
		if (w->n - 1 == bad || (failed_at >= 0 && w->n - 1 - failed_at == bad_undo + 1)) {
			failed_at = failed_at < 0 ? w->n - 1 : failed_at;
			step_rollback(&s, half);
		} else {
			step_done(&s);
		}
	}
	return s;
}

static int dir_of(int from, int goal)
{
	return goal > from ? 1 : -1;
}

/* A walk visits each row between the two ends once, in order, and is at its goal then. */
static void test_when_nothing_fails_then_each_row_once_in_order(void **state)
{
	struct walk w;

	(void)state;
	for (int from = 0; from <= ROWS; from++)
		for (int goal = 0; goal <= ROWS; goal++) {
			struct step s = walk(from, goal, -1, -1, false, &w);
			int rows = goal > from ? goal - from : from - goal;

			assert_int_equal(s.at, goal);
			assert_int_equal(w.n, rows);
			for (int i = 0; i < rows; i++)
				assert_int_equal(w.visited[i],
						 goal > from ? from + 1 + i : -(from - i));
		}
}

/* Whichever row fails: those done before it are undone in reverse, each once, no other. */
static void check_rollback(int from, int goal, int bad, bool half)
{
	int d = dir_of(from, goal), first = half ? bad : bad - 1;
	struct walk w;
	struct step s = walk(from, goal, bad, -1, half, &w);

	assert_int_equal(s.at, from);
	assert_true(s.rollback);
	assert_false(s.stuck);
	assert_int_equal(w.n, bad + 1 + first + 1);
	for (int i = 0; i <= first; i++)
		assert_int_equal(w.visited[bad + 1 + i], -w.visited[first - i]);
	assert_int_equal(w.visited[0], d > 0 ? from + 1 : -from);
}

static void test_when_a_row_fails_then_what_was_done_is_undone_in_reverse(void **state)
{
	int ways = 0;

	(void)state;
	for (int from = 0; from <= ROWS; from++)
		for (int goal = 0; goal <= ROWS; goal++)
			for (int bad = 0; bad < (goal - from) * dir_of(from, goal);
			     bad++, ways += 2) {
				check_rollback(from, goal, bad, false);
				check_rollback(from, goal, bad, true);
			}
	print_message("# %d ways with one failure\n", ways);
}

/* A failure on the way back ends the walk where it is: nothing is visited after it. */
static void check_stuck(int from, int goal, int bad, int bad_undo, bool half)
{
	int undone = half ? bad + 1 : bad;
	struct walk w;
	struct step s = walk(from, goal, bad, bad_undo, half, &w);

	assert_int_equal(s.stuck, bad_undo < undone);
	if (!s.stuck)
		return;
	assert_int_equal(w.n, bad + 1 + bad_undo + 1);
	assert_int_equal(step_next(&s), -1);
	assert_int_not_equal(s.at, from);
}

static void test_when_an_undo_fails_then_stuck_right_there(void **state)
{
	int ways = 0;

	(void)state;
	for (int from = 0; from <= ROWS; from++)
		for (int goal = 0; goal <= ROWS; goal++)
			for (int bad = 0; bad < (goal - from) * dir_of(from, goal); bad++)
				for (int undo = 0; undo <= bad; undo++, ways += 2) {
					check_stuck(from, goal, bad, undo, false);
					check_stuck(from, goal, bad, undo, true);
				}
	print_message("# %d ways with two failures\n", ways);
}

/* A second rollback of a walk that has turned changes nothing but that it is stuck. */
static void test_when_turned_twice_then_stuck_where_it_is(void **state)
{
	struct step s = step_to(0, ROWS), was;

	(void)state;
	step_done(&s);
	step_done(&s);
	step_rollback(&s, true);
	was = s;
	step_rollback(&s, true);
	was.stuck = true;
	assert_memory_equal(&s, &was, sizeof(s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_nothing_fails_then_each_row_once_in_order),
		cmocka_unit_test(test_when_a_row_fails_then_what_was_done_is_undone_in_reverse),
		cmocka_unit_test(test_when_an_undo_fails_then_stuck_right_there),
		cmocka_unit_test(test_when_turned_twice_then_stuck_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
