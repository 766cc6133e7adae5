/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options that every command has, and how errors reach the user.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define TIMEOUT_MAX_S 86400

/* clang-format off */
static const struct argp_option options[] = {
	{ "qmp",     'q', "ADDRESS", 0, "QEMU's monitor: unix:PATH, tcp:HOST:PORT, ssh:HOST:PATH", 10 },
	{ "agent",   'a', "ADDRESS", 0, "the agent's channel, likewise; without it the guest's side is "
	                                "neither driven nor checked", 10 },
	{ "guests",  'd', "DIR",     0, "where the names of guests are (default: $LOCKSTEP_GUESTS_D, "
	                                GUESTS_DIR ")", 10 },
	{ "json",    'j', NULL,      0, "print JSON, one object a line", 10 },
	{ "quiet",   'Q', NULL,      0, "print errors only", 10 },
	{ "timeout", 't', "SECONDS", 0, "for the operation as a whole; then it is taken back", 10 },
	{ 0 }
};
/* clang-format on */

static void copy_address(char *to, const char *arg, struct argp_state *state)
{
	if (strlen(arg) >= GUEST_ADDRESS_BYTES)
		argp_error(state, "an address has at most %d characters", GUEST_ADDRESS_BYTES - 1);
	snprintf(to, GUEST_ADDRESS_BYTES, "%s", arg);
}

static unsigned seconds(const char *arg, struct argp_state *state)
{
	char *end;
	unsigned long s = strtoul(arg, &end, 10);

	if (*end || end == arg || s < 1 || s > TIMEOUT_MAX_S)
		argp_error(state, "--timeout takes 1 to %d seconds, not \"%s\"", TIMEOUT_MAX_S,
			   arg);
	return (unsigned)s;
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case 'q':
		copy_address(cli->guest.qmp, arg, state);
		cli->has_guest = true;
		return 0;
	case 'a':
		copy_address(cli->guest.agent, arg, state);
		return 0;
	case 'd':
		cli->dir = arg;
		return 0;
	case 'j':
		cli->json = true;
		return 0;
	case 'Q':
		cli->quiet = true;
		return 0;
	case 't':
		cli->timeout_ms = seconds(arg, state) * 1000;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_common = { .options = options, .parser = parse_common };

/* Positional arguments are left in place: argp moves them behind the options. */
error_t cli_parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = state->input;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* ---- errors ------------------------------------------------------------ */

void cli_put(FILE *f, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			fprintf(f, "\\x%02x", *p);
		else
			fputc(*p, f);
	}
}

int cli_error(const struct cli *cli, int code, const struct ls_err *err)
{
	struct json_object *o;

	if (!cli->json && cli->watcher < 0) {
		fputs("lockstep: ", stderr);
		if (cli->guest.name[0])
			fprintf(stderr, "%s: ", cli->guest.name);
		cli_put(stderr, err->text);
		fputc('\n', stderr);
		return code;
	}
	o = json_object_new_object();
	json_object_object_add(o, "event", json_object_new_string("error"));
	json_object_object_add(o, "error", json_object_new_string(err->text));
	json_object_object_add(o, "errno", json_object_new_int(-err->code));
	json_object_object_add(o, "exit", json_object_new_int(code));
	if (cli->watcher >= 0)
		dprintf(cli->watcher, "%s\n",
			json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	else
		show_json(json_object_get(o));
	json_object_put(o);
	return code;
}

int cli_exit_errno(int r)
{
	switch (-r) {
	case 0:
		return XC_OK;
	case EBUSY:
		return XC_BUSY;
	case EINVAL:
		return XC_USAGE;
	default:
		return XC_REACH;
	}
}

int cli_exit_end(enum txn_end end)
{
	static const int codes[] = {
		[END_NONE] = XC_STUCK,	    [END_DONE] = XC_OK,		[END_UNDONE] = XC_UNDONE,
		[END_REFUSED] = XC_REFUSED, [END_PENDING] = XC_PENDING, [END_STUCK] = XC_STUCK,
		[END_UNDECIDED] = XC_STUCK, [END_LOST] = XC_LOST,
	};

	return codes[end];
}
