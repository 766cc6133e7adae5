/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the tests of workers: work that counts itself or is held by a gate, and a CPU that a
 * hog has.
 */
#ifndef WORKER_FIXTURE_H
#define WORKER_FIXTURE_H

#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../guest-agent/workers.h"

#define PATIENCE_MS 30000 /* only a bound on hanging */

/* Counts itself; a @gate that is not -1 is read first, so that the worker is held by it. */
struct note {
	struct worker_item item;
	int gate;
	int *ran;
};

static inline void run_note(struct worker_item *item, struct worker *w)
{
	struct note *n = (struct note *)item;
	int *ran = n->ran;
	char c;

	(void)w;
	if (n->gate >= 0 && read(n->gate, &c, 1) != 1)
		abort();
	__atomic_add_fetch(ran, 1, __ATOMIC_SEQ_CST);
}

static inline struct note note(int gate, int *ran)
{
	return (struct note){ .item.fn = run_note, .gate = gate, .ran = ran };
}

static inline struct worker *started(const struct worker_ops *ops)
{
	struct worker *w = worker_new(0, ops);

	assert_non_null(w);
	assert_int_equal(worker_unpark(w), 0);
	return w;
}

/* A machine on which a worker gets to run only once it was let go: a real-time hog. */
static int hog_gate[2];

static inline int hog_pin(pthread_t thread, int cpu)
{
	(void)thread;
	return cpu < 0 && write(hog_gate[1], "x", 1) != 1 ? -EIO : 0;
}

static inline int hog_here(int cpu)
{
	return cpu;
}

static const struct worker_ops hogged = { hog_pin, hog_here, NULL };

#endif
