/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The device model: guest CPUs and memory blocks as the driver core sees them,
 * beside what the kernel really runs.
 *
 * device_online() and device_offline() are the only way by which the agent changes
 * one. They hold the device's lock, ask the bus, look again and compare: a device
 * is online when the driver core *and* the kernel say so.
 *
 * Context: everything here belongs to the transaction thread; others read the
 * published snapshot (view.h).
 */
#ifndef AGENT_DEVICE_H
#define AGENT_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "announced.h"
#include "cpuhp.h"
#include "hooks.h"
#include "memlock.h"
#include "sysfs.h"
#include "workers.h"

struct device;
struct expedite;
struct hooks;
struct hotplug_lock;
struct ls_err;
struct view;

enum device_kind { DEVICE_CPU, DEVICE_MEMORY, DEVICE_KIND_COUNT };

/**
 * enum device_state - A memory block's "state" file, and what we know beyond it
 * @STATE_IN_KERNEL: a write of ours has not come back
 */
enum device_state {
	STATE_OFFLINE,
	STATE_GOING_OFFLINE,
	STATE_ONLINE,
	STATE_UNKNOWN,
	STATE_IN_KERNEL,
	STATE_COUNT
};

const char *state_name(enum device_state s);

/**
 * struct device_bus - What a kind of device can do
 * @name:    "cpu", "memory": the subsystem of the kernel and the kind on the wire
 * @prefix:  of its folders in sysfs: "cpu" of "cpu3"
 * @hooks:   the kind as hooks know it
 * @look:    read @online, @kernel and @state again
 * @online:  bring it online; it is not
 * @offline: take it offline; it is online
 *
 * Each returns 0 or -errno and sets the error on failure.
 */
struct device_bus {
	const char *name;
	const char *prefix;
	enum hook_kind hooks;
	int (*look)(struct device *dev, struct ls_err *err);
	int (*online)(struct device *dev, struct ls_err *err);
	int (*offline)(struct device *dev, struct ls_err *err);
};

/**
 * struct device - One CPU or memory block
 * @lock:      held over a change
 * @model:     owner
 * @bus:       what it can do
 * @id:        the guest's number
 * @slot:      CPU: the host's slot, -1 unknown
 * @online:    for the driver core
 * @kernel:    in fact; a memory block has no second view
 * @fixed:     CPU without an online file
 * @present:   seen by the scan under way
 * @known:     looked at before: a difference from now on is a change
 * @state:     finer than @online for memory
 * @file:      the one that a look reads
 * @late:      a change has gone out of our hands; hooks have not been told its end
 * @late_online: where it was to lead
 * @online_as: memory: the value to write, set before device_online(), as the kernel's own
 * online_type
 * @changing:  the kernel is being asked for a change: who asks looks himself
 * @wrote:     a change that the agent has made, and has not told yet
 * @announced: CPU: how many of the announced changes were seen
 * @hp:        CPU: where its table stands
 */
struct device {
	pthread_mutex_t lock;
	struct model *model;
	const struct device_bus *bus;
	int id;
	int slot;
	bool online;
	bool kernel;
	bool fixed;
	bool present;
	bool known;
	enum device_state state;
	struct sysfs_kept file;
	bool late;
	bool late_online;
	const char *online_as;
	bool changing;
	bool wrote;
	struct announced_cpu announced;
	struct cpuhp_cpu hp;
};

/* Devices of one kind, by ascending id. */
struct device_set {
	const struct device_bus *bus;
	struct device **dev;
	size_t n, room;
};

/* One change of the guest; the fields of the wire's event. */
struct change {
	const char *kind;
	int64_t id;
	int64_t count;
	const char *state;
	const char *by;
};

/**
 * struct model - Everything the agent knows of its guest
 * @sysfs:       the kernel
 * @lock:        the hotplug lock, for assertions
 * @mem_hotplug: the memory hotplug lock; below the device locks
 * @set:         devices by kind
 * @block_bytes: size of a memory block, 0: the kernel has none
 * @cpuhp:       the CPU table
 * @hooks:       the guest's own programs; NULL: none; borrowed
 * @expedite:    makes a batch of CPUs faster; NULL: nothing does; borrowed
 * @workers:     the CPUs' own threads; tests bring their own machine below them
 * @cpu_ms:      how long a write to cpuN/online may take
 * @memory_ms:   how long a write to memoryN/state may take
 * @pause_ms:    between tries of a busy memory block
 * @scanned:     the first scan is over: what appears now is news
 * @stale:       somebody else has changed something since the last scan began; atomic
 * @announced:   what the kernel has said of CPUs
 * @tell:        gets every change; any of its own locks are leaves
 * @tell_arg:    for @tell
 * @view:        the published snapshot, by RCU
 */
struct model {
	struct sysfs *sysfs;
	struct hotplug_lock *lock;
	struct memlock mem_hotplug;
	struct device_set set[DEVICE_KIND_COUNT];
	int64_t block_bytes;
	const struct cpuhp_table *cpuhp;
	struct hooks *hooks;
	struct expedite *expedite;
	struct workers workers;
	unsigned cpu_ms;
	unsigned memory_ms;
	unsigned pause_ms;
	bool scanned;
	bool stale;
	struct announced announced;
	void (*tell)(void *arg, const struct change *change);
	void *tell_arg;
	struct view *view;
};

/**
 * device_online() - Bring a device online
 * @dev: device
 * @err: names the device and what disagreed
 *
 * Context: under the hotplug lock, pinned; takes the device lock.
 * Return:  0 changed, 1 it was already, -ENODEV (gone), -EBUSY (a write is out, to this
 *          or another device: the kernel would let a second one wait for the first),
 *          -EINPROGRESS (a write has gone out now), -EIO (driver core and kernel
 *          disagree afterwards), or what the kernel said.
 */
int device_online(struct device *dev, struct ls_err *err);
/* The reverse. */
int device_offline(struct device *dev, struct ls_err *err);

/**
 * device_restart() - Start a CPU that the driver core already has online: cpu_restart()
 *
 * Context: as device_online().
 * Return:  0, or as cpu_restart() and device_online().
 */
int device_restart(struct device *dev, struct ls_err *err);

/**
 * device_change_locked() - device_online() or device_offline() with the device's lock held
 *
 * For a batch, which takes all locks first and then changes: devices_lock().
 * The caller publishes the view when it is done.
 */
int device_change_locked(struct device *dev, bool online, struct ls_err *err);

/**
 * devices_lock() - The locks of neighbours in a set, by ascending number
 * @dev: the first
 * @n:   how many; not 0
 *
 * Return: the level before, for devices_unlock().
 */
enum lock_level devices_lock(struct device *const *dev, size_t n);
void devices_unlock(struct device *const *dev, size_t n, enum lock_level before);

/* Tell hooks what has become of a change whose write has come back since; else nothing. */
void device_end_late(struct device *dev);

/* Look at one device; a difference is told as a change made by @by. */
int device_look(struct device *dev, const char *by, struct ls_err *err);

/**
 * device_look_written() - Look after a write, of which there was a look before
 * @online:  what was written
 * @written: what came of that: 0 or -errno
 *
 * One change to @online is the agent's, seen now or told later: somebody may have undone
 * it at once, and what the kernel says of that is read by another thread. Every other
 * change is foreign.
 *
 * Return: @written if that failed, else as device_look().
 */
int device_look_written(struct device *dev, bool online, int written, struct ls_err *err);

/**
 * device_unread() - What it means that a device's file cannot be read
 * @r: what reading it gave
 *
 * Only a file that is not there says that the device has gone; without a descriptor or
 * memory it may well be there.
 *
 * Return: -ENODEV, or @r.
 */
int device_unread(const struct device *dev, int r, struct ls_err *err);

#endif
