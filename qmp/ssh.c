/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ssh:HOST:PATH - a socket of another host, brought here by the ssh program.
 *
 * DOC: how
 *
 *	ssh -N -T -o BatchMode=yes -o ExitOnForwardFailure=yes -L DIR/sock:PATH -- HOST
 *
 * makes a socket in a private folder, and what connects to it reaches PATH there.
 * No shell of the other side sees PATH. What we wait for: the socket's appearance
 * (inotify), ssh's death (pidfd), its complaints (a pipe). bind() makes the socket
 * appear, listen() comes after it and is announced by nothing: hence the timer, used
 * only while connect() finds the socket there and nobody listening yet.
 */
#include "ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <lockstep/limits.h>

#include "transport.h"

#define HOST_BYTES_MAX	256
#define SAID_BYTES	160
#define LISTEN_RETRY_MS 5
#define STOP_GRACE_MS	2000

/**
 * struct ssh - The program and what belongs to it
 * @pid:     0 when it is not running any more
 * @pidfd:   readable when it has ended
 * @notify:  inotify on @dir
 * @timer:   the next attempt to connect
 * @errors:  read end of its standard error
 * @dir:     private folder
 * @sock:    the socket in it
 * @forward: argument of -L
 * @host:    argument after --
 * @said:    first bytes of its standard error, one line
 */
struct ssh {
	pid_t pid;
	int pidfd, notify, timer, errors;
	char dir[64];
	char sock[80];
	char forward[80 + 1 + LS_PATH_BYTES];
	char host[HOST_BYTES_MAX];
	char said[SAID_BYTES];
	size_t n_said;
};

/* ssh's own syntax has no safe way to quote these inside -L. */
static int check_path(const char *path, struct ls_err *err)
{
	if (strlen(path) >= LS_PATH_BYTES)
		return ls_err_set(err, -ENAMETOOLONG,
				  "the path is %zu bytes long, a socket's path has at most %d",
				  strlen(path), LS_PATH_BYTES - 1);
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7F || strchr(":\\%$\"'", *p))
			return ls_err_set(err, -EINVAL, "byte 0x%02x cannot stand in this path",
					  (unsigned char)*p);
	return 0;
}

static int check_host(const char *host, struct ls_err *err)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.-_@:[]";

	if (!*host || *host == '-')
		return ls_err_set(err, -EINVAL, "a host name is not empty and begins with no '-'");
	if (host[strspn(host, fine)])
		return ls_err_set(err, -EINVAL, "'%c' cannot stand in a host name",
				  host[strspn(host, fine)]);
	return 0;
}

/* HOST ends at the first ":/": an IPv6 address may stand in it. */
static int split(struct ssh *s, const char *where, const char **ret_path, struct ls_err *err)
{
	const char *colon = strstr(where, ":/");

	if (!colon)
		return ls_err_set(err, -EINVAL, "want ssh:HOST:/PATH");
	if ((size_t)(colon - where) >= sizeof(s->host))
		return ls_err_set(err, -EINVAL, "the host name is longer than %zu bytes",
				  sizeof(s->host) - 1);
	memcpy(s->host, where, colon - where);
	*ret_path = colon + 1;
	if (check_host(s->host, err) < 0)
		return -EINVAL;
	return check_path(*ret_path, err);
}

static int make_dir(struct ssh *s, const char *path)
{
	const char *tmp = getenv("TMPDIR");
	int n = -1;

	if (tmp && *tmp == '/' && strlen(tmp) < 32 && !strpbrk(tmp, ":\\%$\"' "))
		n = snprintf(s->dir, sizeof(s->dir), "%s/qmp-ssh-XXXXXX", tmp);
	if (n < 0)
		snprintf(s->dir, sizeof(s->dir), "/tmp/qmp-ssh-XXXXXX");
	if (!mkdtemp(s->dir)) {
		s->dir[0] = '\0';
		return -errno;
	}
	snprintf(s->sock, sizeof(s->sock), "%s/sock", s->dir);
	snprintf(s->forward, sizeof(s->forward), "%s:%s", s->sock, path);
	return 0;
}

/* In the child, between fork() and exec(): async-signal-safe calls only. */
static void run_ssh(const struct ssh *s, int errors, pid_t parent)
{
	char *argv[] = { "ssh",
			 "-N",
			 "-T",
			 "-o",
			 "BatchMode=yes",
			 "-o",
			 "ExitOnForwardFailure=yes",
			 "-o",
			 "ForwardAgent=no",
			 "-L",
			 (char *)s->forward,
			 "--",
			 (char *)s->host,
			 NULL };
	static const char lost[] = "no ssh program in PATH\n";
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0); /* a Ctrl-C at the terminal is for our program to handle */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(errors, 2) < 0)
		_exit(126);
	execvp(argv[0], argv);
	(void)!write(2, lost, sizeof(lost) - 1);
	_exit(127);
}

static int spawn(struct ssh *s)
{
	pid_t parent = getpid();
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	s->errors = pipe_fds[0];
	s->pid = fork();
	if (s->pid == 0)
		run_ssh(s, pipe_fds[1], parent);
	close(pipe_fds[1]);
	if (s->pid < 0) {
		s->pid = 0;
		return -errno;
	}
	s->pidfd = pidfd_open(s->pid, 0);
	return s->pidfd < 0 ? -errno : 0;
}

static int watch(int set, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	return 0;
}

static int prepare(struct ssh *s)
{
	s->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->notify < 0 || inotify_add_watch(s->notify, s->dir, IN_CREATE | IN_MOVED_TO) < 0)
		return -errno;
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return s->timer < 0 ? -errno : 0;
}

static int watch_all(struct ssh *s, int set)
{
	const int fds[] = { s->notify, s->timer, s->errors, s->pidfd };
	int r = 0;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]) && !r; i++)
		r = watch(set, fds[i]);
	return r;
}

static int start(struct ssh *s, const char *path, int set)
{
	int r;

	r = make_dir(s, path);
	if (!r)
		r = prepare(s);
	if (!r)
		r = spawn(s);
	return r ? r : watch_all(s, set);
}

int ssh_start(const char *where, int set, struct ls_err *err, struct ssh **ret_ssh)
{
	struct ssh *s = calloc(1, sizeof(*s));
	struct ls_err why = { 0 };
	const char *path = NULL;
	int r;

	if (!s)
		return ls_err_set(err, -ENOMEM, "out of memory");
	s->pidfd = s->notify = s->timer = s->errors = -1;
	r = split(s, where, &path, &why);
	if (!r) {
		r = start(s, path, set);
		if (r < 0)
			ls_err_set(&why, r, "cannot run ssh: %s", strerror(-r));
	}
	if (r < 0) {
		ssh_stop(s);
		return ls_err_set(err, r, "%s", why.text);
	}
	*ret_ssh = s;
	return 0;
}

/* Keep the first line, drop the rest, so that ssh never blocks on its complaints. */
static void hear(struct ssh *s)
{
	char bytes[512];
	ssize_t n;

	while ((n = fd_read(s->errors, false, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n && s->n_said < sizeof(s->said) - 1; i++) {
			if (bytes[i] == '\r' || (bytes[i] == '\n' && !s->n_said))
				continue;
			s->said[s->n_said++] = bytes[i] == '\n'			    ? ' '
					       : bytes[i] < ' ' || bytes[i] == 0x7F ? '?'
										    : bytes[i];
		}
	while (s->n_said && s->said[s->n_said - 1] == ' ')
		s->said[--s->n_said] = '\0';
}

const char *ssh_said(struct ssh *s)
{
	if (s->errors >= 0)
		hear(s);
	return s->said;
}

static void drain(int fd)
{
	char bytes[4096];

	while (fd_read(fd, false, bytes, sizeof(bytes)) > 0)
		;
}

static bool has_ended(struct ssh *s)
{
	if (s->pid && waitpid(s->pid, NULL, WNOHANG) == s->pid)
		s->pid = 0;
	return !s->pid;
}

/* Nothing announces listen(): look again shortly. */
static int try_again_soon(struct ssh *s)
{
	struct itimerspec soon = { .it_value.tv_nsec = LISTEN_RETRY_MS * 1000000L };

	if (timerfd_settime(s->timer, 0, &soon, NULL) < 0)
		return -errno;
	return -EAGAIN;
}

int ssh_step(struct ssh *s, struct ls_err *err)
{
	int fd;

	drain(s->notify);
	drain(s->timer);
	hear(s);
	if (has_ended(s))
		return ls_err_set(err, -ECONNREFUSED, "ssh to %s has ended: %s", s->host,
				  s->n_said ? s->said : "it gave no reason");
	fd = unix_connect(s->sock, false, 0);
	if (fd == -ENOENT)
		return -EAGAIN;
	if (fd == -ECONNREFUSED)
		return try_again_soon(s);
	if (fd < 0)
		return ls_err_set(err, fd, "connecting to ssh's socket: %s", strerror(-fd));
	return fd;
}

/* SIGTERM, a bounded wait, then SIGKILL. */
static void end_program(struct ssh *s)
{
	struct pollfd pfd = { .fd = s->pidfd, .events = POLLIN };

	if (!s->pid)
		return;
	kill(s->pid, SIGTERM);
	if (s->pidfd < 0 || poll(&pfd, 1, STOP_GRACE_MS) != 1)
		kill(s->pid, SIGKILL);
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
}

static void close_all(struct ssh *s)
{
	const int fds[] = { s->pidfd, s->notify, s->timer, s->errors };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

void ssh_stop(struct ssh *s)
{
	if (!s)
		return;
	end_program(s);
	close_all(s);
	if (s->dir[0]) {
		unlink(s->sock);
		rmdir(s->dir);
	}
	free(s);
}
