/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hostile monitors, one after the other: docs/hostile-peers.md.
 */
#include "../fleet/ordeal.h"

int main(int argc, char **argv)
{
	(void)argc;
	return ordeal_run(argv[0], hostile_qemus, false);
}
