/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file of sections and keys, read with inih: what lockstepd.conf and guests.d share.
 */
#ifndef COORDINATOR_INI_FILE_H
#define COORDINATOR_INI_FILE_H

#include <lockstep/err.h>

/* Takes one key. Return: 0; -errno with @err saying what is wrong with it. */
typedef int (*ini_take_fn)(void *arg, const char *section, const char *key, const char *value,
			   struct ls_err *err);

/**
 * ini_file_read() - Read it to the first mistake
 * @err: "PATH:LINE: [section] key: ..."; without a line if it cannot be read at all
 *
 * Return: 0; -EINVAL; -errno of opening or reading.
 */
int ini_file_read(const char *path, ini_take_fn take, void *arg, struct ls_err *err);

#endif
