/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that waits for a job and cleans up after it. */
#include "super.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#define SUPER_DIR      "/tmp/lockstep-lab." /* short: it begins every socket's path */
#define SUPER_KEEP_MAX (4 * 1024 * 1024)    /* of one file: logs, not disks */

static int super_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void super_remove(const char *dir)
{
	nftw(dir, super_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The lock is held as long as the supervisor lives. */
static int super_lock(const char *dir)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return -EBUSY;
	}
	return fd < 0 ? -errno : fd;
}

void super_sweep(void)
{
	glob_t found;

	if (glob(SUPER_DIR "??????", 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		ls_autoclose int fd = super_lock(found.gl_pathv[i]);

		if (fd >= 0)
			super_remove(found.gl_pathv[i]);
	}
	globfree(&found);
}

/* Kills the children we have now. Those of a killed child become ours. */
static void super_kill_children(void)
{
	char path[64];
	FILE *list;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	list = fopen(path, "re");
	while (list && fscanf(list, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (list)
		fclose(list);
}

static void super_kill_all(void)
{
	do
		super_kill_children();
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

static int super_copy(const char *from, const char *to)
{
	ls_autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	ls_autoclose int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	char buf[65536];
	ssize_t n;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			return -EIO;
	return in < 0 || out < 0 ? -errno : 0;
}

/* Regular files of the directory itself: logs and outputs, no sockets. */
static void super_keep(const char *dir, const char *keep)
{
	char pattern[64], to[1024];
	struct stat st;
	glob_t found;

	super_remove(keep);
	mkdir(keep, 0777);
	snprintf(pattern, sizeof(pattern), "%s/*", dir);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *from = found.gl_pathv[i];

		if (lstat(from, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > SUPER_KEEP_MAX)
			continue;
		snprintf(to, sizeof(to), "%s/%s", keep, strrchr(from, '/') + 1);
		super_copy(from, to);
	}
	globfree(&found);
}

static void super_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
	sigprocmask(SIG_BLOCK, set, NULL);
}

/* The job's process. */
static void super_job(super_job_fn fn, void *arg, const char *dir, int report, pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(SUPER_FAILED);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	exit(fn(dir, report, arg));
}

/* Waits for the job's end, or for a signal that says to end it. */
static int super_watch(pid_t job, const sigset_t *set)
{
	int status;

	for (;;) {
		int sig = sigwaitinfo(set, NULL);
		pid_t pid;

		if (sig > 0 && sig != SIGCHLD)
			return SUPER_FAILED;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == job)
				return WIFEXITED(status) ? WEXITSTATUS(status) : SUPER_FAILED;
	}
}

static int super_main(super_job_fn fn, void *arg, const char *keep, int report)
{
	char dir[] = SUPER_DIR "XXXXXX";
	pid_t self = getpid(), job;
	sigset_t set;
	int end;

	super_signals(&set);
	setpgid(0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!mkdtemp(dir) || super_lock(dir) < 0) {
		dprintf(report, "%s: %s\n", dir, strerror(errno));
		return SUPER_FAILED;
	}
	job = fork();
	if (job == 0)
		super_job(fn, arg, dir, report, self);
	end = job < 0 ? SUPER_FAILED : super_watch(job, &set);
	super_kill_all();
	if (keep && end != SUPER_PASSED && end != SUPER_SKIPPED)
		super_keep(dir, keep);
	super_remove(dir);
	return end;
}

int super_start(super_job_fn fn, void *arg, const char *keep, struct ls_err *err,
		struct super *ret_super)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return ls_err_set(err, -errno, "pipe: %s", strerror(errno));
	fflush(NULL);
	ret_super->pid = fork();
	if (ret_super->pid == 0) {
		close(fds[0]);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(SUPER_FAILED);
		_exit(super_main(fn, arg, keep, fds[1]));
	}
	close(fds[1]);
	if (ret_super->pid < 0) {
		close(fds[0]);
		return ls_err_set(err, -errno, "fork: %s", strerror(errno));
	}
	ret_super->report = fds[0];
	return 0;
}

void super_stop(struct super *s)
{
	kill(s->pid, SIGTERM);
}

int super_wait(struct super *s)
{
	int status = 0;

	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(s->report);
	return WIFEXITED(status) ? WEXITSTATUS(status) : SUPER_FAILED;
}
