/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The in-guest command against a real agent, over a real local socket: the agent in a
 * thread with a kernel in memory below it, the command in a process of its own.
 */
#ifndef LOCAL_FIXTURE_H
#define LOCAL_FIXTURE_H

#include "fake_sysfs.h"

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

#include "../../guest-agent/agent.h"
#include "../../guest-agent/incli.h"
#include "../../guest-agent/local.h"

#define PATIENCE_MS 10000 /* only a bound on hanging */
#define WORDS_MAX   8

/**
 * struct fixture - An agent that serves its guest's root
 * @dir: its state directory
 * @out: what the last command printed, both streams
 * @q:   a client as the host is one
 */
struct fixture {
	struct fake kernel;
	struct sysfs *sysfs;
	struct agent agent;
	struct agent_options opt;
	pthread_t thread;
	char dir[64];
	char out[8192];
	struct qmp *q;
};

static inline void *agent_thread(void *arg)
{
	agent_run(arg);
	return NULL;
}

static inline struct qmp *connect_host(const struct fixture *f)
{
	const struct qmp_options opt = { .dialect = QMP_DIALECT_QGA };
	struct qmp *q = NULL;
	char address[128];

	snprintf(address, sizeof(address), "unix:%s/" LOCAL_NAME, f->dir);
	assert_int_equal(qmp_open(address, &opt, qmp_now_ms() + PATIENCE_MS, NULL, &q), 0);
	return q;
}

static inline int start_agent(struct fixture *f)
{
	if (agent_init(&f->agent, &f->opt, f->sysfs, NULL) < 0)
		return -1;
	f->agent.model.workers.ops = &fake_machine;
	f->agent.model.pause_ms = 0;
	if (pthread_create(&f->thread, NULL, agent_thread, &f->agent))
		return -1;
	f->q = connect_host(f);
	return 0;
}

static inline int end_agent(struct fixture *f)
{
	qmp_close(f->q);
	agent_stop(&f->agent);
	pthread_join(f->thread, NULL);
	return agent_done(&f->agent);
}

/* CPUs 0-3, of which 0-2 are online, and 4 blocks offline. */
static inline int setup_for(void **state, gid_t gid)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	strcpy(f.dir, "/tmp/test-local-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	f.opt = (struct agent_options){ .state_dir = f.dir, .local = true, .local_gid = gid };
	fake_init(&f.kernel, 4, 3, 4);
	f.sysfs = sysfs_new_ops(&fake_ops, &f.kernel);
	*state = &f;
	return start_agent(&f);
}

static inline int setup(void **state)
{
	return setup_for(state, 0);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];

	if (end_agent(f) < 0)
		return -1;
	sysfs_free(f->sysfs);
	fake_done(&f->kernel);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	return system(command);
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

static inline pid_t begin_command(const struct fixture *f, const char *line, int *ret_out)
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

static inline int end_command(struct fixture *f, pid_t pid, int out)
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
static inline int command(struct fixture *f, const char *line)
{
	int out;
	pid_t pid = begin_command(f, line, &out);

	return end_command(f, pid, out);
}

static inline void expect_text(const struct fixture *f, const char *text)
{
	if (!strstr(f->out, text))
		fail_msg("no \"%s\" in:\n%s", text, f->out);
}

#define LOCAL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
