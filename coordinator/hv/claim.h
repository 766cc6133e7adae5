/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One coordinator a guest on this host: an abstract unix socket, named after device
 * and inode of the monitor's socket, that dies with its process. Who finds it taken
 * connects and is told by whom.
 */
#ifndef COORDINATOR_CLAIM_H
#define COORDINATOR_CLAIM_H

#include <stdbool.h>

#include <lockstep/err.h>
#include <systemd/sd-event.h>

struct claim;

/**
 * claim_take() - Become the one coordinator of a guest
 * @loop:    answers those who ask
 * @address: libqmp address of the monitor; one that is no unix socket of this host has
 *           no local claim: *ret_claim is NULL, and the return 0
 * @what:    told to those who ask, e.g. "vcpus 4"; copied
 *
 * Return: 0; -EBUSY with who holds it; -errno.
 */
int claim_take(sd_event *loop, const char *address, const char *what, struct ls_err *err,
	       struct claim **ret_claim);

/* Whether two addresses are the same socket of this host, however they are spelled. */
bool claim_same(const char *a, const char *b);

/* Return: NULL. */
struct claim *claim_drop(struct claim *claim);

#endif
