/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guests.d: what is read, what is refused, and whether the refusal helps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "../../coordinator/run/guests.h"
#include "put_file.h"

static char dir[] = "/tmp/lockstep-guests-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* A guest with both addresses is read as it stands; one without an agent has none. */
static void test_when_written_properly_then_read(void **state)
{
	struct guest g;

	(void)state;
	put_file(dir, "vm1.conf", 0600,
		 "[guest]\nqmp = unix:/run/vm1.qmp\nagent = unix:/run/vm1.agent\n");
	assert_int_equal(guest_load(dir, "vm1", NULL, &g), 0);
	assert_string_equal(g.name, "vm1");
	assert_string_equal(g.qmp, "unix:/run/vm1.qmp");
	assert_string_equal(g.agent, "unix:/run/vm1.agent");
	put_file(dir, "vm2.conf", 0600, "[guest]\nqmp = /run/vm2.qmp\n");
	assert_int_equal(guest_load(dir, "vm2", NULL, &g), 0);
	assert_string_equal(g.agent, "");
	put_file(dir, "vm3.conf", 0600,
		 "[guest]\nqmp = /run/vm3.qmp\nagent = \n"); /* as lockstepd keeps it */
	assert_int_equal(guest_load(dir, "vm3", NULL, &g), 0);
	assert_string_equal(g.agent, "");
}

/* Each mistake is refused, and the words name the file, the place or the cure. */
static void test_when_wrong_then_refused_with_a_hint(void **state)
{
	static const struct {
		const char *text, *says;
		int code;
	} cases[] = {
		{ "[guest]\nagent = /x\n", "no \"qmp = SOCKET\"", -EINVAL },
		{ "[guest]\nqmp = /x\nmonitor = /y\n",
		  "bad.conf:3: [guest] monitor: unknown; known are", -EINVAL },
		{ "[guest]\nqmp = /x\nqmp = /y\n",
		  "bad.conf:3: [guest] qmp: it stands here a second", -EINVAL },
		{ "[guest]\nqmp = tcp:nohost\n",
		  "bad.conf:2: [guest] qmp: tcp:nohost: tcp:HOST:PORT", -EINVAL },
		{ "[guest]\nqmp = qmp:/run/x\n", "unix:PATH, tcp:HOST:PORT", -EINVAL },
		{ "[guest]\nqmp =\nagent = /x\n", "no \"qmp = SOCKET\"", -EINVAL },
		{ "[vm]\nqmp = /x\n", "known are qmp and agent", -EINVAL },
		{ "[guest]\nqmp = /x\nnonsense\n", ":3:", -EINVAL },
		{ "", "no \"qmp = SOCKET\"", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest g = { .name = "untouched" };
		struct ls_err err = { 0 };

		put_file(dir, "bad.conf", 0600, cases[i].text);
		assert_int_equal(guest_load(dir, "bad", &err, &g), cases[i].code);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_string_equal(g.name, "untouched");
	}
}

/* What a shell, a line of "list" or a file's name would take apart is no name. */
static void test_when_it_is_no_name_then_refused(void **state)
{
	static const char *const names[] = { "", "a b", "../a", ".a", "a\nb" };
	struct ls_err err;
	struct guest g;

	(void)state;
	put_file(dir, "a b.conf", 0600, "[guest]\nqmp = /x\n");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(guest_load(dir, names[i], &err, &g), -EINVAL);
		assert_non_null(strstr(err.text, "cannot be a guest's name"));
	}
}

/* What is no file is said to be unreadable, not to be empty. */
static void test_when_it_cannot_be_read_then_said(void **state)
{
	struct ls_err err = { 0 };
	char path[200];
	struct guest g;

	(void)state;
	snprintf(path, sizeof(path), "%s/folder.conf", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(guest_load(dir, "folder", &err, &g), -EIO);
	assert_non_null(strstr(err.text, "folder.conf: it cannot be read"));
	snprintf(path, sizeof(path), "%s/loop.conf", dir);
	assert_int_equal(symlink("loop.conf", path), 0);
	assert_int_equal(guest_load(dir, "loop", &err, &g), -ELOOP);
	assert_non_null(strstr(err.text, "loop.conf: "));
}

/* A name that is not there is answered with those that are. */
static void test_when_unknown_then_the_known_are_listed(void **state)
{
	struct guest g;
	struct ls_err err = { 0 };

	(void)state;
	put_file(dir, "known.conf", 0600, "[guest]\nqmp = /x\n");
	assert_int_equal(guest_load(dir, "nosuch", &err, &g), -ENOENT);
	assert_non_null(strstr(err.text, "known"));
	assert_non_null(strstr(err.text, "--qmp"));
}

/* A name cannot lead out of the directory. */
static void test_when_name_is_a_path_then_refused(void **state)
{
	struct guest g;

	(void)state;
	assert_int_equal(guest_load(dir, "../etc/passwd", NULL, &g), -EINVAL);
	assert_int_equal(guest_load(dir, "", NULL, &g), -EINVAL);
}

/* An address longer than any can be is refused, not cut. */
static void test_when_address_is_too_long_then_refused(void **state)
{
	char text[GUEST_ADDRESS_BYTES + 64];
	struct ls_err err = { 0 };
	struct guest g;

	(void)state;
	snprintf(text, sizeof(text), "[guest]\nqmp = /%0*d\n", GUEST_ADDRESS_BYTES, 0);
	put_file(dir, "long.conf", 0600, text);
	assert_int_equal(guest_load(dir, "long", &err, &g), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_written_properly_then_read),
		cmocka_unit_test(test_when_wrong_then_refused_with_a_hint),
		cmocka_unit_test(test_when_it_is_no_name_then_refused),
		cmocka_unit_test(test_when_it_cannot_be_read_then_said),
		cmocka_unit_test(test_when_unknown_then_the_known_are_listed),
		cmocka_unit_test(test_when_name_is_a_path_then_refused),
		cmocka_unit_test(test_when_address_is_too_long_then_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
