/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep add, remove: which guests lockstepd has.
 */
#include "client.h"

#include <errno.h>
#include <string.h>

#include <json-c/json.h>
#include <qmp.h>

#include "../report/json.h"
#include "../report/words.h"

#define AGAIN_MS 1000 /* a doctor ends without an event */

/* ---- add -------------------------------------------------------------------------- */

static const struct argp add_argp = {
	.parser = cli_parse,
	.args_doc = "GUEST --qmp ADDRESS [--agent ADDRESS]",
	.doc = "Give lockstepd a guest; it keeps it over restarts.\v"
	       "Waits until it is ready. One that cannot be reached is kept, too, and tried again "
	       "and again: the exit status is 3 then, and the reason is told; 0 with --no-wait. "
	       "A guest of guests.d needs no adding: lockstepd reads that at start and at a "
	       "reload.",
	.children = cli_adding,
};

static int say_added(const struct cli *cli, struct json_object *o)
{
	const char *state = qmp_get_str(o, "state", "");
	struct ls_err err;

	if (cli->json && o)
		json_print(json_object_get(o));
	if (cli->no_wait || strcmp(state, "away"))
		return XC_OK;
	ls_err_set(&err, -EPIPE,
		   "%.60s: kept, but it cannot be reached: %.120s; lockstepd tries again: lockstep "
		   "list",
		   cli->args[0], qmp_get_str(o, "reason", ""));
	return cli->json ? XC_REACH : cli_error(cli, XC_REACH, &err);
}

static int run_add(struct cli *cli)
{
	struct json_object *args, *value = NULL;
	struct ls_err err;
	int code;

	if (cli->n_args != 1 || !cli->has_guest) {
		ls_err_set(&err, -EINVAL,
			   "add: a name and an address are needed: lockstep add GUEST --qmp "
			   "unix:PATH [--agent unix:PATH]");
		return cli_error(cli, XC_USAGE, &err);
	}
	args = client_args(cli->args[0]);
	json_add_str(args, "qmp", cli->guest.qmp);
	json_add_str(args, "agent", cli->guest.agent);
	json_object_object_add(args, "no-wait", json_object_new_boolean(cli->no_wait));
	code = client_ask(cli, "add", args, &value);
	if (!code)
		code = say_added(cli, value);
	json_object_put(value);
	return code;
}

const struct command cmd_add = { "add", "give lockstepd a guest", &add_argp, run_add };

/* ---- remove ------------------------------------------------------------------------- */

static const struct argp remove_argp = {
	.parser = cli_parse,
	.args_doc = "GUEST",
	.doc = "Make lockstepd let go of a guest: its monitor is free then, and nothing is changed "
	       "in it.\v"
	       "Waits for the end of what runs on it; with --no-wait it is refused then (4). "
	       "A guest of guests.d is back at the next reload unless its file is gone.",
	.children = cli_awaiting,
};

/* Until something ends on the guest; or for a moment. */
static int await_an_end(const struct cli *cli, struct qmp *q, uint64_t until_ms, struct ls_err *err)
{
	uint64_t again_ms = qmp_now_ms() + AGAIN_MS;
	struct qmp_event event;
	bool ended = false;
	int r = 0;

	if (until_ms && until_ms < again_ms)
		again_ms = until_ms;
	while (!ended && r >= 0) {
		r = qmp_event_wait(q, again_ms, err, &event);
		if (r < 0)
			break;
		ended = !strcmp(qmp_get_str(event.data, "event", ""), "now") &&
			!strcmp(qmp_get_str(event.data, "guest", ""), cli->args[0]);
		qmp_event_done(&event);
	}
	return r == -ETIMEDOUT ? 0 : r;
}

static int remove_when_it_can_be(const struct cli *cli, struct qmp *q)
{
	uint64_t until_ms = cli->timeout_ms ? qmp_now_ms() + cli->timeout_ms : 0;
	struct ls_err err;
	int r = cli->no_wait ? 0
			     : qmp_command(q, "subscribe", NULL,
					   qmp_now_ms() + client_limit_ms(cli), &err, NULL);

	while (r >= 0) {
		r = qmp_command(q, "remove", client_args(cli->args[0]),
				qmp_now_ms() + client_limit_ms(cli), &err, NULL);
		if (r >= 0)
			return XC_OK;
		if (strcmp(err.class, "BUSY") || cli->no_wait ||
		    (until_ms && qmp_now_ms() >= until_ms))
			break;
		r = await_an_end(cli, q, until_ms, &err);
	}
	return client_failed(cli, &err);
}

static int run_remove(struct cli *cli)
{
	struct ls_err err;
	struct qmp *q;
	int code;

	if (cli->n_args != 1) {
		ls_err_set(&err, -EINVAL, "remove: which guest? \"lockstep list\" names them");
		return cli_error(cli, XC_USAGE, &err);
	}
	code = client_open(cli, &q);
	if (code)
		return code;
	if (!q)
		return client_absent(cli, "remove");
	code = remove_when_it_can_be(cli, q);
	qmp_close(q);
	return code;
}

const struct command cmd_remove = { "remove", "make lockstepd let go of a guest", &remove_argp,
				    run_remove };
