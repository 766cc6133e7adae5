/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard: what keeps everybody else in the guest from hotplugging while the
 * hotplug lock is held.
 *
 * The kernel asks us (fanotify permission events) before it lets anybody open a file
 * of sysfs by which CPUs or memory come and go. Readers pass. So does everything while
 * the lock is free. A writer that comes while it is held waits, is refused, or passes
 * and is remembered (enum guard_mode). Whatever is written by others, and whenever, is
 * noticed: those who watch are told within a second.
 *
 * A guard against accidents, not against a hostile root: docs/locking.md lists the
 * ways around it. And every open of a marked file waits for our answer, a reader's
 * too: so answering has a thread of its own, whose memory is locked, and which takes no
 * lock and allocates nothing.
 */
#ifndef AGENT_GUARD_H
#define AGENT_GUARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <lockstep/limits.h>

#include "cpus.h"
#include "guard_rule.h"

#define GUARD_HELD_MAX	   256	  /* writers held at once; more are refused */
#define GUARD_OWN_MAX	   256	  /* threads of ours that have opened a marked file lately */
#define GUARD_BOUND_MS	   150000 /* a writer waits at most this long: udev gives up at 180 s */
#define GUARD_BOUND_MAX_MS 170000

/* Files that can be read, and files that can only be written: an event brings a
 * descriptor of its file, opened in a way that the file must allow. */
enum guard_group { GUARD_READABLE, GUARD_WRITE_ONLY, GUARD_GROUP_COUNT };

/* One open that waits for our answer. */
struct guard_held {
	int fan;
	int fd;
	uint64_t until_ms;
};

/**
 * struct guard - The guard
 * @mode:     in force
 * @root:     of sysfs; borrowed
 * @bound_ms: how long a writer is held at most
 * @agent:    whose children are hooks
 * @fan:      fanotify groups
 * @wake:     eventfd: the thread is to look at @engaged, @stop and @asked
 * @news:     eventfd for the loop: somebody has written
 * @settled:  eventfd: @answered has grown
 * @engaged:  the hotplug lock is held; atomic
 * @stop:     the thread is to end; atomic
 * @asked:    guard_settle() calls begun; atomic
 * @answered: of them, those after which the queue was empty; atomic
 * @n_held:   length of @held; written by the thread, atomic
 * @met:      thread that has met a closed door since the lock was taken, the first; atomic
 * @met_told: guard_met() has told of it; atomic
 * @touched:  CPUs whose file somebody wrote since it was last asked; atomic words
 * @held:     the thread's
 * @own:      the thread's: ring of our threads that have opened a marked file. A
 *            write's event comes after the write, when its thread may have ended
 * @own_next: where the next goes
 */
struct guard {
	enum guard_mode mode;
	const char *root;
	unsigned bound_ms;
	pid_t agent;
	int fan[GUARD_GROUP_COUNT];
	int wake;
	int news;
	int settled;
	bool engaged;
	bool stop;
	bool running;
	uint64_t asked;
	uint64_t answered;
	unsigned n_held;
	pid_t met;
	bool met_told;
	struct cpus touched;
	struct guard_held held[GUARD_HELD_MAX];
	pid_t own[GUARD_OWN_MAX];
	unsigned own_next;
	pthread_t thread;
};

/* Nothing runs yet; guard_stop() may be called from here on. */
void guard_init(struct guard *g);

/**
 * guard_start() - Mark the files and start to answer
 * @mode:     wanted; GUARD_OFF does nothing
 * @root:     e.g. "/sys"; borrowed
 * @bound_ms: of a held writer; 0: GUARD_BOUND_MS
 *
 * Return: 0; -errno (ENOSYS, EPERM, ...): no guard, @g->mode is GUARD_ADVISORY.
 */
int guard_start(struct guard *g, enum guard_mode mode, const char *root, unsigned bound_ms);

/* End; who is held is let through, by the kernel. */
void guard_stop(struct guard *g);

/* The hotplug lock was taken or given back. Any thread, also under the lock's mutex. */
void guard_engage(void *guard, bool held);

/**
 * guard_mark() - Mark what there is: files marked before, and files that are new
 *
 * Called at start and whenever devices may have appeared. Opens no marked file.
 */
void guard_mark(struct guard *g);

/**
 * guard_intents() - CPUs that somebody has written to
 *
 * Each is given once. Waits, for a bounded time, until the thread has
 * seen all that was written before the call.
 *
 * Context: the transaction thread.
 */
struct cpus guard_intents(void *guard);

/**
 * guard_met() - Whose write waits or was refused, for the log
 *
 * Context: any thread. Told once for each time that the lock is held, so that a loop of
 *          writes is one line.
 * Return:  the thread, 0: none.
 */
pid_t guard_met(struct guard *g);

/* How many writers wait now. */
unsigned guard_held_now(const struct guard *g);

#endif
