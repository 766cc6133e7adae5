/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep cpu
 */
#include "cli.h"

#include <errno.h>
#include <string.h>

static const struct argp cpu_argp = {
	.parser = cli_parse,
	.args_doc = "online GUEST N...\noffline GUEST N...",
	.doc = "Take CPUs of the guest online or offline; QEMU keeps them plugged.\v"
	       "N are the guest's own numbers of CPUs, as \"lockstep status\" shows them: 3, 2-5 "
	       "or 3,7. The guest's agent does it, under its hotplug lock and with the kernel's "
	       "own device semantics.\n\n"
	       "A CPU that is not there, that can never go offline, or that is the last one "
	       "running is refused before anything is sent. All or nothing, as \"lockstep vcpus\".",
	.children = cli_wishing,
};

static int run_cpu(struct cli *cli)
{
	struct wish *w = &cli->wish;
	struct ls_err err = { 0 };
	int r = 0;

	w->kind = strcmp(cli->word, "online") ? WISH_CPU_OFFLINE : WISH_CPU_ONLINE;
	if (!cli->n_args)
		r = ls_err_set(&err, -EINVAL, "which CPUs? their numbers, e.g. 3 or 2-4,7");
	for (int i = 0; i < cli->n_args && r >= 0; i++)
		r = wish_numbers(cli->args[i], &err, &w->which);
	return r < 0 ? cli_error(cli, XC_USAGE, &err) : cli_change(cli, w);
}

const struct command cmd_cpu = { "cpu", "take guest CPUs online or offline, without unplugging",
				 &cpu_argp, run_cpu };
