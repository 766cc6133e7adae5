/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files and disks that the store does not work with: what it says of them, and that it
 * leaves them as they are.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- files ----------------------------------------------------------------- */

/* Refused, with these words, and not one byte of the file changed. */
static void must_refuse(struct fixture *f, int code, const char *words)
{
	static const char *const names[] = { "journal.db", "journal.db-wal" };
	unsigned char *before[2], *after[2];
	size_t n[2];

	for (int i = 0; i < 2; i++)
		n[i] = file_get(f, names[i], &before[i]);
	assert_int_equal(fixture_open(f), code);
	if (!strstr(f->err.text, words))
		print_message("%s\n", f->err.text);
	assert_non_null(strstr(f->err.text, words));
	assert_non_null(strstr(f->err.text, f->dir));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(file_get(f, names[i], &after[i]), n[i]);
		if (n[i])
			assert_memory_equal(before[i], after[i], n[i]);
		free(before[i]);
		free(after[i]);
	}
}

static void change_version(struct fixture *f, const char *pragma)
{
	char path[100];
	sqlite3 *sql;

	snprintf(path, sizeof(path), "%s/journal.db", f->dir);
	assert_int_equal(sqlite3_open(path, &sql), 0);
	assert_int_equal(sqlite3_exec(sql, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), 0);
	assert_int_equal(sqlite3_exec(sql, pragma, NULL, NULL, NULL), 0);
	sqlite3_close(sql);
}

static void test_when_newer_then_refused_with_both_versions(void **state)
{
	struct fixture *f = *state;

	fixture_must_open(f);
	fixture_close(f);
	change_version(f, "PRAGMA user_version=7");
	must_refuse(f, -ENOTSUP, "version 7, this lockstepd knows up to 1");
	change_version(f, "PRAGMA user_version=0");
	must_refuse(f, -EUCLEAN, "version");
	change_version(f, "PRAGMA user_version=1; PRAGMA application_id=5");
	must_refuse(f, -EUCLEAN, "no journal of lockstep's");
}

/* Whatever the page holds, a list that nobody reads at the start included. */
static void damage_page(struct fixture *f, unsigned char *good, size_t n, size_t at)
{
	unsigned char page[4096];

	memcpy(page, good + at, sizeof(page));
	memset(good + at, 0xa5, sizeof(page));
	file_put(f, "journal.db", good, n);
	must_refuse(f, -EUCLEAN, "damaged");
	memcpy(good + at, page, sizeof(page));
}

static void test_when_garbage_or_cut_then_refused_with_a_command(void **state)
{
	struct fixture *f = *state;
	unsigned char *good;
	char command[120];
	size_t n;

	file_put(f, "journal.db", "", 0);
	must_refuse(f, -EUCLEAN, "mv journal.db*");
	memset(f->err.text, 0, sizeof(f->err.text));
	file_put(f, "journal.db", "This is not a data base, and never was one. ", 45);
	must_refuse(f, -EUCLEAN, "mv journal.db*");
	unlink((snprintf(command, sizeof(command), "%s/journal.db", f->dir), command));
	fixture_must_open(f);
	assert_int_equal(write_one(f, 4), 0);
	fixture_close(f);
	n = file_get(f, "journal.db", &good);
	file_put(f, "journal.db", good, n - 4096);
	must_refuse(f, -EUCLEAN, "damaged");
	for (size_t at = 0; at < n; at += 4096)
		damage_page(f, good, n, at);
	free(good);
	/* The command that the error names, and then a new one. */
	snprintf(command, sizeof(command), "cd %s && mkdir bad && mv journal.db* bad", f->dir);
	assert_non_null(strstr(f->err.text, command));
	assert_int_equal(system(command), 0);
	fixture_must_open(f);
}

/* Neither is the log of a journal that is refused written back into it, nor deleted. */
static void test_when_refused_then_the_log_is_left_alone(void **state)
{
	static const char *const names[] = { "journal.db", "journal.db-wal" };
	struct fixture *f = *state;
	unsigned char *data[2];
	size_t n[2];

	fixture_must_open(f);
	assert_int_equal(write_one(f, 4), 0);
	for (int i = 0; i < 2; i++)
		n[i] = file_get(f, names[i], &data[i]);
	fixture_close(f);
	assert_true(n[1] > 4096);
	memset(data[0] + n[0] - 4096, 0xa5, 4096); /* the table of what is pending */
	for (int i = 0; i < 2; i++) {
		file_put(f, names[i], data[i], n[i]);
		free(data[i]);
	}
	must_refuse(f, -EUCLEAN, "damaged");
}

/* A log whose file has gone belongs to nothing that could be made now. */
static void test_when_only_the_log_is_left_then_refused(void **state)
{
	struct fixture *f = *state;

	file_put(f, "journal.db-wal", "x", 1);
	must_refuse(f, -EUCLEAN, "missing");
}

/* A daemon that died while it made the file has left nothing that matters. */
static void test_when_making_it_was_cut_short_then_made_again(void **state)
{
	struct fixture *f = *state;

	file_put(f, "journal.db.new", "garbage", 7);
	file_put(f, "journal.db.new-journal", "garbage", 7);
	fixture_must_open(f);
	assert_int_equal(write_one(f, 1), 0);
}

static void test_when_two_daemons_then_the_second_is_told_who(void **state)
{
	struct fixture *f = *state;
	struct store *second = NULL;
	char pid[32];

	fixture_must_open(f);
	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert_int_equal(store_open(f->loop, f->dir, &f->limits, &f->err, &second), -EBUSY);
	assert_non_null(strstr(f->err.text, pid));
	assert_null(second);
	assert_int_equal(write_one(f, 1), 0);
}

/* Its clients know that a killed daemon is gone before all of its files are closed. */
static void test_when_the_first_is_on_its_way_out_then_waited_for(void **state)
{
	struct fixture *f = *state;
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		sd_event_new(&f->loop); /* the other is the parent's */
		if (fixture_open(f) == 0 && write(fds[1], "r", 1) == 1)
			usleep(50000); /* it dies slowly */
		raise(SIGKILL);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	fixture_must_open(f);
	assert_int_equal(write_one(f, 1), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fds[0]);
	close(fds[1]);
}

static unsigned mode_of(const struct fixture *f, const char *name)
{
	struct stat st;
	char path[100];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

/* Nobody else reads it, whatever the umask; a directory that others write is refused. */
static void test_when_made_then_for_nobody_else(void **state)
{
	struct fixture *f = *state;
	mode_t before = umask(0);
	char dir[64];

	snprintf(dir, sizeof(dir), "%s", f->dir);
	strcat(f->dir, "/state");
	fixture_must_open(f);
	assert_int_equal(write_one(f, 1), 0);
	umask(before);
	assert_int_equal(mode_of(f, ""), 0700);
	assert_int_equal(mode_of(f, "lock"), 0600);
	assert_int_equal(mode_of(f, "journal.db"), 0600);
	assert_int_equal(mode_of(f, "journal.db-wal"), 0600);
	fixture_close(f);
	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_int_equal(fixture_open(f), -EPERM);
	assert_non_null(strstr(f->err.text, "chmod go-w"));
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
}

/* ---- real file systems ----------------------------------------------------- */

#define SKIP 77

/* In a process of its own: a file system of 128 KiB that only it sees. */
static int on_small_disk(struct fixture *f)
{
	unsigned i = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", f->dir, "tmpfs", 0, "size=128k,mode=700") < 0)
		return SKIP;
	if (sd_event_new(&f->loop) < 0 || fixture_open(f)) {
		print_message("%s\n", f->err.text);
		return 1;
	}
	do
		i++;
	while (i < 100 && write_one(f, i) == 0);
	if (f->err.code != -ENOSPC || !strstr(f->err.text, "make room"))
		return 2;
	if (mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=1m"))
		return 3;
	if (write_one(f, i))
		return 4;
	fixture_close(f);
	if (mount("none", f->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, ""))
		return 5;
	return fixture_open(f) != -EROFS || !strstr(f->err.text, "Read-only") ? 6 : 0;
}

/* A full disk fails the record and no more; one that is read-only is refused. */
static void test_when_disk_is_full_then_told_and_goes_on(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(on_small_disk(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIP) {
		print_message("# skipped: mounting a small file system takes CAP_SYS_ADMIN\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		STORE_TEST(test_when_newer_then_refused_with_both_versions),
		STORE_TEST(test_when_garbage_or_cut_then_refused_with_a_command),
		STORE_TEST(test_when_refused_then_the_log_is_left_alone),
		STORE_TEST(test_when_only_the_log_is_left_then_refused),
		STORE_TEST(test_when_making_it_was_cut_short_then_made_again),
		STORE_TEST(test_when_two_daemons_then_the_second_is_told_who),
		STORE_TEST(test_when_the_first_is_on_its_way_out_then_waited_for),
		STORE_TEST(test_when_made_then_for_nobody_else),
		STORE_TEST(test_when_disk_is_full_then_told_and_goes_on),
	};

	disk_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
