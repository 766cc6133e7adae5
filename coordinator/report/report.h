/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a transaction goes, as JSON objects: shown where they are made, sent by a migration's
 * own process to the command that watches, by the daemon to its clients.
 */
#ifndef COORDINATOR_REPORT_H
#define COORDINATOR_REPORT_H

#include <lockstep/err.h>

#include "../core/engine.h"

struct json_object;

/* The longest report: the table of a guest with LS_CPUS_MAX vCPUs. */
#define REPORT_BYTES (256 * 1024)

/*
 * What happens, as an object each: of no kind yet, something on the way, how far a migration
 * is, the end, an error with the exit code that it stands for.
 */
struct json_object *report_object(const char *event);
struct json_object *report_tell(const struct txn *t, const struct action *a);
struct json_object *report_progress(const struct vm_progress *p, enum vm_mig mig);
struct json_object *report_ended(const char *guest, const struct txn *t);
struct json_object *report_error(int code, const struct ls_err *err);

/* What became of each device: "item", "result", and the "reason" if there is one. */
struct json_object *report_items(const struct txn *t);

/* Before anything is planned: @vm's agent is waited for. */
struct json_object *report_awaiting(const struct vm *vm, unsigned limit_ms);

#endif
