/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small parts next to the kernel: real files, uevents, CPU lists, persistence. */
#include "fake_sysfs.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <lockstep/err.h>

#include "../../guest-agent/cpus.h"
#include "../../guest-agent/uevent.h"
#include "put_file.h"

static char root[] = "/tmp/lockstep-sysfs-XXXXXX";

static void remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	unlink(path);
}

/* Numbers, strings and what is neither, from files below a root. */
static void test_when_files_are_real_then_they_are_read_and_written(void **state)
{
	const struct sysfs_how how = { .deadline_ms = 5000 };
	struct ls_err err = { 0 };
	struct sysfs *s;
	long long num = 0;
	char text[16];

	(void)state;
	assert_non_null(mkdtemp(root));
	s = sysfs_new(root);
	put_file(root, "hex", 0600, "8000000\n");
	put_file(root, "word", 0600, "online\n");
	put_file(root, "long", 0600, "0123456789abcdef\n");
	assert_int_equal(sysfs_read_num(s, 16, &num, "hex"), 0);
	assert_int_equal(num, 0x8000000);
	assert_int_equal(sysfs_read_num(s, 10, &num, "word"), -EPROTO);
	assert_int_equal(sysfs_read_str(s, text, sizeof(text), "%s", "word"), 0);
	assert_string_equal(text, "online");
	assert_int_equal(sysfs_read_str(s, text, sizeof(text), "long"), -EMSGSIZE);
	assert_int_equal(sysfs_read_str(s, text, sizeof(text), "none"), -ENOENT);
	assert_int_equal(sysfs_write_str(s, &how, "1", &err, "word"), 0);
	sysfs_read_str(s, text, sizeof(text), "word");
	assert_string_equal(text, "1");
	assert_int_equal(sysfs_write_str(s, &how, "1", &err, "none/%d", 7), -ENOENT);
	assert_non_null(strstr(err.text, "none/7"));
	sysfs_free(s);
	remove_file("hex");
	remove_file("word");
	remove_file("long");
	rmdir(root);
}

/*
 * A kernel whose file is kept open: its inode changes when its device is plugged anew,
 * and a descriptor of the one before fails, as sysfs has it (here: a pipe cannot be
 * read at an offset).
 */
static struct {
	int opens;
	int kept;
	bool dead;
} kernel;

static int counting_read(void *ctx, const char *path, char *buf, size_t size)
{
	kernel.opens++;
	return sysfs_real_ops.read(ctx, path, buf, size);
}

static int counting_keep(void *ctx, const char *path)
{
	int ends[2];

	kernel.kept++;
	if (!kernel.dead)
		return sysfs_real_ops.keep(ctx, path);
	assert_int_equal(pipe(ends), 0);
	close(ends[1]);
	return ends[0];
}

static const struct sysfs_ops counting_ops = { counting_read, NULL, NULL, counting_keep };

static void expect_kept(struct sysfs *s, struct sysfs_kept *kept, const char *want)
{
	char text[16] = "";

	assert_int_equal(sysfs_read_kept(s, kept, text, sizeof(text), "%s", "state"), 0);
	assert_string_equal(text, want);
}

/* Read again and again it is opened once, and what it says is what is there now. */
static void test_when_a_file_is_kept_then_it_is_opened_once(void **state)
{
	struct sysfs_kept kept = { -1 };
	struct sysfs *s;
	char text[4];

	(void)state;
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	assert_non_null(mkdtemp(root));
	memset(&kernel, 0, sizeof(kernel));
	s = sysfs_new_ops(&counting_ops, root);
	assert_int_equal(sysfs_read_kept(s, &kept, text, sizeof(text), "state"), -ENOENT);
	put_file(root, "state", 0600, "offline\n");
	kernel.opens = kernel.kept = 0;
	expect_kept(s, &kept, "offline");
	put_file(root, "state", 0600, "online\n");
	expect_kept(s, &kept, "online");
	expect_kept(s, &kept, "online");
	assert_int_equal(kernel.kept, 1);
	assert_int_equal(kernel.opens, 0);
	assert_int_equal(sysfs_read_kept(s, &kept, text, sizeof(text), "state"), -EMSGSIZE);
	sysfs_drop(s, &kept);
	sysfs_drop(s, &kept);
	kernel.dead = true;
	expect_kept(s, &kept, "online"); /* by opening it */
	assert_int_equal(kept.fd, -1);
	sysfs_free(s);
	remove_file("state");
	rmdir(root);
}

/* More devices than descriptors: the rest is opened each time, and nothing is wrong. */
static void test_when_files_are_many_then_a_bounded_number_is_kept(void **state)
{
	enum { MANY = SYSFS_KEPT_MAX + 10 };
	struct sysfs_kept kept[MANY];
	struct sysfs *s;
	int i, n = 0;

	(void)state;
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	assert_non_null(mkdtemp(root));
	memset(&kernel, 0, sizeof(kernel));
	put_file(root, "state", 0600, "online\n");
	s = sysfs_new_ops(&counting_ops, root);
	for (i = 0; i < MANY; i++) {
		kept[i].fd = -1;
		expect_kept(s, &kept[i], "online");
		n += kept[i].fd >= 0;
	}
	assert_true(n > 0 && n <= SYSFS_KEPT_MAX);
	assert_int_equal(kernel.opens, MANY - n);
	for (i = 0; i < MANY; i++)
		sysfs_drop(s, &kept[i]);
	expect_kept(s, &kept[MANY - 1], "online");
	assert_true(kept[MANY - 1].fd >= 0); /* there is room again */
	sysfs_drop(s, &kept[MANY - 1]);
	sysfs_free(s);
	remove_file("state");
	rmdir(root);
}

/* The kernel's lists, and everything that only looks like one. */
static void test_when_a_cpu_list_is_read_then_strictly(void **state)
{
	static const char *const bad[] = { "x",	  "1-",	 "-1",	    "3-1",   "1,,2",
					   "1 2", "1;2", "0-65536", "65536", "1-2-3" };
	struct cpus set = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(cpus_parse("0-2,5,63-64,1023\n", &set), 0);
	assert_int_equal(cpus_count(&set), 7);
	assert_true(cpus_has(&set, 64) && cpus_has(&set, 1023) && !cpus_has(&set, 3));
	assert_int_equal(cpus_parse("1020-1027,2048\n", &set), 5); /* not ours; counted */
	assert_int_equal(cpus_count(&set), 4);
	assert_int_equal(cpus_parse("\n", &set), 0);
	assert_int_equal(cpus_count(&set), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (cpus_parse(bad[i], &set) >= 0)
			fail_msg("\"%s\" was taken for a list", bad[i]);
}

#define UEVENT(text) text, sizeof(text)

/* Uevents of CPUs and memory matter; others, and pieces, do not. */
static void test_when_a_uevent_comes_then_its_subsystem_decides(void **state)
{
	(void)state;
	assert_true(uevent_matters(UEVENT("add@/x\0ACTION=add\0SUBSYSTEM=cpu\0SEQNUM=1")));
	assert_true(uevent_matters(UEVENT("online@/x\0SUBSYSTEM=memory")));
	assert_false(uevent_matters(UEVENT("add@/x\0SUBSYSTEM=cpuidle")));
	assert_false(uevent_matters(UEVENT("add@/SUBSYSTEM=cpu\0SUBSYSTEM=net")));
	assert_false(uevent_matters("SUBSYSTEM=cpu", 13)); /* no NUL: cut short */
	assert_false(uevent_matters("", 0));
}

/* A CPU's own word that it came or went; who makes the kernel say so, or says it, is no CPU. */
static void test_when_a_cpu_changes_then_its_uevent_names_it(void **state)
{
#define CPU_DEVICE "/devices/system/cpu/cpu"
	(void)state;
	assert_int_equal(uevent_cpu(UEVENT("online@" CPU_DEVICE "3\0SUBSYSTEM=cpu")), 3);
	assert_int_equal(uevent_cpu(UEVENT("offline@" CPU_DEVICE "1023")), 1023);
	assert_int_equal(uevent_cpu(UEVENT("offline@" CPU_DEVICE "1024")), -1);
	assert_int_equal(uevent_cpu(UEVENT("offline@" CPU_DEVICE "99999999999999999999")), -1);
	assert_int_equal(uevent_cpu(UEVENT("offline@" CPU_DEVICE "-1")), -1);
	assert_int_equal(uevent_cpu(UEVENT("offline@" CPU_DEVICE "3/cache")), -1);
	assert_int_equal(uevent_cpu(UEVENT("add@" CPU_DEVICE "3")), -1);
	assert_int_equal(uevent_cpu(UEVENT("online@/devices/system/memory/memory3")), -1);
	assert_int_equal(uevent_cpu(UEVENT("online@" CPU_DEVICE "3\0SYNTH_UUID=0")), -1);
	assert_int_equal(uevent_cpu("online@" CPU_DEVICE "3", 31), -1); /* no NUL: cut short */
	assert_int_equal(uevent_cpu("", 0), -1);
}

/* A write that is out pins nobody for ever: it comes back, and is told both times. */
static int outs;

static void count_outs(void *arg, int change)
{
	(void)arg;
	__atomic_add_fetch(&outs, change, __ATOMIC_SEQ_CST);
}

static void test_when_a_write_goes_out_then_it_is_told_and_comes_back(void **state)
{
	const struct sysfs_how how = { .deadline_ms = 10 };
	struct sysfs *s;
	struct fake f;

	(void)state;
	fake_init(&f, 2, 2, 1);
	strcpy(f.hang, "devices/system/memory/memory0/state");
	s = sysfs_new_ops(&fake_ops, &f);
	sysfs_on_out(s, count_outs, NULL);
	assert_int_equal(sysfs_write_str(s, &how, "online", NULL, "%s", f.hang), -EINPROGRESS);
	assert_int_equal(__atomic_load_n(&outs, __ATOMIC_SEQ_CST), 1);
	assert_true(sysfs_is_out(s, "%s", f.hang));
	fake_release(&f);
	while (__atomic_load_n(&outs, __ATOMIC_SEQ_CST))
		sched_yield();
	assert_int_equal(sysfs_outs(s), 0);
	sysfs_free(s);
	fake_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_files_are_real_then_they_are_read_and_written),
		cmocka_unit_test(test_when_a_file_is_kept_then_it_is_opened_once),
		cmocka_unit_test(test_when_files_are_many_then_a_bounded_number_is_kept),
		cmocka_unit_test(test_when_a_cpu_list_is_read_then_strictly),
		cmocka_unit_test(test_when_a_uevent_comes_then_its_subsystem_decides),
		cmocka_unit_test(test_when_a_cpu_changes_then_its_uevent_names_it),
		cmocka_unit_test(test_when_a_write_goes_out_then_it_is_told_and_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
