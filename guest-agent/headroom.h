/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much memory this guest can take in.
 */
#ifndef AGENT_HEADROOM_H
#define AGENT_HEADROOM_H

#include <stdint.h>
#include <stdio.h>

struct sysfs;

/**
 * headroom_of() - What the kernel's own zones have room to describe
 * @zoneinfo:   as /proc/zoneinfo; read to its end
 * @page_bytes: of one page
 *
 * Return: bytes of new memory.
 */
int64_t headroom_of(FILE *zoneinfo, int64_t page_bytes);

/**
 * headroom_now() - The same of the running kernel
 * @s: sysfs
 *
 * Context: any thread; reads two files.
 * Return:  bytes; -1: not known, or new memory describes itself.
 */
int64_t headroom_now(struct sysfs *s);

#endif
