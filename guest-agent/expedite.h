/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expedited RCU around a batch of CPUs.
 *
 * Most of what a CPU's online or offline costs is waiting for RCU grace periods. The
 * kernel has a switch that makes them short, /sys/kernel/rcu_expedited, at the price of
 * interrupting every CPU for each. So it is set for a batch, and only then.
 *
 * The switch is one for the whole guest. The kernel takes any number but 0 for "on" and
 * keeps the number: ours is EXPEDITE_MARK. So the switch itself says who has set it,
 * for exactly as long as it is set, and to whoever looks: an agent that was started
 * after one was killed, the unit's ExecStopPost, an administrator. What is not our
 * number is not ours: it is neither set over nor cleared.
 *
 * It is put back at the end of the batch, whatever has come of it; at the end of a time
 * limit, by the loop, while the batch goes on at the usual pace; when the agent ends;
 * and, if it was killed, when it starts again.
 */
#ifndef AGENT_EXPEDITE_H
#define AGENT_EXPEDITE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ls_err;
struct sysfs;

#define EXPEDITE_MARK	  2    /* any number but 0 means on, and nobody else writes a 2 */
#define EXPEDITE_CPUS_MIN 2    /* a batch of fewer interrupts everybody for next to nothing */
#define EXPEDITE_LIMIT_MS 5000 /* as a lock's first lease: what a silent end may cost */

/**
 * struct expedite - The switch, and who uses it
 * @lock:        protects the rest; held over a write to the switch, for which the kernel
 *               stores a number and takes no lock
 * @sysfs:       borrowed
 * @wanted:      the options ask for it, and the agent is not ending
 * @users:       batches under way, one inside the other
 * @ours:        set by us and not put back
 * @limit_ms:    it is put back this long after it was set
 * @deadline_ms: when; 0: it is not set
 * @on_set:      told that there is a deadline, under @lock; must not block
 * @on_set_arg:  for @on_set
 */
struct expedite {
	pthread_mutex_t lock;
	struct sysfs *sysfs;
	bool wanted;
	unsigned users;
	bool ours;
	unsigned limit_ms;
	uint64_t deadline_ms;
	void (*on_set)(void *arg);
	void *on_set_arg;
};

void expedite_init(struct expedite *x, struct sysfs *sysfs, bool wanted);
void expedite_done(struct expedite *x);

/**
 * expedite_begin() - A batch begins
 * @x:    NULL: there is no such thing
 * @cpus: how many are to change
 *
 * Where it may not be set, the batch goes on without: nothing fails for it.
 *
 * Context: transaction thread; blocks, at most half a second.
 * Return:  for expedite_end().
 */
struct expedite *expedite_begin(struct expedite *x, int cpus);
/* The batch is over, whatever has come of it; NULL is fine. */
void expedite_end(struct expedite *x);

/* Put it back if its time is over; the loop's thread, which waits half a second at most. */
void expedite_expire(struct expedite *x, uint64_t now_ms);
/* When expedite_expire() is to be called; 0 never. */
uint64_t expedite_deadline_ms(struct expedite *x);

/* The agent ends: put it back, and set it no more. */
void expedite_stop(struct expedite *x);

/* For the status: "off", "on", "active", or "no: " and why not. Any thread. */
const char *expedite_state(struct expedite *x);

/**
 * expedite_restore() - Put back what an agent that was killed has left
 *
 * Return: 0 done, 1 (there is nothing of ours), -errno.
 */
int expedite_restore(struct sysfs *sysfs, struct ls_err *err);

#endif
