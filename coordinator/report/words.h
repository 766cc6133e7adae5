/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text that may come from a guest, on its way to somebody's terminal.
 */
#ifndef COORDINATOR_WORDS_H
#define COORDINATOR_WORDS_H

#include <stdio.h>

/* Control characters, C1 and what is no UTF-8 are shown, not sent. */
void words_put(FILE *f, const char *text);

#endif
