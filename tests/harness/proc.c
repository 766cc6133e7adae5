/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Start, watch and end child processes. */
#include "proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

void argv_add(struct argv *a, const char *fmt, ...)
{
	va_list ap;
	int n;

	assert(a->n + 1 < (int)(sizeof(a->v) / sizeof(a->v[0])));
	va_start(ap, fmt);
	n = vasprintf(&a->v[a->n], fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	a->v[++a->n] = NULL;
}

void argv_done(struct argv *a)
{
	while (a->n > 0)
		free(a->v[--a->n]);
}

static void proc_reap(struct proc *p)
{
	if (p->ended || waitpid(p->pid, &p->status, WNOHANG) != p->pid)
		return;
	p->ended = true;
	pump_remove(p->pump, &p->watch);
	close(p->watch.fd);
}

static void proc_ready(void *arg, short revents)
{
	(void)revents;
	proc_reap(arg);
}

/* In the child; only returns if it could not. */
static void proc_exec(char *const argv[], char *const env[], int log, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; env && env[i]; i++)
		putenv(env[i]);
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int proc_start(struct pump *pump, char *const argv[], char *const env[], const char *log,
	       struct ls_err *err, struct proc **ret_proc)
{
	ls_autoclose int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	ls_autofree struct proc *p = calloc(1, sizeof(*p));
	pid_t self = getpid();

	if (out < 0 || !p)
		return ls_err_set(err, -errno, "%s: %s", log, strerror(errno));
	p->pid = fork();
	if (p->pid == 0)
		proc_exec(argv, env, out, self);
	if (p->pid < 0)
		return ls_err_set(err, -errno, "fork: %s", strerror(errno));
	p->pump = pump;
	p->watch = (struct watch){
		.fd = (int)syscall(SYS_pidfd_open, p->pid, 0),
		.events = POLLIN,
		.ready = proc_ready,
		.arg = p,
	};
	pump_add(pump, &p->watch);
	*ret_proc = ls_steal_ptr(&p);
	return 0;
}

void proc_signal(struct proc *p, int sig)
{
	if (!p->ended)
		kill(p->pid, sig);
}

static bool proc_ended(void *arg)
{
	struct proc *p = arg;

	return p->ended;
}

int proc_wait(struct proc *p, uint64_t deadline_ms)
{
	return pump_until(p->pump, proc_ended, p, deadline_ms);
}

int proc_code(const struct proc *p)
{
	return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}

void proc_free(struct proc *p)
{
	if (!p)
		return;
	if (!p->ended) {
		kill(p->pid, SIGKILL);
		pump_remove(p->pump, &p->watch);
		close(p->watch.fd);
		waitpid(p->pid, &p->status, 0);
	}
	free(p);
}
