/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory blocks as devices, one by one and as batches.
 *
 * A batch is one critical section: all device locks, then the memory hotplug lock
 * once, then one write a block. So its grace period is paid once, and who looks at
 * memory sees a batch whole or not at all.
 *
 * Two habits of the kernel are answered here. "online" written to a block that is
 * online already gives EINVAL: that is a success if the block is where it should
 * be. Taking a used block offline gives EBUSY at random, because a page could not
 * be moved just then: it is tried again, a bounded number of times.
 */
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>

#include "classes.h"
#include "lock.h"
#include "memory_why.h"
#include "model.h"
#include "sysfs.h"

#define BUSY_TRIES 5

/* ---- the bus ------------------------------------------------------------- */

static enum device_state parse_state(const char *text)
{
	if (!strcmp(text, "online"))
		return STATE_ONLINE;
	if (!strcmp(text, "offline"))
		return STATE_OFFLINE;
	return strcmp(text, "going-offline") ? STATE_UNKNOWN : STATE_GOING_OFFLINE;
}

static int look_locked(struct device *dev, struct ls_err *err)
{
	struct sysfs *s = dev->model->sysfs;
	char text[32];
	int r;

	if (sysfs_is_out(s, MEMORY_DIR "/memory%d/state", dev->id)) {
		dev->state = STATE_IN_KERNEL;
		return 0;
	}
	r = sysfs_read_kept(s, &dev->file, text, sizeof(text), MEMORY_DIR "/memory%d/state",
			    dev->id);
	if (r < 0)
		return device_unread(dev, r, err);
	dev->state = parse_state(text);
	dev->online = dev->kernel = dev->state == STATE_ONLINE;
	return 0;
}

/* As a reader, unless this thread is the writer. */
static int memory_look(struct device *dev, struct ls_err *err)
{
	struct memlock *lock = &dev->model->mem_hotplug;
	enum lock_level before;
	int r;

	if (lock_level_now >= LOCK_MEMORY)
		return look_locked(dev, err);
	if (memlock_read(lock, dev->model->memory_ms, &before) < 0)
		return ls_err_set(err, -EBUSY, "memory%d: memory is being changed", dev->id);
	r = look_locked(dev, err);
	memlock_read_end(lock, before);
	return r;
}

static int write_state(struct device *dev, const char *value, struct ls_err *err)
{
	struct model *m = dev->model;
	const struct sysfs_how how = { .deadline_ms = m->memory_ms,
				       .interrupt = true,
				       .meanwhile = model_look_meanwhile,
				       .meanwhile_arg = m };

	assert(memlock_is_written(&m->mem_hotplug));
	return sysfs_write_str(m->sysfs, &how, value, err, MEMORY_DIR "/memory%d/state", dev->id);
}

static void pause_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

static int set_state_locked(struct device *dev, const char *value, enum device_state want,
			    struct ls_err *err)
{
	int tries, r = 0;

	for (tries = 1;; tries++) {
		r = write_state(dev, value, err);
		if (r != -EBUSY || tries == BUSY_TRIES)
			break;
		log_debug("memory%d: busy, try %d of %d", dev->id, tries, BUSY_TRIES);
		pause_ms(dev->model->pause_ms);
	}
	if (r == -EINVAL && device_look(dev, "foreign", NULL) == 0 && dev->state == want)
		return 0;
	return r < 0 && r != -EINPROGRESS ? memory_why(dev, value, r, err) : r;
}

/* The lock is ours already if this is part of a batch. */
static int set_state(struct device *dev, const char *value, enum device_state want,
		     struct ls_err *err)
{
	struct memlock *lock = &dev->model->mem_hotplug;
	enum lock_level before;
	int r;

	if (lock_level_now >= LOCK_MEMORY)
		return set_state_locked(dev, value, want, err);
	before = memlock_write(lock);
	r = set_state_locked(dev, value, want, err);
	memlock_write_end(lock, before);
	return r;
}

static int memory_online(struct device *dev, struct ls_err *err)
{
	const char *value = dev->online_as ? dev->online_as : memory_zone_value(NULL);

	return set_state(dev, value, STATE_ONLINE, err);
}

static int memory_offline(struct device *dev, struct ls_err *err)
{
	return set_state(dev, "offline", STATE_OFFLINE, err);
}

const struct device_bus memory_bus = { "memory",    "memory",	   HOOK_MEMORY,
				       memory_look, memory_online, memory_offline };

/* ---- batches -------------------------------------------------------------- */

const char *memory_zone_value(const char *zone)
{
	static const char *const values[][2] = {
		{ "movable", "online_movable" },
		{ "kernel", "online_kernel" },
		{ "auto", "online" },
	};
	size_t i;

	if (!zone)
		return values[0][1];
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (!strcmp(values[i][0], zone))
			return values[i][1];
	return NULL;
}

/* @length is > 0, and the end may be past INT64_MAX. */
bool memory_inside(const struct model *m, const struct device *dev, int64_t start, int64_t length)
{
	uint64_t first = (uint64_t)dev->id * (uint64_t)m->block_bytes;
	uint64_t end = (uint64_t)start + (uint64_t)length;

	return m->block_bytes > 0 && first >= (uint64_t)start &&
	       first + (uint64_t)m->block_bytes <= end;
}

static void one_block(struct device *dev, const char *value, struct memory_result *result)
{
	struct ls_err err = { 0 };
	int r;

	dev->online_as = value;
	r = device_change_locked(dev, value != NULL, &err);
	result->present++;
	result->changed += r == 0;
	result->online += dev->online;
	if (r < 0)
		result->failed(result->arg, dev, r, &err);
}

/* The blocks of a range are neighbours: the set is sorted. */
static size_t find_blocks(struct model *m, int64_t start, int64_t length, struct device ***ret_dev)
{
	const struct device_set *set = &m->set[DEVICE_MEMORY];
	size_t i = 0, n = 0;

	while (i < set->n && !memory_inside(m, set->dev[i], start, length))
		i++;
	while (i + n < set->n && memory_inside(m, set->dev[i + n], start, length))
		n++;
	*ret_dev = set->dev + i;
	return n;
}

int memory_check_removable(struct model *m, int64_t start, int64_t length, struct ls_err *err)
{
	struct device **dev;
	size_t i, n = find_blocks(m, start, length, &dev);
	long long removable;

	for (i = 0; i < n; i++)
		if (dev[i]->online &&
		    sysfs_read_num(m->sysfs, 10, &removable, MEMORY_DIR "/memory%d/removable",
				   dev[i]->id) == 0 &&
		    !removable)
			return class_set(err, -EPERM, LS_CLASS_BLOCK_FIXED,
					 "memory%d cannot go offline: its file removable says 0; "
					 "nothing was changed",
					 dev[i]->id);
	return 0;
}

/* Memory leaves from the top: what is plugged last is unplugged first. */
void memory_range(struct model *m, int64_t start, int64_t length, const char *value,
		  struct memory_result *result)
{
	enum lock_level none, devices;
	struct device **dev;
	size_t i, n = find_blocks(m, start, length, &dev);

	result->present = result->online = result->changed = 0;
	if (!n)
		return;
	none = devices_lock(dev, n);
	devices = memlock_write(&m->mem_hotplug);
	for (i = 0; i < n; i++)
		one_block(dev[value ? i : n - 1 - i], value, result);
	memlock_write_end(&m->mem_hotplug, devices);
	devices_unlock(dev, n, none);
}
