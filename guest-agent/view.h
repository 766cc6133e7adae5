/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The published snapshot of the devices: what lockstep-status reads, without a
 * lock, while a transaction runs.
 *
 * Written by the transaction thread only; read by registered RCU readers between
 * view_begin() and view_end().
 */
#ifndef AGENT_VIEW_H
#define AGENT_VIEW_H

#include "device.h"

struct view_cpu {
	int cpu;
	int slot;
	bool online;
	bool kernel;
	bool fixed;
	struct cpuhp_cpu hp;
};

/* Blocks with ascending numbers and one state. */
struct view_run {
	int first;
	int count;
	enum device_state state;
};

/**
 * struct view - The guest at one moment; never changed once published
 * @block_bytes: 0: no memory blocks
 * @n_cpus:      length of @cpu
 * @n_runs:      length of @run
 */
struct view {
	int64_t block_bytes;
	size_t n_cpus;
	size_t n_runs;
	struct view_cpu *cpu;
	struct view_run *run;
};

/* Publish the model as it is now; the snapshot before is released when nobody reads it. */
void view_publish(struct model *m);

/**
 * view_begin() - Start reading
 *
 * Context: a thread registered with RCU; nothing until view_end() blocks.
 * Return: the snapshot; NULL before the first scan.
 */
const struct view *view_begin(struct model *m);
void view_end(struct model *m);

/* Release the last one, when no reader is left. */
void view_withdraw(struct model *m);

#endif
