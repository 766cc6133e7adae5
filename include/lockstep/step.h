/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The step cursor: a position in a table of rows, a direction, and a goal.
 *
 * A device goes up by walking its table down the page and goes down by walking
 * the same table up the page, as CPUs do in the kernel (cpuhp_step, seed of the
 * idea: kernel/cpu.c). The guest's rows are synchronous calls over this cursor,
 * the host's are asynchronous; the arithmetic is here, once.
 *
 * @at counts the rows that are done: 0 is "nothing", n is "all of n rows".
 *
 *	struct step s = step_to(0, n);
 *	while ((row = step_next(&s)) >= 0)
 *		if (run(row, s.dir) < 0)
 *			step_rollback(&s, false); back to where it came from
 *		else
 *			step_done(&s);
 *
 * A row that fails while going back is not retried: step_stuck().
 */
#ifndef LOCKSTEP_STEP_H
#define LOCKSTEP_STEP_H

#include <stdbool.h>

enum step_dir { STEP_DOWN = -1, STEP_NONE = 0, STEP_UP = 1 };

/**
 * struct step - Where a walk stands
 * @at:       rows done so far, 0 .. number of rows
 * @from:     @at when the walk began: what a rollback goes back to
 * @goal:     @at when the walk will be over
 * @dir:      STEP_UP while rows are being done, STEP_DOWN while they are undone
 * @rollback: the walk has turned round
 * @stuck:    a row failed after the turn: the walk is over, short of its goal
 */
struct step {
	int at;
	int from;
	int goal;
	enum step_dir dir;
	bool rollback;
	bool stuck;
};

/**
 * step_to() - A walk from one position to another
 * @from: rows done now
 * @goal: rows done afterwards
 */
static inline struct step step_to(int from, int goal)
{
	return (struct step){
		.at = from,
		.from = from,
		.goal = goal,
		.dir = goal > from   ? STEP_UP
		       : goal < from ? STEP_DOWN
				     : STEP_NONE,
	};
}

/**
 * step_next() - The row to visit now
 *
 * Return: its index, or -1 when the walk is over.
 */
static inline int step_next(const struct step *s)
{
	if (s->stuck || s->at == s->goal)
		return -1;
	return s->dir == STEP_UP ? s->at : s->at - 1;
}

/* The row that step_next() named is done. */
static inline void step_done(struct step *s)
{
	s->at += s->dir;
}

/**
 * step_rollback() - The row that step_next() named has failed: turn round
 * @half: the failed row may have left a trace (the host's rows: their effect is
 *        somewhere else); it is then visited first on the way back. The guest's
 *        rows clean up after themselves before they fail, as the kernel's do.
 *
 * A failure on the way back ends the walk: recursive failures cannot be handled
 * sensibly; stop where it is and let somebody look.
 */
static inline void step_rollback(struct step *s, bool half)
{
	if (s->rollback) {
		s->stuck = true;
		return;
	}
	s->rollback = true;
	if (half)
		s->at += s->dir;
	s->goal = s->from;
	s->dir = s->goal > s->at ? STEP_UP : s->goal < s->at ? STEP_DOWN : STEP_NONE;
}

#endif
