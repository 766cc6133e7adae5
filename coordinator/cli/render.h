/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A report, as the user of a command asked for it: lines, a bar on a terminal, JSON lines.
 */
#ifndef COORDINATOR_RENDER_H
#define COORDINATOR_RENDER_H

#include "cli.h"

/* @o is borrowed. */
void render(const struct cli *cli, struct json_object *o);

/* The same of anybody's transaction, for who only watches: a line with time, guest and transaction.
 */
void render_watched(FILE *f, struct json_object *o);

/* Each device with what became of it, a line each; NULL: none. */
void render_items(FILE *f, struct json_object *list);

/* Date and time of day, to the millisecond; @ms since the epoch. */
void render_time(FILE *f, int64_t ms);

#endif
