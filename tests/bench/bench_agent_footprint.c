/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an agent costs its guest: memory, descriptors and wake-ups. The static program as
 * it is put into guests, above a directory that looks like a small /sys.
 *
 * usage: bench_agent_footprint [IDLE_S]
 *
 * Prints TAP, each figure with its limit, so that `make check` can run it, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/wire.h>
#include <qmp.h>

#define WARM_REQUESTS 2000
#define REQUESTS      10000
#define RSS_MAX_KB    2048
#define GROWTH_MAX_KB 64 /* the smallest leak a request could have makes 312 */
#define START_MS      10000
#define CALL_MS	      10000

/**
 * struct agent - The process
 * @pid:  its own
 * @dir:  socket, state and the tree below it
 */
struct agent {
	pid_t pid;
	char dir[64];
	char path[96];
};

static int failed;

static void row(int number, const char *what, long n, long max, const char *unit)
{
	failed += n > max;
	printf("%sok %d - %s: %ld %s (at most %ld)\n", n > max ? "not " : "", number, what, n, unit,
	       max);
	fflush(stdout);
}

static void die(const char *what, const char *why)
{
	printf("Bail out! %s: %s\n", what, why);
	exit(1);
}

/* ---- the tree ------------------------------------------------------------ */

static void put(const struct agent *a, const char *file, const char *text)
{
	char path[PATH_MAX];
	FILE *out;

	snprintf(path, sizeof(path), "%s/sys/%s", a->dir, file);
	for (char *at = path + strlen(a->dir) + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = '\0';
		mkdir(path, 0755);
	}
	out = fopen(path, "we");
	if (!out)
		die(path, strerror(errno));
	fputs(text, out);
	fclose(out);
}

static void put_tree(const struct agent *a)
{
	char file[64];

	put(a, "devices/system/cpu/online", "0-7\n");
	put(a, "devices/system/cpu/present", "0-7\n");
	for (int i = 0; i < 8; i++) {
		snprintf(file, sizeof(file), "devices/system/cpu/cpu%d/online", i);
		put(a, file, "1\n");
	}
	put(a, "devices/system/memory/block_size_bytes", "8000000\n");
	for (int i = 0; i < 64; i++) {
		snprintf(file, sizeof(file), "devices/system/memory/memory%d/state", i);
		put(a, file, "online\n");
	}
}

/* ---- the agent ------------------------------------------------------------ */

static void start(struct agent *a, const char *program)
{
	char sys[96], log[96];
	int fd;

	strcpy(a->dir, "/tmp/lockstep-footprint.XXXXXX");
	if (!mkdtemp(a->dir))
		die(a->dir, strerror(errno));
	snprintf(a->path, sizeof(a->path), "%s/sock", a->dir);
	snprintf(sys, sizeof(sys), "%s/sys", a->dir);
	snprintf(log, sizeof(log), "%s/log", a->dir);
	put_tree(a);
	a->pid = fork();
	if (a->pid)
		return;
	fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execl(program, program, "-m", "unix-listen", "-p", a->path, "-t", a->dir, "--sysfs", sys,
	      "--guard", "off", (char *)NULL);
	_exit(127);
}

static void end(struct agent *a)
{
	char *argv[] = { "rm", "-rf", a->dir, NULL };
	int status;
	pid_t pid;

	kill(a->pid, SIGTERM);
	waitpid(a->pid, &status, 0);
	pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
}

static struct qmp *connect_to(const struct agent *a)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QGA };
	uint64_t deadline_ms = qmp_now_ms() + START_MS;
	struct ls_err err;
	struct qmp *q;
	int r;

	do {
		r = qmp_open(a->path, &options, deadline_ms, &err, &q);
		if (r < 0)
			usleep(10000); /* it opens its socket, and tells nobody */
	} while (r < 0 && qmp_now_ms() < deadline_ms);
	if (r < 0)
		die("no agent", err.text);
	return q;
}

/* ---- requests: what a coordinator says, and what is refused ---------------- */

/* clang-format off */
static const struct {
	const char *name, *args;
} requests[] = {
	{ "guest-ping", NULL },
	{ "lockstep-status", NULL },
	{ "lockstep-lock", "{\"txn\":\"t\",\"epoch\":1,\"lease-ms\":60000}" },
	{ "lockstep-renew", "{\"txn\":\"t\",\"lease-ms\":60000}" },
	{ "lockstep-cpu-online", "{\"txn\":\"t\",\"cpus\":[1,2]}" },
	{ "lockstep-cpu-online", "{\"txn\":\"t\",\"cpus\":[99]}" },
	{ "lockstep-unlock", "{\"txn\":\"t\"}" },
	{ "lockstep-window-open", "{\"txn\":\"w\",\"epoch\":1,\"lease-ms\":60000,\"mode\":\"hold\"}" },
	{ "lockstep-window-close", "{\"txn\":\"w\"}" },
	{ "lockstep-doctor", NULL },
	{ "guest-get-vcpus", NULL },
	{ "guest-get-memory-blocks", NULL },
	{ "no-such-command", "{\"a\":[1,{\"b\":\"c\"}]}" },
};
/* clang-format on */

#define N_REQUESTS (sizeof(requests) / sizeof(requests[0]))

static void ask(struct qmp *q, size_t i)
{
	const char *args = requests[i % N_REQUESTS].args;
	struct json_object *value = NULL;
	struct ls_err err;
	int r = qmp_command(q, requests[i % N_REQUESTS].name,
			    args ? json_tokener_parse(args) : NULL, qmp_now_ms() + CALL_MS, &err,
			    &value);

	if (r < 0 && r != -EREMOTEIO)
		die(requests[i % N_REQUESTS].name, err.text);
	json_object_put(value);
}

/* A session every hundred: those must not stay either. */
static void ask_many(const struct agent *a, int n)
{
	struct qmp *q = NULL;

	for (int i = 0; i < n; i++) {
		if (i % 100 == 0) {
			qmp_close(q);
			q = connect_to(a);
		}
		ask(q, (size_t)i);
	}
	qmp_close(q);
}

/* ---- figures ---------------------------------------------------------------- */

/* Sum of a field of "NAME:  N kB" lines. */
static long field(const char *path, const char *name)
{
	FILE *in = fopen(path, "re");
	size_t len = strlen(name);
	char line[256];
	long sum = 0;

	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, name, len) && line[len] == ':')
			sum += strtol(line + len + 1, NULL, 10);
	if (in)
		fclose(in);
	return sum;
}

static long rss_kb(const struct agent *a)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)a->pid);
	return field(path, "VmRSS");
}

/* Entries of a directory below /proc/PID; @name of each one's "status" is summed up. */
static long entries(const struct agent *a, const char *what, const char *name)
{
	char path[PATH_MAX];
	struct dirent *de;
	long n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)a->pid, what);
	d = opendir(path);
	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/%s/%s/status", (int)a->pid, what,
			 de->d_name);
		n += name ? field(path, name) : 1;
	}
	if (d)
		closedir(d);
	return n;
}

/* The agent may not have seen yet that a session has ended. */
static long fds_down_to(const struct agent *a, long n)
{
	uint64_t deadline_ms = qmp_now_ms() + CALL_MS;
	long now;

	while ((now = entries(a, "fd", NULL)) > n && qmp_now_ms() < deadline_ms)
		usleep(10000);
	return now;
}

/* Nobody is asleep without having said so: what follows a request has happened by then. */
static long wake_ups(const struct agent *a, unsigned idle_s)
{
	long before;

	sleep(1);
	before = entries(a, "task", "voluntary_ctxt_switches");
	if (!before)
		die("/proc", "no counts of wake-ups");
	sleep(idle_s);
	return entries(a, "task", "voluntary_ctxt_switches") - before;
}

int main(int argc, char **argv)
{
	unsigned idle_s = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
	char self[PATH_MAX] = "", program[PATH_MAX + 32], what[64];
	long rss, open_fds;
	struct agent a;
	struct qmp *q;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe", strerror(errno));
	snprintf(program, sizeof(program), "%s/../lockstep-agent-static", dirname(self));
	if (access(program, X_OK) < 0)
		die(program, strerror(errno));
	start(&a, program);
	printf("1..5\n");
	q = connect_to(&a);
	row(1, "RSS of an idle agent", rss_kb(&a), RSS_MAX_KB, "kB");
	snprintf(what, sizeof(what), "wake-ups in %u s with a client", idle_s);
	row(2, what, wake_ups(&a, idle_s), 0, "");
	qmp_close(q);
	snprintf(what, sizeof(what), "wake-ups in %u s without one", idle_s);
	row(3, what, wake_ups(&a, idle_s), 0, "");
	open_fds = entries(&a, "fd", NULL);
	ask_many(&a, WARM_REQUESTS);
	rss = rss_kb(&a);
	ask_many(&a, REQUESTS);
	row(4, "RSS grown over 10000 requests", rss_kb(&a) - rss, GROWTH_MAX_KB, "kB");
	row(5, "descriptors grown", fds_down_to(&a, open_fds) - open_fds, 0, "");
	end(&a);
	return failed != 0;
}
