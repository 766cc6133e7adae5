/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A real QEMU with one monitor, for the tests and benches of libqmp.
 *
 * The listening socket is made here and handed over, so there is nothing to wait
 * for: whoever connects is queued until QEMU accepts.
 */
#ifndef QMP_QEMU_H
#define QMP_QEMU_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define QEMU	      "qemu-system-x86_64"
#define QEMU_ARGS_MAX 48

/**
 * struct qemu - A process and its monitor
 * @dir:  private folder with the socket in it
 * @path: the socket
 */
struct qemu {
	pid_t pid;
	char dir[32];
	char path[64];
};

static inline int qemu_listen(struct qemu *v)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(v->dir, "/tmp/qmp-test-XXXXXX");
	if (fd < 0 || !mkdtemp(v->dir))
		return -1;
	snprintf(v->path, sizeof(v->path), "%s/qmp", v->dir);
	strcpy(sun.sun_path, v->path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 1) < 0)
		return -1;
	return fd;
}

static inline void qemu_exec(int listen_fd, const char *const more[])
{
	char chardev[80];
	const char *argv[QEMU_ARGS_MAX] = {
		QEMU,	"-nodefaults", "-nic",	"none", "-display",
		"none", "-chardev",    chardev, "-mon", "chardev=m,mode=control"
	};
	int null = open("/dev/null", O_RDWR), n = 10;

	snprintf(chardev, sizeof(chardev), "socket,id=m,fd=%d,server=on,wait=off", listen_fd);
	while (*more && n < QEMU_ARGS_MAX - 1)
		argv[n++] = *more++;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	dup2(null, 1);
	execvp(QEMU, (char *const *)argv);
	_exit(127);
}

/* Start it; 0, or -1 with nothing left behind. */
static inline int qemu_start(struct qemu *v, const char *const more[])
{
	int fd = qemu_listen(v);

	if (fd < 0)
		return -1;
	v->pid = fork();
	if (v->pid == 0)
		qemu_exec(fd, more);
	close(fd);
	return v->pid > 0 ? 0 : -1;
}

static inline void qemu_stop(struct qemu *v)
{
	if (v->pid > 0) {
		kill(v->pid, SIGKILL);
		waitpid(v->pid, NULL, 0);
	}
	unlink(v->path);
	rmdir(v->dir);
}

static inline int qemu_is_installed(void)
{
	return system("command -v " QEMU " >/dev/null 2>&1") == 0;
}

#endif
