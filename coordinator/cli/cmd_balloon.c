/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep balloon
 */
#include "cli.h"

#include <errno.h>

static const struct argp balloon_argp = {
	.parser = cli_parse,
	.args_doc = "GUEST SIZE",
	.doc = "Ask the guest to make do with SIZE of its boot memory and DIMMs, and to lend the "
	       "rest back.\v"
	       "The guest's balloon driver gives page by page what it can spare, and takes it back "
	       "the same way; no device comes or goes, and what virtio-mem has given is not "
	       "counted. Waits up to 30 s for the guest to follow. If it has not by then, what it "
	       "gave stays, the operation ends as partial (exit status 10) and says how far it "
	       "got; the guest may go on following.\n\n"
	       "At Ctrl-C the guest is asked for what it had before.",
	.children = cli_wishing,
};

static int run_balloon(struct cli *cli)
{
	struct wish *w = &cli->wish;
	struct ls_err err;
	int r = 0;

	w->kind = WISH_BALLOON;
	if (cli->n_args != 1)
		r = ls_err_set(&err, -EINVAL, "how much? the memory that it keeps, e.g. 1G");
	else
		r = cli_size(cli->args[0], &err, &w->value);
	return r < 0 ? cli_error(cli, XC_USAGE, &err) : cli_change(cli, w);
}

const struct command cmd_balloon = { "balloon", "ask the guest to lend memory back, page by page",
				     &balloon_argp, run_balloon };
