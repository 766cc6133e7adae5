/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A migration window over a kernel in memory: CPUs 0-7, of which 0-3 are online.
 */
#ifndef WINDOW_FIXTURE_H
#define WINDOW_FIXTURE_H

#include "fake_sysfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <lockstep/err.h>
#include <lockstep/wire.h>

#include "../../guest-agent/model.h"

#define CPU(n) "devices/system/cpu/cpu" #n "/online"

/* The CPUs that an open left out or a close left pending. */
static struct {
	int n;
	int cpu;
	int code;
} failed;

static inline void on_failed(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)err;
	failed.n++;
	failed.cpu = cpu;
	failed.code = code;
}

static struct window_result result;

static inline int open_window(struct guest *g, const char *txn, enum window_mode mode,
			      uint64_t lease_ms, struct ls_err *err)
{
	int r = window_admit(&g->window, txn, 1, lease_ms, mode, 0, err);

	memset(&failed, 0, sizeof(failed));
	result = (struct window_result){ .failed = on_failed };
	guest_scan(g);
	return r < 0 ? r : window_open(&g->window, txn, r == 1, &result, err);
}

static inline int close_window(struct guest *g, const char *txn, struct ls_err *err)
{
	memset(&failed, 0, sizeof(failed));
	result = (struct window_result){ .failed = on_failed };
	guest_scan(g);
	return window_close(&g->window, txn, &result, err);
}

static inline enum window_state state_of(struct guest *g)
{
	struct window_view v;

	window_look(&g->window, 0, &v);
	return v.state;
}

static inline bool locked(struct guest *g)
{
	struct lock_view v;

	lock_look(&g->lock, 0, &v);
	return v.held;
}

/* CPUs 0-7, of which 0-3 are online. */
static inline int setup(void **state)
{
	static struct guest g;

	guest_init(&g, 8, 4, 0);
	*state = &g;
	return 0;
}

static inline int teardown(void **state)
{
	guest_done(*state);
	return 0;
}

#define WINDOW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
