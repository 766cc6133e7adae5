/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a DIMM may be made of: the white-list, and what is not on it.
 */
#include "../../coordinator/core/backing.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static struct backing parsed(const char *text)
{
	struct ls_err err = { 0 };
	struct backing b;

	if (backing_parse(text, &err, &b) < 0)
		fail_msg("\"%s\": %s", text, err.text);
	return b;
}

/* Each kind and each option. */
static void test_when_it_is_on_the_list_then_taken(void **state)
{
	struct backing b = parsed("");

	(void)state;
	assert_int_equal(b.kind, BACKING_RAM);
	assert_false(b.share || b.prealloc || b.nodes || b.hugepage || b.policy);
	b = parsed("ram,share");
	assert_int_equal(b.kind, BACKING_RAM);
	assert_true(b.share);
	b = parsed("memfd,hugepages=2M,prealloc,nodes=0-1+3,policy=interleave");
	assert_int_equal(b.kind, BACKING_MEMFD);
	assert_int_equal(b.hugepage, 2 << 20);
	assert_true(b.prealloc && !b.share);
	assert_int_equal(b.nodes, 0xb);
	assert_string_equal(b.policy, "interleave");
	b = parsed("file=/dev/hugepages/vm..1,nodes=63");
	assert_int_equal(b.kind, BACKING_FILE);
	assert_string_equal(b.path, "/dev/hugepages/vm..1");
	assert_true(b.nodes == UINT64_C(1) << 63);
	assert_string_equal(b.policy, "bind");
}

/* What is not is named, with what there is. */
static void test_when_it_is_not_on_the_list_then_named(void **state)
{
	static const char *const bad[][2] = {
		{ "epc", "ram, memfd or file=PATH" },
		{ "share", "first comes" },
		{ "file", "first comes" },
		{ "ram,", "\"\" is no option" },
		{ "ram,,share", "\"\" is no option" },
		{ "ram,merge=off", "\"merge=off\" is no option" },
		{ "ram,share=on", "is no option" },
		{ "ram,hugepages=2M", "for memfd" },
		{ "file=/dev/hugepages,hugepages=2M", "for memfd" },
		{ "memfd,hugepages=2", "\"2\" is no size" },
		{ "memfd,hugepages=3M", "is no size" },
		{ "memfd,hugepages=4K", "is no size" },
		{ "memfd,hugepages=-2M", "is no size" },
		{ "memfd,hugepages=99999999999999999999G", "is no size" },
		{ "ram,nodes=", "is no list of host nodes" },
		{ "ram,nodes=64", "(0 to 63)" },
		{ "ram,nodes=1-0", "is no list" },
		{ "ram,nodes=0+", "is no list" },
		{ "ram,nodes=0-", "is no list" },
		{ "ram,policy=bind", "needs nodes=" },
		{ "ram,nodes=0,policy=strict", "bind, preferred or interleave" },
		{ "file=", "no path" },
		{ "file=dev/shm", "no path" },
		{ "file=/dev/shm/../mem", "no path" },
		{ "file=/dev/shm/..", "no path" },
		{ "file=/dev/./shm", "no path" },
		{ "file=/dev//shm", "no path" },
		{ "file=/dev/shm/a b", "no path" },
		{ "file=/dev/shm/\n", "no path" },
	};
	struct backing b = { .kind = BACKING_MEMFD };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ls_err err = { 0 };

		assert_int_equal(backing_parse(bad[i][0], &err, &b), -EINVAL);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("\"%s\": \"%s\" does not say \"%s\"", bad[i][0], err.text,
				 bad[i][1]);
		assert_int_equal(b.kind, BACKING_MEMFD); /* untouched */
	}
	print_message("# %zu mistakes told\n", sizeof(bad) / sizeof(bad[0]));
}

/* A name that only begins like a folder's is not in it. */
static void test_when_a_file_is_elsewhere_then_refused(void **state)
{
	static const struct {
		const char *text, *folders;
		bool ok;
	} rows[] = {
		{ "ram", "", true },
		{ "memfd,share", "", true },
		{ "file=/dev/shm/x", "", false },
		{ "file=/dev/shm", BACKING_FOLDERS, true },
		{ "file=/dev/shm/x", BACKING_FOLDERS, true },
		{ "file=/dev/shmx", BACKING_FOLDERS, false },
		{ "file=/dev/mem", BACKING_FOLDERS, false },
		{ "file=/srv/a/b", "  /srv/a  /srv/c ", true },
		{ "file=/srv", "/srv/a", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct backing b = parsed(rows[i].text);
		struct ls_err err = { 0 };
		int r = backing_allowed(&b, rows[i].folders, &err);

		if (r != (rows[i].ok ? 0 : -EPERM))
			fail_msg("%s in \"%s\": %d", rows[i].text, rows[i].folders, r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_it_is_on_the_list_then_taken),
		cmocka_unit_test(test_when_it_is_not_on_the_list_then_named),
		cmocka_unit_test(test_when_a_file_is_elsewhere_then_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
