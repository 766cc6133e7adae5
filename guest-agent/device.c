/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * device_online() and device_offline(): the only way by which a device changes.
 */
#include "device.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <lockstep/err.h>
#include <lockstep/log.h>

#include "cpu.h"
#include "lock.h"
#include "view.h"

#define DEVICES_DIR "devices/system/"

static const char *const state_names[] = {
	[STATE_OFFLINE] = "offline",	 [STATE_GOING_OFFLINE] = "going-offline",
	[STATE_ONLINE] = "online",	 [STATE_UNKNOWN] = "unknown",
	[STATE_IN_KERNEL] = "in-kernel",
};
static_assert(sizeof(state_names) / sizeof(state_names[0]) == STATE_COUNT, "a name each");

const char *state_name(enum device_state s)
{
	return state_names[s];
}

static void tell_state(const struct device *dev, bool online, const char *by)
{
	const struct model *m = dev->model;
	struct change c = {
		.kind = dev->bus->name,
		.id = dev->id,
		.count = 1,
		.state = online ? "online" : "offline",
		.by = by,
	};

	if (m->tell)
		m->tell(m->tell_arg, &c);
}

static bool is_online(const struct device *dev)
{
	return dev->online && dev->kernel;
}

/* The first change after a look and a write of the agent's is the one that it made. */
static void tell_change(struct device *dev, bool online, const char *by)
{
	if (dev->wrote)
		by = "agent";
	dev->wrote = false;
	log_info("%s%d: %s, by %s", dev->bus->prefix, dev->id, online ? "online" : "offline", by);
	tell_state(dev, online, by);
}

/* Changed and changed back between two looks: the agent itself looks after each write. */
static void tell_unseen(struct device *dev)
{
	struct announced *a = &dev->model->announced;

	if (!dev->known)
		announced_begin(a, &dev->announced);
	while (announced_unseen(a, &dev->announced)) {
		tell_change(dev, !is_online(dev), "foreign");
		tell_change(dev, is_online(dev), "foreign");
	}
}

int device_unread(const struct device *dev, int r, struct ls_err *err)
{
	if (r == -ENOENT || r == -ENODEV)
		return ls_err_set(err, -ENODEV, "%s%d is gone", dev->bus->prefix, dev->id);
	return ls_err_set(err, r, "%s%d cannot be read: %s", dev->bus->prefix, dev->id,
			  strerror(-r));
}

int device_look(struct device *dev, const char *by, struct ls_err *err)
{
	bool online = dev->online, kernel = dev->kernel;
	int r = dev->bus->look(dev, err);

	if (r < 0)
		return r;
	if (dev->known && (online != dev->online || kernel != dev->kernel)) {
		log_info("%s%d: %s (driver core %d, kernel %d)", dev->bus->prefix, dev->id,
			 state_name(dev->state), dev->online, dev->kernel);
		tell_change(dev, is_online(dev), by);
	}
	tell_unseen(dev);
	dev->known = true;
	return 0;
}

int device_look_written(struct device *dev, bool online, int written, struct ls_err *err)
{
	int r;

	dev->wrote = dev->online != online;
	r = device_look(dev, "foreign", written < 0 ? NULL : err);
	if (written < 0 && dev->state != STATE_IN_KERNEL)
		dev->wrote = false;
	return written < 0 ? written : r;
}

/* A device is where it is wanted when both views say so. */
static int verify(const struct device *dev, bool online, struct ls_err *err)
{
	if (dev->online == online && dev->kernel == online)
		return 0;
	return ls_err_set(err, -EIO,
			  "%s%d should be %s, but the driver core says %s and the kernel %s; "
			  "doctor --fix heals that",
			  dev->bus->prefix, dev->id, online ? "online" : "offline",
			  dev->online ? "online" : "offline", dev->kernel ? "online" : "offline");
}

void device_end_late(struct device *dev)
{
	const struct hook_event ev = {
		.op = dev->late_online ? HOOK_ONLINE : HOOK_OFFLINE,
		.kind = dev->bus->hooks,
		.ids = &dev->id,
		.n = 1,
		.cpu = dev->bus->hooks == HOOK_CPU && dev->kernel ? dev->id : -1,
	};

	if (!dev->late || dev->state == STATE_IN_KERNEL)
		return;
	dev->late = false;
	hooks_end_late(dev->model->hooks, &ev, verify(dev, dev->late_online, NULL) == 0);
}

/*
 * A walk that has ended in the middle has not told hooks whether it happened: its write
 * is still in the kernel, or an undo failed. Every check that passed hears that once.
 */
static void leave_open(struct device *dev, bool online)
{
	if (dev->state != STATE_IN_KERNEL && !dev->hp.stuck)
		return;
	dev->late = true;
	dev->late_online = online;
	hooks_leave_open(dev->model->hooks, dev->bus->hooks);
	device_end_late(dev);
}

int device_change_locked(struct device *dev, bool online, struct ls_err *err)
{
	int r = device_look(dev, "foreign", err);
	/* The rows of a CPU have told what they changed. */
	const char *by = dev->bus->hooks == HOOK_CPU ? "foreign" : "agent";

	lock_assert_held(dev->model->lock);
	if (r < 0)
		return r;
	if (dev->state == STATE_IN_KERNEL || dev->late) /* back now: the next scan tells hooks */
		return ls_err_set(err, -EBUSY, "%s%d: an earlier write is still in the kernel",
				  dev->bus->prefix, dev->id);
	if (dev->online == online) {
		r = verify(dev, online, err);
		return r < 0 ? r : 1;
	}
	if (sysfs_any_out(dev->model->sysfs, DEVICES_DIR))
		return ls_err_set(err, -EBUSY,
				  "%s%d: not tried: the write to another device is still in the "
				  "kernel, which changes one at a time",
				  dev->bus->prefix, dev->id);
	dev->changing = true;
	r = online ? dev->bus->online(dev, err) : dev->bus->offline(dev, err);
	dev->changing = false;
	if (device_look(dev, by, r < 0 ? NULL : err) < 0 && r >= 0)
		return -ENODEV;
	if (r < 0)
		leave_open(dev, online);
	return r < 0 ? r : verify(dev, online, err);
}

static int change(struct device *dev, bool online, struct ls_err *err)
{
	enum lock_level before;
	int r;

	lock_assert_held(dev->model->lock);
	before = lock_enter(LOCK_DEVICE, &dev->lock);
	r = device_change_locked(dev, online, err);
	lock_leave(before, &dev->lock);
	if (dev->bus == dev->model->set[DEVICE_CPU].bus)
		view_publish(dev->model);
	return r;
}

int device_online(struct device *dev, struct ls_err *err)
{
	return change(dev, true, err);
}

int device_offline(struct device *dev, struct ls_err *err)
{
	return change(dev, false, err);
}

int device_restart(struct device *dev, struct ls_err *err)
{
	enum lock_level before;
	int r;

	lock_assert_held(dev->model->lock);
	before = lock_enter(LOCK_DEVICE, &dev->lock);
	r = cpu_restart(dev, err);
	if (r == 0)
		r = device_look(dev, "agent", err);
	if (r == 0)
		r = verify(dev, true, err);
	lock_leave(before, &dev->lock);
	view_publish(dev->model);
	return r;
}

enum lock_level devices_lock(struct device *const *dev, size_t n)
{
	enum lock_level before = lock_enter(LOCK_DEVICE, &dev[0]->lock);
	size_t i;

	for (i = 1; i < n; i++)
		pthread_mutex_lock(&dev[i]->lock);
	return before;
}

void devices_unlock(struct device *const *dev, size_t n, enum lock_level before)
{
	while (--n)
		pthread_mutex_unlock(&dev[n]->lock);
	lock_leave(before, &dev[0]->lock);
}
