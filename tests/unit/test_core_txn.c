/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal record: what comes back is what went in, and what is damaged is refused.
 */
#include "../../coordinator/core/table.h"
#include "../../coordinator/core/txn.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static char record[TXN_RECORD_MAX], again[TXN_RECORD_MAX];

static void fill_items(struct txn *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		struct item *it = &t->items[i];

		it->kind = i % 2 ? VM_VIRTIO_MEM : VM_DIMM;
		it->slot = (int)i;
		it->size = UINT64_MAX - i;
		it->goal = 1000 + i;
		snprintf(it->id, sizeof(it->id), "ls-a-%u", i);
		if (i)
			snprintf(it->backend, sizeof(it->backend), "ls-a-%u-mem", i);
	}
}

static void fill_migrate(struct txn_migrate *m)
{
	strcpy(m->src_qmp, "unix:/run/a guest.qmp");
	strcpy(m->src_agent, "unix:/run/a guest.agent");
	strcpy(m->src_process, "boot:4026531836:4711:99");
	strcpy(m->dst_process, "boot:4026531836:4712:100");
	strcpy(m->uri, "unix:/run/mig");
	strcpy(m->dst_qmp, "unix:/run/b.qmp");
	strcpy(m->window, "force");
	m->caps_before[SIDE_DST] = CAP_OURS;
	for (unsigned i = 0; i < LS_CPUS_MAX; i += 3)
		m->online[i] = true;
}

/* Half way through its table, with one row entered and the level before noted. */
static struct txn *half_way(enum txn_op op, bool up)
{
	struct txn *t = txn_new(op, "20261103-1", op == OP_MIGRATE ? 1 : 3, up);
	unsigned row = t->table->holds;

	assert_non_null(t);
	fill_items(t);
	t->epoch = 7;
	t->agent = AGENT_LOCKSTEP;
	if (t->table->n > row + 1) /* else half way is before its one row */
		t->walk.at += t->walk.dir;
	t->entered = 1u << row;
	for (unsigned i = 0; i < t->n; i++)
		txn_before(t, row)[i] = i ? LEVEL_ALL : 5;
	ls_err_set(&t->reason, -ETIMEDOUT, "the guest said nothing");
	if (t->mig)
		fill_migrate(t->mig);
	t->best_effort = t->n > 1;
	if (t->best_effort) {
		t->items[1].state = ITEM_DROPPED;
		ls_err_set(&t->items[1].why, -EPERM, "it said\nno");
		t->items[2].state = ITEM_PENDING;
	}
	return t;
}

static void assert_same(const struct txn *a, const struct txn *b)
{
	assert_string_equal(a->id, b->id);
	assert_ptr_equal(a->table, b->table);
	assert_int_equal(a->n, b->n);
	assert_memory_equal(&a->walk, &b->walk, sizeof(a->walk));
	assert_int_equal(a->crossed, b->crossed);
	assert_int_equal(a->entered, b->entered);
	assert_int_equal(a->end, b->end);
	assert_int_equal(a->reason.code, b->reason.code);
	assert_string_equal(a->reason.text, b->reason.text);
	for (unsigned i = 0; i < a->n; i++) {
		assert_string_equal(a->items[i].id, b->items[i].id);
		assert_int_equal(a->items[i].state, b->items[i].state);
		assert_int_equal(a->items[i].why.code, b->items[i].why.code);
	}
	assert_int_equal(a->best_effort, b->best_effort);
	assert_int_equal(a->partial, b->partial);
	assert_memory_equal(a->before, b->before, a->table->n * a->n * sizeof(*a->before));
	if (a->mig)
		assert_memory_equal(a->mig->online, b->mig->online, sizeof(a->mig->online));
}

static void round_trip(struct txn *t)
{
	struct txn *back = NULL;
	struct ls_err err = { 0 };
	int n = txn_save(t, record, sizeof(record));

	assert_true(n > 0);
	assert_int_equal((int)strlen(record), n);
	if (txn_load(record, &err, &back))
		fail_msg("%s in\n%s", err.text, record);
	assert_same(t, back);
	assert_int_equal(txn_save(back, again, sizeof(again)), n);
	assert_string_equal(again, record);
	txn_free(back);
}

/* Every operation, both directions: what is loaded is what was saved, to the byte. */
static void test_when_saved_and_loaded_then_the_same(void **state)
{
	(void)state;
	for (int op = 0; op < OP_COUNT; op++)
		for (int up = 0; up < 2; up++) {
			struct txn *t = half_way((enum txn_op)op, up);

			round_trip(t);
			step_rollback(&t->walk, true);
			round_trip(t);
			t->end = END_UNDONE;
			round_trip(t);
			txn_free(t);
		}
}

/* The largest guest that there can be fits into a record. */
static void test_when_the_guest_is_the_largest_then_it_fits(void **state)
{
	struct txn *t =
		txn_new(OP_VCPUS, "20261103-141502-4711-longest-name-there", LS_CPUS_MAX, true);

	(void)state;
	for (unsigned i = 0; i < t->n; i++) {
		t->items[i].slot = (int)i;
		memset(t->items[i].id, 'x', LS_NAME_BYTES - 1);
		for (unsigned row = 2; row < t->table->n; row++)
			txn_before(t, row)[i] = LEVEL_ALL;
	}
	t->entered = 0xc;
	round_trip(t);
	txn_free(t);
}

static void assert_refused(const char *what, size_t at)
{
	struct txn *t = NULL;
	struct ls_err err = { 0 };

	if (txn_load(record, &err, &t) == -EPROTO && !t && err.code == -EPROTO)
		return;
	fail_msg("%s at byte %zu was loaded", what, at);
}

/* A record that ends anywhere before its end is none. */
static void test_when_cut_short_anywhere_then_refused(void **state)
{
	(void)state;
	for (int op = 0; op < OP_COUNT; op++) {
		struct txn *t = half_way((enum txn_op)op, true);
		size_t n = (size_t)txn_save(t, record, sizeof(record));

		for (size_t at = n; at-- > 0;) {
			record[at] = '\0';
			assert_refused("a cut", at);
		}
		txn_free(t);
	}
}

/* A record of which one byte is another one, any byte, any other: refused. */
static void test_when_one_byte_is_wrong_then_refused(void **state)
{
	unsigned cells = 0;

	(void)state;
	for (int op = 0; op < OP_COUNT; op++) {
		struct txn *t = half_way((enum txn_op)op, true);
		size_t n = (size_t)txn_save(t, record, sizeof(record));

		for (size_t at = 0; at < n; at++) {
			char was = record[at];

			for (int c = 0; c < 256; c += op == OP_MIGRATE ? 5 : 1) {
				record[at] = (char)c;
				if (record[at] == was)
					continue;
				assert_refused("a wrong byte", at);
				cells++;
			}
			record[at] = was;
		}
		txn_free(t);
	}
	print_message("# %u damaged records\n", cells);
}

static uint64_t sum_of(const char *buf, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (unsigned char)buf[i]) * 0x100000001b3;
	return sum;
}

/* Replace a line of a good record, with a good sum, so that only its sense is wrong. */
static void put_line(const char *key, const char *line)
{
	char *at = strstr(record, key), *end, rest[8192];

	assert_non_null(at);
	end = strchr(at, '\n');
	snprintf(rest, sizeof(rest), "%s", end);
	sprintf(at, "%s%s", line, rest);
	end = strstr(record, "\nsum ") + 1;
	sprintf(end, "sum %016llx\n", (unsigned long long)sum_of(record, (size_t)(end - record)));
}

static void assert_line_refused(enum txn_op op, const char *key, const char *line)
{
	struct txn *t = half_way(op, true);

	txn_save(t, record, sizeof(record));
	put_line(key, line);
	assert_refused(line, 0);
	txn_free(t);
}

/* Nothing in a record can lead out of the table, or out of the guest's slots. */
static void test_when_a_record_makes_no_sense_then_refused(void **state)
{
	(void)state;
	assert_line_refused(OP_VCPUS, "walk ", "walk 3 2 4 -1 0 0 4"); /* away from its goal */
	assert_line_refused(OP_VCPUS, "walk ", "walk 3 2 5 1 0 0 4");  /* beyond the table */
	assert_line_refused(OP_VCPUS, "walk ", "walk 0 0 4 1 0 0 4");  /* through the holds */
	assert_line_refused(OP_VCPUS, "walk ", "walk 3 2 4 0 0 0 4");  /* nowhere */
	assert_line_refused(OP_VCPUS, "walk ", "walk 3 2 4 1 1 0 4");  /* back, and forward */
	assert_line_refused(OP_VCPUS, "walk ", "walk 3 2 4 1 0 0 1");  /* a hold is entered */
	assert_line_refused(OP_VCPUS, "walk ", "walk 3 2 4 1 0 0 16"); /* a row that is not there */
	assert_line_refused(OP_MIGRATE, "walk ", "walk 6 5 5 -1 1 1 32"); /* back over a pivot */
	assert_line_refused(OP_VCPUS, "item ", "item 0 -1 0 1 a -");
	assert_line_refused(OP_VCPUS, "item ", "item 0 1024 0 1 a -");
	assert_line_refused(OP_VCPUS, "items ", "items 0");
	assert_line_refused(OP_VCPUS, "items ", "items 4000000000");
	assert_line_refused(OP_VCPUS, "agent ", "agent 3");
	assert_line_refused(OP_VCPUS, "epoch ", "epoch 99999999999999999999");
	assert_line_refused(OP_VCPUS, "effort ", "effort 1 1"); /* on the way back, and forward */
	assert_line_refused(OP_VCPUS, "effort ", "effort 2 0");
	assert_line_refused(OP_VCPUS, "why 1", "why 3 1 -1 x");
	assert_line_refused(OP_VCPUS, "why 1", "why 1 3 -1 x");
	assert_line_refused(OP_VCPUS, "why 1", "why 1 1 1 x");
	assert_line_refused(OP_VCPUS, "op ", "op sleep");
	assert_line_refused(OP_VCPUS, "end ", "end soon");
	assert_line_refused(OP_MIGRATE, "caps ", "caps 16 0");
	assert_line_refused(OP_MIGRATE, "window ", "window enforced");
}

/* The same helper must not refuse what is good, or the test above proves nothing. */
static void test_when_a_line_is_replaced_by_a_good_one_then_loaded(void **state)
{
	struct txn *t = half_way(OP_VCPUS, true), *back;

	(void)state;
	txn_save(t, record, sizeof(record));
	put_line("walk ", "walk 2 2 4 1 0 0 4");
	assert_int_equal(txn_load(record, NULL, &back), 0);
	assert_int_equal(back->walk.at, 2);
	txn_free(back);
	txn_free(t);
}

/* QEMU's words may have line ends in them; a path may not, nor an id a space. */
static void test_when_a_text_would_break_its_line_then_it_does_not(void **state)
{
	struct txn *t = half_way(OP_MIGRATE, true), *back;

	(void)state;
	ls_err_set(&t->reason, -EIO, "first\nend done\nsum");
	assert_true(txn_save(t, record, sizeof(record)) > 0);
	assert_int_equal(txn_load(record, NULL, &back), 0);
	assert_string_equal(back->reason.text, "first end done sum");
	txn_free(back);
	strcpy(t->mig->uri, "unix:/a\nwindow off");
	assert_int_equal(txn_save(t, record, sizeof(record)), -EINVAL);
	strcpy(t->mig->uri, "unix:/a b");
	assert_true(txn_save(t, record, sizeof(record)) > 0);
	strcpy(t->items[0].id, "a b");
	assert_int_equal(txn_save(t, record, sizeof(record)), -EINVAL);
	txn_free(t);
}

/* Too small a buffer is said, at every size, and never overrun. */
static void test_when_the_buffer_is_too_small_then_said(void **state)
{
	struct txn *t = half_way(OP_MEMORY, true);
	int n = txn_save(t, record, sizeof(record));

	(void)state;
	for (size_t len = 0; len <= (size_t)n; len++) {
		char *buf = malloc(len + 1);

		buf[len] = 'x';
		assert_int_equal(txn_save(t, buf, len), -ENOSPC);
		assert_int_equal(buf[len], 'x');
		free(buf);
	}
	txn_free(t);
}

/* What a DIMM is made of is kept; a record that names what is not on the list is refused. */
static void test_when_a_dimm_is_made_of_something_then_kept_and_checked(void **state)
{
	struct txn *t = half_way(OP_MEMORY, true), *back = NULL;
	struct ls_err err;

	(void)state;
	strcpy(t->backing, "file=/dev/shm,share");
	assert_true(txn_save(t, record, sizeof(record)) > 0);
	assert_int_equal(txn_load(record, &err, &back), 0);
	assert_string_equal(back->backing, "file=/dev/shm,share");
	txn_free(back);
	strcpy(t->backing, "file=/dev/shm/../mem");
	assert_true(txn_save(t, record, sizeof(record)) > 0);
	assert_int_equal(txn_load(record, &err, &back), -EPROTO);
	txn_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_a_dimm_is_made_of_something_then_kept_and_checked),
		cmocka_unit_test(test_when_saved_and_loaded_then_the_same),
		cmocka_unit_test(test_when_the_guest_is_the_largest_then_it_fits),
		cmocka_unit_test(test_when_cut_short_anywhere_then_refused),
		cmocka_unit_test(test_when_one_byte_is_wrong_then_refused),
		cmocka_unit_test(test_when_a_record_makes_no_sense_then_refused),
		cmocka_unit_test(test_when_a_line_is_replaced_by_a_good_one_then_loaded),
		cmocka_unit_test(test_when_a_text_would_break_its_line_then_it_does_not),
		cmocka_unit_test(test_when_the_buffer_is_too_small_then_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
