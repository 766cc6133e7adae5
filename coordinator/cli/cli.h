/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the commands of the command line share: options, errors, and one invocation.
 *
 * options.c        options that several commands have, and errors
 * cmd_*.c          one command a file; coordinator/lockstep.c has their table
 * session.c        a guest opened for a command: claimed and looked at; recover.c: what a
 *                  command that was killed has left on it
 * client.c         the same commands where lockstepd has the guest
 * job.c            a migration's own process; signals.c: Ctrl-C, wherever it is waited
 * tell.c           reports, to here or to whoever watches; render.c: lines, bar, JSON lines;
 *                  paint.c: colour on a terminal
 */
#ifndef COORDINATOR_CLI_H
#define COORDINATOR_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

#include "../report/exit.h"
#include "../run/guests.h"
#include "../run/run.h"
#include "../run/wish.h"

struct json_object;
struct qmp;

/**
 * struct cli - One invocation
 * @guest:      whom it is about
 * @has_guest:  by --qmp
 * @daemon:     connection to lockstepd, if that has the guest; NULL: the engine runs here
 * @dir:        guests.d; NULL the default
 * @json:       machine-readable output
 * @quiet:      errors only
 * @timeout_ms: for the transaction; 0 as long as its rows allow
 * @no_wait:    not for its end: lockstepd goes on with it
 * @fix:        doctor: heal
 * @limit:      txn list: at most so many; 0 as many as is usual
 * @wish:       what the options ask for; how much may be an argument
 * @to:         migrate: the destination, as typed; @window: force, hold or off
 * @watcher:    in a migration's own process: where reports go; -1: they are shown here
 * @word:       what stood before the guest, e.g. "online" of "cpu online"
 * @args:       what is left after the guest's name, @n_args of them
 * @bad:        the first mistake among the options
 */
struct cli {
	struct guest guest;
	bool has_guest;
	struct qmp *daemon;
	const char *dir;
	bool json, quiet;
	unsigned timeout_ms;
	bool no_wait;
	bool fix;
	uint64_t limit;
	struct wish wish;
	const char *to, *window;
	int watcher;
	const char *word;
	char **args;
	int n_args;
	struct ls_err bad;
};

/**
 * struct command - One row of the table of commands
 * @name:    as typed
 * @summary: for the list of commands
 * @argp:    its options and its help; struct cli is its input
 * @run:     returns an exit code
 */
struct command {
	const char *name;
	const char *summary;
	const struct argp *argp;
	int (*run)(struct cli *cli);
};

extern const struct command cmd_status, cmd_vcpus, cmd_memory, cmd_cpu;
extern const struct command cmd_migrate, cmd_doctor, cmd_recover;
extern const struct command cmd_balloon;
extern const struct command cmd_list, cmd_add, cmd_remove, cmd_cancel, cmd_watch, cmd_txn;

/* Options that a command has beside its own, as argp's children: of what lockstepd is asked ... */
extern const struct argp_child cli_asking[];   /* --json, --quiet */
extern const struct argp_child cli_awaiting[]; /* and --timeout, --wait, --no-wait */
extern const struct argp_child cli_adding[];   /* and --qmp, --agent */

/* ... and of what is done with a guest. */
extern const struct argp_child cli_looking[];  /* --json, --quiet, --qmp, --agent, --guests */
extern const struct argp_child cli_changing[]; /* and --timeout, --wait, --no-wait */
extern const struct argp_child cli_wishing[];  /* and --best-effort, --dry-run */

/* Parser for commands without options of their own; that of the others ends with it. */
error_t cli_parse(int key, char *arg, struct argp_state *state);

/* Print one error line to standard error, or a JSON object with --json; @code for the latter. */
int cli_error(const struct cli *cli, int code, const struct ls_err *err);

/* A mistake among the options: told after all of them are read, as JSON if they say so. */
void cli_bad_option(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- cmd_doctor.c ------------------------------------------------------- */

/* Print findings (doctor.h); returns an exit code. */
int doctor_show(const struct cli *cli, struct json_object *findings);

/* ---- cmd_change.c ------------------------------------------------------- */

/* What a wish takes, here or at the daemon; returns an exit code. */
int cli_change(struct cli *cli, const struct wish *w);

/* A number at the start of @text. Return: 0 and what follows it, -EINVAL, -ERANGE. */
int cli_number(const char *text, uint64_t max, uint64_t *ret, const char **ret_rest);

/* cmd_memory.c: "1536M", "2G". Return: 0, -EINVAL. */
int cli_size(const char *text, struct ls_err *err, uint64_t *ret_bytes);

#endif
