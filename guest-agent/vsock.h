/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AF_VSOCK: the host connects to a port of the guest, with no device to be named and no
 * network. Only the host may: programs of the guest itself and other guests can reach the
 * port, too, and are turned away by their CID, which the kernel vouches for.
 */
#ifndef AGENT_VSOCK_H
#define AGENT_VSOCK_H

struct agent;
struct ls_err;

/**
 * vsock_open() - Listen for the host
 * @a:     agent, with its loop
 * @where: "PORT", or "CID:PORT" with the guest's own CID. A migration may change the CID:
 *         then only the first form goes on
 * @err:   why not
 *
 * Return: 0, -EINVAL (@where), -EAFNOSUPPORT (no vsock in this kernel), -errno.
 */
int vsock_open(struct agent *a, const char *where, struct ls_err *err);

#endif
