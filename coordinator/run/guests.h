/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which guest is meant: a name out of guests.d, or addresses given by hand.
 */
#ifndef COORDINATOR_GUESTS_H
#define COORDINATOR_GUESTS_H

#include <lockstep/err.h>
#include <lockstep/limits.h>

#define GUESTS_DIR "/etc/lockstep/guests.d"

/* Longest address: a scheme, a host name and a socket's path. */
#define GUEST_ADDRESS_BYTES 256

/**
 * struct guest - Where a guest can be reached
 * @name:  for messages
 * @qmp:   libqmp address of its monitor
 * @agent: of its agent's channel; empty if it has none
 */
struct guest {
	char name[LS_NAME_BYTES];
	char qmp[GUEST_ADDRESS_BYTES];
	char agent[GUEST_ADDRESS_BYTES];
};

/* Whether it can be a name: of a file, and a word of a line. Return: 0 or -EINVAL. */
int guest_name_check(const char *name, struct ls_err *err);

/* Whether it can be an address at all. Return: 0 or -EINVAL. */
int guest_address_check(const char *address, struct ls_err *err);

/**
 * guest_load() - Read DIR/NAME.conf
 * @dir:  NULL: $LOCKSTEP_GUESTS_D, or GUESTS_DIR
 * @name: as guest_name_check() has it
 *
 * Shape: INI, one section [guest] with the keys qmp (required) and agent. Anything
 * else in it is an error that names its line.
 *
 * Return: 0, -ENOENT (and what names there are), -EINVAL, -errno.
 */
int guest_load(const char *dir, const char *name, struct ls_err *err, struct guest *ret_guest);

#endif
