/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One test for each way to do harm. While it is done: what others ask is done, "status"
 * of the guest itself is told at once, the daemon does not grow, and in the end every
 * request has ended and every guest can be worked on again.
 */
#include "ordeal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon.h"

#define ROWS_MAX   80
#define TURN_MS	   20
#define HARM_MS	   150	 /* for it to be done, before others are looked at */
#define OTHERS_MS  30000 /* for the others' requests; they take half a second */
#define STATUS_MS  1000	 /* for what lockstepd knows */
#define ENDS_MS	   90000 /* for a request to a hostile guest, which its rows' times bound */
#define AGAIN_MS   40000 /* for a guest that is good again: reconnect-limit, and looks */
#define GROWTH_KIB 4096
#define CONFIG	   "[lockstepd]\nhello-limit = 10min\nreconnect-limit = 2s\n"

/*
 * AddressSanitizer keeps what is freed, so that nothing can be said about growth. What a
 * sanitizer sees lockstepd do to a harm does not depend on how many others there are.
 */
#ifdef __SANITIZE_ADDRESS__
#define KEEPS_FREED true
#else
#define KEEPS_FREED false
#endif
#if STORM_MS > 1
#define OTHERS 22
#else
#define OTHERS 99
#endif
#define AT_WORK (OTHERS / 9) /* in each test: all, one group after the other */

static struct fleet *fleet;
static struct under_test *under;
static const struct hostile *table;
static unsigned n_rows;
static bool of_agents;
static char program[512];

static struct fleet_port *port_of(unsigned row)
{
	struct fleet_guest *g = &fleet->guest[row];

	return of_agents ? &g->agent : &g->qemu;
}

/* ---- a row ---------------------------------------------------------------------- */

static void others_are_served(unsigned row)
{
	unsigned first = n_rows + row * AT_WORK % OTHERS;
	struct load load;
	bool over = load_run(under, first, AT_WORK, 2, OTHERS_MS, &load);

	assert_string_equal(load.text, "");
	assert_true(over);
	load_done(&load);
}

static void status_is_told(unsigned row)
{
	uint64_t from_ms = qmp_now_ms();
	struct ls_err err;
	char args[64];

	snprintf(args, sizeof(args), "{\"guest\": \"g%u\"}", row);
	assert_int_equal(daemon_ask(under, "status", args, &err, NULL), 0);
	assert_true(qmp_now_ms() - from_ms < STATUS_MS);
}

/* lockstepd comes back by itself: to a monitor after half a second, to an agent to ask it. */
static void hostile_is_met(unsigned row)
{
	struct fleet_port *p = port_of(row);
	unsigned before = p->connections;
	uint64_t until_ms = qmp_now_ms() + AGAIN_MS;

	p->hostile = &table[row];
	port_hang_up(p);
	if (of_agents)
		load_begin(under, row, 1);
	while (p->connections == before && qmp_now_ms() < until_ms)
		loop_run(fleet->loop, TURN_MS);
	assert_true(p->connections > before);
	loop_run(fleet->loop, HARM_MS);
	if (!of_agents)
		load_begin(under, row, 1);
}

static void test_row(void **state)
{
	unsigned row = (unsigned)((const struct hostile *)*state - table);
	long kib = daemon_rss_kib(under);

	hostile_is_met(row);
	others_are_served(row);
	status_is_told(row);
	kib = daemon_rss_kib(under) - kib;
	print_message("# %s: lockstepd grew by %ld KiB\n", table[row].name, kib);
	assert_true(KEEPS_FREED || kib < GROWTH_KIB);
}

/* ---- after all of them --------------------------------------------------------------- */

static unsigned still_out(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_rows; i++)
		n += under->asker[i].out;
	return n;
}

/* They are hostile still: it is the daemon that ends each request. */
static void test_all_requests_have_ended(void **state)
{
	uint64_t from_ms = qmp_now_ms();

	(void)state;
	while (still_out() && qmp_now_ms() - from_ms < ENDS_MS)
		loop_run(fleet->loop, 100);
	print_message("# the last request ended after %u ms more\n",
		      (unsigned)(qmp_now_ms() - from_ms));
	for (unsigned i = 0; i < n_rows; i++)
		if (under->asker[i].out)
			fail_msg("%s: its request has not ended", table[i].name);
}

/* Nothing has stuck: what was hostile is good again, and is worked on as all others. */
static void test_all_guests_can_be_worked_on_again(void **state)
{
	struct load load;
	bool over;

	(void)state;
	for (unsigned i = 0; i < n_rows; i++) {
		port_of(i)->hostile = NULL;
		port_hang_up(port_of(i));
	}
	assert_true(daemon_await_ready(under, 0, AGAIN_MS) >= 0);
	over = load_run(under, n_rows, OTHERS, 2, OTHERS_MS, &load);
	assert_string_equal(load.text, "");
	assert_true(over);
	load_done(&load);
}

/* ---- all of it ------------------------------------------------------------------------- */

/* What the daemon takes for working at all is no growth. */
static int warm_up(void)
{
	struct load load;
	bool over = load_run(under, 0, n_rows + OTHERS, 2, OTHERS_MS, &load);

	load_done(&load);
	return over && !load.failed ? 0 : -1;
}

static int setup(void **state)
{
	sd_event *loop;

	(void)state;
	if (sd_event_new(&loop) < 0)
		return -1;
	fleet = fleet_new(loop, n_rows + OTHERS);
	under = daemon_start(fleet, program, CONFIG);
	return daemon_await_ready(under, 0, OTHERS_MS) < 0 ? -1 : warm_up();
}

static int teardown(void **state)
{
	sd_event *loop = fleet->loop;
	int r = daemon_stop(under);

	(void)state;
	fleet_free(fleet);
	sd_event_unref(loop);
	return r;
}

int ordeal_run(const char *argv0, const struct hostile *rows, bool agents)
{
	struct CMUnitTest tests[ROWS_MAX + 2] = { 0 };

	table = rows;
	of_agents = agents;
	daemon_program(argv0, program, sizeof(program));
	for (n_rows = 0; n_rows < ROWS_MAX && rows[n_rows].name; n_rows++)
		tests[n_rows] = (struct CMUnitTest){ .name = rows[n_rows].name,
						     .test_func = test_row,
						     .initial_state = (void *)&rows[n_rows] };
	tests[n_rows].name = "all_requests_have_ended";
	tests[n_rows].test_func = test_all_requests_have_ended;
	tests[n_rows + 1].name = "all_guests_can_be_worked_on_again";
	tests[n_rows + 1].test_func = test_all_guests_can_be_worked_on_again;
	return _cmocka_run_group_tests("ordeal", tests, n_rows + 2, setup, teardown);
}
