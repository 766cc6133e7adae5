/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options that several commands have, and how errors reach the user.
 */
#include "cli.h"
#include "../report/json.h"
#include "paint.h"
#include "../report/report.h"
#include "tell.h"
#include "../report/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define TIMEOUT_MAX_S 86400

enum { OPT_WAIT = 0x200, OPT_NO_WAIT, OPT_BEST_EFFORT, OPT_DRY_RUN }; /* options without a letter */

/* clang-format off */
static const struct argp_option output_options[] = {
	{ "json",    'j', NULL,      0, "print JSON, one object a line", 10 },
	{ "quiet",   'Q', NULL,      0, "print errors only", 10 },
	{ 0 }
};

static const struct argp_option address_options[] = {
	{ "qmp",     'q', "ADDRESS", 0, "QEMU's monitor: unix:PATH, tcp:HOST:PORT, ssh:HOST:PATH", 10 },
	{ "agent",   'a', "ADDRESS", 0, "the agent's channel, an address as for --qmp or vsock:CID:PORT; without it the guest's side is "
	                                "neither driven nor checked", 10 },
	{ 0 }
};

static const struct argp_option names_options[] = {
	{ "guests",  'd', "DIR",     0, "where the names of guests are (default: $LOCKSTEP_GUESTS_D, "
	                                GUESTS_DIR ")", 10 },
	{ 0 }
};

static const struct argp_option waiting_options[] = {
	{ "timeout", 't', "SECONDS", 0, "at most so long; what was begun is taken back then", 5 },
	{ "wait",    OPT_WAIT,    NULL, 0, "until it has ended, and say what is true then (default)", 5 },
	{ "no-wait", OPT_NO_WAIT, NULL, 0, "not for its end: lockstepd goes on with it", 5 },
	{ 0 }
};

static const struct argp_option wishing_options[] = {
	{ "best-effort", OPT_BEST_EFFORT, NULL, 0, "do what can be done: what fails is dropped and as before, "
	                                           "the rest stays", 4 },
	{ "dry-run",     OPT_DRY_RUN,     NULL, 0, "change nothing: print the rows, what of each is done already, and "
	                                           "the requests that it would send", 4 },
	{ 0 }
};
/* clang-format on */

static void copy_address(char *to, const char *arg, struct cli *cli)
{
	struct ls_err err;

	if (guest_address_check(arg, &err) < 0)
		cli_bad_option(cli, "%s", err.text);
	else
		snprintf(to, GUEST_ADDRESS_BYTES, "%s", arg);
}

static unsigned seconds(const char *arg, struct cli *cli)
{
	char *end;
	unsigned long s = strtoul(arg, &end, 10);

	if (*end || end == arg || s < 1 || s > TIMEOUT_MAX_S)
		cli_bad_option(cli, "--timeout takes 1 to %d seconds, not \"%s\"", TIMEOUT_MAX_S,
			       arg);
	return (unsigned)s;
}

static error_t parse_output(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	(void)arg;
	switch (key) {
	case 'j':
		cli->json = true;
		return 0;
	case 'Q':
		cli->quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_address(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case 'q':
		copy_address(cli->guest.qmp, arg, cli);
		cli->has_guest = true;
		return 0;
	case 'a':
		copy_address(cli->guest.agent, arg, cli);
		return 0;
	default:
		return cli_parse(key, arg, state);
	}
}

static error_t parse_names(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	if (key != 'd')
		return cli_parse(key, arg, state);
	cli->dir = arg;
	return 0;
}

static error_t parse_waiting(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case 't':
		cli->timeout_ms = seconds(arg, cli) * 1000;
		return 0;
	case OPT_WAIT:
	case OPT_NO_WAIT:
		cli->no_wait = key == OPT_NO_WAIT;
		return 0;
	default:
		return cli_parse(key, arg, state);
	}
}

static error_t parse_wishing(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case OPT_BEST_EFFORT:
		cli->wish.best_effort = true;
		return 0;
	case OPT_DRY_RUN:
		cli->wish.dry_run = true;
		return 0;
	default:
		return cli_parse(key, arg, state);
	}
}

/* Positional arguments are left in place: argp moves them behind the options. */
error_t cli_parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = state->input;
	return 0;
}

/* ---- which commands have which: each has one child, as cli_parse() takes it ------ */

static const struct argp output = { .options = output_options, .parser = parse_output };
const struct argp_child cli_asking[] = { { &output, 0, NULL, 0 }, { 0 } };

static const struct argp awaiting = { .options = waiting_options,
				      .parser = parse_waiting,
				      .children = cli_asking };
const struct argp_child cli_awaiting[] = { { &awaiting, 0, NULL, 0 }, { 0 } };

static const struct argp address = { .options = address_options,
				     .parser = parse_address,
				     .children = cli_asking };
static const struct argp_child address_too[] = { { &address, 0, NULL, 0 }, { 0 } };

static const struct argp adding = { .options = waiting_options,
				    .parser = parse_waiting,
				    .children = address_too };
const struct argp_child cli_adding[] = { { &adding, 0, NULL, 0 }, { 0 } };

static const struct argp looking = { .options = names_options,
				     .parser = parse_names,
				     .children = address_too };
const struct argp_child cli_looking[] = { { &looking, 0, NULL, 0 }, { 0 } };

static const struct argp changing = { .options = waiting_options,
				      .parser = parse_waiting,
				      .children = cli_looking };
const struct argp_child cli_changing[] = { { &changing, 0, NULL, 0 }, { 0 } };

static const struct argp wishing = { .options = wishing_options,
				     .parser = parse_wishing,
				     .children = cli_changing };
const struct argp_child cli_wishing[] = { { &wishing, 0, NULL, 0 }, { 0 } };

/* ---- errors ------------------------------------------------------------ */

void cli_bad_option(struct cli *cli, const char *fmt, ...)
{
	char text[LS_ERR_TEXT_BYTES];
	va_list ap;

	if (cli->bad.code)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ls_err_set(&cli->bad, -EINVAL, "%s", text);
}

int cli_error(const struct cli *cli, int code, const struct ls_err *err)
{
	struct json_object *o;

	if (!cli->json && cli->watcher < 0) {
		paint(stderr, PAINT_BAD);
		fputs("lockstep: ", stderr);
		paint(stderr, PAINT_PLAIN);
		if (cli->guest.name[0])
			fprintf(stderr, "%s: ", cli->guest.name);
		words_put(stderr, err->text);
		fputc('\n', stderr);
		return code;
	}
	o = report_error(code, err);
	if (cli->watcher >= 0)
		tell_send(cli, o);
	else
		json_print(json_object_get(o));
	json_object_put(o);
	return code;
}
