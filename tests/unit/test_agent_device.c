/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* device_online(), device_offline(), and the scan that finds the devices. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <urcu.h>

#include "../../guest-agent/view.h"

#define CPU2 "devices/system/cpu/cpu2/online"

static int setup(void **state)
{
	static struct guest g;

	guest_init(&g, 4, 2, 2);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	guest_done(*state);
	return 0;
}

/* A change is one write, one event, and 0. */
static void test_when_offline_then_online_changes_it_once(void **state)
{
	struct guest *g = *state;

	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 2), NULL), 0);
	assert_true(fake_agrees(&g->kernel, 2, true));
	assert_int_equal(fake_writes(&g->kernel, CPU2, "1"), 1);
	assert_int_equal(g->n_told, 1);
	assert_string_equal(g->told[0].kind, "cpu");
	assert_string_equal(g->told[0].state, "online");
	assert_string_equal(g->told[0].by, "agent");
	assert_int_equal(g->told[0].id, 2);
}

/* What is there already is success, says 1, and touches nothing. */
static void test_when_already_there_then_one_and_no_write(void **state)
{
	struct guest *g = *state;

	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 1), NULL), 1);
	assert_int_equal(device_online(guest_cpu(g, 0), NULL), 1);
	assert_int_equal(device_offline(guest_cpu(g, 2), NULL), 1);
	assert_int_equal(device_offline(guest_block(g, 0), NULL), 1);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
	assert_int_equal(g->n_told, 0);
}

/* A write that the kernel accepts and forgets is a failure that names both views. */
static void test_when_the_kernel_does_nothing_then_eio(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	strcpy(g->kernel.ignore, CPU2);
	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 2), &err), -EIO);
	assert_non_null(strstr(err.text, "cpu2 kernel:online"));
	assert_non_null(strstr(err.text, "driver core says offline and the mask offline"));
	assert_int_equal(g->n_told, 0);
}

/* A write that reaches one view only is taken back before the failure is told. */
static void test_when_only_one_view_follows_then_eio_and_undone(void **state)
{
	struct guest *g = *state;

	g->kernel.bypass = true;
	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 2), NULL), -EIO);
	assert_false(guest_cpu(g, 2)->online);
}

/* A CPU that was desynchronized before is "already" for the driver core, and no success. */
static void test_when_desynchronized_then_already_is_no_success(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	fake_user(&g->kernel, "devices/system/cpu/cpu1/hotplug/target", "0");
	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 1), &err), -EIO);
	assert_non_null(strstr(err.text, "cpu1"));
	assert_non_null(strstr(err.text, "doctor"));
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
}

/* The kernel's own refusal comes through, with the file in the text. */
static void test_when_the_write_fails_then_its_errno(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	fake_fail(&g->kernel, CPU2, 0, 1, -EAGAIN);
	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 2), &err), -EAGAIN);
	assert_non_null(strstr(err.text, CPU2));
	assert_true(fake_agrees(&g->kernel, 2, false));
	assert_int_equal(device_online(guest_cpu(g, 2), NULL), 0);
}

/* A CPU without an online file cannot go, whatever is asked. */
static void test_when_fixed_then_offline_is_refused(void **state)
{
	struct guest *g = *state;

	guest_lock(g, "t1");
	assert_int_equal(device_offline(guest_cpu(g, 0), NULL), -EPERM);
	assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
}

static void online_without_lock(void *arg)
{
	device_online(guest_cpu(arg, 2), NULL);
}

static void online_without_pin(void *arg)
{
	struct guest *g = arg;

	lock_take(&g->lock, "t1", 1, 1000, 0, NULL);
	device_online(guest_cpu(g, 2), NULL);
}

static void online_under_memory_lock(void *arg)
{
	struct guest *g = arg;

	guest_lock(g, "t1");
	memlock_write(&g->model.mem_hotplug);
	device_online(guest_cpu(g, 2), NULL);
}

static void online_under_lock(void *arg)
{
	struct guest *g = arg;

	guest_lock(g, "t1");
	device_online(guest_cpu(g, 1), NULL);
}

/* Without the hotplug lock, or inside a lower one, it is our own bug. */
static void test_when_locks_are_not_held_in_order_then_it_is_our_bug(void **state)
{
	assert_false(dies_by_assert(online_under_lock, *state));
	assert_true(dies_by_assert(online_without_lock, *state));
	assert_true(dies_by_assert(online_without_pin, *state));
	assert_true(dies_by_assert(online_under_memory_lock, *state));
}

/* What somebody else did since the last look is told as foreign. */
static void test_when_a_user_changes_a_device_then_the_scan_tells(void **state)
{
	struct guest *g = *state;

	fake_user(&g->kernel, CPU2, "1");
	fake_user(&g->kernel, "devices/system/memory/memory1/state", "online");
	guest_scan(g);
	assert_int_equal(g->n_told, 2);
	assert_string_equal(g->told[0].by, "foreign");
	assert_string_equal(g->told[0].state, "online");
	assert_string_equal(g->told[1].kind, "memory");
	guest_scan(g);
	assert_int_equal(g->n_told, 2);
}

/* A user's write that changes something, and the kernel's word of it. */
static void user_writes(struct guest *g, const char *value)
{
	fake_user(&g->kernel, CPU2, value);
	announced_add(&g->model.announced, 2);
}

/* There and back between two looks: both are told, once, whenever the words come. */
static void test_when_a_user_changes_a_cpu_and_back_then_both_are_told(void **state)
{
	struct guest *g = *state;

	user_writes(g, "1");
	user_writes(g, "0");
	guest_scan(g);
	guest_scan(g);
	assert_int_equal(g->n_told, 2);
	assert_string_equal(g->told[0].state, "online");
	assert_string_equal(g->told[1].state, "offline");
	assert_string_equal(g->told[1].by, "foreign");
	user_writes(g, "1");
	user_writes(g, "0");
	fake_user(&g->kernel, CPU2, "1"); /* seen before it is announced */
	guest_scan(g);
	assert_int_equal(g->n_told, 3);
	announced_add(&g->model.announced, 2);
	guest_scan(g);
	assert_int_equal(g->n_told, 5);
	assert_string_equal(g->told[4].state, "online");
}

/* What the agent changes is announced, too, and told once; also what it took back. */
static void test_when_the_agent_changes_a_cpu_then_its_announcement_is_no_news(void **state)
{
	struct guest *g = *state;

	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_cpu(g, 2), NULL), 0);
	announced_add(&g->model.announced, 2);
	guest_scan(g);
	assert_int_equal(device_offline(guest_cpu(g, 2), NULL), 0);
	announced_add(&g->model.announced, 2);
	guest_scan(g);
	assert_int_equal(g->n_told, 2);
	guest_cpu(g, 2)->hp.fail = cpuhp_row(&cpuhp_table, "ap:alive");
	assert_true(device_online(guest_cpu(g, 2), NULL) < 0);
	announced_add(&g->model.announced, 2);
	announced_add(&g->model.announced, 2);
	guest_scan(g);
	assert_int_equal(g->n_told, 4);
	assert_string_equal(g->told[3].state, "offline");
	assert_string_equal(g->told[3].by, "agent");
	assert_int_equal(fake_writes(&g->kernel, CPU2, NULL), 4);
	guest_unlock(g, "t1");
}

/* Between a look and a write, or a write and a look, somebody else may have been faster. */
static void test_when_somebody_is_faster_then_it_is_foreign(void **state)
{
	struct guest *g = *state;
	struct device *dev = guest_cpu(g, 2);

	fake_user(&g->kernel, CPU2, "1"); /* for the agent */
	assert_int_equal(device_look_written(dev, true, 0, NULL), 0);
	fake_user(&g->kernel, CPU2, "0");
	assert_int_equal(device_look(dev, "foreign", NULL), 0);
	assert_int_equal(device_look_written(dev, true, -EBUSY, NULL), -EBUSY);
	fake_user(&g->kernel, CPU2, "1");
	assert_int_equal(device_look(dev, "foreign", NULL), 0);
	assert_int_equal(g->n_told, 3);
	assert_string_equal(g->told[0].by, "agent");
	assert_string_equal(g->told[1].by, "foreign");
	assert_string_equal(g->told[2].by, "foreign");
}

/* A user does what the agent is about to do: nothing is written, and it is the user's doing. */
static void test_when_a_user_does_it_first_then_nothing_is_written(void **state)
{
	struct guest *g = *state;

	guest_lock(g, "t1");
	fake_user_next(&g->kernel, CPU2, "1");
	assert_int_equal(device_online(guest_cpu(g, 2), NULL), 0);
	assert_true(fake_agrees(&g->kernel, 2, true));
	assert_int_equal(fake_writes(&g->kernel, CPU2, NULL), 0);
	assert_int_equal(g->n_told, 1);
	assert_string_equal(g->told[0].by, "foreign");
	guest_unlock(g, "t1");
}

static void user_goes_there_and_back(struct guest *g)
{
	user_writes(g, "1");
	user_writes(g, "0");
}

/* What the agent wrote is undone before it looks, and is announced then or later. */
static void test_when_undone_at_once_then_each_is_told_as_whose_it_is(void **state)
{
	struct guest *g = *state;
	struct device *dev = guest_cpu(g, 2);
	int late;

	for (late = 0; late < 2; late++) {
		g->n_told = 0;
		if (!late)
			user_goes_there_and_back(g);
		assert_int_equal(device_look_written(dev, true, 0, NULL), 0);
		assert_int_equal(g->n_told, late ? 0 : 2);
		if (late)
			user_goes_there_and_back(g);
		guest_scan(g);
		assert_int_equal(g->n_told, 2);
		assert_string_equal(g->told[0].state, "online");
		assert_string_equal(g->told[0].by, "agent");
		assert_string_equal(g->told[1].by, "foreign");
	}
}

/* CPU 2 is up, and the write that brought it up is in the kernel still. */
static void kernel_is_nearly_done(struct fake *f)
{
	ls_guard(&f->lock);
	f->cpu[2].device = f->cpu[2].kernel = true;
}

/* While the kernel works on CPU 2 a user changes CPU 1; it may go on once that is told. */
static void *user_meanwhile(void *arg)
{
	struct guest *g = arg;
	int tries = 500;

	fake_await_hang(&g->kernel);
	kernel_is_nearly_done(&g->kernel);
	fake_user(&g->kernel, "devices/system/cpu/cpu1/online", "0");
	announced_add(&g->model.announced, 1);
	while (!__atomic_load_n(&g->n_told, __ATOMIC_SEQ_CST) && tries--) {
		sysfs_wake(g->sysfs);
		usleep(10000);
	}
	fake_release(&g->kernel);
	return NULL;
}

/* Of CPU 2 nothing is told meanwhile: it is the agent's own doing, as it says when it is done. */
static void test_when_the_kernel_is_slow_then_what_others_do_is_told_meanwhile(void **state)
{
	struct guest *g = *state;
	pthread_t user;

	guest_lock(g, "t1");
	strcpy(g->kernel.hang, CPU2);
	pthread_create(&user, NULL, user_meanwhile, g);
	assert_int_equal(device_online(guest_cpu(g, 2), NULL), 0);
	pthread_join(user, NULL);
	assert_int_equal(g->n_told, 2);
	assert_int_equal(g->told[0].id, 1);
	assert_string_equal(g->told[0].by, "foreign");
	assert_string_equal(g->told[1].by, "agent");
	guest_unlock(g, "t1");
}

/* A number may have had another CPU before: what was announced of that is no news of this one. */
static void test_when_a_cpu_comes_then_what_was_announced_before_is_over(void **state)
{
	struct guest *g = *state;
	int i;

	for (i = 0; i < 6; i++)
		announced_add(&g->model.announced, 9);
	g->kernel.cpu[9].present = true;
	guest_scan(g);
	guest_scan(g);
	assert_int_equal(g->n_told, 1);
	assert_string_equal(g->told[0].state, "present");
}

/* One announcement more or less than changes, and lost ones: no change is made up. */
static void test_when_announcements_are_lost_then_no_change_is_made_up(void **state)
{
	struct guest *g = *state;
	int i;

	announced_add(&g->model.announced, 2); /* of a change before the first look */
	guest_scan(g);
	assert_int_equal(g->n_told, 0);
	user_writes(g, "1");
	guest_scan(g);
	assert_int_equal(g->n_told, 1);
	for (i = 0; i < 5; i++)
		fake_user(&g->kernel, CPU2, i % 2 ? "1" : "0");
	announced_add(&g->model.announced, 2);
	announced_add(&g->model.announced, 2);
	announced_add(&g->model.announced, -1);
	guest_scan(g);
	assert_int_equal(g->n_told, 2);
	user_writes(g, "1");
	user_writes(g, "0");
	guest_scan(g);
	assert_int_equal(g->n_told, 4);
}

/* Devices that come and go are told, and found, by the next scan. */
static void test_when_devices_come_and_go_then_the_scan_tells(void **state)
{
	struct guest *g = *state;

	g->kernel.cpu[9] = (struct fake_cpu){ .present = true };
	g->kernel.cpu[3].present = false;
	assert_null(guest_cpu(g, 9));
	guest_scan(g);
	assert_non_null(guest_cpu(g, 9));
	assert_null(guest_cpu(g, 3));
	assert_int_equal(g->n_told, 2);
	assert_string_equal(g->told[0].state, "gone");
	assert_string_equal(g->told[1].state, "present");
	assert_int_equal(guest_cpu(g, 9)->slot, 9);
}

/* No descriptor, no memory: what cannot be read has not gone, and is not fixed. */
static void test_when_a_device_cannot_be_read_then_it_stays_as_it_was(void **state)
{
	static const char *const files[] = { CPU2, "devices/system/cpu/online",
					     "devices/system/memory/memory1/state" };
	struct guest *g = *state;
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		fake_blind(&g->kernel, files[i], -EMFILE);
		guest_scan(g);
		assert_non_null(guest_cpu(g, 2));
		assert_false(guest_cpu(g, 2)->fixed);
		assert_non_null(guest_block(g, 1));
		assert_int_equal(g->n_told, 0);
	}
	guest_lock(g, "t1");
	assert_int_equal(device_online(guest_block(g, 1), NULL), -EMFILE);
}

/* A new one is told when it can be read. */
static void test_when_a_new_device_cannot_be_read_then_it_comes_later(void **state)
{
	struct guest *g = *state;

	g->kernel.cpu[9] = (struct fake_cpu){ .present = true };
	fake_blind(&g->kernel, "devices/system/cpu/cpu9/online", -EMFILE);
	guest_scan(g);
	assert_null(guest_cpu(g, 9));
	fake_blind(&g->kernel, "", 0);
	guest_scan(g);
	assert_false(guest_cpu(g, 9)->fixed);
	assert_int_equal(g->n_told, 1);
	assert_string_equal(g->told[0].state, "present");
}

/* The kernel announces a CPU before it links its name: the slot is read again, and told. */
static void test_when_the_name_comes_later_then_present_is_told_again(void **state)
{
	struct guest *g = *state;

	g->kernel.cpu[9] = (struct fake_cpu){ .present = true, .nameless = true };
	guest_scan(g);
	assert_int_equal(guest_cpu(g, 9)->slot, -1);
	assert_int_equal(g->n_told, 1);
	g->kernel.cpu[9].nameless = false;
	guest_scan(g);
	assert_int_equal(guest_cpu(g, 9)->slot, 9);
	assert_int_equal(g->n_told, 2);
	assert_string_equal(g->told[1].state, "present");
	assert_int_equal(g->told[1].id, 9);
	guest_scan(g);
	assert_int_equal(g->n_told, 2);
}

/* CPUs 0 and 1 are the threads of core 0, 2 and 3 those of core 8. */
static void become_pseries(struct guest *g)
{
	int i;

	g->kernel.core_step = 8;
	for (i = 0; i < 4; i++)
		g->kernel.cpu[i].thread = i / 2 * 8 + i % 2;
}

/* On a pSeries the threads of a core have one slot, and a folder is no CPU. */
static void test_when_a_pseries_then_the_slot_is_the_core_and_only_present_cpus_count(void **state)
{
	struct guest *g = *state;
	int i;

	become_pseries(g);
	guest_scan(g);
	for (i = 0; i < 4; i++)
		assert_int_equal(guest_cpu(g, i)->slot, i / 2 * 8);
	assert_null(guest_cpu(g, 4));
	assert_null(guest_cpu(g, FAKE_CPUS - 1));
}

/* A pSeries announces no CPU that goes, and gives its number to the next core: it is told. */
static void test_when_another_core_has_the_number_then_it_has_another_slot(void **state)
{
	struct guest *g = *state;

	become_pseries(g);
	guest_scan(g);
	g->n_told = 0;
	g->kernel.cpu[2].thread = 24;
	g->kernel.cpu[3].present = false;
	g->kernel.cpu[3].thread = -1;
	guest_scan(g);
	assert_int_equal(guest_cpu(g, 2)->slot, 24);
	assert_null(guest_cpu(g, 3));
	assert_int_equal(g->n_told, 2);
	assert_string_equal(g->told[0].state, "present");
	assert_string_equal(g->told[1].state, "gone");
}

/* A core that the device tree does not have, or a thread below all of them, has no slot. */
static void test_when_no_core_has_the_thread_then_no_slot(void **state)
{
	struct guest *g = *state;

	become_pseries(g);
	g->kernel.cpu[4] = (struct fake_cpu){ .present = true, .thread = -1 };
	g->kernel.cpu[5] = (struct fake_cpu){ .present = true, .thread = LS_CPUS_MAX };
	guest_scan(g);
	assert_int_equal(guest_cpu(g, 4)->slot, -1);
	assert_int_equal(guest_cpu(g, 5)->slot, -1);
	assert_int_equal(guest_cpu(g, 1)->slot, 0);
}

/* A snapshot is the model at the moment it was published, in runs. */
static void test_when_published_then_the_snapshot_has_runs(void **state)
{
	struct guest *g = *state;
	const struct view *v;

	fake_user(&g->kernel, "devices/system/memory/memory1/state", "online");
	guest_scan(g);
	rcu_register_thread();
	v = view_begin(&g->model);
	assert_int_equal(v->n_cpus, 4);
	assert_true(v->cpu[1].kernel && !v->cpu[2].kernel);
	assert_int_equal(v->n_runs, 2);
	assert_int_equal(v->run[0].count, 1);
	assert_int_equal(v->run[1].state, STATE_ONLINE);
	assert_int_equal(v->block_bytes, FAKE_BLOCK_MB * 1024 * 1024);
	view_end(&g->model);
	rcu_unregister_thread();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_offline_then_online_changes_it_once),
		T(test_when_already_there_then_one_and_no_write),
		T(test_when_the_kernel_does_nothing_then_eio),
		T(test_when_only_one_view_follows_then_eio_and_undone),
		T(test_when_desynchronized_then_already_is_no_success),
		T(test_when_the_write_fails_then_its_errno),
		T(test_when_fixed_then_offline_is_refused),
		T(test_when_locks_are_not_held_in_order_then_it_is_our_bug),
		T(test_when_a_user_changes_a_device_then_the_scan_tells),
		T(test_when_a_user_changes_a_cpu_and_back_then_both_are_told),
		T(test_when_the_agent_changes_a_cpu_then_its_announcement_is_no_news),
		T(test_when_somebody_is_faster_then_it_is_foreign),
		T(test_when_a_user_does_it_first_then_nothing_is_written),
		T(test_when_undone_at_once_then_each_is_told_as_whose_it_is),
		T(test_when_the_kernel_is_slow_then_what_others_do_is_told_meanwhile),
		T(test_when_a_cpu_comes_then_what_was_announced_before_is_over),
		T(test_when_announcements_are_lost_then_no_change_is_made_up),
		T(test_when_devices_come_and_go_then_the_scan_tells),
		T(test_when_a_device_cannot_be_read_then_it_stays_as_it_was),
		T(test_when_a_new_device_cannot_be_read_then_it_comes_later),
		T(test_when_the_name_comes_later_then_present_is_told_again),
		T(test_when_a_pseries_then_the_slot_is_the_core_and_only_present_cpus_count),
		T(test_when_another_core_has_the_number_then_it_has_another_slot),
		T(test_when_no_core_has_the_thread_then_no_slot),
		T(test_when_published_then_the_snapshot_has_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
