/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The in-guest command: `lockstep-agent status`, `online cpu 3` and so on, asked of the
 * agent that runs, over its local socket. What changes something takes the hotplug lock
 * for a transaction of its own, as the host does.
 *
 *	incli.c        the commands, and how the agent is reached
 *	incli_change.c online, offline, doctor --fix: what changes something
 *	incli_show.c   what is printed
 */
#ifndef AGENT_INCLI_H
#define AGENT_INCLI_H

#include <stdbool.h>
#include <stdint.h>

#include <lockstep/err.h>
#include <lockstep/limits.h>

struct json_object;
struct qmp;

#define INCLI_RANGES_MAX 64

enum incli_exit {
	INCLI_OK,
	INCLI_FAILED,	/* refused, or not all of it could be done */
	INCLI_USAGE,	/* the command line was not understood; nothing was asked */
	INCLI_NO_AGENT, /* no agent answers on the local socket */
	INCLI_LOCKED,	/* somebody else has the hotplug lock; it was named */
	INCLI_FINDINGS, /* doctor has found something that is not healed */
};

/**
 * struct incli - One command under way
 * @q:   the agent
 * @txn: the name of our transaction: local.PID
 * @err: of the last request
 */
struct incli {
	struct qmp *q;
	char txn[LS_TXN_BYTES];
	struct ls_err err;
};

/* A run of numbers on the command line. */
struct incli_range {
	int64_t lo, hi;
};

/**
 * incli_run() - Do one command and say what came of it
 * @argc:      words
 * @argv:      the command first
 * @state_dir: where the agent's local socket is
 *
 * Return: an exit status.
 */
enum incli_exit incli_run(int argc, char **argv, const char *state_dir);

/* The commands' part of `lockstep-agent --help`, to standard output. */
void incli_help(void);

/* Ask, within the time that a change may take; NULL with @c->err set. Caller puts the value. */
struct json_object *incli_ask(struct incli *c, const char *verb, struct json_object *args);
/* Print @c->err; the status that it stands for. */
enum incli_exit incli_failed(const struct incli *c);
enum incli_exit incli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- incli_change.c ---------------------------------------------------------- */

enum incli_exit incli_change(struct incli *c, bool online, int argc, char **argv);
/* The words of `online` and `offline`, before anybody is asked: false has been told. */
bool incli_change_check(const char *verb, int argc, char **argv);

/* ---- incli_show.c ------------------------------------------------------------ */

/* A reply or an event as it came, on one line: for programs. */
void incli_show_json(struct json_object *o);
void incli_show_status(struct json_object *status);
void incli_show_change(struct json_object *change);
/* @fix: healing was asked for. Return: findings that are not healed. */
int incli_show_findings(struct json_object *findings, bool fix, bool json);

#endif
