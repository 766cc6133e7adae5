/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client that makes the load: what its connection calls. See daemon.h. */
#ifndef FLEET_LOAD_H
#define FLEET_LOAD_H

#include "daemon.h"

extern const struct conn_ops load_ops;

#endif
