/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hostile agents, and the kernels behind them, one after the other: docs/hostile-peers.md.
 */
#include "../fleet/ordeal.h"

int main(int argc, char **argv)
{
	(void)argc;
	return ordeal_run(argv[0], hostile_agents, true);
}
