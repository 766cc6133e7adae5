/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest kernel in memory, for the agent's tests: CPUs with two truths (the driver
 * core's and the mask), memory blocks, and ways to misbehave that the real kernel has.
 *
 * What it copies from Linux 6.1, as measured:
 *  - writing cpuN/online acts only if the driver core's view differs; it then brings
 *    the CPU up or down, which succeeds if it is there already
 *  - writing 0 to cpuN/hotplug/target takes the CPU down behind the driver core, and the
 *    state of a CPU that runs brings it up; only CPUs of the boot have that folder
 *  - while one CPU runs none can leave, not even one that does not run (EBUSY)
 *  - "online" to an online block is EINVAL
 */
#ifndef FAKE_SYSFS_H
#define FAKE_SYSFS_H

#include <pthread.h>
#include <stdbool.h>

#include "../../guest-agent/device.h"
#include "../../guest-agent/lock.h"
#include "../../guest-agent/sysfs.h"
#include "../../guest-agent/window.h"

#define FAKE_CPUS     64
#define FAKE_BLOCKS   64
#define FAKE_WRITES   512
#define FAKE_FILES    8
#define FAKE_BLOCK_MB 128

/*
 * @nameless: announced, and not linked to its ACPI name yet: there is no firmware_node
 * @late:     plugged after the boot: there is no hotplug folder
 * @thread:   pSeries: physical_id
 */
struct fake_cpu {
	bool present;
	bool fixed;
	bool device;
	bool kernel;
	bool nameless;
	bool late;
	int thread;
};

struct fake_block {
	bool present;
	const char *state;
};

/* Any other file: it keeps what is written to it. */
struct fake_file {
	char path[SYSFS_PATH_BYTES];
	char text[32];
};

struct fake_write {
	char path[SYSFS_PATH_BYTES];
	char value[32];
	int result;
};

/**
 * struct fake - The kernel
 * @lock:     protects the rest
 * @file:     others, by fake_put()
 * @write:    every write, in order
 * @fail_at:  this write (counted from 0) and the @fail_times - 1 after it fail
 * @fail_how: with this -errno
 * @fail_on:  only writes to this path count; "" all
 * @ignore:   a write to this path succeeds and does nothing
 * @bypass:   writes to cpuN/online go around the driver core: what the migration
 *            code of seed 1 did with cpu_up() and cpu_down()
 * @blind:    reading this file or directory fails with @blind_how
 * @core_step: 0: x86. A pSeries: cores have numbers that far apart, and there is a
 *            folder of every CPU that could be
 * @hang:     a write to this path waits in the kernel for fake_release()
 * @hanging:  one does; @came: to be waited for
 * @pipe:     where it waits: a signal ends that
 * @after_read: once this file has been read a user writes @after_value to it
 */
struct fake {
	pthread_mutex_t lock;
	struct fake_cpu cpu[FAKE_CPUS];
	struct fake_block block[FAKE_BLOCKS];
	struct fake_file file[FAKE_FILES];
	struct fake_write write[FAKE_WRITES];
	int n_writes;
	int fail_at, fail_times, fail_how;
	int seen;
	char fail_on[SYSFS_PATH_BYTES];
	char ignore[SYSFS_PATH_BYTES];
	char blind[SYSFS_PATH_BYTES];
	int blind_how;
	char hang[SYSFS_PATH_BYTES];
	bool hanging;
	pthread_cond_t came;
	bool bypass;
	int core_step;
	bool hang_deaf;
	int pipe[2];
	char after_read[SYSFS_PATH_BYTES];
	const char *after_value;
};

/**
 * struct guest - A kernel and an agent's parts above it, without loop or socket
 * @told:   changes that were told
 * @n_told: how many
 */
struct guest {
	struct fake kernel;
	struct sysfs *sysfs;
	struct hotplug_lock lock;
	struct persist persist;
	struct model model;
	struct window window;
	struct change told[64];
	int n_told;
};

/* Workers of CPUs that the machine below does not have. */
extern const struct worker_ops fake_machine;

void fake_init(struct fake *f, int cpus, int online, int blocks);
void fake_done(struct fake *f);
extern const struct sysfs_ops fake_ops;

/* The next write to @path ("" any), @nth from now on, fails @times times. */
void fake_fail(struct fake *f, const char *path, int nth, int times, int how);
/* Make a file with this text, or give it another; NULL: there is none. */
void fake_put(struct fake *f, const char *path, const char *text);
/* Whether it is there, with this text. */
bool fake_has(struct fake *f, const char *path, const char *text);
/* What a user in the guest would do with echo; the result of the write. */
int fake_user(struct fake *f, const char *path, const char *value);
/* The same, once the agent has read it, before it can write; @value is kept. */
void fake_user_next(struct fake *f, const char *path, const char *value);
/* From now on a file or directory cannot be read, with this -errno; "": all can. */
void fake_blind(struct fake *f, const char *path, int how);
/* Until a write hangs. */
void fake_await_hang(struct fake *f);
/* Let a hanging write go on. */
void fake_release(struct fake *f);
/* How many writes of this value went to this path; NULL: any. */
int fake_writes(struct fake *f, const char *path, const char *value);
/* Whether both views of a CPU are this one. */
bool fake_agrees(struct fake *f, int cpu, bool online);

/**
 * guest_init() - CPUs 0 .. cpus-1 (0 fixed), the first @online of them online, blocks
 *                0 .. blocks-1 offline; scanned; every worker runs where it should
 */
void guest_init(struct guest *g, int cpus, int online, int blocks);
void guest_done(struct guest *g);
/* Take and pin the lock as transaction @txn, with a lease of a second from time 0. */
void guest_lock(struct guest *g, const char *txn);
void guest_unlock(struct guest *g, const char *txn);
void guest_scan(struct guest *g);
struct device *guest_cpu(struct guest *g, int cpu);
struct device *guest_block(struct guest *g, int block);

/* Run @fn in a child; true if it ended by abort(): an assertion of ours. */
bool dies_by_assert(void (*fn)(void *arg), void *arg);

#endif
