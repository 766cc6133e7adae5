/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep list, cancel, watch: what only the daemon can do.
 */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <json-c/json.h>
#include <qmp.h>

#include "../daemon/ctl.h"
#include "render.h"
#include "../report/json.h"
#include "../report/show.h"
#include "../report/words.h"

#define ANSWER_MS 10000 /* to be taken into the list of those who are told */

/* ---- list ------------------------------------------------------------------------- */

static const struct argp list_argp = {
	.parser = cli_parse,
	.args_doc = "",
	.doc = "List the guests that lockstepd has, with what it has seen last of each.",
	.children = cli_asking,
};

static void list_line(struct json_object *o)
{
	int64_t online = qmp_get_int(o, "vcpus-online", -1);
	char size[32], known[32] = "not known";

	if (online >= 0)
		snprintf(known, sizeof(known), "%" PRId64, online);
	show_size(size, sizeof(size), (uint64_t)qmp_get_int(o, "memory", 0));
	printf("%-24s %-11s", qmp_get_str(o, "guest", ""), qmp_get_str(o, "state", ""));
	if (qmp_get_str(o, "status", NULL))
		printf(" %-8s %4" PRId64 " vCPUs (online: %s)  %s", qmp_get_str(o, "status", ""),
		       qmp_get_int(o, "vcpus", 0), known, size);
	if (qmp_get_int(o, "pending-unplugs", 0))
		printf("  %" PRId64 " unplugs pending", qmp_get_int(o, "pending-unplugs", 0));
	if (qmp_get_str(o, "reason", "")[0]) {
		fputs("  ! ", stdout);
		words_put(stdout, qmp_get_str(o, "reason", ""));
	}
	putchar('\n');
}

static int run_list(struct cli *cli)
{
	struct json_object *list = NULL;
	int code = client_ask(cli, "list", NULL, &list);

	if (!code && !json_object_array_length(list) && !cli->quiet && !cli->json)
		fputs("lockstep: lockstepd has no guest yet: lockstep add, or a file in " GUESTS_DIR
		      "\n",
		      stderr);
	for (size_t i = 0; !code && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (cli->json)
			json_print(json_object_get(o));
		else
			list_line(o);
	}
	json_object_put(list);
	return code;
}

const struct command cmd_list = { "list", "the guests that lockstepd has", &list_argp, run_list };

/* ---- cancel --------------------------------------------------------------------------- */

static const struct argp cancel_argp = {
	.parser = cli_parse,
	.args_doc = "GUEST [TXN]",
	.doc = "Take back what runs on a guest, or the request TXN while it waits.\v"
	       "As Ctrl-C does for whoever waits for it. What cannot be taken back any more goes "
	       "on to its end.",
	.children = cli_asking,
};

static int ask_cancel(struct cli *cli)
{
	struct json_object *args;
	struct ls_err err;

	if (!cli->n_args) {
		ls_err_set(&err, -EINVAL, "cancel: of which guest?");
		return cli_error(cli, XC_USAGE, &err);
	}
	args = client_args(cli->args[0]);
	if (cli->n_args > 1)
		json_add_str(args, "txn", cli->args[1]);
	return client_ask(cli, "cancel", args, NULL);
}

const struct command cmd_cancel = { "cancel", "take back what lockstepd does to a guest",
				    &cancel_argp, ask_cancel };

/* ---- watch ------------------------------------------------------------------------------ */

static const struct argp watch_argp = {
	.parser = cli_parse,
	.args_doc = "",
	.doc = "Show every step of every transaction of lockstepd as it happens, until Ctrl-C.",
	.children = cli_asking,
};

static int run_watch(struct cli *cli)
{
	struct qmp_event event;
	struct ls_err err;
	struct qmp *q;
	int code = client_open(cli, &q);

	if (code)
		return code;
	if (!q)
		return client_absent(cli, "watch");
	if (qmp_command(q, "subscribe", NULL, qmp_now_ms() + ANSWER_MS, &err, NULL) < 0) {
		qmp_close(q);
		return cli_error(cli, XC_REFUSED, &err);
	}
	while (qmp_event_wait(q, 0, &err, &event) >= 0) {
		if (cli->json)
			json_print(json_object_get(event.data));
		else
			render_watched(stdout, event.data);
		qmp_event_done(&event);
	}
	qmp_close(q);
	return cli_error(cli, XC_REACH, &err);
}

const struct command cmd_watch = { "watch", "follow what lockstepd does", &watch_argp, run_watch };
