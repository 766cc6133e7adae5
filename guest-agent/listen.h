/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unix sockets on which clients come: the host's (--method unix-listen) and the one for
 * the guest's own root.
 */
#ifndef AGENT_LISTEN_H
#define AGENT_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include <lockstep/limits.h>

#include "loop.h"

struct agent;
struct ls_err;

/**
 * struct listener - A socket that listens
 * @agent: gets the clients
 * @may:   whether who has connected may come; NULL: the socket's mode has decided
 * @path:  of the socket; "": it is not open
 * @src:   in the agent's loop, edge-triggered: who cannot be let in for want of a
 *         descriptor waits, and the loop sleeps
 */
struct listener {
	struct agent *agent;
	bool (*may)(int fd);
	char path[LS_PATH_BYTES];
	struct source src;
};

/**
 * listen_open() - Make a socket for nobody but its owner, and let clients in
 * @l:    not open
 * @path: copied; a socket that nobody answers on is replaced, another file is not
 * @err:  why not
 *
 * Return: 0 or -errno.
 */
int listen_open(struct listener *l, struct agent *a, const char *path, bool (*may)(int fd),
		struct ls_err *err);
/* Also one that is not open. */
void listen_close(struct listener *l);

/* A client has gone: who waits for its descriptor may come. */
void listen_again(struct listener *l);

/* Who listens on a path: its process, 0 if it cannot be told; -1: nobody does. */
pid_t listen_owner(const char *path);

#endif
