/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a transaction goes, and how that gets from a migration's own process, or from the
 * daemon, to the command that watches it.
 */
#ifndef COORDINATOR_REPORT_H
#define COORDINATOR_REPORT_H

#include "cli.h"

/*
 * What happens, as an object each: of no kind yet, something on the way, the end, an error
 * with the exit code that it stands for.
 */
struct json_object *report_object(const char *event);
struct json_object *report_tell(const struct txn *t, const struct action *a);
struct json_object *report_ended(const char *guest, const struct txn *t);
struct json_object *report_error(int code, const struct ls_err *err);

/* Show one object as the user asked for it; borrowed. */
void report_render(const struct cli *cli, struct json_object *o);

/* Send one object to the command that watches; borrowed. */
void report_send(const struct cli *cli, struct json_object *o);

/* The longest report: the table of a guest with LS_CPUS_MAX vCPUs. */
#define REPORT_BYTES (256 * 1024)

/* What a dry run found; consumed. */
void report_plan(const struct cli *cli, struct json_object *plan);

/* Text of the command itself, several lines, for standard output. */
void report_text(const struct cli *cli, const char *text);

#endif
