/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstepd: all guests of a host.
 *
 * lockstepd.c  the program: options, signals, systemd, the log
 * daemon.c     the set of guests, and where they come from
 * lane*.c      one guest
 * ctl.c        the control socket: clients, events; ctl_verbs.c: what they may ask
 * journal.c    what is kept of transactions, in store.h
 * board.c      what is known of each guest, for readers; metrics*.c: what was counted
 * access.c     who they are; config.c: the limits; files.c: of open files
 */
#ifndef COORDINATOR_DAEMON_H
#define COORDINATOR_DAEMON_H

#include "config.h"
#include "lane.h"

struct board;
struct ctl;
struct leftover;
struct metrics;
struct metrics_http;
struct unplug;
struct store;

#define DAEMON_SOCKET	  "/run/lockstep/lockstepd.sock"
#define DAEMON_STATE	  "/var/lib/lockstep"
#define DAEMON_SOCKET_ENV "LOCKSTEPD_SOCKET" /* instead of DAEMON_SOCKET, for both sides */

/**
 * struct daemon - The program's state; the loop's thread alone uses it
 * @config_path, @guests_dir, @state_dir: as given, or the defaults
 * @lanes:    @n_lanes of them, in no order
 * @store:    the journal; @leftovers: transactions open in it when it was opened;
 *            @unplugs: that are pending by it
 * @board:    what is known of each guest; @metrics: what was counted; @http: who may read it
 * @stopping: no more requests are taken
 */
struct daemon {
	sd_event *loop;
	const char *config_path, *guests_dir, *state_dir;
	struct config config;
	struct lane_limits limits;
	struct lane **lanes;
	unsigned n_lanes;
	struct ctl *ctl;
	struct store *store;
	struct leftover *leftovers;
	struct unplug *unplugs;
	struct board *board;
	struct metrics *metrics;
	struct metrics_http *http;
	bool stopping;
};

/**
 * daemon_load() - Configuration and guests as they are on disk, at start and at a reload
 * @d:     guests that are new are added; those that have gone are removed unless a
 *         transaction runs on them; nothing else is touched
 * @check: only look for mistakes
 *
 * Return: 0, with @check how many guests there should be; -errno with the file and line that
 * is wrong, and nothing has changed.
 */
int daemon_load(struct daemon *d, bool check, struct ls_err *err);

struct lane *daemon_find(const struct daemon *d, const char *name);

/**
 * daemon_add() - A guest by name and addresses, kept in the state directory
 *
 * Return: 0; -EEXIST the name or the monitor is there already; -EINVAL, -ENOSPC, -errno.
 */
int daemon_add(struct daemon *d, const struct guest *g, struct ls_err *err);

/* Let go of a guest. Return: 0; -ENOENT; -EBUSY while a transaction runs on it; -errno. */
int daemon_remove(struct daemon *d, const char *name, struct ls_err *err);

/* Transactions that run. */
unsigned daemon_busy(const struct daemon *d);
void daemon_done(struct daemon *d);

#endif
