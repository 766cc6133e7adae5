/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A real lockstepd over a fleet: started, asked, measured, stopped.
 */
#ifndef FLEET_DAEMON_H
#define FLEET_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include <qmp.h>

#include "../../coordinator/hv/conn.h"
#include "fleet.h"

/**
 * struct load - How the requests of one round went
 * @first, @n: guests that it is about
 * @next, @each: guest to begin with, and with how many requests; @wanted: still to end
 * @ended, @failed: requests; a failed one ended otherwise than done, and is its guest's last
 * @us: of each that has ended, from the request to its last event; @seconds: of the round
 * @text: of the first that failed
 */
struct load {
	unsigned first, n, next, each, wanted;
	unsigned ended, failed;
	double *us;
	double seconds;
	char text[256];
};

/**
 * struct asker - A guest's request that is out
 * @left: more of them to come in this round
 */
struct asker {
	bool out;
	unsigned left, count;
	double from_us;
};

#define DAEMON_CONNS 16
#define DAEMON_OUT   (DAEMON_CONNS * 8) /* requests that are taken at one time */

/**
 * struct under_test - The daemon
 * @pid: of the process; @conn: to its control socket, which takes a few requests of each
 * @asker: one for each guest; @load: of the round
 * @may_die: it is no failure when the process ends: @lost
 */
struct under_test {
	struct fleet *fleet;
	pid_t pid;
	char socket[128];
	struct conn conn[DAEMON_CONNS];
	struct asker *asker;
	struct load *load;
	bool may_die, lost;
};

/* @lockstepd: the program; @config: its configuration. If it does not start, ours ends. */
struct under_test *daemon_start(struct fleet *f, const char *lockstepd, const char *config);

/* Return: its exit code, 0 as it should be; -1 it was killed. */
int daemon_stop(struct under_test *d);

/* The lockstepd that was built with the program @argv0, which lies one folder below it. */
void daemon_program(const char *argv0, char *ret_path, size_t len);

/* Until every guest from the @first on is ready. Return: milliseconds; -1 after @limit_ms. */
int daemon_await_ready(struct under_test *d, unsigned first, unsigned limit_ms);

/* One question. Return: 0, or -errno with what it said; @ret_value may be NULL. */
int daemon_ask(struct under_test *d, const char *verb, const char *args, struct ls_err *err,
	       struct json_object **ret_value);

/* Of the process: KiB of anonymous memory; open files; microseconds of processor time. */
long daemon_rss_kib(const struct under_test *d);
unsigned daemon_files(const struct under_test *d);
double daemon_cpu_us(const struct under_test *d);

/**
 * load_run() - Requests of many guests at once, one after the other for each
 * @first, @n: guests; DAEMON_OUT of them at one time
 * @each:      requests of each: a vCPU more, a vCPU less, ...; even: all is as before
 * @limit_ms:  for all of it
 *
 * The loop of the fleet runs meanwhile. Return: false at the limit.
 */
bool load_run(struct under_test *d, unsigned first, unsigned n, unsigned each, unsigned limit_ms,
	      struct load *ret_load);
void load_done(struct load *l);

/* Begin one request of one guest and go on; asker.out tells when it has ended. */
void load_begin(struct under_test *d, unsigned guest, unsigned each);

/* @part of the requests were not slower: 0.99 for p99. Sorts. */
double load_us(struct load *l, double part);

/* Run the loop for so long. */
void loop_run(sd_event *loop, unsigned ms);

#endif
