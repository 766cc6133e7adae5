/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep txn: what lockstepd has on record.
 */
#include "client.h"
#include "render.h"

#include <errno.h>
#include <string.h>

#include <json-c/json.h>
#include <qmp.h>

#include "../daemon/ctl.h"
#include "../report/json.h"
#include "../report/words.h"

#define TEXT(n)	  #n
#define DIGITS(n) TEXT(n)

/* clang-format off */
static const struct argp_option options[] = {
	{ "limit", 'n', "N", 0, "list: the newest N (default " DIGITS(CTL_TXNS) ", at most " DIGITS(CTL_TXNS_MAX) ")", 1 },
	{ 0 }
};
/* clang-format on */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;
	const char *rest;

	if (key != 'n')
		return cli_parse(key, arg, state);
	if (cli_number(arg, CTL_TXNS_MAX, &cli->limit, &rest) < 0 || *rest || !cli->limit)
		cli_bad_option(cli, "--limit takes 1 to %d, not \"%.40s\"", CTL_TXNS_MAX, arg);
	return 0;
}

static const struct argp txn_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "list [GUEST]\nshow TXN\nresume TXN\nundo TXN\nforget TXN",
	.doc = "What lockstepd has on record: each transaction, newest first; the rows of one; go "
	       "on with one that is stuck or pending; take it back; or delete one that has "
	       "ended.\v"
	       "\"recovered\" is the end of one whose daemon died; its reason says what became of "
	       "it.",
	.children = cli_awaiting,
};

static void show_line(struct json_object *o)
{
	render_time(stdout, qmp_get_int(o, "began-ms", 0));
	printf("  %-20s %-16s %-8s ", qmp_get_str(o, "txn", ""), qmp_get_str(o, "guest", ""),
	       qmp_get_str(o, "operation", ""));
	fputs(qmp_get_str(o, "end", "")[0] ? qmp_get_str(o, "end", "") : "(runs)", stdout);
	if (qmp_get_str(o, "reason", "")[0]) {
		fputs(": ", stdout);
		words_put(stdout, qmp_get_str(o, "reason", ""));
	}
	putchar('\n');
}

static void show_list(const struct cli *cli, struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (cli->json)
			json_print(json_object_get(o));
		else
			show_line(o);
	}
}

static void show_one(const struct cli *cli, struct json_object *o)
{
	struct json_object *rows = qmp_get_array(o, "rows");

	if (cli->json) {
		json_print(json_object_get(o));
		return;
	}
	show_line(o);
	render_items(stdout, qmp_get_array(o, "items"));
	for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		fputs("  ", stdout);
		render_time(stdout, qmp_get_int(row, "at-ms", 0));
		printf("  %s\n", qmp_get_str(row, "row", ""));
	}
}

/* Its guest is on record with it. */
static int follow(struct cli *cli, const char *verb, struct json_object *args)
{
	struct json_object *o = NULL;
	int code = client_ask(cli, "txn-show", json_object_get(args), &o);

	if (!code) {
		snprintf(cli->guest.name, sizeof(cli->guest.name), "%s",
			 qmp_get_str(o, "guest", ""));
		code = client_open(cli, &cli->daemon);
	}
	json_object_put(o);
	if (code) {
		json_object_put(args);
		return code;
	}
	client_add_timeout(cli, args);
	return client_follow(cli, verb, args);
}

/**
 * struct txn_verb - One word after "txn"
 * @argument: member that its argument becomes; @needed: it must be there
 * @follow:   it makes the transaction run; @goal: to an end with this exit code
 */
static const struct txn_verb {
	const char *word, *command, *argument;
	bool needed, follow;
	int goal;
	void (*show)(const struct cli *cli, struct json_object *value);
} verbs[] = {
	{ "list", "txn-list", "guest", false, false, XC_OK, show_list },
	{ "show", "txn-show", "txn", true, false, XC_OK, show_one },
	{ "resume", "txn-resume", "txn", true, true, XC_OK, NULL },
	{ "undo", "txn-undo", "txn", true, true, XC_UNDONE, NULL },
	{ "forget", "txn-forget", "txn", true, false, XC_OK, NULL },
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct txn_verb *find(const struct cli *cli)
{
	for (size_t i = 0; i < N_VERBS; i++)
		if (cli->n_args && !strcmp(cli->args[0], verbs[i].word) &&
		    (cli->n_args == 2 || !verbs[i].needed))
			return &verbs[i];
	return NULL;
}

static int check(const struct cli *cli, const struct txn_verb *v, struct ls_err *err)
{
	if (!v)
		return ls_err_set(
			err, -EINVAL,
			"txn: list [GUEST], or show, resume, undo or forget TXN is meant");
	if ((cli->no_wait || cli->timeout_ms) && !v->follow)
		return ls_err_set(err, -EINVAL,
				  "txn %s: --no-wait and --timeout go with resume and undo",
				  v->word);
	if (cli->limit && v->show != show_list)
		return ls_err_set(err, -EINVAL, "txn %s: --limit goes with list", v->word);
	return 0;
}

static int run_journal(struct cli *cli)
{
	const struct txn_verb *v = find(cli);
	struct json_object *args, *value = NULL;
	struct ls_err err;
	int code;

	if (check(cli, v, &err) < 0)
		return cli_error(cli, XC_USAGE, &err);
	args = json_object_new_object();
	if (cli->limit)
		json_add_num(args, "limit", cli->limit);
	if (cli->n_args == 2)
		json_add_str(args, v->argument, cli->args[1]);
	if (v->follow) {
		code = follow(cli, v->command, args);
		return code == v->goal ? XC_OK : code;
	}
	code = client_ask(cli, v->command, args, &value);
	if (!code && v->show)
		v->show(cli, value);
	json_object_put(value);
	return code;
}

const struct command cmd_txn = { "txn", "what lockstepd has on record", &txn_argp, run_journal };
