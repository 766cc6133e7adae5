/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that is none, for a lockstepd inside of a lab guest: the fleet's monitor and agent
 * (tests/fleet/) in a directory of $TMPDIR, which it prints. It lives until it is killed.
 */
#include <stdio.h>

#include "../fleet/fleet.h"

int main(void)
{
	struct fleet *f;
	sd_event *loop;
	int r = sd_event_new(&loop);

	if (r < 0)
		return 1;
	f = fleet_new(loop, 1);
	puts(f->dir);
	fflush(stdout);
	r = sd_event_loop(loop);
	fleet_free(f);
	sd_event_unref(loop);
	return r < 0;
}
