/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that the kernel brings online by itself, as it comes.
 *
 * Linux has a setting for it, auto_online_blocks, which is "online" in newer Debian kernels
 * (6.12). Blocks that come so join the kernel's own zones, in which a single page that cannot
 * move keeps a block for good: the host gets nothing of it back. The agent brings blocks
 * online as movable; where the kernel is quicker, it is asked to do the same.
 */
#ifndef AGENT_AUTO_ONLINE_H
#define AGENT_AUTO_ONLINE_H

struct ls_err;
struct sysfs;

/**
 * auto_online_movable() - From now on the kernel brings blocks online as movable
 *
 * Only "online" is changed: "offline", "online_kernel" and "online_movable" are somebody's
 * choice. It is not put back: the next agent would set it again, and without one it does no
 * harm.
 *
 * Return: 0 done, 1 (nothing to do, or a kernel without memory hotplug), -errno.
 * Source: Documentation/admin-guide/mm/memory-hotplug.rst, "Onlining and Offlining Memory Blocks".
 */
int auto_online_movable(struct sysfs *s, struct ls_err *err);

#endif
