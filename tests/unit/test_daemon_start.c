/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lockstepd finds wrong when it starts or reloads: configuration, guests and journal.
 * Each mistake is told with the place of it, and nothing has begun.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <lockstep/log.h>

#include "../../coordinator/daemon/daemon.h"
#include "../../coordinator/daemon/files.h"
#include "../../coordinator/daemon/journal.h"
#include "put_file.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static char warned[512]; /* the last time */

void log_sink(int priority, const char *fmt, ...)
{
	va_list ap;

	if (priority != LOG_WARNING)
		return;
	va_start(ap, fmt);
	vsnprintf(warned, sizeof(warned), fmt, ap);
	va_end(ap);
}

static struct daemon d;
static struct ls_err err;
static char dir[64], guests[80], state[80], config[80];

static int setup(void **unused)
{
	(void)unused;
	snprintf(dir, sizeof(dir), "/tmp/lockstep-start-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(guests, sizeof(guests), "%s/here", dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(config, sizeof(config), "%s/conf", dir);
	mkdir(guests, 0700);
	mkdir(state, 0700);
	put_file(dir, "conf", 0600, "");
	put_file(dir, "here/vm1.conf", 0600, "[guest]\nqmp = unix:/tmp/lockstep-no-such-1\n");
	d = (struct daemon){ .config_path = config, .guests_dir = guests, .state_dir = state };
	err = (struct ls_err){ 0 };
	return sd_event_new(&d.loop) < 0;
}

static int teardown(void **unused)
{
	char command[100];

	(void)unused;
	daemon_done(&d);
	sd_event_unref(d.loop);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* It does not start, and says where and what. */
static void assert_refused(int code, const char *where, const char *what)
{
	assert_int_equal(daemon_load(&d, false, &err), code);
	if (!strstr(err.text, where) || !strstr(err.text, what))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", err.text, where, what);
	assert_int_equal(d.n_lanes, 0);
}

/* ---- configuration and guests ------------------------------------------------ */

/* Of each kind of mistake one; test_daemon_config and test_host_guests have the rest. */
static void test_when_a_file_is_wrong_then_its_line_is_named(void **unused)
{
	static const struct {
		const char *name, *text, *where, *what;
	} cases[] = {
		{ "conf", "[lockstepd]\n\nmax-gusts = 3\n", "/conf:3: [lockstepd] max-gusts",
		  "unknown; known are" },
		{ "conf", "[lockstepd]\nstop-limit = 20\n", "/conf:2: [lockstepd] stop-limit",
		  "needs a unit: ms, s or min" },
		{ "conf", "[lockstepd]\nmax-guests = 3 MB\n", "/conf:2: [lockstepd] max-guests",
		  "no unit is meant" },
		{ "conf", "stop\n", "/conf:1", "not \"key = value\"" },
		{ "here/vm2.conf", "[guest]\nqmp = unix:/x\nqpm = 1\n",
		  "/here/vm2.conf:3: [guest] qpm", "known are qmp and agent" },
		{ "here/vm2.conf", "[guest]\nqmp = tcp:x\n", "/here/vm2.conf:2: [guest] qmp",
		  "tcp:HOST:PORT is meant" },
	};
	char path[160];

	(void)unused;
	for (size_t i = 0; i < N(cases); i++) {
		put_file(dir, cases[i].name, 0600, cases[i].text);
		assert_refused(-EINVAL, cases[i].where, cases[i].what);
		snprintf(path, sizeof(path), "%s/%s", dir, cases[i].name);
		unlink(path);
		put_file(dir, "conf", 0600, "");
	}
	assert_int_equal(daemon_load(&d, false, &err), 0);
	assert_int_equal(d.n_lanes, 1);
}

static void test_when_a_guest_is_there_twice_then_both_places_are_named(void **unused)
{
	(void)unused;
	put_file(dir, "here/vm2.conf", 0600, "[guest]\nqmp = unix:/tmp/lockstep-no-such-1\n");
	assert_refused(-EEXIST, "vm1", "vm2");
	put_file(dir, "here/vm2.conf", 0600, "[guest]\nqmp = unix:/tmp/lockstep-no-such-2\n");
	mkdir((snprintf(err.text, sizeof(err.text), "%s/guests.d", state), err.text), 0700);
	put_file(dir, "state/guests.d/vm1.conf", 0600,
		 "[guest]\nqmp = unix:/tmp/lockstep-no-such-3\n");
	assert_refused(-EEXIST, guests, "/state/guests.d");
}

static void test_when_a_file_cannot_be_read_then_it_is_named(void **unused)
{
	char path[160];

	(void)unused;
	snprintf(path, sizeof(path), "%s/vm2.conf", guests);
	mkdir(path, 0700);
	assert_refused(-EIO, "/here/vm2.conf", "cannot be read");
	rmdir(path);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	assert_refused(-ENOENT, "vm2", guests);
	unlink(path);
	unlink(config);
	assert_refused(-ENOENT, "/conf", "No such file");
	mkdir(config, 0700);
	assert_refused(-EIO, "/conf", "cannot be read");
	rmdir(config);
	put_file(dir, "conf", 0600, "");
	d.guests_dir = "/dev/null";
	assert_refused(-ENOTDIR, "/dev/null", "Not a directory");
}

/* A reload with a mistake changes nothing: neither the limits nor the guests. */
static void test_when_a_reload_is_wrong_then_all_stays(void **unused)
{
	(void)unused;
	put_file(dir, "conf", 0600, "[lockstepd]\nmax-queue = 3\n");
	assert_int_equal(daemon_load(&d, false, &err), 0);
	put_file(dir, "conf", 0600, "[lockstepd]\nmax-queue = 4\nstop-limit = never\n");
	put_file(dir, "here/vm2.conf", 0600, "[guest]\nqmp = unix:/tmp/lockstep-no-such-2\n");
	assert_int_equal(daemon_load(&d, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/conf:3"));
	put_file(dir, "conf", 0600, "[lockstepd]\nmax-queue = 4\n");
	put_file(dir, "here/vm3.conf", 0600, "[guest]\n");
	assert_int_equal(daemon_load(&d, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "vm3.conf: no \"qmp"));
	assert_int_equal(d.config.max_queue, 3);
	assert_int_equal(d.n_lanes, 1);
}

/* ---- open files --------------------------------------------------------------- */

static void limit_files(rlim_t soft, const struct rlimit *was)
{
	const struct rlimit files = { soft, was->rlim_max };

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	warned[0] = '\0';
}

/* The number is one that is enough, and it is told at a reload and for a guest added, too. */
static void test_when_files_are_too_few_then_the_number_is_told(void **unused)
{
	const struct guest more = { .name = "vm2", .qmp = "unix:/tmp/lockstep-no-such-2" };
	char number[32];
	struct rlimit was;

	(void)unused;
	getrlimit(RLIMIT_NOFILE, &was);
	put_file(dir, "conf", 0600, "[lockstepd]\nmax-clients = 100\n");
	limit_files(files_needed(1, 100), &was);
	assert_int_equal(daemon_load(&d, false, &err), 0);
	assert_string_equal(warned, "");
	assert_int_equal(daemon_add(&d, &more, &err), 0);
	snprintf(number, sizeof(number), "LimitNOFILE=%u", files_needed(2, 100));
	assert_non_null(strstr(warned, number));
	limit_files(files_needed(2, 100), &was);
	assert_int_equal(daemon_load(&d, false, &err), 0);
	assert_string_equal(warned, "");
	limit_files(files_needed(2, 100) - 1, &was);
	assert_int_equal(daemon_load(&d, false, &err), 0);
	assert_non_null(strstr(warned, number));
	limit_files(was.rlim_cur, &was);
}

static void test_when_the_limit_is_soft_then_it_is_raised(void **unused)
{
	struct rlimit was, now;

	(void)unused;
	getrlimit(RLIMIT_NOFILE, &was);
	limit_files(64, &was);
	files_raise();
	getrlimit(RLIMIT_NOFILE, &now);
	assert_int_equal(now.rlim_cur, was.rlim_max);
	limit_files(was.rlim_cur, &was);
}

/* ---- the journal --------------------------------------------------------------- */

static void run_sql(const char *sql)
{
	char path[160];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/journal.db", state);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* One that was written properly, and is closed. */
static void make_journal(void)
{
	assert_int_equal(daemon_load(&d, false, &err), 0);
	daemon_done(&d);
	d.lanes = NULL;
}

static void test_when_the_journal_is_newer_then_both_versions_are_named(void **unused)
{
	(void)unused;
	make_journal();
	run_sql("PRAGMA user_version=99");
	assert_refused(-ENOTSUP, "/state/journal.db", "version 99, this lockstepd knows up to");
}

/* What to do with it is a command that can be typed. */
static void test_when_the_journal_is_damaged_then_the_way_out_is_told(void **unused)
{
	char path[160];

	(void)unused;
	make_journal();
	snprintf(path, sizeof(path), "%s/journal.db", state);
	assert_int_equal(truncate(path, 4096), 0);
	assert_refused(-EUCLEAN, "/state/journal.db", "mv journal.db*");
	put_file(dir, "state/journal.db", 0600, "this is no journal\n");
	assert_refused(-EUCLEAN, "/state/journal.db", "mv journal.db*");
}

/* A daemon with a journal that it cannot write promises nothing: it does not start. */
static void test_when_the_state_cannot_be_written_then_refused(void **unused)
{
	(void)unused;
	d.state_dir = "/proc/lockstep";
	assert_int_not_equal(daemon_load(&d, false, &err), 0);
	assert_non_null(strstr(err.text, "/proc/lockstep"));
	assert_int_equal(d.n_lanes, 0);
}

static void test_when_two_daemons_share_a_state_then_the_second_is_refused(void **unused)
{
	struct daemon second = { .config_path = config, .guests_dir = guests, .state_dir = state };

	(void)unused;
	assert_int_equal(daemon_load(&d, false, &err), 0);
	second.loop = d.loop;
	assert_int_equal(daemon_load(&second, false, &err), -EBUSY);
	assert_non_null(strstr(err.text, state));
	assert_non_null(strstr(err.text, "another lockstepd works with it"));
	assert_int_equal(second.n_lanes, 0);
	daemon_done(&second);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_when_a_file_is_wrong_then_its_line_is_named),
		T(test_when_a_guest_is_there_twice_then_both_places_are_named),
		T(test_when_a_file_cannot_be_read_then_it_is_named),
		T(test_when_a_reload_is_wrong_then_all_stays),
		T(test_when_files_are_too_few_then_the_number_is_told),
		T(test_when_the_limit_is_soft_then_it_is_raised),
		T(test_when_the_journal_is_newer_then_both_versions_are_named),
		T(test_when_the_journal_is_damaged_then_the_way_out_is_told),
		T(test_when_the_state_cannot_be_written_then_refused),
		T(test_when_two_daemons_share_a_state_then_the_second_is_refused),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
