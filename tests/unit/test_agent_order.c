/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold at the moment in which the kernel is written to: seen from inside the write. */
#include "fake_sysfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <urcu.h>

#include <qmp.h>

#include "../../guest-agent/memory.h"
#include "../../guest-agent/model.h"
#include "../../guest-agent/persist.h"

#define CPUS   8
#define BLOCKS 4

/**
 * struct inside - A guest, and what its writes have seen
 * @guest:   the fake kernel and the agent above it
 * @watched: the kernel through our eyes
 * @dir:     where the agent's record is
 * @writes:  of CPUs and of blocks
 * @no_hotplug_lock, @no_device_lock, @no_memory_lock: writes at which that lock was free
 * @looker: one who wants to look at memory, from the first write of a block on
 * @saw: how many writes there had been when it got in
 * @no_record: CPUs brought online that the record on disk did not name
 */
struct inside {
	struct guest guest;
	struct sysfs *watched;
	char dir[64];
	int writes;
	pthread_t looker;
	bool looks;
	int saw;
	int no_hotplug_lock, no_device_lock, no_memory_lock, no_record;
};

static bool is_free(pthread_mutex_t *m)
{
	if (pthread_mutex_trylock(m) != 0)
		return false;
	pthread_mutex_unlock(m);
	return true;
}

static bool on_record(const struct inside *in, int cpu)
{
	struct json_object *record = NULL, *forced;
	bool found = false;

	if (persist_load(&in->guest.persist, &record) < 0)
		return false;
	forced = qmp_get_array(record, "forced");
	for (size_t i = 0; forced && i < json_object_array_length(forced); i++)
		found |= json_object_get_int(json_object_array_get_idx(forced, i)) == cpu;
	json_object_put(record);
	return found;
}

static void *look(void *arg)
{
	struct inside *in = arg;
	struct memlock *lock = &in->guest.model.mem_hotplug;
	enum lock_level before;

	rcu_register_thread();
	if (memlock_read(lock, 20000, &before) == 0) {
		in->saw = in->writes;
		memlock_read_end(lock, before);
	}
	rcu_unregister_thread();
	return NULL;
}

static int look_and_write(void *ctx, const char *path, const char *value)
{
	struct inside *in = ctx;
	struct model *m = &in->guest.model;
	struct device *dev = NULL;
	struct lock_view lock;
	int id;

	in->writes++;
	if (in->looks && in->writes == 1)
		assert_int_equal(pthread_create(&in->looker, NULL, look, in), 0);
	lock_look(&in->guest.lock, 0, &lock);
	in->no_hotplug_lock += !lock.held;
	if (sscanf(path, "devices/system/cpu/cpu%d/online", &id) == 1) {
		dev = model_find(m, DEVICE_CPU, id);
		in->no_record += !strcmp(value, "1") && !on_record(in, id);
	} else if (sscanf(path, "devices/system/memory/memory%d/state", &id) == 1) {
		dev = model_find(m, DEVICE_MEMORY, id);
		in->no_memory_lock += !memlock_is_written(&m->mem_hotplug);
	}
	in->no_device_lock += !dev || is_free(&dev->lock);
	return fake_ops.write(&in->guest.kernel, path, value);
}

static int read_through(void *ctx, const char *path, char *buf, size_t size)
{
	return fake_ops.read(&((struct inside *)ctx)->guest.kernel, path, buf, size);
}

static int list_through(void *ctx, const char *dir, void (*fn)(void *arg, const char *name),
			void *arg)
{
	return fake_ops.list(&((struct inside *)ctx)->guest.kernel, dir, fn, arg);
}

static const struct sysfs_ops watching_ops = { read_through, look_and_write, list_through, NULL };

/* CPUs 0-7, of which 0-3 are online; blocks 0-3, offline. */
static int setup(void **state)
{
	static struct inside in;

	memset(&in, 0, sizeof(in));
	guest_init(&in.guest, CPUS, 4, BLOCKS);
	in.watched = sysfs_new_ops(&watching_ops, &in);
	in.guest.model.sysfs = in.watched;
	snprintf(in.dir, sizeof(in.dir), "/tmp/lockstep-order-XXXXXX");
	if (!in.watched || !mkdtemp(in.dir))
		return -1;
	persist_init(&in.guest.persist, in.dir, NULL);
	*state = &in;
	return 0;
}

static int teardown(void **state)
{
	struct inside *in = *state;
	char path[80];

	snprintf(path, sizeof(path), "%s/state.json", in->dir);
	unlink(path);
	rmdir(in->dir);
	guest_done(&in->guest);
	sysfs_free(in->watched);
	return 0;
}

static void all_locks_were_held(const struct inside *in, int writes)
{
	assert_int_equal(in->writes, writes);
	assert_int_equal(in->no_hotplug_lock, 0);
	assert_int_equal(in->no_device_lock, 0);
	assert_int_equal(in->no_memory_lock, 0);
}

static void unexpected(void *arg, const struct device *dev, int code, const struct ls_err *err)
{
	(void)arg;
	fail_msg("block %d: %d, %s", dev->id, code, err->text);
}

/* Memory goes online and offline under the hotplug lock, the block's and mem_hotplug_lock. */
static void test_when_memory_is_written_then_all_three_locks_are_held(void **state)
{
	struct inside *in = *state;
	struct model *m = &in->guest.model;
	struct memory_result result = { .failed = unexpected };

	guest_lock(&in->guest, "t1");
	memory_range(m, 0, INT64_MAX, memory_zone_value(NULL), &result);
	assert_int_equal(result.changed, BLOCKS);
	memory_range(m, 0, INT64_MAX, NULL, &result);
	assert_int_equal(result.changed, BLOCKS);
	guest_unlock(&in->guest, "t1");
	all_locks_were_held(in, 2 * BLOCKS);
}

/* A batch is one critical section: who wants to look meanwhile sees all of it, or nothing. */
static void test_when_a_batch_runs_then_nobody_sees_half_of_it(void **state)
{
	struct inside *in = *state;
	struct memory_result result = { .failed = unexpected };

	in->looks = true;
	guest_lock(&in->guest, "t1");
	memory_range(&in->guest.model, 0, INT64_MAX, memory_zone_value(NULL), &result);
	guest_unlock(&in->guest, "t1");
	assert_int_equal(pthread_join(in->looker, NULL), 0);
	assert_int_equal(in->saw, BLOCKS);
}

static void unforced(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	fail_msg("cpu%d: %d, %s", cpu, code, err->text);
}

/* When a window's first CPU changes, all that it will force stands in the record on disk. */
static void test_when_a_window_forces_then_the_record_is_there_first(void **state)
{
	struct inside *in = *state;
	struct window *w = &in->guest.window;
	struct window_result result = { .failed = unforced };

	assert_int_equal(window_admit(w, "m1", 1, 1000, WINDOW_FORCE, 0, NULL), 0);
	assert_int_equal(window_open(w, "m1", false, &result, NULL), 0);
	assert_int_equal(in->no_record, 0);
	assert_int_equal(window_close(w, "m1", &result, NULL), 0);
	all_locks_were_held(in, 2 * (CPUS - 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_when_memory_is_written_then_all_three_locks_are_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_when_a_batch_runs_then_nobody_sees_half_of_it,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_when_a_window_forces_then_the_record_is_there_first, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
