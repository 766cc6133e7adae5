/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In the lab guest: make something happen to one memory block in the middle of a batch.
 *
 *	block-trap FIRST LAST BLOCK error FILE ERRNO COMMAND...
 *	block-trap FIRST LAST BLOCK kill COMMAND...
 *	block-trap FIRST LAST BLOCK hold PIPE COMMAND...
 *
 * Runs COMMAND. Whoever opens memoryN/state of a block from FIRST to LAST meanwhile waits
 * until this program has seen it (fanotify): at BLOCK the number ERRNO is written to FILE, a
 * switch of the kernel's notifier-error-inject, and 0 at any other block and at the end; or
 * the opener is killed; or it waits in the kernel, deaf to all but SIGKILL, until somebody has
 * written to PIPE and closed it. So the kernel fails exactly this block, and nothing is left to
 * time.
 *
 * Ends with the status of COMMAND; with 99 if BLOCK was never opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK_FILE   "/sys/devices/system/memory/memory%d/state"
#define NEVER_OPENED 99

/**
 * struct trap - What is to happen where
 * @block:  to this block
 * @file:   the switch; NULL: the opener is killed or held
 * @value:  for the switch
 * @pipe:   the opener is held until it is written to; NULL: not held
 * @caught: how often the block was opened
 */
struct trap {
	int block;
	const char *file;
	const char *value;
	const char *pipe;
	unsigned caught;
};

static void die(const char *what)
{
	fprintf(stderr, "block-trap: %s: %s\n", what, strerror(errno));
	exit(NEVER_OPENED);
}

static int mark_blocks(int first, int last)
{
	int fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC), i;
	char path[64];

	if (fan < 0)
		die("fanotify");
	for (i = first; i <= last; i++) {
		snprintf(path, sizeof(path), BLOCK_FILE, i);
		if (fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, path) < 0)
			die(path);
	}
	return fan;
}

static void set_switch(const struct trap *t, const char *value)
{
	int fd = open(t->file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die(t->file);
	close(fd);
}

static int block_of(int fd)
{
	char link[64], path[128];
	ssize_t n;
	int block;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	return sscanf(path, BLOCK_FILE, &block) == 1 ? block : -1;
}

/* Until whoever opened it for writing has closed it. */
static void await(const char *pipe)
{
	int fd = open(pipe, O_RDONLY | O_CLOEXEC);
	char text[64];

	if (fd < 0)
		die(pipe);
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

static void on_open(struct trap *t, const struct fanotify_event_metadata *ev)
{
	bool here = block_of(ev->fd) == t->block;

	t->caught += here;
	if (t->file)
		set_switch(t, here ? t->value : "0");
	else if (here && t->pipe)
		await(t->pipe);
	else if (here)
		kill(ev->pid, SIGKILL);
}

static void read_events(struct trap *t, int fan)
{
	char buf[4096] __attribute__((aligned(8)));
	const struct fanotify_event_metadata *ev = (void *)buf;
	ssize_t n = read(fan, buf, sizeof(buf));

	for (; FAN_EVENT_OK(ev, n); ev = FAN_EVENT_NEXT(ev, n)) {
		struct fanotify_response answer = { ev->fd, FAN_ALLOW };

		on_open(t, ev);
		if (write(fan, &answer, sizeof(answer)) < 0 && errno != ENOENT)
			die("fanotify");
		close(ev->fd);
	}
}

static pid_t start(char **command)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	execvp(command[0], command);
	die(command[0]);
	return -1;
}

static int run(struct trap *t, int fan, char **command)
{
	pid_t pid = start(command);
	struct pollfd fds[] = { { fan, POLLIN, 0 },
				{ (int)syscall(SYS_pidfd_open, pid, 0), POLLIN, 0 } };
	int status = 0;

	while (!fds[1].revents) {
		if (poll(fds, 2, -1) < 0)
			die("poll");
		if (fds[0].revents)
			read_events(t, fan);
	}
	waitpid(pid, &status, 0);
	if (t->file)
		set_switch(t, "0");
	return t->caught && WIFEXITED(status) ? WEXITSTATUS(status) : NEVER_OPENED;
}

/* Return: where the command begins; 0: that is no way to call us. */
static int parse(int argc, char **argv, struct trap *t)
{
	const char *what = argc > 5 ? argv[4] : "";

	*t = (struct trap){ .block = argc > 5 ? atoi(argv[3]) : 0 };
	if (!strcmp(what, "kill"))
		return 5;
	if (!strcmp(what, "hold")) {
		t->pipe = argv[5];
		return argc > 6 ? 6 : 0;
	}
	if (strcmp(what, "error") || argc < 8)
		return 0;
	t->file = argv[5];
	t->value = argv[6];
	return 7;
}

int main(int argc, char **argv)
{
	struct trap t;
	int command = parse(argc, argv, &t);

	if (!command) {
		fprintf(stderr, "usage: block-trap FIRST LAST BLOCK error FILE ERRNO COMMAND...\n"
				"       block-trap FIRST LAST BLOCK kill COMMAND...\n"
				"       block-trap FIRST LAST BLOCK hold PIPE COMMAND...\n");
		return NEVER_OPENED;
	}
	return run(&t, mark_blocks(atoi(argv[1]), atoi(argv[2])), argv + command);
}
