/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What writer and reader of a journal record have in common: record.c and record_load.c.
 */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include "txn.h"

#define RECORD_HEAD "lockstep-txn 2"

/* FNV-1a of @len bytes. */
uint64_t record_sum(const char *buf, size_t len);

#endif
