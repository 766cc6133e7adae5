/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the agent hears that devices have changed: the kernel's uevents, the guard, and
 * its own writes. Each ends in agent_scan().
 */
#ifndef AGENT_NEWS_H
#define AGENT_NEWS_H

#include <stdint.h>

struct source;

/* There are uevents to read. */
void news_uevent(struct source *src, uint32_t events);

/* Somebody else has written to a file by which devices change, or wants to. */
void news_guard(struct source *src, uint32_t events);

/* The trace, for sysfs_on_write(): what is written, and under whose lock. */
void news_write_begins(void *arg, const char *path, const char *value);

/*
 * For sysfs_on_out(): a write that is in the kernel keeps the lock; when it is back,
 * somebody must look.
 */
void news_write_out(void *arg, int change);

#endif
