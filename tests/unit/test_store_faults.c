/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Faults in the small: the Nth write, sync, truncate, open and allocation of a story
 * fails, once or from then on, for every N that the story has (of the allocations every
 * seventh in `make check`).
 *
 * Whatever fails: each record that was said to be on disk is there when the journal is
 * opened again; each job that was taken has one answer; an error names the file and has
 * an errno; once the fault is over the store works, without being opened again; no
 * descriptor and no memory is left.
 */
#include "store_fixture.h"

#define RECORDS 24
#define TRIES	100000 /* a story that never ends would never pass */

/* What the store has said of each record. */
struct said {
	struct fixture *f;
	unsigned i;
	int code;
};

struct story {
	struct fixture f;
	struct said said[RECORDS + 1];
	bool opened;
};

static unsigned stories, refused;

static void check_error(const struct ls_err *err, const char *dir)
{
	assert_true(err->code < 0);
	assert_non_null(strstr(err->text, dir));
	assert_true(strlen(err->text) > strlen(dir) + 5);
}

static void on_said(void *arg, const struct ls_err *err)
{
	struct said *said = arg;

	assert_int_equal(said->code, 1);
	said->code = err->code;
	said->f->answered++;
	if (err->code)
		check_error(err, said->f->dir);
}

static void tell_record(struct story *s, unsigned i)
{
	struct said *said = &s->said[i];
	struct ls_err err;

	*said = (struct said){ &s->f, i, 1 };
	if (ask_record(&s->f, i, on_said, said, &err) == 0)
		return;
	check_error(&err, s->f.dir);
	said->code = err.code;
}

static int ignore_open(void *arg, const struct store_txn *t)
{
	(void)arg;
	assert_true(strlen(t->text) >= 300); /* whole or not at all */
	return 0;
}

/* Records one by one and in groups, and all that reads; errors are checked, not expected. */
static void tell(struct story *s)
{
	struct found found;

	s->opened = fixture_open(&s->f) == 0;
	if (!s->opened) {
		check_error(&s->f.err, s->f.dir);
		refused++;
		return;
	}
	store_each_open(s->f.store, ignore_open, NULL, NULL);
	for (unsigned i = 1; i <= RECORDS; i++) {
		tell_record(s, i);
		if (i % 4 == 0)
			wait_all(&s->f);
	}
	if (list_all(&s->f, &found) == 0)
		assert_true(found.n <= TXNS);
	if (show(&s->f, "t1", &found) == 0)
		assert_true(found.seq[1] % TXNS == 1 && found.steps[1] > 0);
	wait_all(&s->f);
}

/* The fault is over: the same store takes a record of each transaction. */
static void must_go_on(struct story *s)
{
	if (!s->opened)
		fixture_must_open(&s->f);
	for (unsigned i = 100; i < 100 + TXNS; i++)
		assert_int_equal(write_one(&s->f, i), 0);
}

/* How many steps of transaction @t there must be, and the newest one. */
static void must_be_there(struct story *s)
{
	struct found found;
	char txn[8];

	for (unsigned t = 0; t < TXNS; t++) {
		unsigned promised = 1; /* that of must_go_on() */

		for (unsigned i = 1; i <= RECORDS; i++)
			promised += i % TXNS == t && s->said[i].f && !s->said[i].code;
		snprintf(txn, sizeof(txn), "t%u", t);
		assert_int_equal(show(&s->f, txn, &found), 0);
		assert_true(found.steps[t] >= promised);
		assert_int_equal(found.seq[t], 100 + t);
	}
}

static void live(struct story *s, enum disk_call call, unsigned nth, bool stays)
{
	fixture_init(&s->f);
	s->f.limits.log_pages = 20;
	disk_fail(call, nth, stays);
	tell(s);
}

static bool try_story(enum disk_call call, unsigned nth, bool stays)
{
	struct story s = { .opened = false };
	sqlite3_int64 memory = sqlite3_memory_used();
	unsigned fds = open_fds();
	bool failed;

	live(&s, call, nth, stays);
	failed = disk_failed();
	disk_fail(DISK_WRITE, 0, false);
	must_go_on(&s);
	fixture_close(&s.f);
	fixture_must_open(&s.f);
	must_be_there(&s);
	fixture_done(&s.f);
	assert_int_equal(open_fds(), fds);
	assert_int_equal(sqlite3_memory_used(), memory);
	stories++;
	return failed;
}

static void try_each(enum disk_call call, bool stays, unsigned by)
{
	unsigned n = 1;

	while (n < TRIES && try_story(call, n, stays))
		n += by;
	assert_in_range(n, 2, TRIES - 1);
	print_message("the Nth %s%s fails, N in steps of %u: %u stories, %u not opened at first\n",
		      disk_call_name[call], stays ? " and all later" : "", by, stories, refused);
	stories = refused = 0;
}

static void try_all(enum disk_call call)
{
	try_each(call, false, 1);
	try_each(call, true, 1);
}

static void test_when_nth_write_fails_then_nothing_is_lost(void **state)
{
	(void)state;
	try_all(DISK_WRITE);
}

static void test_when_nth_sync_fails_then_nothing_is_lost(void **state)
{
	(void)state;
	try_all(DISK_SYNC);
}

static void test_when_nth_truncate_fails_then_nothing_is_lost(void **state)
{
	(void)state;
	try_all(DISK_TRUNCATE);
}

static void test_when_nth_open_fails_then_nothing_is_lost(void **state)
{
	(void)state;
	try_all(DISK_OPEN);
}

static void test_when_nth_malloc_fails_then_nothing_is_lost(void **state)
{
	(void)state;
	try_each(DISK_MALLOC, false, stride(7));
	try_each(DISK_MALLOC, true, 7);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_nth_write_fails_then_nothing_is_lost),
		cmocka_unit_test(test_when_nth_sync_fails_then_nothing_is_lost),
		cmocka_unit_test(test_when_nth_truncate_fails_then_nothing_is_lost),
		cmocka_unit_test(test_when_nth_open_fails_then_nothing_is_lost),
		cmocka_unit_test(test_when_nth_malloc_fails_then_nothing_is_lost),
	};

	disk_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
