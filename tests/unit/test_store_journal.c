/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store's contract: what is answered when, what is read back, what is forgotten.
 */
#include "store_fixture.h"

/* ---- writing and reading --------------------------------------------------- */

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

/* Nor does the end of the daemon wait for it; what the disk takes later is there. */
static void test_when_closed_while_disk_stands_still_then_in_time(void **state)
{
	struct fixture *f = *state;
	struct found found;
	int r;

	f->limits.answer_ms = 50;
	fixture_must_open(f);
	disk_hold();
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(ask_write(f, i), 0);
	disk_await_held();
	fixture_close(f);
	assert_int_equal(f->err.code, -ETIMEDOUT);
	assert_int_equal(fixture_open(f), -EBUSY);
	disk_release();
	f->limits.answer_ms = 60000;
	while ((r = fixture_open(f)) == -EBUSY) /* until the thread that was left has ended */
		usleep(1000);
	assert_int_equal(r, 0);
	assert_int_equal(list_all(f, &found), 0);
	assert_int_equal(found.n, 3);
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

/* ---- forgetting ------------------------------------------------------------ */

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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		STORE_TEST(test_when_written_then_answered_later),
		STORE_TEST(test_when_many_wait_then_one_sync),
		STORE_TEST(test_when_closed_then_all_is_written),
		STORE_TEST(test_when_shown_then_newest_text_and_all_steps),
		STORE_TEST(test_when_record_is_old_then_refused_alone),
		STORE_TEST(test_when_started_again_then_open_ones_are_told),
		STORE_TEST(test_when_listed_then_filtered_and_bounded),
		STORE_TEST(test_when_too_many_wait_then_refused_at_once),
		STORE_TEST(test_when_disk_stands_still_then_told_in_time),
		STORE_TEST(test_when_closed_while_disk_stands_still_then_in_time),
		STORE_TEST(test_when_a_word_is_too_long_then_refused),
		STORE_TEST(test_when_pending_then_kept_until_cleared),
		STORE_TEST(test_when_forgotten_then_gone_if_ended),
		STORE_TEST(test_when_old_then_deleted_in_small_pieces),
	};

	disk_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
