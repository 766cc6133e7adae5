/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unix sockets: what is replaced, who is let in, and who waits when descriptors are short. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <lockstep/err.h>

#include "../../guest-agent/agent.h"

#define ROUNDS_MAX 100 /* a loop that has nothing to do ends long before */

/**
 * struct fixture - An agent that listens; its loop is turned by the test
 * @dir: of the socket
 */
struct fixture {
	struct fake kernel;
	struct sysfs *sysfs;
	struct agent agent;
	struct agent_options opt;
	char dir[64];
	char path[80];
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	strcpy(f.dir, "/tmp/test-listen-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/s", f.dir);
	f.opt = (struct agent_options){ .method = "unix-listen", .path = f.path };
	fake_init(&f.kernel, 2, 2, 0);
	f.sysfs = sysfs_new_ops(&fake_ops, &f.kernel);
	*state = &f;
	return agent_init(&f.agent, &f.opt, f.sysfs, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (agent_done(&f->agent) < 0)
		return -1;
	sysfs_free(f->sysfs);
	fake_done(&f->kernel);
	unlink(f->path);
	return rmdir(f->dir);
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* Turn the loop until it would sleep. Return: false if it does not come to that. */
static bool comes_to_rest(struct agent *a)
{
	struct epoll_event ev;
	struct source *src;
	int n;

	for (n = 0; n < ROUNDS_MAX; n++) {
		if (epoll_wait(a->loop.epoll, &ev, 1, 0) != 1)
			return true;
		src = ev.data.ptr;
		src->fn(src, ev.events);
	}
	return false;
}

/* From now on no descriptor is to be had. */
static struct rlimit use_up(void)
{
	struct rlimit before, now;
	int next = dup(STDERR_FILENO);

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = (struct rlimit){ (rlim_t)next, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

/* Several connect between two rounds: all come in. */
static void test_when_several_connect_at_once_then_all_come_in(void **state)
{
	struct fixture *f = *state;
	int fd[5], i;

	for (i = 0; i < 5; i++)
		fd[i] = connect_to(f->path);
	assert_true(comes_to_rest(&f->agent));
	assert_int_equal(f->agent.n_clients, 5);
	for (i = 0; i < 5; i++)
		close(fd[i]);
	assert_true(comes_to_rest(&f->agent));
	assert_int_equal(f->agent.n_clients, 0);
}

/* Without a descriptor the loop sleeps, and who waits comes in when a client has gone. */
static void test_when_descriptors_are_short_then_who_connects_waits(void **state)
{
	struct fixture *f = *state;
	int first = connect_to(f->path), second;
	struct rlimit before;

	assert_true(comes_to_rest(&f->agent));
	second = connect_to(f->path);
	before = use_up();
	assert_true(comes_to_rest(&f->agent));
	assert_int_equal(f->agent.n_clients, 1);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_true(comes_to_rest(&f->agent));
	assert_int_equal(f->agent.n_clients, 1);
	close(first);
	assert_true(comes_to_rest(&f->agent));
	assert_int_equal(f->agent.n_clients, 1);
	assert_int_equal(send(second, "\n", 1, MSG_NOSIGNAL), 1);
	assert_true(comes_to_rest(&f->agent));
	close(second);
	assert_true(comes_to_rest(&f->agent));
	assert_int_equal(f->agent.n_clients, 0);
}

/* A socket that an agent serves is not taken away from it. */
static void test_when_somebody_serves_the_socket_then_it_is_left_alone(void **state)
{
	struct fixture *f = *state;
	static struct agent second;
	struct ls_err err = { 0 };

	assert_int_equal(agent_init(&second, &f->opt, f->sysfs, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another with -p PATH"));
	assert_int_equal(listen_owner(f->path), getpid());
	assert_true(comes_to_rest(&f->agent));
}

/* One that an agent left behind is; another file that was named by mistake is not. */
static void test_when_the_path_is_taken_then_only_a_dead_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct listener l = { 0 };
	struct ls_err err = { 0 };
	struct stat st;
	FILE *file;

	close(f->agent.listener.src.fd); /* as if it had been killed */
	f->agent.listener.path[0] = '\0';
	assert_int_equal(listen_open(&l, &f->agent, f->path, NULL, &err), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	listen_close(&l);
	file = fopen(f->path, "we");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(listen_open(&l, &f->agent, f->path, NULL, &err), -EEXIST);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	listen_close(&l);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_several_connect_at_once_then_all_come_in),
		T(test_when_descriptors_are_short_then_who_connects_waits),
		T(test_when_somebody_serves_the_socket_then_it_is_left_alone),
		T(test_when_the_path_is_taken_then_only_a_dead_socket_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
