/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ctrl-C and its kin: whoever waits asks for what was done to be taken back, and waits on.
 */
#ifndef COORDINATOR_SIGNALS_H
#define COORDINATOR_SIGNALS_H

#include "cli.h"

/* From now on they are read, not delivered. Return: what to poll; -1: they are ignored. */
int signals_open(void);

/* One that has come is read, and said. Return: whether there was one. */
bool signals_asked(const struct cli *cli, int fd);

#endif
