/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What disagrees in a guest: as the agent finds it inside, as only the host can see it, and
 * what the journal says of it.
 * A finding is {"kind", "id", "text", "healed"}; findings are an array of them.
 */
#ifndef COORDINATOR_DOCTOR_H
#define COORDINATOR_DOCTOR_H

#include <lockstep/err.h>

#include "../core/vm.h"

struct json_object;

/* Whether there is an agent that can compare. Return: 0; -EOPNOTSUPP. */
int doctor_check(const struct vm *vm, struct ls_err *err);

/* Add what the agent has answered; what is no finding is left out. */
void doctor_add_guest(struct json_object *findings, struct json_object *answer);

/* One finding of no CPU, not healed. */
void doctor_add(struct json_object *findings, const char *kind, const char *text);

/*
 * Add what QEMU's side shows, and what a coordinator has left there; the agent compares its
 * own two views itself.
 */
void doctor_add_host(struct json_object *findings, const struct vm *vm);

#endif
