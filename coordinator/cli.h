/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the commands of the command line share: options, exit codes, output.
 *
 * lockstep.c       the table of commands
 * cmd_*.c          one command a file
 * session.c        a guest opened for a command: claimed and looked at; recover.c: what a
 *                  command that was killed has left on it
 * show*.c          the state vector for people and as JSON
 * report.c         how a transaction goes: lines, bar, JSON lines
 * paint.c          colour on a terminal
 * client.c         the same commands where lockstepd has the guest
 */
#ifndef COORDINATOR_CLI_H
#define COORDINATOR_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/txn.h"
#include "guests.h"
#include "run.h"
#include "wish.h"

struct json_object;
struct qmp;

/* Exit codes; docs/errors.md and the manual pages print the same list. X(name, code, text) */
#define EXIT_CODES(X)                                                                              \
	X(OK, 0, "done, or it was so already")                                                     \
	X(REFUSED, 1, "refused by QEMU, the guest or a planner: nothing was changed")              \
	X(USAGE, 2, "the command line, a value or guests.d is wrong: nothing was sent")            \
	X(REACH, 3, "the guest's monitor cannot be reached or is not a monitor")                   \
	X(BUSY, 4, "another lockstep, or another client of the monitor, has this guest")           \
	X(UNDONE, 5, "failed, and everything that was done has been taken back")                   \
	X(PENDING, 6, "the guest was asked for a device and has not answered yet")                 \
	X(STUCK, 7, "neither forward nor back; what is where, and what to run, was printed")       \
	X(LOST, 8, "QEMU ended in the middle")                                                     \
	X(FINDINGS, 9, "doctor: something disagrees and was not (or could not be) healed")         \
	X(PARTIAL, 10, "a part of it was done, and stays; how far it got was printed")

enum exit_code {
#define X(name, code, text) XC_##name = (code),
	EXIT_CODES(X)
#undef X
};

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

/* Options that every command has, as an argp child: --qmp, --agent, --json, ... */
extern const struct argp cli_common;

/* The same, and those of commands that change something: --timeout, --no-wait. */
extern const struct argp cli_changing;

/* The same, and those of a wish: --best-effort, --dry-run. */
extern const struct argp cli_wishing;

/* Parser for commands without options of their own; @n_args positional arguments at most. */
error_t cli_parse(int key, char *arg, struct argp_state *state);

/* Print one error line to standard error, or a JSON object with --json; @code for the latter. */
int cli_error(const struct cli *cli, int code, const struct ls_err *err);

/* The exit code for an errno of connecting or looking, and for the end of a transaction. */
int cli_exit_errno(int r);
int cli_exit_end(enum txn_end end);

/*
 * Print text that may come from a guest: control characters, C1 and what is no UTF-8 are
 * shown, not sent.
 */
void cli_put(FILE *f, const char *text);

/* A mistake among the options: told after all of them are read, as JSON if they say so. */
void cli_bad_option(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- cmd_change.c ------------------------------------------------------- */

/* What a wish takes, here or at the daemon; returns an exit code. */
int cli_change(struct cli *cli, const struct wish *w);

/* A number at the start of @text. Return: 0 and what follows it, -EINVAL, -ERANGE. */
int cli_number(const char *text, uint64_t max, uint64_t *ret, const char **ret_rest);

/* cmd_memory.c: "1536M", "2G". Return: 0, -EINVAL. */
int cli_size(const char *text, struct ls_err *err, uint64_t *ret_bytes);

/* ---- show.c, show_json.c ------------------------------------------------ */

void show_vm(FILE *f, const char *name, const struct vm *vm);
void show_now(FILE *f, const char *name, const struct vm *vm, enum wish_kind kind);
void show_side_by_side(FILE *f, const struct vm *before, const struct vm *after);
struct json_object *show_vm_json(const char *name, const struct vm *vm);
void show_json(struct json_object *o); /* one line on standard output; consumed */
void json_add_str(struct json_object *o, const char *key, const char *value);
void json_add_num(struct json_object *o, const char *key, uint64_t value);
void show_size(char *buf, size_t len, uint64_t bytes);

/* ---- report.c ----------------------------------------------------------- */

/* Rows and progress of a transaction on the terminal (or as JSON lines). */
void report_ops(struct cli *cli, struct run_ops *ret_ops);
void report_end(const struct cli *cli, const struct txn *t);

#endif
