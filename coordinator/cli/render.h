/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A report, as the user of a command asked for it: lines, a bar on a terminal, JSON lines.
 */
#ifndef COORDINATOR_RENDER_H
#define COORDINATOR_RENDER_H

#include "cli.h"

/* @o is borrowed. */
void render(const struct cli *cli, struct json_object *o);

#endif
