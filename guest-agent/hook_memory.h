/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks around a change of memory blocks: asked once for all blocks that are to
 * change, told afterwards which did and which did not.
 */
#ifndef AGENT_HOOK_MEMORY_H
#define AGENT_HOOK_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct ls_err;
struct model;

/**
 * struct hook_memory - One batch, between begin and end
 * @model:  whose blocks
 * @online: where they are to go
 * @ids:    blocks that are not there yet
 * @n:      their number
 */
struct hook_memory {
	struct model *model;
	bool online;
	int *ids;
	unsigned n;
};

/**
 * hook_memory_begin() - check and pre for the blocks of a range that are to change
 * @b:      caller's memory; hook_memory_end() releases what it holds
 * @m:      model, scanned
 * @start:  guest physical address
 * @length: bytes, as memory_range() takes them
 * @online: where they are to go
 * @err:    what the program said
 *
 * Nothing is asked if no block would change.
 * Return: 0; -ECANCELED (HookVeto) or -ENOMEM, and there is nothing to end.
 */
int hook_memory_begin(struct hook_memory *b, struct model *m, int64_t start, int64_t length,
		      bool online, struct ls_err *err);
/* The same for one block. */
int hook_memory_begin_one(struct hook_memory *b, const struct device *dev, bool online,
			  struct ls_err *err);

/* post for the blocks that are where they should be, failed and undocheck for the others. */
void hook_memory_end(struct hook_memory *b);

#endif
