/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running one hook: what it gets, how it is waited for, how it is ended.
 */
#include "hook_run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <lockstep/hookdir.h>
#include <lockstep/log.h>
#include <qmp.h>

#define HOOK_OUTPUT_BYTES 4096 /* of standard error that is looked at; more is dropped */
#define HOOK_READS_MAX	  256  /* at a time: who never stops writing must not stop the clock */
#define HOOK_KILLED_MS	  1000 /* for the kernel to end what got SIGKILL */
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#define HOOK_NOT_RUN	127
#define ENV_MAX		8
#define ENV_BYTES	128
#define ARGS_BEFORE_IDS 4
#define ID_BYTES	12

static const char *const phase_names[] = {
	[HOOK_CHECK] = "check",		[HOOK_PRE] = "pre",
	[HOOK_POST] = "post",		[HOOK_FAILED] = "failed",
	[HOOK_UNDOCHECK] = "undocheck",
};
static_assert(sizeof(phase_names) / sizeof(phase_names[0]) == HOOK_PHASE_COUNT, "a name each");

static const char *const kind_names[] = {
	[HOOK_CPU] = "cpu",
	[HOOK_MEMORY] = "memory",
	[HOOK_WINDOW] = "window",
};
static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == HOOK_KIND_COUNT, "a name each");

/**
 * struct running - The hook that runs now
 * @group: its process group and session; 0: none. Read without a lock.
 * @one:   one hook at a time
 */
static struct {
	pthread_mutex_t one;
	pid_t group;
} running = { .one = PTHREAD_MUTEX_INITIALIZER };

const char *hook_phase_name(enum hook_phase phase)
{
	return phase_names[phase];
}

static const char *action_name(const struct hook_event *ev)
{
	if (ev->kind == HOOK_WINDOW)
		return ev->op == HOOK_ONLINE ? "open" : "close";
	return ev->op == HOOK_ONLINE ? "online" : "offline";
}

bool hooks_is_ours(pid_t tid)
{
	pid_t group = __atomic_load_n(&running.group, __ATOMIC_SEQ_CST);

	return group && (tid == group || getsid(tid) == group || getpgid(tid) == group);
}

/* ---- what it gets ---------------------------------------------------------- */

/**
 * struct start - Made before fork(), so that the child has nothing to allocate
 * @path: of the program
 * @env:  strings of @envp
 * @ids:  strings of @argv
 * @err:  standard error, read end and write end
 * @go:   the child waits for a byte here until hooks_is_ours() knows it
 */
struct start {
	char path[4096];
	char env[ENV_MAX][ENV_BYTES];
	char *envp[ENV_MAX + 1];
	char *ids;
	char **argv;
	int err[2];
	int go[2];
};

static void start_done(struct start *s)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (s->err[i] >= 0)
			close(s->err[i]);
		if (s->go[i] >= 0)
			close(s->go[i]);
	}
	free(s->ids);
	free(s->argv);
}

static void fill_env(struct start *s, const struct hook_how *how, const struct hook_event *ev)
{
	int n = 0, i;

	snprintf(s->env[n++], ENV_BYTES, HOOK_PATH);
	snprintf(s->env[n++], ENV_BYTES, "LOCKSTEP_PHASE=%s", phase_names[how->phase]);
	snprintf(s->env[n++], ENV_BYTES, "LOCKSTEP_ACTION=%s", action_name(ev));
	snprintf(s->env[n++], ENV_BYTES, "LOCKSTEP_KIND=%s", kind_names[ev->kind]);
	snprintf(s->env[n++], ENV_BYTES, "LOCKSTEP_TXN=%s", how->txn);
	snprintf(s->env[n++], ENV_BYTES, "LOCKSTEP_DEADLINE_MS=%u", how->deadline_ms);
	assert(n <= ENV_MAX);
	for (i = 0; i < n; i++)
		s->envp[i] = s->env[i];
	s->envp[n] = NULL;
}

static int fill_args(struct start *s, const struct hook_how *how, const struct hook_event *ev)
{
	unsigned i, n = ARGS_BEFORE_IDS;

	s->ids = malloc((size_t)ev->n * ID_BYTES + 1);
	s->argv = calloc((size_t)ev->n + ARGS_BEFORE_IDS + 1, sizeof(*s->argv));
	if (!s->ids || !s->argv)
		return -ENOMEM;
	s->argv[0] = s->path;
	s->argv[1] = (char *)phase_names[how->phase];
	s->argv[2] = (char *)action_name(ev);
	s->argv[3] = (char *)kind_names[ev->kind];
	for (i = 0; i < ev->n; i++) {
		s->argv[n++] = s->ids + (size_t)i * ID_BYTES;
		snprintf(s->ids + (size_t)i * ID_BYTES, ID_BYTES, "%d", ev->ids[i]);
	}
	return 0;
}

static int start_init(struct start *s, const struct hook_how *how, const struct hook_event *ev)
{
	s->err[0] = s->err[1] = s->go[0] = s->go[1] = -1;
	s->ids = NULL;
	s->argv = NULL;
	if (snprintf(s->path, sizeof(s->path), "%s/%s", how->dir, how->name) >=
	    (int)sizeof(s->path))
		return -ENAMETOOLONG;
	fill_env(s, how, ev);
	if (pipe2(s->err, O_CLOEXEC) < 0 || pipe2(s->go, O_CLOEXEC) < 0)
		return -errno;
	fcntl(s->err[0], F_SETFL, O_NONBLOCK);
	return fill_args(s, how, ev);
}

/* ---- the child: async-signal-safe calls only -------------------------------- */

static void default_signals(void)
{
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A CPU that the agent's cpuset forbids, or that is offline: it runs unpinned. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

__attribute__((noreturn)) static void child(const struct start *s, int cpu)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *why;
	char go;

	setsid();
	close(s->go[1]);
	if (read(s->go[0], &go, 1) != 1)
		_exit(HOOK_NOT_RUN);
	if (cpu >= 0)
		pin(cpu);
	default_signals();
	umask(022);
	/* Ours close themselves; these are what the agent was started with. */
	syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
	if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(s->err[1], 2) == 2 &&
	    chdir("/") == 0)
		execve(s->path, s->argv, s->envp);
	why = strerrordesc_np(errno);
	if (write(s->err[1], why, strlen(why)) < 0)
		_exit(HOOK_NOT_RUN);
	_exit(HOOK_NOT_RUN);
}

/* ---- waiting ---------------------------------------------------------------- */

/**
 * struct output - The beginning of standard error
 * @n: bytes in @text
 */
struct output {
	size_t n;
	char text[HOOK_OUTPUT_BYTES];
};

/* Read what is there. Return: false when there will be no more. */
static bool take(int fd, struct output *out)
{
	char rest[512];
	int reads = 0;
	ssize_t n;

	do {
		size_t room = sizeof(out->text) - out->n;

		n = room ? read(fd, out->text + out->n, room) : read(fd, rest, sizeof(rest));
		if (n > 0 && room)
			out->n += (size_t)n;
	} while (n > 0 && ++reads < HOOK_READS_MAX);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* Until the program itself has ended; what it has started does not count. */
static int wait_end(int pidfd, int err, int stop, struct output *out, unsigned wait_ms)
{
	struct pollfd p[3] = { { pidfd, POLLIN, 0 }, { err, POLLIN, 0 }, { stop, POLLIN, 0 } };
	uint64_t until = qmp_now_ms() + wait_ms, now;

	while ((now = qmp_now_ms()) < until) {
		if (poll(p, 3, (int)(until - now)) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents && !take(err, out))
			p[1].fd = -1;
		if (p[0].revents)
			return 0;
		if (p[2].revents)
			return -ESHUTDOWN;
	}
	return -ETIMEDOUT;
}

static void kill_all(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
}

/*
 * Its number stays its own until waitpid(), so that the group can be killed after it
 * has ended. What does not die of SIGKILL sits in the kernel, and is not waited for.
 */
static int end(pid_t pid, int pidfd, int err, struct output *out, int *ret_status)
{
	int r;

	kill_all(pid);
	r = wait_end(pidfd, err, -1, out, HOOK_KILLED_MS);
	take(err, out);
	*ret_status = 0;
	if (r == 0)
		waitpid(pid, ret_status, 0);
	return r;
}

/* The first line; what a terminal or a log could take for something else becomes '?'. */
static void first_line(const struct output *out, char *text, size_t size)
{
	size_t i;

	for (i = 0; i < out->n && i < size - 1 && out->text[i] != '\n'; i++)
		text[i] = out->text[i] >= ' ' && out->text[i] <= '~' ? out->text[i] : '?';
	text[i] = '\0';
}

static int judge(int status, const struct output *out, struct hook_answer *answer)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	first_line(out, answer->message, sizeof(answer->message));
	if (answer->message[0])
		return -ECANCELED;
	if (WIFSIGNALED(status))
		snprintf(answer->message, sizeof(answer->message), "ended by signal %d",
			 WTERMSIG(status));
	else
		snprintf(answer->message, sizeof(answer->message), "ended with status %d",
			 WEXITSTATUS(status));
	return -ECANCELED;
}

static int watch(pid_t pid, int pidfd, int err, const struct hook_how *how,
		 struct hook_answer *answer)
{
	struct output out = { 0 };
	int r = wait_end(pidfd, err, how->stop, &out, how->deadline_ms), status;

	if (end(pid, pidfd, err, &out, &status) < 0)
		log_error("hook %s: process %d does not die of SIGKILL: left alone", how->name,
			  pid);
	if (r == 0)
		return judge(status, &out, answer);
	if (r == -ESHUTDOWN)
		snprintf(answer->message, sizeof(answer->message), "killed: the agent ends");
	else
		snprintf(answer->message, sizeof(answer->message), "no answer within %u ms",
			 how->deadline_ms);
	return r;
}

static int run(struct start *s, const struct hook_how *how, const struct hook_event *ev,
	       struct hook_answer *answer)
{
	ls_autoclose int pidfd = -1;
	pid_t pid = fork();
	int r;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(s, ev->cpu);
	close(ls_steal_fd(&s->err[1]));
	close(ls_steal_fd(&s->go[0]));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	r = pidfd < 0 ? -errno : 0;
	__atomic_store_n(&running.group, pid, __ATOMIC_SEQ_CST);
	if (r == 0 && write(s->go[1], "", 1) == 1)
		r = watch(pid, pidfd, s->err[0], how, answer);
	else
		close(ls_steal_fd(&s->go[1])); /* it ends by itself */
	if (pidfd < 0)
		waitpid(pid, NULL, 0);
	__atomic_store_n(&running.group, 0, __ATOMIC_SEQ_CST);
	return r;
}

int hook_run(const struct hook_how *how, const struct hook_event *ev,
	     struct hook_answer *ret_answer)
{
	uint64_t since = qmp_now_ms();
	struct start s;
	int r;

	ls_guard(&running.one);
	ret_answer->message[0] = '\0';
	r = start_init(&s, how, ev);
	if (r == 0)
		r = run(&s, how, ev, ret_answer);
	if (r < 0 && !ret_answer->message[0])
		snprintf(ret_answer->message, sizeof(ret_answer->message), "not run: %s",
			 strerror(-r));
	start_done(&s);
	log_debug("hook %s %s %s: %d, %llu ms", how->name, phase_names[how->phase], action_name(ev),
		  r, (unsigned long long)(qmp_now_ms() - since));
	return r;
}
