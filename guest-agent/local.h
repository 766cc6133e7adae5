/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The local socket: the same verbs for programs of the guest itself, first of all for
 * `lockstep-agent status` and its like (incli.h). For root only: the file's mode says so,
 * and so does the kernel about each who connects. A group may be let in to look.
 */
#ifndef AGENT_LOCAL_H
#define AGENT_LOCAL_H

#include <stddef.h>
#include <sys/types.h>

#define LOCAL_NAME "local.sock" /* in the state directory */

struct agent;
struct ls_err;

/**
 * local_path() - Where the socket of a state directory is
 *
 * Return: 0, -ENAMETOOLONG.
 */
int local_path(const char *state_dir, char *ret_path, size_t size);

/* A group of /etc/group or a number, not root's. Return: 0 or -ENOENT. */
int local_group(const char *name, gid_t *ret_gid);

/**
 * local_open() - Listen on the local socket
 * @a:         agent, with its loop
 * @state_dir: made if it is not there
 * @gid:       whose members may look; 0: nobody but root
 * @err:       why not
 *
 * Two agents on one directory would be two hotplug locks: another that answers there is
 * named in @err.
 * Return: 0, -EADDRINUSE, -errno.
 */
int local_open(struct agent *a, const char *state_dir, gid_t gid, struct ls_err *err);
void local_close(struct agent *a);

#endif
