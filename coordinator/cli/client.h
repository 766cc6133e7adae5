/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line's way to the daemon: used where it runs and knows the guest.
 */
#ifndef COORDINATOR_CLIENT_H
#define COORDINATOR_CLIENT_H

#include "cli.h"

struct qmp;

/**
 * client_open() - Connect to the daemon
 * @ret_q: NULL: no daemon runs here
 *
 * Return: an exit code; the error was printed.
 */
int client_open(const struct cli *cli, struct qmp **ret_q);

/* Say that @verb needs a daemon, and how to have one; returns an exit code. */
int client_absent(const struct cli *cli, const char *verb);

/**
 * client_find() - Whether the daemon has the guest that was named
 * @name:  of the guest
 * @ret_q: NULL: it has not, or there is no daemon: use the engine in this process
 */
int client_find(const struct cli *cli, const char *name, struct qmp **ret_q);

/**
 * client_ask() - One question to the daemon, one answer
 * @args:      consumed
 * @ret_value: may be NULL
 *
 * Return: an exit code; the error was printed.
 */
int client_ask(const struct cli *cli, const char *verb, struct json_object *args,
	       struct json_object **ret_value);

/* The argument that most verbs take: the name of a guest. */
struct json_object *client_args(const char *name);

/* How long an answer is waited for: as long as --timeout says, or what is usual. */
unsigned client_limit_ms(const struct cli *cli);

/* --timeout, as the member of a request. */
void client_add_timeout(const struct cli *cli, struct json_object *args);

/* What the daemon refused, printed. Returns an exit code. */
int client_failed(const struct cli *cli, struct ls_err *err);

/* Ask, follow the events to the end, print them; Ctrl-C is a cancel. Returns an exit code. */
int client_wish(struct cli *cli, const struct wish *w);

/**
 * client_follow() - Ask for something that is a transaction, follow it to its end
 * @cli:  its daemon is connected, its guest named
 * @args: consumed
 */
int client_follow(struct cli *cli, const char *verb, struct json_object *args);

/* "lockstep doctor" of a guest that the daemon has. */
int client_doctor(struct cli *cli);

/* "lockstep status" of a guest that the daemon has. */
int client_status(struct cli *cli);

#endif
