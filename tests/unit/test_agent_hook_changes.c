/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks around changes of a guest: each hears of a change what becomes of it, once, also
 * when that is known late.
 */
#include "fake_sysfs.h"
#include "hook_fixture.h"

#include <errno.h>
#include <semaphore.h>

#include <lockstep/err.h>

#include "../../guest-agent/hook_memory.h"
#include "../../guest-agent/memory.h"

/* ---- around changes -------------------------------------------------------- */

static void guest_with_hooks(struct guest *g)
{
	guest_init(g, 4, 3, 4);
	g->model.hooks = t.hooks;
	hooks_set_txn(t.hooks, "t1");
	guest_lock(g, "t1");
}

/* A CPU that changes is asked about, and the news come before and after. */
static void test_when_a_cpu_goes_offline_then_check_pre_and_post_are_told(void **state)
{
	static struct guest g;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	assert_int_equal(device_offline(guest_cpu(&g, 2), NULL), 0);
	assert_string_equal(trace(), "a check offline cpu 2\na pre offline cpu 2\n"
				     "a post offline cpu 2\n");
	assert_int_equal(device_offline(guest_cpu(&g, 2), NULL), 1);
	assert_string_equal(trace(), "");
	guest_done(&g);
}

/* A veto is an error with the hook's words, and the kernel was not asked. */
static void test_when_a_hook_vetoes_a_cpu_then_nothing_was_written(void **state)
{
	static struct guest g;
	struct ls_err err = { 0 };

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "echo busy >&2; exit 1");
	assert_int_equal(device_offline(guest_cpu(&g, 2), &err), -ECANCELED);
	assert_non_null(strstr(err.text, "hook a refuses: busy"));
	assert_int_equal(fake_writes(&g.kernel, NULL, NULL), 0);
	assert_true(fake_agrees(&g.kernel, 2, true));
	guest_done(&g);
}

/* The kernel refuses after all had agreed: they are told, and their promise is undone. */
static void test_when_the_kernel_refuses_then_failed_and_undocheck_are_told(void **state)
{
	static struct guest g;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	fake_fail(&g.kernel, "", 0, 1, -EBUSY);
	assert_true(device_offline(guest_cpu(&g, 2), NULL) < 0);
	assert_string_equal(trace(), "a check offline cpu 2\na pre offline cpu 2\n"
				     "a failed offline cpu 2\na undocheck offline cpu 2\n");
	guest_done(&g);
}

static void no_failure(void *arg, const struct device *dev, int code, const struct ls_err *err)
{
	(void)arg;
	(void)dev;
	(void)code;
	(void)err;
}

/* Of a batch that half fails, each block is told of once, in the phase that fits it. */
static void test_when_a_batch_is_done_in_part_then_each_block_has_its_phase(void **state)
{
	struct memory_result result = { .failed = no_failure };
	static struct guest g;
	struct hook_memory b;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	fake_fail(&g.kernel, "devices/system/memory/memory1/state", 0, 1, -ENOMEM);
	assert_int_equal(
		hook_memory_begin(&b, &g.model, 0, (int64_t)FAKE_BLOCK_MB * 3 << 20, true, NULL),
		0);
	memory_range(&g.model, 0, (int64_t)FAKE_BLOCK_MB * 3 << 20, "online_movable", &result);
	hook_memory_end(&b);
	assert_string_equal(trace(), "a check online memory 0 1 2\na pre online memory 0 1 2\n"
				     "a failed online memory 1\na undocheck online memory 1\n"
				     "a post online memory 0 2\n");
	guest_done(&g);
}

static void no_cpu(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)cpu;
	(void)code;
	(void)err;
}

/* A window that a hook does not allow is closed again, and the lock is free. */
static void test_when_a_hook_vetoes_a_window_then_it_is_closed_and_the_lock_free(void **state)
{
	struct window_result result = { .failed = no_cpu };
	struct ls_err err = { 0 };
	struct window_view v;
	struct lock_view l;
	static struct guest g;

	(void)state;
	guest_init(&g, 4, 3, 0);
	g.model.hooks = t.hooks;
	put_hook("a", "[ $1 != check ] || exit 1");
	assert_int_equal(window_admit(&g.window, "t1", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	assert_int_equal(window_open(&g.window, "t1", false, &result, &err), -ECANCELED);
	window_look(&g.window, 0, &v);
	lock_look(&g.lock, 0, &l);
	assert_int_equal(v.state, WINDOW_CLOSED);
	assert_false(l.held);
	assert_int_equal(fake_writes(&g.kernel, NULL, NULL), 0);
	guest_done(&g);
}

/* Open and close of a window that has no CPU to force. */
static void test_when_a_window_opens_and_closes_then_both_are_told(void **state)
{
	struct window_result result = { .failed = no_cpu };
	static struct guest g;

	(void)state;
	guest_init(&g, 4, 4, 0);
	g.model.hooks = t.hooks;
	put_hook("a", "");
	assert_int_equal(window_admit(&g.window, "t1", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	assert_int_equal(window_open(&g.window, "t1", false, &result, NULL), 0);
	assert_string_equal(trace(), "a check open window\na pre open window\n"
				     "a post open window\n");
	assert_int_equal(window_close(&g.window, "t1", &result, NULL), 0);
	assert_string_equal(trace(), "a pre close window\na post close window\n");
	guest_done(&g);
}

/* ---- a write that comes back late ------------------------------------------ */

static sem_t back;

static void on_out(void *arg, int change)
{
	(void)arg;
	if (change < 0)
		sem_post(&back);
}

/* The kernel does not come back from the next write to this file. */
static void start_late(struct guest *g, const char *path)
{
	guest_with_hooks(g);
	put_hook("a", "");
	put_hook("b", "");
	g->model.cpu_ms = g->model.memory_ms = 5;
	g->kernel.hang_deaf = true;
	strcpy(g->kernel.hang, path);
	sem_init(&back, 0, 0);
	sysfs_on_out(g->sysfs, on_out, NULL);
}

/* It does, and somebody looks. */
static void come_back(struct guest *g)
{
	fake_release(&g->kernel);
	while (sem_wait(&back) < 0)
		;
	sysfs_on_out(g->sysfs, NULL, NULL);
	guest_scan(g);
}

/*
 * Up and down, done after all, failed, or the CPU gone meanwhile: who had agreed hears the
 * end of it once, and not before it is known.
 */
static void test_when_a_write_comes_back_late_then_its_end_is_told_once(void **state)
{
	enum end { DONE, FAILED, GONE, END_COUNT };
	static const char *const told[2][END_COUNT] = {
		{ "a post offline cpu 2\nb post offline cpu 2\n",
		  "a failed offline cpu 2\nb failed offline cpu 2\n"
		  "b undocheck offline cpu 2\na undocheck offline cpu 2\n",
		  "a post offline cpu 2\nb post offline cpu 2\n" },
		{ "a post online cpu 3\nb post online cpu 3\n",
		  "a failed online cpu 3\nb failed online cpu 3\n"
		  "b undocheck online cpu 3\na undocheck online cpu 3\n",
		  "a failed online cpu 3\nb failed online cpu 3\n"
		  "b undocheck online cpu 3\na undocheck online cpu 3\n" },
	};
	const char *path[2] = { "devices/system/cpu/cpu2/online",
				"devices/system/cpu/cpu3/online" };
	static struct guest g;
	struct device *dev;
	char before[64];
	int up, end;

	(void)state;
	for (up = 0; up < 2; up++)
		for (end = DONE; end < END_COUNT; end++) {
			start_late(&g, path[up]);
			dev = guest_cpu(&g, 2 + up);
			if (end == FAILED)
				fake_fail(&g.kernel, path[up], 0, 1, -EBUSY);
			assert_int_equal(up ? device_online(dev, NULL) : device_offline(dev, NULL),
					 -EINPROGRESS);
			snprintf(before, sizeof(before), "pre %s cpu %d\n",
				 up ? "online" : "offline", 2 + up);
			assert_non_null(strstr(trace(), before));
			guest_scan(&g); /* it is still there */
			assert_int_equal(up ? device_online(dev, NULL) : device_offline(dev, NULL),
					 -EBUSY);
			assert_string_equal(trace(), "");
			if (end == GONE)
				g.kernel.cpu[2 + up].present = false;
			come_back(&g);
			assert_string_equal(trace(), told[up][end]);
			guest_scan(&g);
			assert_string_equal(trace(), "");
			guest_done(&g);
		}
}

/* One block of a batch is late: the others have their ends now, it has its own later. */
static void test_when_a_block_is_late_then_its_end_is_its_own(void **state)
{
	struct memory_result result = { .failed = no_failure };
	const int64_t three = (int64_t)FAKE_BLOCK_MB * 3 << 20;
	static struct guest g;
	struct hook_memory b;

	(void)state;
	start_late(&g, "devices/system/memory/memory1/state");
	assert_int_equal(hook_memory_begin(&b, &g.model, 0, three, true, NULL), 0);
	memory_range(&g.model, 0, three, "online_movable", &result);
	trace();
	hook_memory_end(&b);
	assert_string_equal(trace(), "a failed online memory 2\nb failed online memory 2\n"
				     "b undocheck online memory 2\na undocheck online memory 2\n"
				     "a post online memory 0\nb post online memory 0\n");
	assert_int_equal(hook_memory_begin(&b, &g.model, 0, three, true, NULL), 0);
	assert_string_equal(trace(), "a check online memory 2\nb check online memory 2\n"
				     "a pre online memory 2\nb pre online memory 2\n");
	hook_memory_end(&b);
	trace();
	come_back(&g);
	assert_string_equal(trace(), "a post online memory 1\nb post online memory 1\n");
	guest_done(&g);
}

/* An undo failed, and the walk stands in the middle: told for what the CPU is. */
static void test_when_an_undo_fails_then_the_end_is_told(void **state)
{
	static struct guest g;
	struct device *dev;

	(void)state;
	guest_with_hooks(&g);
	put_hook("a", "");
	dev = guest_cpu(&g, 3);
	dev->hp.fail = cpuhp_row(g.model.cpuhp, "ap:alive");
	fake_fail(&g.kernel, "devices/system/cpu/cpu3/online", 1, 1, -EBUSY);
	assert_int_equal(device_online(dev, NULL), -EAGAIN);
	assert_true(dev->hp.stuck);
	assert_string_equal(trace(), "a check online cpu 3\na pre online cpu 3\n"
				     "a post online cpu 3\n");
	guest_scan(&g);
	assert_string_equal(trace(), "");
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOOK_TEST(test_when_a_cpu_goes_offline_then_check_pre_and_post_are_told),
		HOOK_TEST(test_when_a_hook_vetoes_a_cpu_then_nothing_was_written),
		HOOK_TEST(test_when_the_kernel_refuses_then_failed_and_undocheck_are_told),
		HOOK_TEST(test_when_a_batch_is_done_in_part_then_each_block_has_its_phase),
		HOOK_TEST(test_when_a_hook_vetoes_a_window_then_it_is_closed_and_the_lock_free),
		HOOK_TEST(test_when_a_window_opens_and_closes_then_both_are_told),
		HOOK_TEST(test_when_a_write_comes_back_late_then_its_end_is_told_once),
		HOOK_TEST(test_when_a_block_is_late_then_its_end_is_its_own),
		HOOK_TEST(test_when_an_undo_fails_then_the_end_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
