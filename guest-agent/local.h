/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The local socket: the same verbs for programs of the guest itself, first of all for
 * `lockstep-agent status` and its like (incli.h). For root only: the file's mode says so,
 * and so does the kernel about each who connects.
 */
#ifndef AGENT_LOCAL_H
#define AGENT_LOCAL_H

#include <stddef.h>

#define LOCAL_NAME "local.sock" /* in the state directory */

struct agent;
struct ls_err;

/**
 * local_path() - Where the socket of a state directory is
 *
 * Return: 0, -ENAMETOOLONG.
 */
int local_path(const char *state_dir, char *ret_path, size_t size);

/**
 * local_open() - Listen on the local socket
 * @a:         agent, with its loop
 * @state_dir: made if it is not there
 * @err:       why not
 *
 * Two agents on one directory would be two hotplug locks: another that answers there is
 * named in @err.
 * Return: 0, -EADDRINUSE, -errno.
 */
int local_open(struct agent *a, const char *state_dir, struct ls_err *err);
void local_close(struct agent *a);

#endif
