/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory blocks: the bus functions of the device model, and whole ranges as one
 * batch.
 */
#ifndef AGENT_MEMORY_H
#define AGENT_MEMORY_H

#include "device.h"

#define MEMORY_DIR "devices/system/memory"

extern const struct device_bus memory_bus;

/**
 * memory_zone_value() - What to write for a zone's name on the wire
 * @zone: "movable", "kernel", "auto"; NULL: movable
 *
 * Return: NULL if there is no such zone.
 */
const char *memory_zone_value(const char *zone);

/* Whether a block lies wholly inside a range. */
bool memory_inside(const struct model *m, const struct device *dev, int64_t start, int64_t length);

/**
 * memory_check_removable() - Refuse to take offline what the kernel says cannot be
 * @m:      model, scanned
 * @start:  as memory_range()
 * @length: as memory_range()
 * @err:    names the first such block that is online
 *
 * Linux since 5.8 says so of all blocks or of none, earlier ones looked at their pages.
 *
 * Return: 0, -EPERM (BlockFixed).
 */
int memory_check_removable(struct model *m, int64_t start, int64_t length, struct ls_err *err);

/**
 * struct memory_result - What came of a batch
 * @present: blocks that exist in the range
 * @online:  of them online afterwards
 * @changed: of them changed now
 * @failed:  called for each that could not be changed
 * @arg:     for @failed
 */
struct memory_result {
	int64_t present;
	int64_t online;
	int64_t changed;
	void (*failed)(void *arg, const struct device *dev, int code, const struct ls_err *err);
	void *arg;
};

/**
 * memory_range() - Bring every block of a range online, or take it offline
 * @m:      model, scanned
 * @start:  guest physical address
 * @length: bytes; a block counts if it lies wholly inside
 * @value:  memory_zone_value(), or NULL: take it offline
 * @result: @failed and @arg set by the caller, the rest is filled in
 *
 * A block that fails does not end the batch.
 * Context: under the hotplug lock, pinned.
 */
void memory_range(struct model *m, int64_t start, int64_t length, const char *value,
		  struct memory_result *result);

#endif
