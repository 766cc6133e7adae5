/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store's contract: what is answered when, what is read back, what is refused.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int set_up(void **state)
{
	static struct fixture f;

	fixture_init(&f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	disk_release(); /* a test that has failed may have left it standing */
	fixture_done(*state);
	return 0;
}

/* ---- writing and reading ---------------------------------------------------------- */

/* The answer comes on the loop, never from inside the call. */
static void test_when_written_then_answered_later(void **state)
{
	struct fixture *f = *state;

	fixture_must_open(f);
	assert_int_equal(ask_write(f, 1), 0);
	assert_int_equal(f->answered, 0);
	assert_int_equal(wait_all(f), 0);
	assert_int_equal(f->answered, 1);
}

/* All that wait while the disk is busy go to it together: one sync. */
static void test_when_many_wait_then_one_sync(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	fixture_must_open(f);
	assert_int_equal(write_one(f, 1), 0);
	disk_hold();
	assert_int_equal(ask_write(f, 2), 0);
	disk_await_held();
	before = disk_log_syncs();
	for (unsigned i = 3; i < 103; i++)
		assert_int_equal(ask_write(f, i), 0);
	assert_int_equal(f->answered, 1);
	disk_release();
	assert_int_equal(wait_all(f), 0);
	print_message("100 records: %u syncs\n", disk_log_syncs() - before - 1);
	assert_int_equal(disk_log_syncs() - before, 2);
}

/* Closing writes what waits, and answers it. */
static void test_when_closed_then_all_is_written(void **state)
{
	struct fixture *f = *state;
	struct found found;

	fixture_must_open(f);
	for (unsigned i = 1; i <= 50; i++)
		assert_int_equal(ask_write(f, i), 0);
	fixture_close(f);
	assert_int_equal(f->answered, 50);
	fixture_must_open(f);
	assert_int_equal(list_all(f, &found), 0);
	assert_int_equal(found.n, TXNS);
	assert_int_equal(found.seq[0], 50);
}

/* What is shown is the newest record, and every step. */
static void test_when_shown_then_newest_text_and_all_steps(void **state)
{
	struct fixture *f = *state;
	char text[TEXT_MAX];
	struct found found;

	fixture_must_open(f);
	for (unsigned i = 1; i <= 13; i++)
		assert_int_equal(write_one(f, i), 0);
	assert_int_equal(show(f, "t3", &found), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.seq[3], 13);
	assert_int_equal(found.steps[3], 3);
	text_of(13, text);
	assert_string_equal(found.text, text);
	assert_int_equal(show(f, "t9", &found), -ENOENT);
}

/* A record that is no newer, or another guest's, changes nothing, and harms no other. */
static void test_when_record_is_old_then_refused_alone(void **state)
{
	struct fixture *f = *state;
	struct found found;

	fixture_must_open(f);
	assert_int_equal(write_one(f, 6), 0);
	disk_hold();
	assert_int_equal(ask_write(f, 2), 0);
	disk_await_held();
	assert_int_equal(ask_write(f, 3), 0);
	assert_int_equal(ask_write(f, 1), 0);
	disk_release();
	assert_int_equal(wait_all(f), -ESTALE);
	assert_int_equal(list_all(f, &found), 0);
	assert_int_equal(found.seq[1], 6);
	assert_int_equal(found.seq[3], 3);
}

static int count_open(void *arg, const struct store_txn *t)
{
	unsigned *seen = arg;

	assert_string_equal(t->ended, "");
	assert_string_equal(t->guest, "vm1");
	assert_non_null(t->text);
	*seen |= 1U << atoi(t->id + 1);
	return 0;
}

/* A daemon that comes back is given what is open, not what has ended. */
static void test_when_started_again_then_open_ones_are_told(void **state)
{
	struct fixture *f = *state;
	unsigned seen = 0;

	fixture_must_open(f);
	for (unsigned i = 1; i <= 9; i++) /* t4 ends with 9 */
		assert_int_equal(write_one(f, i), 0);
	fixture_close(f);
	fixture_must_open(f);
	assert_int_equal(store_each_open(f->store, count_open, &seen, NULL), 4);
	assert_int_equal(seen, 0xf);
}

/* Lists: by guest, by end, at most so many, the newest change first. */
static void test_when_listed_then_filtered_and_bounded(void **state)
{
	struct fixture *f = *state;
	struct found found = { .f = f };
	struct store_filter filters[] = {
		{ .ended = "" }, { .ended = "done" }, { .guest = "vm2" }, { .limit = 2 }
	};
	unsigned expected[] = { 4, 1, 0, 2 };

	fixture_must_open(f);
	for (unsigned i = 1; i <= 9; i++)
		assert_int_equal(write_one(f, i), 0);
	for (unsigned i = 0; i < 4; i++) {
		memset(found.seq, 0, sizeof(found.seq));
		assert_int_equal(store_list(f->store, &filters[i], on_txns, &found, NULL), 0);
		f->asked++;
		assert_int_equal(wait_all(f), 0);
		assert_int_equal(found.n, expected[i]);
	}
	assert_int_equal(found.seq[4] + found.seq[3], 9 + 8);
}

/* The queue is bounded, in number and in bytes. */
static void test_when_too_many_wait_then_refused_at_once(void **state)
{
	struct fixture *f = *state;

	f->limits.queue_jobs = 3;
	fixture_must_open(f);
	disk_hold();
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(ask_write(f, i), 0);
	assert_int_equal(ask_write(f, 4), -EAGAIN);
	f->limits.queue_jobs = 1000;
	f->limits.queue_bytes = 1000;
	store_set_limits(f->store, &f->limits);
	assert_int_equal(ask_write(f, 4), -EAGAIN);
	disk_release();
	assert_int_equal(wait_all(f), 0);
	assert_int_equal(write_one(f, 4), 0);
}

/* Whoever waits for a disk that stands still is told, once; what comes late is there. */
static void test_when_disk_stands_still_then_told_in_time(void **state)
{
	struct fixture *f = *state;
	struct found found;

	f->limits.answer_ms = 20;
	fixture_must_open(f);
	disk_hold();
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(ask_write(f, i), 0);
	assert_int_equal(list_all(f, &found), -ETIMEDOUT);
	assert_int_equal(found.n, 0);
	assert_int_equal(f->answered, 4);
	disk_release();
	f->limits.answer_ms = 60000;
	store_set_limits(f->store, &f->limits);
	assert_int_equal(write_one(f, 4), 0);
	assert_int_equal(list_all(f, &found), 0);
	assert_int_equal(f->answered, 6);
	assert_int_equal(found.n, 4);
	assert_int_equal(found.seq[1], 1);
}

/* What is too long for its place is not cut. */
static void test_when_a_word_is_too_long_then_refused(void **state)
{
	struct fixture *f = *state;
	static char big[300 * 1024];
	struct store_record good = { .txn = "t1",
				     .guest = "vm1",
				     .op = "vcpus",
				     .row = "r",
				     .seq = 1,
				     .text = "x",
				     .boot = "b" };
	struct store_record bad;

	fixture_must_open(f);
	memset(big, 'x', sizeof(big) - 1);
	bad = good, bad.txn = big;
	assert_int_equal(store_write(f->store, &bad, on_done, f, &f->err), -EINVAL);
	bad = good, bad.text = big;
	assert_int_equal(store_write(f->store, &bad, on_done, f, &f->err), -EINVAL);
	bad = good, bad.guest = "";
	assert_int_equal(store_write(f->store, &bad, on_done, f, &f->err), -EINVAL);
	bad = good, bad.reason = big;
	assert_int_equal(store_write(f->store, &bad, on_done, f, &f->err), -EINVAL);
	assert_int_equal(store_forget(f->store, NULL, on_done, f, &f->err), -EINVAL);
}

/* ---- forgetting ---------------------------------------------------------------------- */

static int count_pending(void *arg, const struct store_pending *p)
{
	struct store_pending *last = arg;

	*last = *p;
	return 0;
}

static void ask_pending(struct fixture *f, const char *guest, const char *item, const char *txn)
{
	struct store_pending p = { .slot = -1, .since_ms = NOW_MS };

	snprintf(p.guest, sizeof(p.guest), "%s", guest);
	snprintf(p.item, sizeof(p.item), "%s", item);
	snprintf(p.txn, sizeof(p.txn), "%s", txn);
	assert_int_equal(store_pending_set(f->store, &p, on_done, f, NULL), 0);
	f->asked++;
	assert_int_equal(wait_all(f), 0);
}

/* What is pending outlives the daemon, and goes by item, by guest, or by transaction. */
static void test_when_pending_then_kept_until_cleared(void **state)
{
	struct fixture *f = *state;
	struct store_pending p = { 0 };

	fixture_must_open(f);
	ask_pending(f, "vm1", "cpu3", "t1");
	ask_pending(f, "vm1", "cpu4", "t1");
	ask_pending(f, "vm2", "cpu3", "t2");
	fixture_close(f);
	fixture_must_open(f);
	assert_int_equal(store_each_pending(f->store, count_pending, &p, NULL), 3);
	assert_int_equal(p.slot, -1);
	assert_int_equal(store_pending_clear(f->store, "vm1", "cpu4", on_done, f, NULL), 0);
	assert_int_equal(store_pending_clear(f->store, "vm2", NULL, on_done, f, NULL), 0);
	f->asked += 2;
	assert_int_equal(wait_all(f), 0);
	fixture_close(f);
	fixture_must_open(f);
	assert_int_equal(store_each_pending(f->store, count_pending, &p, NULL), 1);
	assert_string_equal(p.item, "cpu3");
	assert_string_equal(p.guest, "vm1");
	assert_true(p.since_ms == NOW_MS);
}

static int forget(struct fixture *f, const char *txn)
{
	assert_int_equal(store_forget(f->store, txn, on_done, f, NULL), 0);
	f->asked++;
	return wait_all(f);
}

/* An open one is not forgotten; an ended one goes with its steps and what is pending. */
static void test_when_forgotten_then_gone_if_ended(void **state)
{
	struct fixture *f = *state;
	struct store_pending p;
	struct found found;

	fixture_must_open(f);
	assert_int_equal(write_one(f, 4), 0);
	ask_pending(f, "vm1", "cpu3", "t4");
	assert_int_equal(forget(f, "t4"), -EBUSY);
	assert_non_null(strstr(f->err.text, "undo"));
	assert_int_equal(forget(f, "t1"), -ENOENT);
	assert_int_equal(write_one(f, 9), 0);
	assert_int_equal(forget(f, "t4"), 0);
	assert_int_equal(show(f, "t4", &found), -ENOENT);
	assert_int_equal(write_one(f, 4), 0); /* no step of it has stayed */
	fixture_close(f);
	fixture_must_open(f);
	assert_int_equal(store_each_pending(f->store, count_pending, &p, NULL), 0);
}

static void write_old(struct fixture *f, const char *txn, const char *ended, bool keep,
		      unsigned day)
{
	struct store_record r = {
		.txn = txn,
		.guest = "vm1",
		.op = "vcpus",
		.row = "r",
		.seq = 1,
		.text = "x",
		.ended = ended,
		.keep = keep,
		.boot = "b",
	};

	r.realtime_ms = NOW_MS + day * 86400000ULL;
	assert_int_equal(store_write(f->store, &r, on_done, f, NULL), 0);
	f->asked++;
	assert_int_equal(wait_all(f), 0);
}

/* After the time only what has ended and waits for nobody is deleted, a few at a time. */
static void test_when_old_then_deleted_in_small_pieces(void **state)
{
	struct fixture *f = *state;
	struct found found;
	char txn[8];

	f->limits.keep_days = 30;
	fixture_must_open(f);
	write_old(f, "open", NULL, false, 0);
	write_old(f, "stuck", "stuck", true, 0);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(txn, sizeof(txn), "t%u", i);
		write_old(f, txn, "done", false, 0);
	}
	write_old(f, "at30", "done", false, 30);
	assert_int_equal(list_all(f, &found), 0);
	assert_int_equal(found.n, 23);
	write_old(f, "at31", "done", false, 31);
	assert_int_equal(list_all(f, &found), 0);
	assert_int_equal(found.n, 24 - 8);
	write_old(f, "at32", "done", false, 32);
	write_old(f, "at33", "done", false, 33);
	assert_int_equal(list_all(f, &found), 0);
	assert_int_equal(found.n, 2 + 4);
	assert_int_equal(show(f, "open", &found), 0);
	assert_int_equal(show(f, "stuck", &found), 0);
}

/* ---- files that are refused ------------------------------------------------------------- */

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

/* ---- real file systems ------------------------------------------------------------------- */

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

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_when_written_then_answered_later),
		T(test_when_many_wait_then_one_sync),
		T(test_when_closed_then_all_is_written),
		T(test_when_shown_then_newest_text_and_all_steps),
		T(test_when_record_is_old_then_refused_alone),
		T(test_when_started_again_then_open_ones_are_told),
		T(test_when_listed_then_filtered_and_bounded),
		T(test_when_too_many_wait_then_refused_at_once),
		T(test_when_disk_stands_still_then_told_in_time),
		T(test_when_a_word_is_too_long_then_refused),
		T(test_when_pending_then_kept_until_cleared),
		T(test_when_forgotten_then_gone_if_ended),
		T(test_when_old_then_deleted_in_small_pieces),
		T(test_when_newer_then_refused_with_both_versions),
		T(test_when_garbage_or_cut_then_refused_with_a_command),
		T(test_when_refused_then_the_log_is_left_alone),
		T(test_when_only_the_log_is_left_then_refused),
		T(test_when_making_it_was_cut_short_then_made_again),
		T(test_when_two_daemons_then_the_second_is_told_who),
		T(test_when_made_then_for_nobody_else),
		T(test_when_disk_is_full_then_told_and_goes_on),
	};

	disk_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
