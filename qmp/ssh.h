/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A socket of another host, brought here by the ssh program.
 */
#ifndef QMP_SSH_H
#define QMP_SSH_H

#include <lockstep/err.h>

struct ssh;

/**
 * ssh_start() - Run ssh with a forward from a private socket to the host's
 * @where:   "HOST:PATH"; HOST as ssh knows it, PATH absolute
 * @set:     epoll set that gets everything there is to wait for
 * @err:     may be NULL
 * @ret_ssh: to be stepped, and freed with ssh_stop()
 *
 * Return: 0, -EINVAL, -ENAMETOOLONG, -ENOMEM, -errno of the system.
 */
int ssh_start(const char *where, int set, struct ls_err *err, struct ssh **ret_ssh);

/* Go on: a connected descriptor >= 0, -EAGAIN not yet, -ECONNREFUSED ssh gave up. */
int ssh_step(struct ssh *s, struct ls_err *err);

/* The first line that ssh wrote to its standard error, or "". */
const char *ssh_said(struct ssh *s);

/* End the program, wait for it, remove the private folder. NULL is fine. */
void ssh_stop(struct ssh *s);

#endif
