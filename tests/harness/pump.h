/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The harness's only loop: whoever waits for something pumps, and while one
 * thing is awaited everything else goes on (monitors, triggers, fake agents).
 */
#ifndef HARNESS_PUMP_H
#define HARNESS_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#define PUMP_WATCHES_MAX 128

/**
 * struct watch - A descriptor or a time that somebody waits for
 * @fd:      -1: only the time
 * @events:  what to poll for
 * @want:    asked before each poll for a fresh @events; may be NULL
 * @wake_ms: CLOCK_MONOTONIC time of a call with no revents; 0: none. Cleared
 *           before the call
 * @ready:   the call; may add and remove watches, its own too
 * @arg:     for @want and @ready
 *
 * The owner's memory; it removes the watch before it closes @fd.
 */
struct watch {
	int fd;
	short events;
	short (*want)(void *arg);
	uint64_t wake_ms;
	void (*ready)(void *arg, short revents);
	void *arg;
	struct watch *next;
};

/**
 * struct pump - All watches of one process
 * @first:   list of watches
 * @changed: a watch was added or removed since the last poll
 */
struct pump {
	struct watch *first;
	bool changed;
};

void pump_add(struct pump *p, struct watch *w);

/* Removing a watch that was never added is fine. */
void pump_remove(struct pump *p, struct watch *w);

/**
 * pump_once() - Wait for the first thing to happen and deal with it
 * @p:           pump
 * @deadline_ms: CLOCK_MONOTONIC; returns then at the latest
 */
void pump_once(struct pump *p, uint64_t deadline_ms);

/**
 * pump_until() - Pump until something has become true
 * @p:           pump
 * @done:        the condition; asked after every step
 * @arg:         for @done
 * @deadline_ms: CLOCK_MONOTONIC
 *
 * Return: 0 or -ETIMEDOUT.
 */
int pump_until(struct pump *p, bool (*done)(void *arg), void *arg, uint64_t deadline_ms);

#endif
