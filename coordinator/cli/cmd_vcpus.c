/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep vcpus
 */
#include "cli.h"

#include <errno.h>

enum { OPT_NODE = 0x100, OPT_PLUG, OPT_UNPLUG };

/* clang-format off */
static const struct argp_option options[] = {
	{ "node",   OPT_NODE,   "NODE",  0, "COUNT is that of this NUMA node; the others stay as they are", 1 },
	{ "plug",   OPT_PLUG,   "SLOTS", 0, "plug these slots, and bring their vCPUs online", 1 },
	{ "unplug", OPT_UNPLUG, "SLOTS", 0, "take the vCPUs of these slots offline, and unplug them", 1 },
	{ 0 }
};
/* clang-format on */

static void take_slots(struct cli *cli, enum wish_kind kind, const char *arg)
{
	struct ls_err err;

	if (cli->wish.kind != WISH_VCPUS)
		cli_bad_option(cli, "--plug and --unplug: one of them at a time");
	else if (wish_numbers(arg, &err, &cli->wish.which) < 0)
		cli_bad_option(cli, "%s", err.text);
	cli->wish.kind = kind;
}

static void take_node(struct cli *cli, const char *arg)
{
	const char *rest;
	uint64_t n;

	if (cli_number(arg, LS_CPUS_MAX, &n, &rest) < 0 || *rest)
		cli_bad_option(cli, "--node takes the number of a NUMA node, not \"%.40s\"", arg);
	else
		cli->wish.node = (int)n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_NODE:
		take_node(state->input, arg);
		return 0;
	case OPT_PLUG:
		take_slots(state->input, WISH_PLUG, arg);
		return 0;
	case OPT_UNPLUG:
		take_slots(state->input, WISH_UNPLUG, arg);
		return 0;
	default:
		return cli_parse(key, arg, state);
	}
}

static const struct argp vcpus_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "GUEST COUNT\nGUEST COUNT --node NODE\nGUEST --plug SLOTS\nGUEST --unplug "
		    "SLOTS",
	.doc = "Make it COUNT vCPUs, plugged and online; or plug or unplug the slots that are "
	       "named.\v"
	       "More: plugs the lowest free slots, waits until the guest sees each CPU, brings it "
	       "online, and is done when QEMU, the guest's driver core and its kernel agree. "
	       "Fewer: takes the CPUs of the highest slots offline in the guest first, then "
	       "unplugs "
	       "them.\n\n"
	       "SLOTS are numbers of slots as \"lockstep status\" shows them: 3, 2-5 or 3,7. A "
	       "slot "
	       "has as many vCPUs as one plug of it adds: a thread, or a whole core.\n\n"
	       "All or nothing: if one fails, or at Ctrl-C, what was done is taken back. A guest "
	       "that refuses to give a CPU up is told at once; one that says nothing leaves the "
	       "operation pending (exit status 6).",
	.children = cli_wishing,
};

static int parse_wish(struct cli *cli, struct ls_err *err)
{
	struct wish *w = &cli->wish;
	const char *rest;

	if (w->kind != WISH_VCPUS)
		return cli->n_args || w->node != NODE_ANY
			       ? ls_err_set(
					 err, -EINVAL,
					 "--plug and --unplug name the slots: no COUNT, no --node")
			       : 0;
	if (!cli->n_args)
		return ls_err_set(err, -EINVAL, "how much? the number of vCPUs, e.g. 4");
	if (cli_number(cli->args[0], LS_CPUS_MAX, &w->value, &rest) < 0 || *rest)
		return ls_err_set(err, -EINVAL, "\"%s\" is no number of vCPUs (1 to %d)",
				  cli->args[0], LS_CPUS_MAX);
	return 0;
}

static int run_vcpus(struct cli *cli)
{
	struct ls_err err;

	if (parse_wish(cli, &err) < 0)
		return cli_error(cli, XC_USAGE, &err);
	return cli_change(cli, &cli->wish);
}

const struct command cmd_vcpus = { "vcpus", "set the number of vCPUs, plugged and online",
				   &vcpus_argp, run_vcpus };
