/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What sysfs.c and sysfs_write.c share.
 */
#ifndef AGENT_SYSFS_PRIVATE_H
#define AGENT_SYSFS_PRIVATE_H

#include <pthread.h>

#include "sysfs.h"

struct sysfs_write;

/**
 * struct sysfs - A kernel and the writes that it has not returned from
 * @lock: protects the rest and every write's fields
 * @refs: the owner, and each write that is out
 * @out:  list of writes left in the kernel
 * @waited: the write that somebody waits for and has a meanwhile for; NULL none
 * @woken:  that is to be called
 * @kept: files open for sysfs_read_kept(); its callers are one thread
 */
struct sysfs {
	pthread_mutex_t lock;
	unsigned refs;
	unsigned outs;
	unsigned kept, kept_max;
	struct sysfs_write *out;
	struct sysfs_write *waited;
	bool woken;
	void (*on_out)(void *arg, int change);
	void *on_out_arg;
	void (*on_write)(void *arg, const char *path, const char *value);
	void *on_write_arg;
	const struct sysfs_ops *ops;
	void *ctx;
};

/* The signal that ends a write has a handler from now on: its whole effect is EINTR. */
void sysfs_write_init(void);

/* Unlocks; the last one frees it. */
void sysfs_put_locked(struct sysfs *s);

#endif
