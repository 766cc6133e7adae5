/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A worker: one thread pinned to one CPU, and the queue of what is to run there.
 *
 * The contract (seed of the idea: stop_machine's park):
 *
 *	accepted means run	worker_queue() returned 0: the item runs, and it runs
 *				before the worker parks
 *	refused means at once	once worker_park() has begun, worker_queue() returns
 *				-ESHUTDOWN and does not wait
 *
 * Both follow from one order: a park first stops accepting, then lets the worker
 * empty its queue, then waits for it to say that it is parked.
 *
 *	worker_new()	parked, its thread asleep
 *	worker_unpark()	pinned again (the kernel forgets the pinning of a thread whose
 *			CPU goes away) and accepting
 *	worker_park()	accepting no more, empty, asleep
 *
 * A worker that cannot be pinned (a cpuset forbids it), or that does not get to run in
 * time (a real-time task has the CPU) and so was let go to the other CPUs, still runs
 * what it accepted. It only proves nothing about its CPU: worker_where() says 1.
 *
 * An idle worker sleeps; nothing wakes it by time.
 */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include <pthread.h>
#include <stdint.h>

struct worker;

#define WORKER_STACK_BYTES (64 * 1024)

/**
 * struct worker_item - Embedded in what is to run; the caller's until @fn has begun
 * @next: while it is queued
 * @fn:   in the worker's thread, with no lock held; may release the item
 */
struct worker_item {
	struct worker_item *next;
	void (*fn)(struct worker_item *item, struct worker *w);
};

/**
 * struct worker_ops - The machine below, so that tests bring their own
 * @pin:    tie a thread to a CPU, -1: to none; 0 or -errno
 * @here:   the CPU on which the caller runs; @cpu is where it should
 * @now_ns: the clock as the caller's CPU shows it; @cpu as above, -1: control side
 */
struct worker_ops {
	int (*pin)(pthread_t thread, int cpu);
	int (*here)(int cpu);
	int64_t (*now_ns)(int cpu);
};

extern const struct worker_ops worker_real_ops;

/* Return: a parked worker, NULL when out of memory or threads. */
struct worker *worker_new(int cpu, const struct worker_ops *ops);

/**
 * worker_free() - Park, end the thread, release; NULL is fine
 *
 * A thread that does not come back within the park's deadline is left as it is.
 */
struct worker *worker_free(struct worker *w);

int worker_cpu(const struct worker *w);

/**
 * worker_queue() - Run something on the worker's CPU, after what was queued before
 *
 * Return: 0: it will run before the worker parks. -ESHUTDOWN: it will not.
 */
int worker_queue(struct worker *w, struct worker_item *item);

/**
 * worker_park() - Stop accepting, run what was accepted, sleep
 * @deadline_ms: for the queue to become empty; then the worker is let go to the other
 *               CPUs and has as long again
 *
 * Return: 0; 1 it was parked already; -ETIMEDOUT (it accepts nothing, and what it
 *         had accepted still runs); -ECANCELED: unparked by somebody else meanwhile.
 */
int worker_park(struct worker *w, unsigned deadline_ms);

/*
 * Pin the worker, also if it accepts already (somebody else may have taken its CPU away
 * and brought it back), and accept: 0, or 1 if it was accepting.
 */
int worker_unpark(struct worker *w);

/**
 * worker_call() - Run a function on the worker's CPU and wait for it
 * @deadline_ms: for the CPU; then the worker is let go to the other CPUs until the
 *               function is over. What that itself takes has to be bounded by it.
 *
 * Bounded without a second deadline: let go, the worker may run wherever the caller may;
 * what is queued before it (a meeting, another call) is bounded, too; and the rows of the
 * CPU table take what their hooks may take, which are killed at their deadline and left
 * alone if even that does not end them. What is left is a guest whose host does not run
 * the virtual CPU on which the worker is just then: nothing in a guest can bound that.
 *
 * Return: what @fn returned, or -ESHUTDOWN: it has not run.
 */
int worker_call(struct worker *w, int (*fn)(struct worker *w, void *arg), void *arg,
		unsigned deadline_ms);

/*
 * Let the worker go to the other CPUs: its own may not run it, and what it has accepted
 * is to run. worker_tighten() when that is done.
 */
void worker_loosen(struct worker *w);
void worker_tighten(struct worker *w);

/**
 * worker_where() - Whether the caller runs where it should
 *
 * Context: the worker's own thread.
 * Return: 0 on its CPU, 1 it is not pinned: nothing is proved, -EIO pinned, and elsewhere.
 */
int worker_where(struct worker *w);

/* For workers.c: a set of workers is queued on under all their locks. */
pthread_mutex_t *worker_lock(struct worker *w);
int worker_queue_locked(struct worker *w, struct worker_item *item);
int worker_accepts_locked(const struct worker *w);

#endif
