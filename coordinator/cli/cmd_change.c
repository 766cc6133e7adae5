/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What changes a guest, whatever it is; cmd_vcpus.c, cmd_cpu.c and cmd_memory.c say what.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <qmp.h>

#include "client.h"
#include "../report/dry.h"
#include "../report/json.h"
#include "../report/report.h"
#include "../report/show.h"
#include "tell.h"

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

/* What is true now, from a look of its own: never what was hoped for. */
static void say_now(struct session *s, const struct wish *w)
{
	const struct cli *cli = s->cli;
	const struct vm *vm = &run_view(s->run)->vm[SIDE_SRC];

	if (run_look(s->run, NULL) < 0)
		return;
	if (cli->json)
		json_print(show_vm_json(cli->guest.name, vm));
	else if (!cli->quiet)
		show_now(stdout, cli->guest.name, vm, w->kind);
}

/* Return: an exit code; that the agent has answered is the planner's to see. */
static int await_agent(struct session *s, const struct wish *w)
{
	const struct vm *vm = &run_view(s->run)->vm[SIDE_SRC];
	unsigned limit_ms = wish_waits_ms(w, vm, s->cli->timeout_ms);
	int code = XC_OK;

	if (limit_ms)
		tell_object(s->cli, report_awaiting(vm, limit_ms));
	while (!code && qmp_now_ms() < s->since_ms + limit_ms) {
		sd_event_run(s->loop, WISH_AGAIN_MS * 1000);
		code = session_look(s);
		limit_ms = wish_waits_ms(w, vm, s->cli->timeout_ms);
	}
	return code;
}

static int change_opened(struct session *s, const struct wish *w, const char *id)
{
	int code = await_agent(s, w), r;
	struct txn *t = NULL;
	struct ls_err err;

	if (code)
		return code;
	r = wish_plan(w, &run_view(s->run)->vm[SIDE_SRC], id, &err, &t);
	if (r < 0)
		return cli_error(s->cli, wish_is_wrong(r) ? XC_USAGE : XC_REFUSED, &err);
	if (t && w->dry_run)
		tell_object(s->cli, dry_plan(s->run, s->cli->guest.name, t));
	else if (t)
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
	tell_ops(cli, &ops);
	code = session_open(&s, cli, w->dry_run ? NULL : what, NULL, &ops);
	if (!code)
		code = change_opened(&s, w, id);
	session_close(&s);
	return code;
}
