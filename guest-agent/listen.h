/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets on which clients come: the host's (--method unix-listen, vsock-listen) and the
 * one for the guest's own root.
 */
#ifndef AGENT_LISTEN_H
#define AGENT_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include <lockstep/limits.h>

#include "loop.h"

struct agent;
struct listener;
struct ls_err;

typedef int listen_who_fn(const struct listener *l, int fd);

/**
 * struct listener - A socket that listens
 * @agent: gets the clients
 * @who:   which kind of client has connected (enum client_kind), -EACCES if it may not
 *         come; NULL: the socket's mode has decided, and it is root
 * @gid:   for @who: the group that may look
 * @file:  it is a unix socket, and its file is to be removed
 * @path:  of the socket, or what else to call it; "": it is not open
 * @src:   in the agent's loop, edge-triggered: who cannot be let in for want of a
 *         descriptor waits, and the loop sleeps
 */
struct listener {
	struct agent *agent;
	listen_who_fn *who;
	gid_t gid;
	bool file;
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
int listen_open(struct listener *l, struct agent *a, const char *path, listen_who_fn *who,
		struct ls_err *err);

/* The same for a socket that is bound already; ownership passes if 0 is returned. */
int listen_on(struct listener *l, struct agent *a, int fd, const char *name, listen_who_fn *who);

/* Also one that is not open. */
void listen_close(struct listener *l);

/* A client has gone: who waits for its descriptor may come. */
void listen_again(struct listener *l);

/* Who listens on a path: its process, 0 if it cannot be told; -1: nobody does. */
pid_t listen_owner(const char *path);

#endif
