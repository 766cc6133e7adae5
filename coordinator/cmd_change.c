/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What changes a guest, whatever it is; lockstep vcpus. cmd_memory.c has the rest.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static const struct argp_child children[] = { { &cli_changing, 0, NULL, 0 }, { 0 } };

int cli_number(const char *text, uint64_t max, uint64_t *ret, const char **ret_rest)
{
	char *end;

	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	*ret = strtoull(text, &end, 10);
	*ret_rest = end;
	return errno || *ret > max ? -ERANGE : 0;
}

static int parse_count(struct cli *cli, struct ls_err *err, unsigned *ret)
{
	const char *text, *rest;
	uint64_t n;

	if (cli->n_args != 1)
		return ls_err_set(err, -EINVAL, "how much? the number of vCPUs, e.g. 4");
	text = cli->args[0];
	if (cli_number(text, LS_CPUS_MAX, &n, &rest) < 0 || *rest)
		return ls_err_set(err, -EINVAL, "\"%s\" is no number of vCPUs (1 to %d)", text,
				  LS_CPUS_MAX);
	*ret = (unsigned)n;
	return 0;
}

/* What is true now, from a look of its own: never what was hoped for. */
static void say_now(struct session *s, const struct wish *w)
{
	const struct cli *cli = s->cli;
	const struct vm *vm = &run_view(s->run)->vm[SIDE_SRC];

	if (run_look(s->run, NULL) < 0)
		return;
	if (cli->json)
		show_json(show_vm_json(cli->guest.name, vm));
	else if (!cli->quiet)
		show_now(stdout, cli->guest.name, vm, w->kind);
}

static int change_opened(struct session *s, const struct wish *w, const char *id)
{
	struct txn *t = NULL;
	struct ls_err err;
	int r = wish_plan(w, &run_view(s->run)->vm[SIDE_SRC], id, &err, &t), code = XC_OK;

	if (r < 0)
		return cli_error(s->cli, wish_is_wrong(r) ? XC_USAGE : XC_REFUSED, &err);
	if (t)
		code = session_run(s, t);
	if (code != XC_LOST)
		say_now(s, w);
	txn_free(t);
	return code;
}

int cli_change(struct cli *cli, const struct wish *w)
{
	char id[LS_TXN_BYTES], text[WISH_TEXT_BYTES], what[WISH_TEXT_BYTES + 64];
	struct run_ops ops;
	struct session s;
	int code;

	if (cli->daemon)
		return client_wish(cli, w);
	wish_txn_id(id, sizeof(id));
	wish_text(w, text, sizeof(text));
	snprintf(what, sizeof(what), "%s, transaction %s", text, id);
	report_ops(cli, &ops);
	code = session_open(&s, cli, what, NULL, &ops);
	if (!code)
		code = change_opened(&s, w, id);
	session_close(&s);
	return code;
}

/* ---- vcpus --------------------------------------------------------------- */

static const struct argp vcpus_argp = {
	.parser = cli_parse,
	.args_doc = "GUEST COUNT",
	.doc = "Make it COUNT vCPUs, plugged and online.\v"
	       "More: plugs the lowest free slots, waits until the guest sees each CPU, brings it "
	       "online, and is done when QEMU, the guest's driver core and its kernel agree. "
	       "Fewer: "
	       "takes the CPUs of the highest slots offline in the guest first, then unplugs "
	       "them.\n\n"
	       "All or nothing: if one fails, or at Ctrl-C, what was done is taken back. A guest "
	       "that "
	       "refuses to give a CPU up is told at once; one that says nothing leaves the "
	       "operation "
	       "pending (exit status 6).",
	.children = children,
};

static int run_vcpus(struct cli *cli)
{
	struct wish w = { .kind = WISH_VCPUS };
	struct ls_err err;
	unsigned count = 0;

	if (parse_count(cli, &err, &count) < 0)
		return cli_error(cli, XC_USAGE, &err);
	w.value = count;
	return cli_change(cli, &w);
}

const struct command cmd_vcpus = { "vcpus", "set the number of vCPUs, plugged and online",
				   &vcpus_argp, run_vcpus };
