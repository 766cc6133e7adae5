/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The in-guest command against a real agent, over a real local socket: the agent in a
 * thread with a kernel in memory below it, the command in a process of its own.
 */
#ifndef LOCAL_FIXTURE_H
#define LOCAL_FIXTURE_H

#include "agent_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <qmp.h>

#include "../../guest-agent/incli.h"
#include "../../guest-agent/local.h"

#define WORDS_MAX 8

/**
 * struct local - An agent that serves its guest's root
 * @base: it, and a client as the host is one
 * @opt:  what it was started with
 * @dir:  its state directory
 * @out:  what the last command printed, both streams
 */
struct local {
	struct fixture base;
	struct agent_options opt;
	char dir[64];
	char out[8192];
};

static inline int start_agent(struct local *f)
{
	char address[128];

	if (begin_agent(&f->base, &f->opt, NULL) < 0)
		return -1;
	run_agent(&f->base);
	snprintf(address, sizeof(address), "unix:%s/" LOCAL_NAME, f->dir);
	f->base.q = client_at(address);
	return 0;
}

/* Serves @gid, too, if that is not 0. */
static inline int setup_for(void **state, gid_t gid)
{
	static struct local f;

	memset(&f, 0, sizeof(f));
	strcpy(f.dir, "/tmp/test-local-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	f.opt = (struct agent_options){ .state_dir = f.dir, .local = true, .local_gid = gid };
	*state = &f;
	return start_agent(&f);
}

static inline int setup(void **state)
{
	return setup_for(state, 0);
}

static inline int teardown(void **state)
{
	struct local *f = *state;
	char rm[96];

	if (end_agent(&f->base) < 0)
		return -1;
	snprintf(rm, sizeof(rm), "rm -rf %s", f->dir);
	return system(rm);
}

/* ---- the command in a process of its own ----------------------------------- */

__attribute__((noreturn)) static inline void be_command(const char *dir, const char *line, int out)
{
	char words[256], *argv[WORDS_MAX + 1], *word;
	int argc = 0, r;

	snprintf(words, sizeof(words), "%s", line);
	for (word = strtok(words, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	r = incli_run(argc, argv, dir);
	fflush(NULL);
	_exit(r);
}

static inline pid_t begin_command(const struct local *f, const char *line, int *ret_out)
{
	int out[2];
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_command(f->dir, line, out[1]);
	assert_true(pid > 0);
	close(out[1]);
	*ret_out = out[0];
	return pid;
}

static inline int end_command(struct local *f, pid_t pid, int out)
{
	size_t n = 0;
	ssize_t got;
	int status;

	while ((got = read(out, f->out + n, sizeof(f->out) - 1 - n)) > 0)
		n += (size_t)got;
	f->out[n] = '\0';
	close(out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Return: its exit status; what it printed is in @f->out. */
static inline int command(struct local *f, const char *line)
{
	int out;
	pid_t pid = begin_command(f, line, &out);

	return end_command(f, pid, out);
}

static inline void expect_text(const struct local *f, const char *text)
{
	if (!strstr(f->out, text))
		fail_msg("no \"%s\" in:\n%s", text, f->out);
}

#define LOCAL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
