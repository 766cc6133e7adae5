/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory blocks: zones, batches, and the kernel's habits. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <lockstep/err.h>

#include "../../guest-agent/memory.h"

#define MIB(n)	 ((int64_t)(n)*1024 * 1024)
#define BLOCKS	 6
#define MOVABLE	 "online_movable"
#define STATE(n) "devices/system/memory/memory" #n "/state"

/* The blocks that a batch said had failed. */
static struct {
	int n;
	int id;
	int code;
} failed;

static void on_failed(void *arg, const struct device *dev, int code, const struct ls_err *err)
{
	(void)arg;
	assert_non_null(strstr(err->text, "memory"));
	failed.n++;
	failed.id = dev->id;
	failed.code = code;
}

static struct memory_result batch(struct guest *g, int64_t start, int64_t length, const char *value)
{
	struct memory_result result = { .failed = on_failed };

	failed.n = 0;
	memory_range(&g->model, start, length, value, &result);
	return result;
}

static int setup(void **state)
{
	static struct guest g;

	guest_init(&g, 2, 2, BLOCKS);
	guest_lock(&g, "t1");
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	guest_done(*state);
	return 0;
}

/* A range means the blocks that lie wholly inside it; half a block is none. */
static void test_when_a_range_is_given_then_whole_blocks_are_meant(void **state)
{
	struct guest *g = *state;
	struct memory_result r = batch(g, MIB(100), MIB(128 * 2 + 50), MOVABLE);

	assert_int_equal(r.present, 2);
	assert_int_equal(r.changed, 2);
	assert_int_equal(r.online, 2);
	assert_int_equal(fake_writes(&g->kernel, STATE(1), MOVABLE), 1);
	assert_int_equal(fake_writes(&g->kernel, STATE(2), MOVABLE), 1);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 2);
}

/* The largest start and length there can be do not wrap around. */
static void test_when_the_range_is_huge_then_it_does_not_wrap(void **state)
{
	struct guest *g = *state;

	assert_int_equal(batch(g, INT64_MAX, INT64_MAX, MOVABLE).present, 0);
	assert_int_equal(batch(g, 0, INT64_MAX, MOVABLE).present, BLOCKS);
}

/* Memory is taken from the top: what came last goes first. */
static void test_when_taken_offline_then_the_highest_block_goes_first(void **state)
{
	struct guest *g = *state;

	batch(g, 0, MIB(128 * BLOCKS), MOVABLE);
	g->kernel.n_writes = 0;
	assert_int_equal(batch(g, 0, MIB(128 * BLOCKS), NULL).changed, BLOCKS);
	assert_string_equal(g->kernel.write[0].path, STATE(5));
	assert_string_equal(g->kernel.write[5].path, STATE(0));
}

/* The first, a middle and the last block failing: the others are done, one is named. */
static void test_when_one_block_fails_then_the_others_are_done(void **state)
{
	struct guest *g = *state;
	const int which[] = { 0, 3, BLOCKS - 1 };
	char path[64];
	size_t i;

	for (i = 0; i < 3; i++) {
		struct memory_result r;

		snprintf(path, sizeof(path), "devices/system/memory/memory%d/state", which[i]);
		fake_fail(&g->kernel, path, 0, 1, -ENOMEM);
		r = batch(g, 0, MIB(128 * BLOCKS), MOVABLE);
		assert_int_equal(r.present, BLOCKS);
		assert_int_equal(r.changed, BLOCKS - 1);
		assert_int_equal(r.online, BLOCKS - 1);
		assert_int_equal(failed.n, 1);
		assert_int_equal(failed.id, which[i]);
		assert_int_equal(failed.code, -ENOMEM);
		fake_fail(&g->kernel, "none", 0, 0, 0);
		batch(g, 0, MIB(128 * BLOCKS), NULL);
	}
}

/* EBUSY at random is tried again; the block leaves in the end. */
static void test_when_busy_for_a_while_then_it_is_tried_again(void **state)
{
	struct guest *g = *state;

	batch(g, 0, MIB(128), MOVABLE);
	fake_fail(&g->kernel, STATE(0), 0, 4, -EBUSY);
	assert_int_equal(batch(g, 0, MIB(128), NULL).changed, 1);
	assert_int_equal(fake_writes(&g->kernel, STATE(0), "offline"), 5);
}

/* A block that stays busy is tried a bounded number of times, then said to have failed. */
static void test_when_busy_for_good_then_the_tries_are_bounded(void **state)
{
	struct guest *g = *state;
	struct memory_result r;

	batch(g, 0, MIB(128), MOVABLE);
	fake_fail(&g->kernel, STATE(0), 0, 1000, -EBUSY);
	r = batch(g, 0, MIB(128), NULL);
	assert_int_equal(fake_writes(&g->kernel, STATE(0), "offline"), 5);
	assert_int_equal(r.online, 1);
	assert_int_equal(failed.code, -EBUSY);
}

/* What nobody is busy with is not tried again. */
static void test_when_it_fails_otherwise_then_once_is_enough(void **state)
{
	struct guest *g = *state;

	fake_fail(&g->kernel, STATE(0), 0, 1000, -ENOMEM);
	batch(g, 0, MIB(128), MOVABLE);
	assert_int_equal(fake_writes(&g->kernel, STATE(0), NULL), 1);
}

/* Someone else brings the block online just before our write: EINVAL, and all is well. */
static void sneak(struct guest *g)
{
	g->kernel.block[0].state = "online\n";
}

static int online_after_all(struct device *dev, struct ls_err *err)
{
	sneak((struct guest *)((char *)dev->model - offsetof(struct guest, model)));
	return memory_bus.online(dev, err);
}

static void test_when_einval_and_already_there_then_success(void **state)
{
	struct guest *g = *state;
	struct device_bus bus = memory_bus;

	bus.online = online_after_all;
	guest_block(g, 0)->bus = &bus;
	assert_int_equal(device_online(guest_block(g, 0), NULL), 0);
	assert_int_equal(g->kernel.write[0].result, -EINVAL);
	assert_true(guest_block(g, 0)->online);
}

/* EINVAL with the block where it was is a failure. */
static void test_when_einval_and_not_there_then_failure(void **state)
{
	struct guest *g = *state;

	fake_fail(&g->kernel, STATE(0), 0, 1, -EINVAL);
	assert_int_equal(device_online(guest_block(g, 0), NULL), -EINVAL);
}

/* What the kernel may say, and the words for it on the way up and on the way down. */
static const struct {
	int code;
	const char *up, *down;
} words[] = {
	{ EBUSY, "is being changed or removed (EBUSY): try again",
	  "cannot be moved now (EBUSY): end" },
	{ EAGAIN, "short of something just now (EAGAIN): try", "just now (EAGAIN): try again" },
	{ EINVAL, "into that zone (EINVAL): try another", "two zones, and can never go offline" },
	{ EINTR, "not done with it in time (EINTR): try",
	  "pages moved in time (EINTR): try again" },
	{ ENOMEM, "no free memory to describe it with (ENOMEM): free",
	  "to move its pages to (ENOMEM)" },
	{ EPERM, "forbids it (EPERM): grow that device", "forbids it (EPERM): shrink that device" },
	{ EIO, "the kernel says EIO to 'online_movable'", "the kernel says EIO to 'offline': see" },
	{ ENODEV, "memory0 is gone", "memory0 is gone" },
};

#define HOST_SHOWS 200 /* characters of it, behind "in the guest: " */

static void assert_words(const struct ls_err *err, const char *stays, const char *want)
{
	if (!strstr(err->text, want) || strlen(err->text) > HOST_SHOWS)
		fail_msg("\"%s\" is too long or without \"%s\"", err->text, want);
	if (err->code != -ENODEV)
		assert_non_null(strstr(err->text, stays));
}

/* A refusal names the block, where it stays, what happened and what to do next. */
static void test_when_the_kernel_refuses_then_the_words_say_what_to_do(void **state)
{
	struct guest *g = *state;
	struct ls_err err;
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		fake_fail(&g->kernel, STATE(0), 0, 1000, -words[i].code);
		assert_int_equal(device_online(guest_block(g, 0), &err), -words[i].code);
		assert_words(&err, "memory0 stays offline: ", words[i].up);
		fake_fail(&g->kernel, "none", 0, 0, 0);
		assert_int_equal(device_online(guest_block(g, 0), NULL), 0);
		fake_fail(&g->kernel, STATE(0), 0, 1000, -words[i].code);
		assert_int_equal(device_offline(guest_block(g, 0), &err), -words[i].code);
		assert_words(&err, "memory0 stays online: ", words[i].down);
		fake_fail(&g->kernel, "none", 0, 0, 0);
		assert_int_equal(device_offline(guest_block(g, 0), NULL), 0);
	}
}

/* A write that the kernel accepts and forgets is a failure, for memory as for CPUs. */
static void test_when_the_kernel_does_nothing_then_eio(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	strcpy(g->kernel.ignore, STATE(1));
	assert_int_equal(device_online(guest_block(g, 1), &err), -EIO);
	assert_non_null(strstr(err.text, "memory1 should be online"));
}

/* Each zone has its word; another name has none. */
static void test_when_a_zone_is_named_then_its_word_is_written(void **state)
{
	(void)state;
	assert_string_equal(memory_zone_value(NULL), "online_movable");
	assert_string_equal(memory_zone_value("movable"), "online_movable");
	assert_string_equal(memory_zone_value("kernel"), "online_kernel");
	assert_string_equal(memory_zone_value("auto"), "online");
	assert_null(memory_zone_value("offline"));
	assert_null(memory_zone_value(""));
}

/* A block that the kernel does not return from is left at the deadline, and named. */
static void test_when_the_kernel_is_deaf_then_in_kernel(void **state)
{
	struct guest *g = *state;

	g->model.memory_ms = 20;
	strcpy(g->kernel.hang, STATE(0));
	g->kernel.hang_deaf = true;
	assert_int_equal(device_online(guest_block(g, 0), NULL), -EINPROGRESS);
	assert_int_equal(guest_block(g, 0)->state, STATE_IN_KERNEL);
	assert_int_equal(device_online(guest_block(g, 0), NULL), -EBUSY);
	fake_release(&g->kernel);
	while (sysfs_outs(g->sysfs))
		sched_yield();
	guest_scan(g);
	assert_int_equal(guest_block(g, 0)->state, STATE_ONLINE);
	assert_int_equal(device_online(guest_block(g, 1), NULL), 0);
}

/* It keeps its device_hotplug_lock meanwhile: the rest of the batch does not wait for it. */
static void test_when_a_block_stays_in_the_kernel_then_no_other_is_tried(void **state)
{
	struct guest *g = *state;
	struct memory_result r;

	g->model.memory_ms = 20;
	strcpy(g->kernel.hang, STATE(1));
	g->kernel.hang_deaf = true;
	r = batch(g, 0, MIB(128 * BLOCKS), MOVABLE);
	assert_int_equal(r.changed, 1);
	assert_int_equal(failed.n, BLOCKS - 1);
	assert_int_equal(failed.code, -EBUSY);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 1);
	fake_release(&g->kernel);
	while (sysfs_outs(g->sysfs))
		sched_yield();
	assert_int_equal(batch(g, 0, MIB(128 * BLOCKS), MOVABLE).online, BLOCKS);
}

/* A block that loops in the kernel until a signal comes gets one. */
static void test_when_the_kernel_listens_then_a_signal_ends_it(void **state)
{
	struct guest *g = *state;
	sigset_t usr1, before;
	int r;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	g->model.memory_ms = 20;
	strcpy(g->kernel.hang, STATE(0));
	pthread_sigmask(SIG_BLOCK, &usr1, &before); /* as our parent may have left it */
	r = device_online(guest_block(g, 0), NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(r, -EINTR);
	assert_int_equal(guest_block(g, 0)->state, STATE_OFFLINE);
	assert_int_equal(sysfs_outs(g->sysfs), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_a_range_is_given_then_whole_blocks_are_meant),
		T(test_when_the_range_is_huge_then_it_does_not_wrap),
		T(test_when_taken_offline_then_the_highest_block_goes_first),
		T(test_when_one_block_fails_then_the_others_are_done),
		T(test_when_busy_for_a_while_then_it_is_tried_again),
		T(test_when_busy_for_good_then_the_tries_are_bounded),
		T(test_when_it_fails_otherwise_then_once_is_enough),
		T(test_when_einval_and_already_there_then_success),
		T(test_when_einval_and_not_there_then_failure),
		T(test_when_the_kernel_refuses_then_the_words_say_what_to_do),
		T(test_when_the_kernel_does_nothing_then_eio),
		T(test_when_a_zone_is_named_then_its_word_is_written),
		T(test_when_the_kernel_is_deaf_then_in_kernel),
		T(test_when_a_block_stays_in_the_kernel_then_no_other_is_tried),
		T(test_when_the_kernel_listens_then_a_signal_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
