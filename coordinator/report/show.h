/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state vector, for people (show.c) and as JSON (show_json.c).
 */
#ifndef COORDINATOR_SHOW_H
#define COORDINATOR_SHOW_H

#include <stdio.h>

#include "../core/vm.h"
#include "../run/wish.h"

struct json_object;

/* All of it; after a change, a line of what @kind is about; before and after, side by side. */
void show_vm(FILE *f, const char *name, const struct vm *vm);
void show_now(FILE *f, const char *name, const struct vm *vm, enum wish_kind kind);
void show_side_by_side(FILE *f, const struct vm *before, const struct vm *after);

struct json_object *show_vm_json(const char *name, const struct vm *vm);

/* "1536 MiB", "2 GiB". */
void show_size(char *buf, size_t len, uint64_t bytes);

#endif
