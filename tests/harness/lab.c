/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Start a QEMU, get hold of its monitor, console and agent, and end it. */
#include "lab.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "kind.h"
#include "warm.h"

#define LAB_SYNC_MS 1500 /* an agent's first answer; it takes a few ms */
#define LAB_LOOK_MS 20	 /* between two looks at something that has no event */

/* The source tree lies above the build directory: build/, build/asan/. */
static int lab_find_builder(const char *build, char *ret_path, size_t size)
{
	static const char *const ups[] = { "..", "../..", "../../.." };

	for (size_t i = 0; i < sizeof(ups) / sizeof(ups[0]); i++) {
		snprintf(ret_path, size, "%s/%s/tests/lab/build-guest.sh", build, ups[i]);
		if (access(ret_path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

int lab_build_guest(const char *build, const char *with, struct ls_err *err)
{
	char script[640];
	char *argv[] = { script, (char *)(with ? "--with" : build), (char *)with,
			 (char *)(with ? build : NULL), NULL };
	int status;
	pid_t pid;

	if (kind_check(err) < 0)
		return -EINVAL;
	if (lab_find_builder(build, script, sizeof(script)) < 0)
		return ls_err_set(err, -ENOENT, "%s: no tests/lab/build-guest.sh above it", build);
	pid = fork();
	if (pid == 0) {
		dup2(2, 1);
		execv(script, argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return ls_err_set(err, -errno, "%s: %s", script, strerror(errno));
	return status == 0 ? 0 : ls_err_set(err, -EIO, "the lab guest could not be built");
}

int lab_init(struct lab *lab, const char *dir, const char *build, struct ls_err *err)
{
	*lab = (struct lab){ 0 };
	if (snprintf(lab->dir, sizeof(lab->dir), "%s", dir) >= (int)sizeof(lab->dir) ||
	    snprintf(lab->build, sizeof(lab->build), "%s", build) >= (int)sizeof(lab->build))
		return ls_err_set(err, -ENAMETOOLONG, "%s: name too long", dir);
	return 0;
}

int guest_new(struct lab *lab, const char *name, const struct guest_config *config,
	      struct ls_err *err, struct guest **ret_guest)
{
	ls_autofree struct guest *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->lab = lab;
	g->config = *config;
	if (!*name ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789-_") != strlen(name) ||
	    snprintf(g->name, sizeof(g->name), "%s", name) >= (int)sizeof(g->name))
		return ls_err_set(err, -EINVAL, "\"%s\" is no name for a guest", name);
	r = guest_paths_set(&g->paths, lab->dir, name, err);
	if (r < 0)
		return r;
	*ret_guest = ls_steal_ptr(&g);
	return 0;
}

bool guest_alive(const struct guest *g)
{
	return g->proc && !g->proc->ended;
}

/*
 * A port that was let go a moment ago may lose the first bytes of its next user: the
 * guest's kernel learns of both ends from work queues. So a sync is tried again.
 */
static int guest_open_agent(struct guest *g, uint64_t deadline_ms, struct ls_err *err,
			    struct qmp **ret_q)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QGA };
	int r;

	do
		r = qmp_open(g->paths.agent, &options, qmp_now_ms() + LAB_SYNC_MS, err, ret_q);
	while ((r == -EBUSY || r == -ETIMEDOUT) && qmp_now_ms() < deadline_ms);
	return r;
}

int guest_ask_agent(struct guest *g, const char *command, struct json_object *args,
		    unsigned within_ms, struct ls_err *err, struct json_object **ret_value)
{
	uint64_t deadline_ms = qmp_now_ms() + within_ms;
	struct qmp *q;
	int r = guest_open_agent(g, deadline_ms, err, &q);

	if (r < 0) {
		json_object_put(args);
		return r;
	}
	r = qmp_command(q, command, args, deadline_ms, err, ret_value);
	qmp_close(q);
	return r;
}

void guest_free(struct guest *g)
{
	if (!g)
		return;
	peer_close(g->peer);
	console_close(g->console);
	proc_free(g->proc);
	free(g);
}

/* The disk is made by the first guest that has one. */
static int guest_make_disk(struct guest *g, struct ls_err *err)
{
	struct argv a = { 0 };
	struct proc *p;
	int r;

	if (!g->config.disk || access(g->paths.disk, F_OK) == 0)
		return 0;
	argv_add(&a, "qemu-img");
	argv_add(&a, "create");
	argv_add(&a, "-q");
	argv_add(&a, "-f");
	argv_add(&a, "qcow2");
	argv_add(&a, "%s", g->paths.disk);
	argv_add(&a, "64M");
	r = proc_start(&g->lab->pump, a.v, NULL, g->paths.log, err, &p);
	argv_done(&a);
	if (r < 0)
		return r;
	r = proc_wait(p, qmp_now_ms() + LAB_CALL_MS);
	if (r < 0 || proc_code(p) != 0)
		r = ls_err_set(err, -EIO, "%s: qemu-img could not make it", g->paths.disk);
	proc_free(p);
	return r;
}

/* Those of a QEMU that was killed: a connection to one would be refused. */
static void guest_unlink_sockets(struct guest *g)
{
	unlink(g->paths.qmp);
	unlink(g->paths.peer);
	unlink(g->paths.agent);
	unlink(g->paths.con);
}

/*
 * QEMU opens its sockets while it reads its options, the console's last, and there is no
 * event for it. Between bind() and listen() there is a file that refuses connections.
 */
static int guest_open_console(struct guest *g, uint64_t deadline_ms, struct ls_err *err)
{
	const char *path = g->paths.con;
	int r;

	for (;;) {
		r = console_open(&g->lab->pump, path, err, &g->console);
		if (r != -ENOENT && r != -ECONNREFUSED)
			return r;
		if (!guest_alive(g))
			return ls_err_set(err, -ECHILD, "QEMU has ended; see %s", g->paths.log);
		if (qmp_now_ms() >= deadline_ms)
			return ls_err_set(err, -ETIMEDOUT, "QEMU does not open %s", path);
		pump_once(&g->lab->pump, qmp_now_ms() + LAB_LOOK_MS);
	}
}

/*
 * What is not there from the start is made when the first guest wants it; each time it is
 * looked whether it is still made of today's files.
 */
static int guest_find_initrd(struct guest *g, struct ls_err *err)
{
	const char *agent = g->config.agent;
	char path[640];

	if (strcmp(agent, "lockstep") != 0 && strcmp(agent, "none") != 0)
		return lab_build_guest(g->lab->build, agent, err);
	snprintf(path, sizeof(path), "%s/%s/initrd.%s", g->lab->build, kind_now()->lab, agent);
	if (access(path, R_OK) == 0)
		return 0;
	return ls_err_set(err, -ENOENT, "%s/lockstep-agent-static has not been built",
			  g->lab->build);
}

/* Starts QEMU and takes hold of its console and our monitor. */
static int guest_launch(struct guest *g, bool paused, struct ls_err *err)
{
	uint64_t deadline_ms = qmp_now_ms() + LAB_START_MS;
	struct argv a = { 0 };
	char lab[640];
	int r = guest_make_disk(g, err);

	if (r < 0)
		return r;
	guest_unlink_sockets(g);
	snprintf(lab, sizeof(lab), "%s/%s", g->lab->build, kind_now()->lab);
	guest_argv(&a, &g->config, &g->paths, lab, paused);
	r = proc_start(&g->lab->pump, a.v, NULL, g->paths.log, err, &g->proc);
	argv_done(&a);
	if (r < 0 || (r = guest_open_console(g, deadline_ms, err)) < 0)
		return r;
	r = peer_open(&g->lab->pump, g->paths.peer, g->on_event, g->arg, deadline_ms, err,
		      &g->peer);
	if (r < 0 && !guest_alive(g))
		return ls_err_set(err, -ECHILD, "QEMU has ended; see %s", g->paths.log);
	return r;
}

/* MIGRATION events come only to a QEMU that has this capability. */
static int guest_want_events(struct guest *g, struct ls_err *err)
{
	struct json_object *args = json_tokener_parse(
		"{\"capabilities\": [{\"capability\": \"events\", \"state\": true}]}");

	return peer_call(g->peer, "migrate-set-capabilities", args, qmp_now_ms() + LAB_CALL_MS, err,
			 NULL);
}

int guest_migrated(struct guest *g, uint64_t deadline_ms, struct ls_err *err)
{
	for (;;) {
		struct json_object *info = NULL;
		const char *status;
		int r = peer_call(g->peer, "query-migrate", NULL, deadline_ms, err, &info);
		bool over, good;

		if (r < 0)
			return r;
		status = qmp_get_str(info, "status", "none");
		good = !strcmp(status, "completed");
		over = good || !strcmp(status, "failed") || !strcmp(status, "cancelled");
		json_object_put(info);
		if (over)
			return good ? 0 : ls_err_set(err, -EIO, "the migration failed");
		if (qmp_now_ms() >= deadline_ms)
			return ls_err_set(err, -ETIMEDOUT, "the migration does not end");
		pump_once(&g->lab->pump, qmp_now_ms() + LAB_LOOK_MS);
	}
}

/* Whether the guest has opened its end of the agent's port. */
static bool guest_port_open(struct guest *g)
{
	struct json_object *all = NULL;
	bool open = false;

	if (peer_call(g->peer, "query-chardev", NULL, qmp_now_ms() + LAB_CALL_MS, NULL, &all) < 0)
		return false;
	for (size_t i = 0; i < json_object_array_length(all); i++) {
		struct json_object *one = json_object_array_get_idx(all, i);

		if (!strcmp(qmp_get_str(one, "label", ""), "agent"))
			open = qmp_get_bool(one, "frontend-open", false);
	}
	json_object_put(all);
	return open;
}

/* A guest that is reached by vsock is one in a guest that is a host: TCG in TCG. */
static uint64_t guest_boot_limit_ms(const struct guest *g)
{
	return g->config.vsock_cid ? LAB_NESTED_MS : LAB_BOOT_MS;
}

static int guest_await_agent(struct guest *g, uint64_t deadline_ms, struct ls_err *err)
{
	if (!strcmp(g->config.agent, "none") || g->config.vsock_cid)
		return 0;
	while (!guest_port_open(g)) {
		if (!guest_alive(g) || qmp_now_ms() >= deadline_ms)
			return ls_err_set(err, -ETIMEDOUT, "no agent has come up in the guest");
		pump_once(&g->lab->pump, qmp_now_ms() + LAB_LOOK_MS);
	}
	return 0;
}

int guest_boot(struct guest *g, struct ls_err *err)
{
	uint64_t begin_ms = qmp_now_ms(), end_ms = begin_ms + guest_boot_limit_ms(g);
	int r = guest_launch(g, false, err);

	if (r == 0)
		r = console_await_boot(g->console, end_ms, err);
	if (r == 0)
		r = guest_await_agent(g, end_ms, err);
	g->took_ms = (unsigned)(qmp_now_ms() - begin_ms);
	return r;
}

static int guest_load(struct guest *g, const char *image, uint64_t deadline_ms, struct ls_err *err)
{
	struct json_object *args = json_object_new_object();
	ls_autofree char *uri = NULL;
	int r;

	if (asprintf(&uri, "exec:cat '%s'", image) < 0)
		return -ENOMEM;
	json_object_object_add(args, "uri", json_object_new_string(uri));
	r = peer_call(g->peer, "migrate-incoming", args, deadline_ms, err, NULL);
	if (r == 0)
		r = guest_migrated(g, deadline_ms, err);
	if (r == 0)
		r = peer_call(g->peer, "cont", NULL, deadline_ms, err, NULL);
	return r;
}

int guest_resume(struct guest *g, const char *image, struct ls_err *err)
{
	uint64_t begin_ms = qmp_now_ms(), deadline_ms = begin_ms + LAB_START_MS;
	ls_autofree char *output = NULL;
	int r = guest_launch(g, true, err);

	if (r == 0)
		r = guest_load(g, image, deadline_ms, err);
	if (r == 0)
		r = console_run(g->console, "true", deadline_ms, err, &output);
	if (r == 0)
		r = guest_await_agent(g, deadline_ms, err);
	g->took_ms = (unsigned)(qmp_now_ms() - begin_ms);
	return r;
}

int guest_start(struct guest *g, struct ls_err *err)
{
	char image[WARM_PATH_BYTES];
	int r;

	r = guest_find_initrd(g, err);
	if (r < 0)
		;
	else if (g->config.incoming)
		r = guest_launch(g, true, err);
	else if (g->config.cold)
		r = guest_boot(g, err);
	else if ((r = warm_image(g, err, image)) >= 0)
		r = guest_resume(g, image, err);
	if (r == 0)
		r = guest_want_events(g, err);
	if (r < 0)
		ls_err_prefix(err, "guest %s", g->name);
	return r < 0 ? r : 0;
}
