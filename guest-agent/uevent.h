/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's uevents about CPUs and memory blocks: hints to scan, and
 * announcements of what changed.
 */
#ifndef AGENT_UEVENT_H
#define AGENT_UEVENT_H

#include <stdbool.h>
#include <stddef.h>

/* Listen to the kernel: a non-blocking descriptor, or -errno. */
int uevent_open(void);

struct announced;

/**
 * uevent_drain() - Read what is there
 * @announced: gets each announcement of a CPU that came online or went
 *
 * Return: 1 something about CPUs or memory, or events were lost: scan; 0 nothing;
 *         -errno the socket is broken.
 */
int uevent_drain(int fd, struct announced *announced);

/* The CPU that the kernel announces to have come online or to have gone; -1: nothing of that. */
int uevent_cpu(const char *msg, size_t len);

/* Whether one message ("add@/devices/...\0ACTION=add\0...") is about CPUs or memory. */
bool uevent_matters(const char *msg, size_t len);

#endif
