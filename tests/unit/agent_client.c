/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting an agent for tests, and asking it.
 */
#include "agent_client.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <lockstep/err.h>

static void *agent_thread(void *arg)
{
	agent_run(arg);
	return NULL;
}

void run_agent(struct fixture *f)
{
	assert_int_equal(pthread_create(&f->thread, NULL, agent_thread, &f->agent), 0);
	f->running = true;
}

int attach(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(agent_serve_fd(&f->agent, pair[1], CLIENT_ROOT), 0);
	return pair[0];
}

struct qmp *client_at(const char *address)
{
	const struct qmp_options opt = { .dialect = QMP_DIALECT_QGA };
	struct qmp *q = NULL;

	assert_int_equal(qmp_open(address, &opt, qmp_now_ms() + PATIENCE_MS, NULL, &q), 0);
	return q;
}

struct qmp *client_of(int fd)
{
	char address[32];

	snprintf(address, sizeof(address), "fd:%d", fd);
	return client_at(address);
}

static void free_kernel(struct fixture *f)
{
	sysfs_free(f->sysfs);
	fake_done(&f->kernel);
}

int begin_agent(struct fixture *f, const struct agent_options *opt, struct ls_err *err)
{
	int r;

	memset(f, 0, sizeof(*f));
	fake_init(&f->kernel, 4, 3, 4);
	f->sysfs = sysfs_new_ops(&fake_ops, &f->kernel);
	r = agent_init(&f->agent, opt, f->sysfs, err);
	if (r < 0) {
		free_kernel(f);
		return r;
	}
	f->agent.model.workers.ops = &fake_machine;
	f->agent.model.pause_ms = 0;
	return 0;
}

int end_agent(struct fixture *f)
{
	int r;

	qmp_close(f->q);
	if (f->running) {
		agent_stop(&f->agent);
		pthread_join(f->thread, NULL);
	}
	r = agent_done(&f->agent);
	if (r == 0)
		free_kernel(f);
	return r;
}

int agent_setup_stopped(void **state)
{
	static const struct agent_options opt = { .method = NULL };
	static struct fixture f;

	*state = &f;
	return begin_agent(&f, &opt, NULL);
}

int agent_setup(void **state)
{
	struct fixture *f;
	int fd;

	if (agent_setup_stopped(state) < 0)
		return -1;
	f = *state;
	fd = attach(f);
	run_agent(f);
	f->q = client_of(fd);
	return 0;
}

int agent_teardown(void **state)
{
	return end_agent(*state);
}

/* ---- asking ------------------------------------------------------------------ */

/* The value of "return", or NULL and the error. */
static struct json_object *ask_q(struct qmp *q, const char *name, const char *args,
				 struct ls_err *err)
{
	struct json_object *value = NULL, *obj = json_tokener_parse(args);

	assert_non_null(obj);
	memset(err, 0, sizeof(*err));
	if (qmp_command(q, name, obj, qmp_now_ms() + PATIENCE_MS, err, &value) < 0)
		return NULL;
	return value;
}

struct json_object *ask(struct fixture *f, const char *name, const char *args, struct ls_err *err)
{
	return ask_q(f->q, name, args, err);
}

struct json_object *must(struct fixture *f, enum ls_wire_command c, const char *args)
{
	struct ls_err err;
	struct json_object *value = ask(f, ls_wire[c].name, args, &err);

	if (!value)
		fail_msg("%s %s: %s", ls_wire[c].name, args, err.text);
	if (qmp_fields_check(ls_wire[c].rets, ls_wire[c].n_rets, true, value, &err) < 0)
		fail_msg("%s: %s", ls_wire[c].name, err.text);
	return value;
}

void do_it(struct fixture *f, enum ls_wire_command c, const char *args)
{
	json_object_put(must(f, c, args));
}

void wait_for_status(struct fixture *f, const char *object, const char *key, const char *value)
{
	uint64_t until = qmp_now_ms() + PATIENCE_MS;
	bool there = false;

	while (!there && qmp_now_ms() < until) {
		struct json_object *v = must(f, LS_WIRE_STATUS, "{}"), *o = qmp_get_obj(v, object);

		there = !strcmp(json_object_to_json_string(json_object_object_get(o, key)), value);
		json_object_put(v);
		sched_yield();
	}
	assert_true(there);
}
