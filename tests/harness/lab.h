/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lab: a directory with running guests in it.
 */
#ifndef HARNESS_LAB_H
#define HARNESS_LAB_H

#include "console.h"
#include "guest.h"
#include "peer.h"

/* Bounds on hanging; a loaded machine under TCG needs most of them. */
#define LAB_BOOT_MS   180000 /* process start to console */
#define LAB_NESTED_MS 600000 /* the same for a guest in a guest */
#define LAB_START_MS  20000  /* a saved guest back on its feet */
#define LAB_CALL_MS   10000  /* one monitor command */
#define LAB_ASK_MS    20000  /* one console command */
#define LAB_AGENT_MS  10000  /* one question to an agent */

/**
 * struct lab - Where guests run
 * @pump:  drives everything
 * @dir:   sockets, logs, disks; somebody else's to remove
 * @build: build directory: programs, and in lab/ the guest's parts
 */
struct lab {
	struct pump pump;
	char dir[LS_PATH_BYTES];
	char build[512];
};

/**
 * struct guest - One QEMU
 * @lab:      where
 * @name:     as in the scenario
 * @config:   settings
 * @paths:    files
 * @proc:     process; NULL before the start
 * @peer:     our monitor
 * @console:  our console
 * @on_event: gets QEMU's events; set before the start; may be NULL
 * @arg:      for @on_event
 * @took_ms:  how long the start took
 * @boot_ms:  how long the boot of the saved guest took, if it had to be made for this start
 */
struct guest {
	struct lab *lab;
	char name[LS_NAME_BYTES];
	struct guest_config config;
	struct guest_paths paths;
	struct proc *proc;
	struct peer *peer;
	struct console *console;
	peer_event_fn on_event;
	void *arg;
	unsigned took_ms;
	unsigned boot_ms;
};

/**
 * lab_build_guest() - Make what guests are made of, or see that it is up to date
 * @build: build directory
 * @with:  what else is wanted: "qga", "host", "systemd", "openrc"; NULL: nothing
 * @err:   why not
 *
 * For the kind of guest that LOCKSTEP_GUEST names.
 * Runs tests/lab/build-guest.sh of the source tree that @build lies in, with its
 * words on stderr: 0.05 s when there is nothing to do.
 *
 * Return: 0 or -errno.
 */
int lab_build_guest(const char *build, const char *with, struct ls_err *err);

/**
 * lab_init() - A lab in a directory
 * @lab:   caller's memory
 * @dir:   exists
 * @build: build directory
 * @err:   a name is too long
 */
int lab_init(struct lab *lab, const char *dir, const char *build, struct ls_err *err);

/**
 * guest_new() - A guest that is not running yet
 * @lab:       where it will be
 * @name:      letters, digits, '-' and '_'
 * @config:    copied
 * @err:       why not
 * @ret_guest: for guest_free()
 */
int guest_new(struct lab *lab, const char *name, const struct guest_config *config,
	      struct ls_err *err, struct guest **ret_guest);

/**
 * guest_start() - Start it and wait until it can be used
 *
 * A normal guest has its console and its agent up afterwards; a destination
 * answers on its monitor.
 *
 * Return: 0 or -errno.
 */
int guest_start(struct guest *g, struct ls_err *err);

/* Whether QEMU runs. */
bool guest_alive(const struct guest *g);

/**
 * guest_ask_agent() - One command to the agent, in a session of its own
 * @g:         guest
 * @command:   e.g. "lockstep-status"
 * @args:      consumed; may be NULL
 * @within_ms: for the session and the answer
 * @err:       the agent's words, or ours
 * @ret_value: what it returned, for json_object_put()
 *
 * The port is let go at once: lockstep may want it the next moment.
 *
 * Return: 0 or as qmp_open() and qmp_command().
 */
int guest_ask_agent(struct guest *g, const char *command, struct json_object *args,
		    unsigned within_ms, struct ls_err *err, struct json_object **ret_value);

/* Kill what is left of it. NULL is fine. */
void guest_free(struct guest *g);

/* guest_start() of exactly this kind, for warm.c. */
int guest_boot(struct guest *g, struct ls_err *err);
int guest_resume(struct guest *g, const char *image, struct ls_err *err);

/**
 * guest_migrated() - Wait for a migration's end as this QEMU sees it
 *
 * Return: 0 completed, -EIO failed or cancelled, -ETIMEDOUT, -EPIPE.
 */
int guest_migrated(struct guest *g, uint64_t deadline_ms, struct ls_err *err);

#endif
