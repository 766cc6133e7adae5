/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's configuration file and who may what.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../coordinator/daemon/config.h"

static struct config conf;
static struct ls_err err;
static char path[] = "/tmp/lockstep-conf-XXXXXX";

static int load(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	memset(&err, 0, sizeof(err));
	return config_load(path, &err, &conf);
}

static void assert_refused(const char *text, const char *line, const char *says)
{
	char where[64];

	snprintf(where, sizeof(where), "%s:%s:", path, line);
	assert_true(load(text) < 0);
	if (!strstr(err.text, where) || !strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", err.text, where, says);
}

/* What the file does not say has its default. */
static void test_when_the_file_is_empty_then_all_defaults_hold(void **state)
{
	(void)state;
	assert_int_equal(load(""), 0);
#define X(field, key, unit, otherwise, lo, hi, help) assert_int_equal(conf.field, otherwise);
	CONFIG_LIMITS(X)
#undef X
}

static void test_when_a_time_has_a_unit_then_it_is_milliseconds(void **state)
{
	(void)state;
	assert_int_equal(load("[lockstepd]\nreconnect-limit = 2min\nstop-limit = 5 s\n"
			      "hello-limit=700ms\nmax-queue = 3\n"),
			 0);
	assert_int_equal(conf.reconnect_ms, 120000);
	assert_int_equal(conf.stop_ms, 5000);
	assert_int_equal(conf.hello_ms, 700);
	assert_int_equal(conf.max_queue, 3);
}

/* Where files may be: the default, a list, nowhere; and what is no folder. */
static void test_when_folders_are_given_then_those_and_no_others(void **state)
{
	(void)state;
	assert_int_equal(load(""), 0);
	assert_string_equal(conf.folders, BACKING_FOLDERS);
	assert_int_equal(load("[memory]\nfolders = /srv/a /srv/b\n"), 0);
	assert_string_equal(conf.folders, "/srv/a /srv/b");
	assert_int_equal(load("[memory]\nfolders =\n"), 0);
	assert_string_equal(conf.folders, "");
	assert_refused("[memory]\nfolder = /srv\n", "2", "known is folders");
	assert_refused("[memory]\nfolders = /\n", "2", "no folder's path");
	assert_refused("[memory]\nfolders = /srv srv\n", "2", "\"srv\" is no folder's path");
	assert_refused("[memory]\nfolders = /srv/../etc\n", "2", "no folder's path");
	assert_refused("[memory]\nfolders = /a\nfolders = /b\n", "3", "a second time");
}

/* Each mistake with its line; the configuration that was is the one that is. */
static void test_when_a_line_is_wrong_then_it_is_named_and_nothing_changes(void **state)
{
	struct config before;

	(void)state;
	assert_int_equal(load("[lockstepd]\nmax-queue = 3\n"), 0);
	before = conf;
	assert_refused("[lockstepd]\n\nmax-queu = 3\n", "3", "unknown; known are");
	assert_refused("[lockstepd]\nmax-queue = 3s\n", "2", "no unit is meant");
	assert_refused("[lockstepd]\nstop-limit = 30\n", "2", "needs a unit");
	assert_refused("[lockstepd]\nstop-limit = 30h\n", "2", "needs a unit");
	assert_refused("[lockstepd]\nmax-queue = 0\n", "2", "not from 1 to 1024");
	assert_refused("[lockstepd]\nmax-queue = 99999999999999999999\n", "2", "is no number");
	assert_refused("[lockstepd]\nstop-limit = 4294967295min\n", "2", "is not from");
	assert_refused("[lockstepd]\nmax-queue = -1\n", "2", "is no number");
	assert_refused("[lockstepd]\nmax-queue = 3\nmax-queue = 4\n", "3", "a second time");
	assert_refused("[other]\nmax-queue = 3\n", "2", "no such section");
	assert_refused("[metrics]\nport = 3\n", "2", "known is listen");
	assert_refused("[metrics]\nlisten = tcp:0.0.0.0:9750\n", "2", "is meant");
	assert_refused("[metrics]\nlisten = tcp:127.0.0.1:0\n", "2", "is meant");
	assert_refused("[metrics]\nlisten = unix:metrics\n", "2", "is meant");
	assert_refused("[metrics]\nlisten = unix:/a\nlisten = unix:/b\n", "3", "second time");
	assert_refused("[lockstepd]\nmax-queue\n[other]\nx = 1\n", "2", "not \"key = value\"");
	assert_refused("[access]\nread = nobody-of-this-name\n", "2", "no user");
	assert_refused("[access]\nadmin = @nobody-of-this-name\n", "2", "no group");
	assert_refused("[access]\nroot = root\n", "2", "unknown");
	assert_memory_equal(&before, &conf, sizeof(conf));
}

static void test_when_it_cannot_be_read_then_refused(void **state)
{
	(void)state;
	assert_int_equal(config_load("/tmp/lockstep-no-such-file", &err, &conf), -ENOENT);
	assert_non_null(strstr(err.text, "/tmp/lockstep-no-such-file"));
	assert_int_equal(config_load("/tmp", &err, &conf), -EIO);
}

/* ---- access -------------------------------------------------------------- */

/* A class may all that the ones before it may, and nothing that comes after. */
static void test_when_in_a_class_then_it_and_those_below(void **state)
{
	gid_t groups[] = { 7000 };
	struct access_peer alice = { .uid = 5000, .gid = 5000 };
	struct access_peer bob = { .uid = 5001, .gid = 5001, .groups = groups, .n = 1 };
	struct access_peer root = { .uid = 0, .gid = 0 };
	struct access a = { 0 };

	(void)state;
	a.who[ACCESS_MIGRATE][a.n[ACCESS_MIGRATE]++] = (struct access_who){ false, 5000 };
	a.who[ACCESS_READ][a.n[ACCESS_READ]++] = (struct access_who){ true, 7000 };
	assert_true(access_allows(&a, ACCESS_READ, &alice));
	assert_true(access_allows(&a, ACCESS_HOTPLUG, &alice));
	assert_true(access_allows(&a, ACCESS_MIGRATE, &alice));
	assert_false(access_allows(&a, ACCESS_ADMIN, &alice));
	assert_true(access_allows(&a, ACCESS_READ, &bob));
	assert_false(access_allows(&a, ACCESS_HOTPLUG, &bob));
	for (unsigned c = 0; c < ACCESS_COUNT; c++)
		assert_true(access_allows(&a, c, &root));
}

/* A user's number is no group's. */
static void test_when_a_number_is_a_users_then_it_is_no_groups(void **state)
{
	struct access_peer p = { .uid = 5000, .gid = 6000 };
	struct access a = { 0 };

	(void)state;
	a.who[ACCESS_READ][a.n[ACCESS_READ]++] = (struct access_who){ true, 5000 };
	a.who[ACCESS_READ][a.n[ACCESS_READ]++] = (struct access_who){ false, 6000 };
	assert_false(access_allows(&a, ACCESS_READ, &p));
}

static void test_when_a_client_connects_then_the_kernel_says_who(void **state)
{
	struct access_peer p;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(access_peer_read(fds[0], &p), 0);
	assert_int_equal(p.uid, getuid());
	assert_int_equal(p.gid, getgid());
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.n, getgroups(0, NULL));
	access_peer_done(&p);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_folders_are_given_then_those_and_no_others),
		cmocka_unit_test(test_when_the_file_is_empty_then_all_defaults_hold),
		cmocka_unit_test(test_when_a_time_has_a_unit_then_it_is_milliseconds),
		cmocka_unit_test(test_when_a_line_is_wrong_then_it_is_named_and_nothing_changes),
		cmocka_unit_test(test_when_it_cannot_be_read_then_refused),
		cmocka_unit_test(test_when_in_a_class_then_it_and_those_below),
		cmocka_unit_test(test_when_a_number_is_a_users_then_it_is_no_groups),
		cmocka_unit_test(test_when_a_client_connects_then_the_kernel_says_who),
	};
	int r;

	close(mkstemp(path));
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return r;
}
