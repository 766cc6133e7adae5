/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel means by the errno with which it refuses a memory block, in words.
 */
#ifndef AGENT_MEMORY_WHY_H
#define AGENT_MEMORY_WHY_H

struct device;
struct ls_err;

/**
 * memory_why() - Say what happened to a block, why, and what to do next
 * @dev:   the block, which stays as it is
 * @value: what was written to its file state
 * @code:  negative errno of that write
 * @err:   filled in
 *
 * Return: @code; -ENODEV if the block has gone.
 */
int memory_why(const struct device *dev, const char *value, int code, struct ls_err *err);

#endif
