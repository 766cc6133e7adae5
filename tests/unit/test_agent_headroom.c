/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory the kernel can describe: what counts of /proc/zoneinfo, and what does not. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../guest-agent/headroom.h"

#define MIB(n) ((int64_t)(n)*1024 * 1024)

/* 64 MiB of 4 KiB pages are 16384. */
#define ZONE(name, free, high, file)                                                               \
	"Node 0, zone   " name "\n"                                                                \
	"  pages free     " free "\n"                                                              \
	"        high     " high "\n"                                                              \
	"        protection: (0, 388, 388, 388, 388)\n"                                            \
	"      nr_free_pages " free "\n"                                                           \
	"      nr_zone_inactive_file " file "\n"                                                   \
	"      nr_zone_active_file 0\n"                                                            \
	"      nr_free_cma  0\n"                                                                   \
	"  pagesets\n"                                                                             \
	"    cpu: 0\n"                                                                             \
	"              high:  999999\n"

static int64_t of(const char *text, int64_t page_bytes)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int64_t bytes = headroom_of(f, page_bytes);

	fclose(f);
	return bytes;
}

/* 64 MiB free and 32 MiB to be left: 32 MiB, each good for 63 of new memory. */
static void test_when_pages_are_free_then_63_for_each_beyond_the_reserve(void **state)
{
	(void)state;
	assert_int_equal(of(ZONE("DMA32", "16384", "0", "0"), 4096), MIB(32 * 63));
	assert_int_equal(of(ZONE("DMA32", "20384", "4000", "0"), 4096), MIB(32 * 63));
	assert_int_equal(of(ZONE("DMA32", "8192", "0", "0"), 4096), 0);
	assert_int_equal(of("", 4096), 0);
}

/* Pages of 64 KiB need a sixteenth of the descriptions. */
static void test_when_pages_are_large_then_more_can_be_described(void **state)
{
	(void)state;
	assert_int_equal(of(ZONE("Normal", "1024", "0", "0"), 65536), MIB(32 * 63 * 16));
}

/* Memory that lockstep has added is movable: the kernel puts nothing of its own there. */
static void test_when_only_movable_memory_is_free_then_nothing(void **state)
{
	(void)state;
	assert_int_equal(
		of(ZONE("DMA32", "100", "0", "0") ZONE("Movable", "5504898", "0", "9999"), 4096),
		0);
	assert_int_equal(
		of(ZONE("Movable", "5504898", "0", "0") ZONE("Normal", "16384", "0", "0"), 4096),
		MIB(32 * 63));
}

/* All zones of the kernel's count, a zone below its watermark does not count against others. */
static void test_when_there_are_many_zones_then_their_sum(void **state)
{
	(void)state;
	assert_int_equal(of(ZONE("DMA", "8192", "0", "0") ZONE("DMA32", "10", "5000", "0")
				    ZONE("Normal", "8192", "0", "0"),
			    4096),
			 MIB(32 * 63));
}

/* Half of the page cache can be had. */
static void test_when_the_cache_is_full_then_half_of_it_counts(void **state)
{
	(void)state;
	assert_int_equal(of(ZONE("Normal", "0", "0", "32768"), 4096), MIB(32 * 63));
}

/* Pages set aside for devices hold only what can be moved. */
static void test_when_free_pages_are_set_aside_then_they_do_not_count(void **state)
{
	(void)state;
	assert_int_equal(of("Node 0, zone   Normal\n      nr_free_pages 32768\n"
			    "      nr_free_cma  16384\n",
			    4096),
			 MIB(32 * 63));
}

static int memmap_read(void *ctx, const char *path, char *buf, size_t size)
{
	const char *value = ctx;

	if (!value || strcmp(path, "module/memory_hotplug/parameters/memmap_on_memory") != 0)
		return -ENOENT;
	return snprintf(buf, size, "%s\n", value);
}

static int64_t with_memmap_on_memory(const char *value)
{
	static const struct sysfs_ops ops = { .read = memmap_read };
	struct sysfs *s = sysfs_new_ops(&ops, (void *)(uintptr_t)value);
	int64_t bytes = headroom_now(s);

	sysfs_free(s);
	return bytes;
}

/* New memory that may describe itself is not held back. */
static void test_when_memory_may_describe_itself_then_not_known(void **state)
{
	(void)state;
	assert_int_equal(with_memmap_on_memory("Y"), -1);
	assert_int_equal(with_memmap_on_memory("force"), -1);
	assert_true(with_memmap_on_memory("N") >= 0);
	assert_true(with_memmap_on_memory(NULL) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_pages_are_free_then_63_for_each_beyond_the_reserve),
		cmocka_unit_test(test_when_pages_are_large_then_more_can_be_described),
		cmocka_unit_test(test_when_only_movable_memory_is_free_then_nothing),
		cmocka_unit_test(test_when_there_are_many_zones_then_their_sum),
		cmocka_unit_test(test_when_the_cache_is_full_then_half_of_it_counts),
		cmocka_unit_test(test_when_free_pages_are_set_aside_then_they_do_not_count),
		cmocka_unit_test(test_when_memory_may_describe_itself_then_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
