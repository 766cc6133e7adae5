/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's words, from records as a Linux 6.1 wrote them. A socket gives one record a
 * read, as /dev/kmsg does.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../guest-agent/kmsg.h"

#define OFFLINING "memory offlining [mem 0x100000000-0x107ffffff] failed due to notifier failure"

static struct kmsg k;
static int kernel;

static void print(const char *record)
{
	assert_int_equal(send(kernel, record, strlen(record), 0), strlen(record));
}

static int setup(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	k = (struct kmsg){ .fd = sv[0], .txn = "t1" };
	kernel = sv[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kmsg_close(&k);
	close(kernel);
	return 0;
}

/* Of all that is printed only what is about a refusal, without what precedes and follows it. */
static void test_when_the_kernel_refuses_then_its_words_are_kept(void **state)
{
	(void)state;
	print("6,901,8123456,-;virtio_blk virtio1: [vda] 4194304 512-byte logical blocks\n");
	print("7,902,8123457,-;" OFFLINING "\n SUBSYSTEM=memory\n DEVICE=+memory:memory32\n");
	print("4,903,8123458,c;CPU 1 has 13 vectors, 2 available. Cannot disable CPU\n");
	print("no record at all");
	print("6,904,8123459,-;");
	assert_string_equal(kmsg_read(&k, "t1"), OFFLINING);
	print("4,905,8123460,-;CPU 1 has 13 vectors\n");
	assert_string_equal(kmsg_read(&k, "t1"), OFFLINING);
}

/* The agent tries a busy block five times. */
static void test_when_printed_again_then_kept_once(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		print("4,1,2,-;page dumped because: unmovable page\n");
	print("4,1,2,-;migrating pfn 12345 failed ret:1\n");
	assert_string_equal(
		kmsg_read(&k, "t1"),
		"page dumped because: unmovable page; migrating pfn 12345 failed ret:1");
}

/* What was printed for the one before is not about this one. */
static void test_when_the_lock_is_taken_then_it_begins_anew(void **state)
{
	(void)state;
	print("7,902,8123457,-;" OFFLINING "\n");
	assert_string_not_equal(kmsg_read(&k, "t1"), "");
	assert_string_equal(kmsg_read(&k, "window"), "");
	kmsg_begin(&k, "t2");
	assert_string_equal(kmsg_read(&k, "t2"), "");
}

/* One line that is too long is cut; a log without end is left alone after so many records. */
static void test_when_there_is_too_much_then_bounded(void **state)
{
	char record[4096];
	int i, n = 0;

	(void)state;
	snprintf(record, sizeof(record), "4,1,2,-;failed to offline %04000d", 0);
	print(record);
	assert_int_equal(strlen(kmsg_read(&k, "t1")), LS_WORDS_BYTES - 1);
	for (i = 0; i < KMSG_ROUND; i++)
		n += send(kernel, "4,1,2,-;x", 9, 0) == 9;
	assert_true(n > 0);
	assert_int_equal(strlen(kmsg_read(&k, "t1")), LS_WORDS_BYTES - 1);
}

/* A guest whose log may not be read has no words, and works all the same. */
static void test_when_it_may_not_be_read_then_there_are_none(void **state)
{
	struct kmsg none = { .fd = -1 };

	(void)state;
	kmsg_begin(&none, "t1");
	assert_string_equal(kmsg_read(&none, "t1"), "");
	kmsg_close(&none);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_when_the_kernel_refuses_then_its_words_are_kept),
		T(test_when_printed_again_then_kept_once),
		T(test_when_the_lock_is_taken_then_it_begins_anew),
		T(test_when_there_is_too_much_then_bounded),
		T(test_when_it_may_not_be_read_then_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
