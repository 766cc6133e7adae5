/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ordeal of a daemon: a hostile guest for each row of a table, one after the other,
 * among 99 good ones that are worked on all the time.
 */
#ifndef FLEET_ORDEAL_H
#define FLEET_ORDEAL_H

#include "hostile.h"

/* A test for each row, and one at the end that all are well again. Return: for main(). */
int ordeal_run(const char *argv0, const struct hostile *rows, bool agents);

#endif
