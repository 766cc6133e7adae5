/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A migration's own process, and the watching of it.
 */
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>
#include <qmp.h>

#include "render.h"
#include "../report/report.h"
#include "signals.h"

/* The job: no terminal, no standard streams, one socket to the watcher. */
static void become_job(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	for (int i = 0; i <= 2 && null >= 0; i++)
		dup2(null, i);
	/* A watcher that stands still must not hold up a migration. */
	fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void show(const struct cli *cli, struct json_object *o)
{
	struct ls_err err;

	if (strcmp(qmp_get_str(o, "event", ""), "error")) {
		render(cli, o);
		return;
	}
	ls_err_set(&err, -(int)qmp_get_int(o, "errno", 0), "%s", qmp_get_str(o, "error", ""));
	cli_error(cli, (int)qmp_get_int(o, "exit", XC_STUCK), &err);
}

/* Return: false when the job has closed its end. */
static bool read_report(const struct cli *cli, int fd, char *buf)
{
	struct json_object *o;
	ssize_t n = recv(fd, buf, REPORT_BYTES, 0);

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	if (qmp_parse(buf, (size_t)n, NULL, NULL, &o) < 0)
		return true; /* it was cut: the next one is whole again */
	show(cli, o);
	json_object_put(o);
	return true;
}

/* Killed, so it could not say how it ends. */
static int was_killed(const struct cli *cli, int status)
{
	struct ls_err err;

	ls_err_set(
		&err, -EINTR,
		"the migration's process was killed (%s); \"lockstep recover\" takes it back, or "
		"finishes it",
		strsignal(WTERMSIG(status)));
	return cli_error(cli, XC_STUCK, &err);
}

static int watch_job(const struct cli *cli, pid_t pid, int fd, int signals)
{
	char *buf = malloc(REPORT_BYTES);
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			       { .fd = signals, .events = POLLIN } };
	int status;

	while (buf) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents && signals_asked(cli, signals))
			send(fd, "cancel\n", 7, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (p[0].revents && !read_report(cli, fd, buf))
			break;
	}
	free(buf);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return XC_STUCK;
	return WIFEXITED(status) ? WEXITSTATUS(status) : was_killed(cli, status);
}

static int not_started(const struct cli *cli)
{
	struct ls_err err;

	ls_err_set(&err, -errno, "the migration's process: %s", strerror(errno));
	return cli_error(cli, XC_REFUSED, &err);
}

int job_run(struct cli *cli, job_fn fn)
{
	int fds[2], signals, code;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return not_started(cli);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		become_job(fds[1]);
		cli->watcher = fds[1];
		code = fn(cli, fds[1]);
		_exit(code);
	}
	close(fds[1]);
	if (pid < 0)
		return not_started(cli);
	signals = signals_open();
	code = watch_job(cli, pid, fds[0], signals);
	if (code == XC_STUCK && !cli->quiet && !cli->json)
		fprintf(stderr, "lockstep: \"lockstep recover %s\" looks again\n", cli->guest.name);
	close(fds[0]);
	close(signals);
	return code;
}
