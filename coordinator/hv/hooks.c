/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running the host's hooks. Each gets a session of its own, an environment of its own,
 * nothing to read, and a time; what it leaves in its process group is killed.
 */
#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <lockstep/hookdir.h>

#define LINE_BYTES 120 /* of what one says that is logged, with the NUL */

/**
 * struct hooks - A call that is under way
 * @list:  of programs, @at is the next
 * @pid:   of the one that runs; 0 none; @pidfd; @err: its standard error, read end
 * @line:  what it has said first, @n bytes
 * @late:  it was killed for its time
 * @over:  a turn of the loop in which the caller is told
 */
struct hooks {
	sd_event *loop;
	struct hook_call call;
	void (*fn)(void *arg);
	void *arg;
	struct hookdir list;
	unsigned at;
	pid_t pid;
	int pidfd, err;
	char line[LINE_BYTES];
	bool late;
	sd_event_source *end, *limit, *over;
};

static const char *dir(void)
{
	const char *d = getenv(HOOKS_DIR_ENV);

	return d && d[0] ? d : HOOKS_DIR;
}

bool hooks_any(void)
{
	struct hookdir list;

	hookdir_list(dir(), &list);
	return list.n;
}

/* ---- one program ------------------------------------------------------------------ */

/* The beginning of its first line; what is not printable is shown as '?'. */
static void read_line(struct hooks *h)
{
	ssize_t n = read(h->err, h->line, sizeof(h->line) - 1);

	h->line[n > 0 ? n : 0] = '\0';
	h->line[strcspn(h->line, "\n")] = '\0';
	for (char *c = h->line; *c; c++)
		*c = *c >= ' ' && *c <= '~' ? *c : '?';
}

static void put_away(struct hooks *h)
{
	h->end = sd_event_source_disable_unref(h->end);
	h->limit = sd_event_source_disable_unref(h->limit);
	ls_closep(&h->pidfd);
	ls_closep(&h->err);
	h->pidfd = h->err = -1;
	h->pid = 0;
}

/* Its number is its own until it is waited for: so is its group's. */
static int reap(struct hooks *h)
{
	int status = 0;

	kill(-h->pid, SIGKILL);
	waitpid(h->pid, &status, 0);
	return status;
}

static void judge(const struct hooks *h, int status)
{
	const char *name = h->list.name[h->at - 1];

	if (h->late)
		log_warning("%s: hook %s: killed: no end within %d ms", h->call.guest, name,
			    HOOK_MS);
	else if (!WIFEXITED(status))
		log_warning("%s: hook %s: ended by signal %d", h->call.guest, name,
			    WTERMSIG(status));
	else if (WEXITSTATUS(status))
		log_warning("%s: hook %s: status %d: %s", h->call.guest, name, WEXITSTATUS(status),
			    h->line);
}

static void next(struct hooks *h);

static int on_end(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct hooks *h = arg;
	int status = reap(h);

	(void)s, (void)fd, (void)revents;
	read_line(h);
	put_away(h);
	judge(h, status);
	next(h);
	return 0;
}

static int on_limit(sd_event_source *s, uint64_t now, void *arg)
{
	struct hooks *h = arg;

	(void)s, (void)now;
	h->late = true;
	kill(-h->pid, SIGKILL); /* then on_end() */
	return 0;
}

static int spawn(struct hooks *h, const char *path, char *const argv[], char *const env[], int err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, err, 2);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawn_file_actions_addchdir_np(&files, "/");
	r = posix_spawn(&h->pid, path, &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -r;
}

static int begin(struct hooks *h, const char *name)
{
	char path[4096], slot[16], threads[HOOK_IDS + 32], txn[LS_TXN_BYTES + 32];
	char guest[LS_NAME_BYTES + 32], limit[48];
	char *argv[] = { path, (char *)"post", (char *)"plug", (char *)"cpu", slot, NULL };
	char *env[] = { (char *)HOOK_PATH,
			(char *)"LOCKSTEP_PHASE=post",
			(char *)"LOCKSTEP_ACTION=plug",
			(char *)"LOCKSTEP_KIND=cpu",
			guest,
			txn,
			threads,
			limit,
			NULL };
	int fds[2], r;

	snprintf(path, sizeof(path), "%s/%s", dir(), name);
	snprintf(slot, sizeof(slot), "%d", h->call.slot);
	snprintf(guest, sizeof(guest), "LOCKSTEP_GUEST=%s", h->call.guest);
	snprintf(txn, sizeof(txn), "LOCKSTEP_TXN=%s", h->call.txn);
	snprintf(threads, sizeof(threads), "LOCKSTEP_THREADS=%s", h->call.threads);
	snprintf(limit, sizeof(limit), "LOCKSTEP_DEADLINE_MS=%d", HOOK_MS);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	h->err = fds[0];
	r = spawn(h, path, argv, env, fds[1]);
	close(fds[1]);
	if (r < 0)
		return r;
	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	r = h->pidfd < 0 ? -errno : sd_event_add_io(h->loop, &h->end, h->pidfd, EPOLLIN, on_end, h);
	if (r >= 0)
		r = sd_event_add_time_relative(h->loop, &h->limit, CLOCK_MONOTONIC,
					       HOOK_MS * 1000ULL, 0, on_limit, h);
	if (r < 0)
		reap(h);
	return r;
}

/* ---- all of them --------------------------------------------------------------------- */

static int on_over(sd_event_source *s, void *arg)
{
	struct hooks *h = arg;

	(void)s;
	h->fn(h->arg);
	return 0;
}

static void next(struct hooks *h)
{
	int r;

	while (h->at < h->list.n) {
		h->late = false;
		r = begin(h, h->list.name[h->at++]);
		if (r >= 0)
			return;
		log_warning("%s: hook %s: not run: %s", h->call.guest, h->list.name[h->at - 1],
			    strerror(-r));
		put_away(h);
	}
	if (sd_event_add_defer(h->loop, &h->over, on_over, h) < 0)
		abort();
}

struct hooks *hooks_tell(sd_event *loop, const struct hook_call *call, void (*fn)(void *arg),
			 void *arg)
{
	struct hooks *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	*h = (struct hooks){ .loop = sd_event_ref(loop), .call = *call, .fn = fn, .arg = arg };
	h->pidfd = h->err = -1;
	hookdir_list(dir(), &h->list);
	next(h);
	return h;
}

void hooks_free(struct hooks *h)
{
	if (!h)
		return;
	if (h->pid)
		reap(h);
	put_away(h);
	sd_event_source_disable_unref(h->over);
	sd_event_unref(h->loop);
	free(h);
}
