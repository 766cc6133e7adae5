/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep status, lockstep recover
 */
#include "session.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "client.h"
#include "../report/json.h"
#include "paint.h"
#include "../report/show.h"
#include "tell.h"

static const struct argp status_argp = {
	.parser = cli_parse,
	.args_doc = "GUEST",
	.doc = "Show the state vector: what QEMU has, what the guest's driver core says, what its "
	       "kernel runs.\vA line that begins with \"!\" names a disagreement. Changes nothing, "
	       "takes no lock; needs the monitor for a moment.",
	.children = cli_looking,
};

/* As it comes from lockstepd: the words first, then their colour. */
static void put_vm(const char *name, const struct vm *vm)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	show_vm(f, name, vm);
	fclose(f);
	paint_lines(stdout, text);
	free(text);
}

static int run_status(struct cli *cli)
{
	const struct vm *vm;
	struct session s;
	int code;

	if (cli->daemon)
		return client_status(cli);
	code = session_open(&s, cli, NULL, NULL, NULL);
	if (code == XC_OK) {
		vm = &run_view(s.run)->vm[SIDE_SRC];
		if (cli->json)
			json_print(show_vm_json(cli->guest.name, vm));
		else
			put_vm(cli->guest.name, vm);
	}
	session_close(&s);
	return code;
}

const struct command cmd_status = { "status", "what the guest has, in every view", &status_argp,
				    run_status };

static const struct argp recover_argp = {
	.parser = cli_parse,
	.args_doc = "GUEST",
	.doc = "Take back, or finish, what a lockstep that was killed has left.\v"
	       "Every command that changes a guest does this first. An operation is taken back; a "
	       "migration that had committed itself to the destination is finished.",
	.children = cli_changing,
};

static int run_recover(struct cli *cli)
{
	struct session s;
	struct run_ops ops;
	int code;

	tell_ops(cli, &ops);
	code = session_open(&s, cli, SESSION_RECOVER, NULL, &ops);
	if (code == XC_OK && !s.moved && cli->json)
		json_print(show_vm_json(cli->guest.name, &run_view(s.run)->vm[SIDE_SRC]));
	else if (code == XC_OK && !s.moved && !cli->quiet)
		put_vm(cli->guest.name, &run_view(s.run)->vm[SIDE_SRC]);
	session_close(&s);
	return code;
}

const struct command cmd_recover = { "recover", "clean up after a lockstep that was killed",
				     &recover_argp, run_recover };
