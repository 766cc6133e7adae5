/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A world in which a rule does not hold fails the unit test that runs it.
 */
#include "../sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void world_failed(const struct world *w, const char *why)
{
	fprintf(stderr, "%s\n", w->trace); /* cmocka cuts long texts */
	fail_msg("%s", why);
	abort(); /* fail_msg() does not return, and does not say so */
}
