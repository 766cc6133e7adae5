/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command's own reports: rendered here, or, in a migration's own process, sent to the
 * command that watches, which renders them.
 */
#ifndef COORDINATOR_TELL_H
#define COORDINATOR_TELL_H

#include "cli.h"

/* Rows and progress of a transaction. */
void tell_ops(struct cli *cli, struct run_ops *ret_ops);
void tell_end(const struct cli *cli, const struct txn *t);

/* One object, such as what a dry run found; consumed. */
void tell_object(const struct cli *cli, struct json_object *o);

/* Text of the command itself, several lines, for standard output. */
void tell_text(const struct cli *cli, const char *text);

/* Send one object to the command that watches; borrowed. */
void tell_send(const struct cli *cli, struct json_object *o);

#endif
