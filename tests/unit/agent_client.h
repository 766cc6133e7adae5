/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent as its clients see it, for tests: the real agent in a thread, a kernel in memory
 * below it, libqmp's client above it.
 */
#ifndef AGENT_CLIENT_H
#define AGENT_CLIENT_H

#include "fake_sysfs.h"

#include <lockstep/wire.h>

#include "../../guest-agent/agent.h"
#include "../../guest-agent/model.h"

#define PATIENCE_MS 10000 /* only a bound on hanging */

/**
 * struct fixture - An agent that runs
 * @kernel: below it
 * @thread: its loop
 * @q:      one client
 */
struct fixture {
	struct fake kernel;
	struct sysfs *sysfs;
	struct agent agent;
	pthread_t thread;
	bool running;
	struct qmp *q;
};

/* CPUs 0-3, of which 0-2 are online, and 4 blocks offline. Return: as agent_init(). */
int begin_agent(struct fixture *f, const struct agent_options *opt, struct ls_err *err);
/* Its client, its loop if that runs, and the rest. Return: as agent_done(). */
int end_agent(struct fixture *f);

/* The same for a test; with one client. */
int agent_setup(void **state);
/* The same, and nothing runs yet: attach(), run_agent(), client_of(). */
int agent_setup_stopped(void **state);
int agent_teardown(void **state);

void run_agent(struct fixture *f);
/* A client's end; the agent's end is served. Only before the agent runs. */
int attach(struct fixture *f);
struct qmp *client_of(int fd);
struct qmp *client_at(const char *address);

/* The value of "return", or NULL and the error. */
struct json_object *ask(struct fixture *f, const char *name, const char *args, struct ls_err *err);
/* It succeeds, and the reply is what the wire's table says, not more and not less. */
struct json_object *must(struct fixture *f, enum ls_wire_command c, const char *args);
/* The same, and the reply does not matter. */
void do_it(struct fixture *f, enum ls_wire_command c, const char *args);

/* Until a member of an object of the status has this JSON value. */
void wait_for_status(struct fixture *f, const char *object, const char *key, const char *value);

#endif
