/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The narrated view of a scenario (`harness run --demo`). Each of these does
 * nothing in a normal run.
 */
#ifndef HARNESS_SHOW_H
#define HARNESS_SHOW_H

#include "run.h"

/* A line is about to be carried out. */
void show_line(const struct run *r, const struct line *line);

/* A trigger has fired. */
void show_trigger(const struct run *r, const struct trigger *t);

/* "say": a heading. */
void show_say(const struct run *r, const char *text);

/* What a command printed, indented. */
void show_output(const struct run *r, const char *text);

/* An expectation held: what, seen by whom. */
void show_held(const struct run *r, const char *text);

/* The closing line. */
void show_end(const struct run *r, bool passed);

#endif
