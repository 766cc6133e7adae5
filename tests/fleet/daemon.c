/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's process.
 */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "load.h"

#define START_MS   20000
#define ASK_MS	   20000
#define FILES_SOFT 1024
#define LOOK_MS	   20 /* between two looks at something that has no event */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "fleet: %s: %s\n", what, why);
	exit(1);
}

void loop_run(sd_event *loop, unsigned ms)
{
	uint64_t until_ms = qmp_now_ms() + ms, now_ms;

	while ((now_ms = qmp_now_ms()) < until_ms)
		sd_event_run(loop, (until_ms - now_ms) * 1000);
}

/* ---- the process ------------------------------------------------------------------ */

/* As systemd begins it; the fleet itself has raised its own. */
static void limit_files(void)
{
	struct rlimit files = { 0 };

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max < FILES_SOFT ? files.rlim_max : FILES_SOFT;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void become(const struct under_test *d, const char *lockstepd)
{
	const char *dir = d->fleet->dir;
	char conf[100], guests[100], state[100], log[100];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing is left when a test is killed */
	snprintf(conf, sizeof(conf), "%s/conf", dir);
	snprintf(guests, sizeof(guests), "%s/guests.d", dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(log, sizeof(log), "%s/log", dir);
	mkdir(state, 0700);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 2);
	limit_files(); /* only now: the fleet has more of them open */
	unsetenv("JOURNAL_STREAM");
	execl(lockstepd, "lockstepd", "-c", conf, "-d", guests, "-S", state, "-s", d->socket,
	      (char *)NULL);
	_exit(127);
}

static void write_config(const struct under_test *d, const char *config)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/conf", d->fleet->dir);
	f = fopen(path, "we");
	if (!f || fputs(config, f) < 0 || fclose(f))
		die(path, strerror(errno));
}

static void connect_to(struct under_test *d)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QMP, .events = 65536 };
	uint64_t until_ms = qmp_now_ms() + START_MS;

	for (unsigned i = 0; i < DAEMON_CONNS; i++) {
		conn_init(&d->conn[i], d->fleet->loop, d->socket, &options, &load_ops, d);
		while (conn_want(&d->conn[i]) != 1) {
			if (qmp_now_ms() > until_ms || waitpid(d->pid, NULL, WNOHANG) == d->pid)
				die(d->socket, d->conn[i].last.text);
			loop_run(d->fleet->loop, LOOK_MS);
		}
	}
}

void daemon_program(const char *argv0, char *ret_path, size_t len)
{
	const char *slash = strrchr(argv0, '/');

	snprintf(ret_path, len, "%.*s/../lockstepd", slash ? (int)(slash - argv0) : 1,
		 slash ? argv0 : ".");
}

struct under_test *daemon_start(struct fleet *f, const char *lockstepd, const char *config)
{
	struct under_test *d = calloc(1, sizeof(*d));

	d->fleet = f;
	d->asker = calloc(f->n, sizeof(*d->asker));
	snprintf(d->socket, sizeof(d->socket), "%s/ctl", f->dir);
	write_config(d, config);
	d->pid = fork();
	if (!d->pid)
		become(d, lockstepd);
	connect_to(d);
	return d;
}

int daemon_stop(struct under_test *d)
{
	int status;

	for (unsigned i = 0; i < DAEMON_CONNS; i++)
		conn_done(&d->conn[i]);
	kill(d->pid, SIGTERM);
	while (waitpid(d->pid, &status, WNOHANG) == 0)
		loop_run(d->fleet->loop, LOOK_MS);
	free(d->asker);
	free(d);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- one question -------------------------------------------------------------------- */

struct answer {
	bool there;
	struct ls_err *err;
	struct json_object *value;
};

static void on_answer(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct answer *a = arg;

	(void)q;
	a->there = true;
	a->value = json_object_get(value);
	if (err)
		*a->err = *err;
}

int daemon_ask(struct under_test *d, const char *verb, const char *args, struct ls_err *err,
	       struct json_object **ret_value)
{
	uint64_t until_ms = qmp_now_ms() + ASK_MS;
	struct answer a = { .err = err };
	struct json_object *o = NULL;

	*err = (struct ls_err){ 0 };
	if (args && qmp_parse(args, strlen(args), NULL, err, &o) < 0)
		die(args, err->text);
	conn_submit(&d->conn[0], verb, o, on_answer, &a, err);
	while (!a.there) {
		if (qmp_now_ms() > until_ms || !d->conn[0].q)
			die(verb, "lockstepd does not answer");
		sd_event_run(d->fleet->loop, LOOK_MS * 1000);
	}
	if (ret_value && err->code >= 0)
		*ret_value = a.value;
	else
		json_object_put(a.value);
	return err->code;
}

static bool all_ready(struct under_test *d, unsigned first)
{
	struct json_object *list;
	struct ls_err err;
	bool ready = daemon_ask(d, "list", NULL, &err, &list) == 0 &&
		     json_object_array_length(list) == d->fleet->n;

	for (size_t i = 0; ready && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (atoi(qmp_get_str(o, "guest", "g0") + 1) >= (int)first)
			ready &= !strcmp(qmp_get_str(o, "state", ""), "ready");
	}
	json_object_put(list);
	return ready;
}

int daemon_await_ready(struct under_test *d, unsigned first, unsigned limit_ms)
{
	uint64_t from_ms = qmp_now_ms();

	while (!all_ready(d, first)) {
		if (qmp_now_ms() - from_ms > limit_ms)
			return -1;
		loop_run(d->fleet->loop, LOOK_MS);
	}
	return (int)(qmp_now_ms() - from_ms);
}

/* ---- what it costs -------------------------------------------------------------------- */

long daemon_rss_kib(const struct under_test *d)
{
	char path[64], line[128];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "RssAnon:", 8))
			kib = strtol(line + 8, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

unsigned daemon_files(const struct under_test *d)
{
	char path[64];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);
	dir = opendir(path);
	for (const struct dirent *de; dir && (de = readdir(dir));)
		n += de->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* CPU time of all its threads, from its own clock. */
double daemon_cpu_us(const struct under_test *d)
{
	struct timespec ts = { 0 };
	clockid_t clock;

	if (clock_getcpuclockid(d->pid, &clock) == 0)
		clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}
