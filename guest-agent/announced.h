/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How often the kernel has said that a CPU came online or went.
 *
 * A look at a CPU sees where it is, not how it came there: one that was taken offline
 * and brought back between two looks seems to have stood still. But the kernel
 * announces each change of the driver core's view once, whoever made it, before the
 * change can be read. What was announced and no look has seen was both ways, and is
 * told afterwards.
 */
#ifndef AGENT_ANNOUNCED_H
#define AGENT_ANNOUNCED_H

#include <stdbool.h>

#include <lockstep/limits.h>

/**
 * struct announced - What has been announced; all of it atomic
 * @n:    of each CPU, counted without end
 * @lost: how often announcements were lost: no count can be relied on then
 */
struct announced {
	unsigned n[LS_CPUS_MAX];
	unsigned lost;
};

/**
 * struct announced_cpu - How much of it looks at one CPU have accounted for
 * @n:    changes seen, or told since
 * @lost: of struct announced when that began
 * @now:  announced when the look under way began
 */
struct announced_cpu {
	unsigned n;
	unsigned lost;
	unsigned now;
};

/* The kernel has announced a change of this CPU; -1: announcements were lost. Any thread. */
void announced_add(struct announced *a, int cpu);

/* A look at the CPU begins: before anything is read, so that what is announced can be seen. */
void announced_before(const struct announced *a, struct announced_cpu *c, int cpu);

/* It has ended: whether the driver core's view was another than at the look before. */
void announced_after(struct announced_cpu *c, bool changed);

/* From here on: what was announced earlier is nobody's. */
void announced_begin(const struct announced *a, struct announced_cpu *c);

/**
 * announced_unseen() - Whether the CPU was changed and changed back without a look
 *
 * Each true is one such pair, accounted for by that. A single announcement too many is no
 * news: that of the way back is under way, or it belongs to a change before the first look.
 */
bool announced_unseen(const struct announced *a, struct announced_cpu *c);

#endif
