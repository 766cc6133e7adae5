/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each says why a fault cannot strike in a row: a letter for the table, a colon, words; NULL:
 * it can.
 */
#ifndef SIM_WHERE_H
#define SIM_WHERE_H

#include "life.h"

const char *anywhere(const struct op *op, unsigned row);
const char *where_asked(const struct op *op, unsigned row);
const char *where_written(const struct op *op, unsigned row);
const char *where_looked(const struct op *op, unsigned row);
const char *before_end(const struct op *op, unsigned row);
const char *in_a_move(const struct op *op, unsigned row);
const char *asks_for_devices(const struct op *op, unsigned row);
const char *brings_online(const struct op *op, unsigned row);
const char *asks_for_memory(const struct op *op, unsigned row);

#endif
