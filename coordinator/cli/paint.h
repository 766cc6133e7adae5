/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Colour, on a terminal and nowhere else. It repeats what the words say and never
 * replaces them.
 */
#ifndef COORDINATOR_PAINT_H
#define COORDINATOR_PAINT_H

#include <stdio.h>

enum paint { PAINT_PLAIN, PAINT_GOOD, PAINT_BAD, PAINT_COUNT };

/**
 * paint() - What follows is shown so, until the next call
 *
 * Nothing is written unless @f is a terminal that has colours and the user wants them:
 * NO_COLOR (no-color.org) and TERM=dumb are honoured.
 */
void paint(FILE *f, enum paint how);

/* Several lines of ours: what stands behind a "!" disagrees, and looks like it. */
void paint_lines(FILE *f, const char *text);

#endif
