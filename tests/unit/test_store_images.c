/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Journals as a power cut leaves them. A story is recorded once: every write, truncate
 * and sync of the file and of its log, and when a record was said to be on disk. From
 * that images are made and opened:
 *
 *	cut     all operations up to one; that one torn at sectors and odd places
 *	lost    no sync has covered it: each one lost alone, kept alone, and all of them lost
 *	failed  as lost, in stories in which one sync fails: as on Linux, what it should
 *		have covered is lost for good, whatever a later sync says
 *	short   the whole journal, then file or log cut short: no power cut does that
 *
 * The first three must open with every record that had been told. The last one may be
 * refused, clearly; what opens is a state that the journal has had, never a mixture.
 */
#include "store_fixture.h"

#define RECORDS	  28
#define SECTOR	  512
#define IMAGE_MAX (1024 * 1024)

/* One of the two files, as far as it has come. */
struct image {
	size_t size;
	unsigned char data[IMAGE_MAX];
};

static const char *const file_name[DISK_FILES] = { "journal.db", "journal.db-wal" };

static struct fixture f;
static const struct disk_op *ops;
static size_t n_ops;
static unsigned char *base; /* the file before the story */
static size_t base_size;
static struct image im[DISK_FILES], other[DISK_FILES];
static unsigned images, refused;

/* ---- images ------------------------------------------------------------------- */

static void image_resize(struct image *to, size_t size)
{
	assert_in_range(size, 0, IMAGE_MAX);
	if (size > to->size)
		memset(to->data + to->size, 0, size - to->size);
	to->size = size;
}

/* The first @len bytes of a write. */
static void image_write(struct image *to, const struct disk_op *op, size_t len)
{
	size_t end = (size_t)op->at + len;

	if (end > to->size)
		image_resize(to, end);
	memcpy(to->data + op->at, op->data, len);
}

static void apply(struct image *to, const struct disk_op *op)
{
	if (op->kind == OP_WRITE)
		image_write(&to[op->file], op, op->len);
	else if (op->kind == OP_TRUNCATE)
		image_resize(&to[op->file], (size_t)op->at);
}

static void begin_images(struct image *to)
{
	memcpy(to[DISK_MAIN].data, base, base_size);
	to[DISK_MAIN].size = base_size;
	to[DISK_LOG].size = 0;
}

static void copy_images(struct image *to, const struct image *from)
{
	for (int i = 0; i < DISK_FILES; i++) {
		memcpy(to[i].data, from[i].data, from[i].size);
		to[i].size = from[i].size;
	}
}

static void put_images(const struct image *from)
{
	for (int i = 0; i < DISK_FILES; i++)
		file_put(&f, file_name[i], from[i].data, from[i].size);
}

/* ---- opening them ----------------------------------------------------------------- */

/* The state after record @last: for each transaction the newest of its records. */
static void must_be_state(unsigned last)
{
	struct found found;
	char text[TEXT_MAX], txn[8];

	for (unsigned t = 0; t < TXNS; t++) {
		unsigned newest = last < t ? 0 : last - (last - t) % TXNS;

		snprintf(txn, sizeof(txn), "t%u", t);
		assert_int_equal(show(&f, txn, &found), newest ? 0 : -ENOENT);
		assert_int_equal(found.seq[t], newest);
		if (!newest)
			continue;
		text_of(newest, text);
		assert_string_equal(found.text, text);
		assert_int_equal(found.steps[t], t ? newest / TXNS + 1 : newest / TXNS);
	}
}

/* It has all records up to @told, and maybe more. */
static void try_images(const struct image *from, unsigned told, bool may_refuse)
{
	struct found found;
	unsigned last = 0;
	int r;

	images++;
	put_images(from);
	r = fixture_open(&f);
	if (r) {
		if (!may_refuse || r != -EUCLEAN)
			print_message("%s\n", f.err.text);
		assert_true(may_refuse);
		assert_int_equal(r, -EUCLEAN);
		assert_non_null(strstr(f.err.text, "mkdir bad"));
		refused++;
		return;
	}
	assert_int_equal(list_all(&f, &found), 0);
	for (unsigned t = 0; t < TXNS; t++)
		last = found.seq[t] > last ? found.seq[t] : last;
	assert_in_range(last, told, RECORDS);
	must_be_state(last);
	fixture_close(&f);
}

/* ---- the story --------------------------------------------------------------------- */

static int record_story(void **state)
{
	unsigned writes = 0, cuts = 0;

	(void)state;
	disk_init();
	fixture_init(&f);
	f.limits.log_pages = 25;
	fixture_must_open(&f);
	fixture_close(&f);
	base_size = file_get(&f, file_name[DISK_MAIN], &base);
	disk_record(true);
	fixture_must_open(&f);
	for (unsigned i = 1; i <= RECORDS; i++) {
		assert_int_equal(write_one(&f, i), 0);
		disk_note(i);
	}
	disk_record(false);
	fixture_close(&f);
	ops = disk_ops(&n_ops);
	for (size_t i = 0; i < n_ops; i++) {
		writes += ops[i].kind == OP_WRITE;
		cuts += ops[i].kind == OP_TRUNCATE && ops[i].file == DISK_LOG && !ops[i].at;
	}
	print_message("story: %d records, %u writes, the log written back and cut %u times\n",
		      RECORDS, writes, cuts);
	return cuts < 2;
}

static int end_story(void **state)
{
	(void)state;
	disk_record(true);
	disk_record(false);
	free(base);
	fixture_done(&f);
	return 0;
}

/* ---- the three kinds ------------------------------------------------------------------ */

static void tear(const struct disk_op *op, size_t len, unsigned told)
{
	copy_images(other, im);
	image_write(&other[op->file], op, len);
	try_images(other, told, false);
}

/* A cut before each operation, and in the middle of each write. */
static void test_when_cut_anywhere_then_all_told_is_there(void **state)
{
	unsigned told = 0;

	(void)state;
	images = 0;
	begin_images(im);
	for (size_t i = 0; i < n_ops; i++) {
		if (ops[i].kind == OP_NOTE) {
			told = (unsigned)ops[i].at;
			continue;
		}
		try_images(im, told, false);
		if (ops[i].kind == OP_WRITE) {
			tear(&ops[i], 1, told);
			for (size_t at = SECTOR; at < ops[i].len; at += SECTOR)
				tear(&ops[i], at, told);
			tear(&ops[i], ops[i].len - 1, told);
		}
		apply(im, &ops[i]);
	}
	try_images(im, told, false);
	print_message("cut: %u images, all open with all that was told\n", images);
}

/* Of the operations that no sync has covered: which of them reach the disk. */
enum fate { ALL_LOST, ONE_LOST, ONE_KEPT };

/* The first sync after an operation decides: one that fails has called its pages clean. */
static bool covered(size_t at, size_t to)
{
	for (size_t i = at + 1; i < to; i++)
		if (ops[i].file == ops[at].file &&
		    (ops[i].kind == OP_SYNC || ops[i].kind == OP_SYNC_FAILED))
			return ops[i].kind == OP_SYNC;
	return false;
}

static void make_lost(size_t to, enum fate fate, size_t chosen)
{
	begin_images(im);
	for (size_t i = 0; i < to; i++) {
		bool lost = !covered(i, to) &&
			    (fate == ALL_LOST || (i == chosen) == (fate == ONE_LOST));

		if (!lost)
			apply(im, &ops[i]);
	}
}

static void lose(size_t to, enum fate fate, size_t chosen, unsigned told)
{
	make_lost(to, fate, chosen);
	try_images(im, told, false);
}

/* The power goes right before a sync ends, or right after something was told. */
static void test_when_unsynced_is_lost_then_all_told_is_there(void **state)
{
	unsigned told = 0;

	(void)state;
	images = 0;
	for (size_t to = 0; to < n_ops; to++) {
		if (ops[to].kind == OP_NOTE)
			told = (unsigned)ops[to].at;
		if (ops[to].kind != OP_SYNC && ops[to].kind != OP_NOTE)
			continue;
		lose(to, ALL_LOST, 0, told);
		for (size_t i = 0; i < to; i++) {
			if (ops[i].kind > OP_TRUNCATE || covered(i, to))
				continue;
			lose(to, ONE_LOST, i, told);
			lose(to, ONE_KEPT, i, told);
		}
	}
	print_message("lost: %u images, all open with all that was told\n", images);
}

/* Return: whether there was an @nth sync to fail. */
static bool record_failing(unsigned nth)
{
	begin_images(im);
	put_images(im);
	disk_record(true);
	fixture_must_open(&f);
	disk_fail(DISK_SYNC, nth, false);
	for (unsigned i = 1; i <= RECORDS; i++)
		if (write_one(&f, i) == 0)
			disk_note(i);
	disk_record(false);
	fixture_close(&f);
	ops = disk_ops(&n_ops);
	return disk_failed();
}

/* For each transaction the newest record that was told, or a newer one, whole. */
static void must_have(const unsigned *told)
{
	struct found found;
	char text[TEXT_MAX], txn[8];

	images++;
	put_images(im);
	fixture_must_open(&f);
	for (unsigned t = 0; t < TXNS; t++) {
		if (!told[t])
			continue;
		snprintf(txn, sizeof(txn), "t%u", t);
		assert_int_equal(show(&f, txn, &found), 0);
		assert_in_range(found.seq[t], told[t], RECORDS);
		text_of(found.seq[t], text);
		assert_string_equal(found.text, text);
	}
	fixture_close(&f);
}

static void test_when_a_sync_fails_then_what_it_took_is_lost(void **state)
{
	unsigned nth = 0;

	(void)state;
	images = 0;
	while (record_failing(++nth)) {
		unsigned told[TXNS] = { 0 };

		for (size_t to = 0; to < n_ops; to++) {
			if (ops[to].kind != OP_NOTE)
				continue;
			told[ops[to].at % TXNS] = (unsigned)ops[to].at;
			make_lost(to, ALL_LOST, 0);
			must_have(told);
		}
	}
	print_message("failed: %u syncs, %u images, all open with all that was told\n", nth - 1,
		      images);
	assert_true(nth > RECORDS);
}

static void shorten(enum disk_file which, size_t step)
{
	for (size_t size = 0; size < im[which].size; size += step) {
		copy_images(other, im);
		other[which].size = size;
		try_images(other, 0, true);
	}
}

/*
 * A log that has lost its end, at every point of the story; and the file that has.
 * No sync covers that: nothing is promised but that no mixture comes out.
 */
static void test_when_cut_short_then_a_former_state_or_refused(void **state)
{
	unsigned notes = 0;

	(void)state;
	images = refused = 0;
	begin_images(im);
	for (size_t i = 0; i < n_ops; i++) {
		apply(im, &ops[i]);
		if (ops[i].kind != OP_NOTE || ++notes % 7)
			continue;
		shorten(DISK_LOG, 1003);
		shorten(DISK_MAIN, 1003);
	}
	print_message("short: %u images, %u of them refused, none a mixture\n", images, refused);
	assert_true(refused > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_cut_anywhere_then_all_told_is_there),
		cmocka_unit_test(test_when_unsynced_is_lost_then_all_told_is_there),
		cmocka_unit_test(test_when_cut_short_then_a_former_state_or_refused),
		cmocka_unit_test(test_when_a_sync_fails_then_what_it_took_is_lost),
	};

	return cmocka_run_group_tests(tests, record_story, end_story);
}
