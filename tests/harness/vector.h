/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * State vectors: all that console and QEMU say of a guest's CPUs and memory, kept
 * under a name and compared with another one.
 */
#ifndef HARNESS_VECTOR_H
#define HARNESS_VECTOR_H

#include "args.h"

/* All that is seen of it now, as text; allocated. Return: 0 or -errno. */
int vector_take(struct guest *g, char **ret_text, struct ls_err *err);

int verb_remember(struct args *a);
int verb_compare(struct args *a);

#endif
