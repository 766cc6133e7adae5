/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every bad request in one table: it is refused with the class of its kind and a text that
 * names the matter, and changes nothing.
 */
#include "agent_client.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <lockstep/err.h>

/* When a request comes. */
enum situation {
	FREE,		/* nobody holds the lock */
	HELD,		/* "t1" does, with epoch 5 */
	IN_WINDOW,	/* "m1" has a window open, epoch 5 */
	EXPIRED,	/* the lock's lease of "t1" has run out */
	WINDOW_EXPIRED, /* the window's lease of "m1" has run out */
	ALL_CAN_GO,	/* "t1" holds the lock, and no CPU is fixed */
	BLOCK_STAYS,	/* "t1" holds the lock, and block 1, online, is not removable */
};

/* What is bad about it. */
enum kind {
	UNKNOWN_COMMAND,
	MISSING,
	UNEXPECTED,
	WRONG_TYPE,
	BAD_VALUE, /* out of range, negative, huge, no word that is known */
	TWICE,
	NOT_PRESENT,
	NO_ONLINE_FILE,
	LAST_ONE,
	NOT_REMOVABLE,
	TAKEN,
	NOT_HELD,
	LEASE_EXPIRED,
	WINDOW_IS_OPEN,
	OLD_EPOCH,
	WRONG_ID,
	QEMUS, /* QEMU's verbs, with QEMU's class for whatever it is */
	KIND_COUNT
};

static const char *const class_of[] = {
	[UNKNOWN_COMMAND] = "CommandNotFound",
	[MISSING] = "ParameterMissing",
	[UNEXPECTED] = "ParameterUnexpected",
	[WRONG_TYPE] = "ParameterType",
	[BAD_VALUE] = "ParameterValue",
	[TWICE] = "ParameterTwice",
	[NOT_PRESENT] = "DeviceNotFound",
	[NO_ONLINE_FILE] = "CpuFixed",
	[LAST_ONE] = "LastCpu",
	[NOT_REMOVABLE] = "BlockFixed",
	[TAKEN] = "LockHeld",
	[NOT_HELD] = "LockNotHeld",
	[LEASE_EXPIRED] = "LeaseExpired",
	[WINDOW_IS_OPEN] = "WindowOpen",
	[OLD_EPOCH] = "LowerEpoch",
	[WRONG_ID] = "WrongTransaction",
	[QEMUS] = "GenericError",
};
static_assert(sizeof(class_of) / sizeof(class_of[0]) == KIND_COUNT, "a class each");

#define LONG_TXN "0123456789012345678901234567890123456789"

/* clang-format off */
static const struct bad {
	enum situation when;
	enum kind kind;
	const char *name;
	const char *args;
	const char *says; /* a part of the text that names the matter */
} table[] = {
	{ FREE, UNKNOWN_COMMAND, "lockstep-nonsense", "{}", "lockstep-nonsense" },
	{ FREE, MISSING, "lockstep-lock", "{\"epoch\":1,\"lease-ms\":500}", "txn" },
	{ FREE, WRONG_TYPE, "lockstep-lock", "{\"txn\":7,\"epoch\":1,\"lease-ms\":500}", "txn" },
	{ FREE, BAD_VALUE, "lockstep-lock", "{\"txn\":\"\",\"epoch\":1,\"lease-ms\":500}", "txn" },
	{ FREE, BAD_VALUE, "lockstep-lock", "{\"txn\":\"" LONG_TXN "\",\"epoch\":1,\"lease-ms\":500}", "txn" },
	{ FREE, BAD_VALUE, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":-1,\"lease-ms\":500}", "epoch" },
	{ FREE, WRONG_TYPE, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1.5,\"lease-ms\":500}", "epoch" },
	{ FREE, BAD_VALUE, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":1}", "lease-ms" },
	{ FREE, BAD_VALUE, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":999999999}", "lease-ms" },
	{ FREE, UNEXPECTED, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":500,\"more\":1}", "more" },
	{ FREE, WRONG_TYPE, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":3}", "cpus" },
	{ FREE, WRONG_TYPE, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[\"3\"]}", "cpus" },
	{ FREE, BAD_VALUE, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[-1]}", "cpus" },
	{ FREE, BAD_VALUE, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[1024]}", "cpus" },
	{ FREE, BAD_VALUE, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[99999999999999999999]}", "cpus" },
	{ FREE, TWICE, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[3,3]}", "3 twice" },
	{ FREE, BAD_VALUE, "lockstep-memory-online", "{\"txn\":\"a\",\"start\":-1,\"length\":1}", "start" },
	{ FREE, BAD_VALUE, "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":0}", "length" },
	{ FREE, WRONG_TYPE, "lockstep-doctor", "{\"fix\":1}", "fix" },
	{ FREE, BAD_VALUE, "lockstep-fail", "{\"cpu\":1024,\"row\":\"ap:alive\"}", "cpu" },
	{ FREE, NOT_PRESENT, "lockstep-fail", "{\"cpu\":9,\"row\":\"ap:alive\"}", "cpu9" },
	{ FREE, BAD_VALUE, "lockstep-fail", "{\"cpu\":3,\"row\":\"ap:dead\"}", "ap:dead" },
	{ FREE, BAD_VALUE, "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":1,\"zone\":\"dma\"}", "dma" },
	{ FREE, BAD_VALUE, "lockstep-window-open", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":500,\"mode\":\"wide\"}", "wide" },
	{ FREE, NOT_HELD, "lockstep-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "a" },
	{ FREE, NOT_HELD, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[3]}", "nobody does" },
	{ FREE, NOT_HELD, "lockstep-cpu-offline", "{\"txn\":\"a\",\"cpus\":[1]}", "a" },
	{ FREE, NOT_HELD, "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":134217728}", "a" },
	{ FREE, NOT_HELD, "lockstep-memory-offline", "{\"txn\":\"a\",\"start\":0,\"length\":134217728}", "a" },
	{ FREE, NOT_HELD, "lockstep-window-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "no window" },
	{ FREE, MISSING, "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0}", "length" },
	{ FREE, MISSING, "lockstep-window-close", "{}", "txn" },
	{ FREE, UNEXPECTED, "lockstep-status", "{\"deep\":true}", "deep" },
	{ FREE, WRONG_TYPE, "lockstep-memory-offline", "{\"txn\":\"a\",\"start\":\"0\",\"length\":1}", "start" },
	{ FREE, BAD_VALUE, "lockstep-memory-offline", "{\"txn\":\"a\",\"start\":9223372036854775808,\"length\":1}", "start" },
	{ FREE, BAD_VALUE, "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":-134217728}", "length" },
	{ FREE, TWICE, "lockstep-cpu-offline", "{\"txn\":\"a\",\"cpus\":[1,2,1]}", "1 twice" },
	{ FREE, QEMUS, "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":77,\"online\":true}]}", "77" },
	{ FREE, QEMUS, "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":0,\"online\":false}]}", "can't be offlined" },
	{ FREE, QEMUS, "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":4294967297,\"online\":true}]}", "4294967297" },
	{ FREE, QEMUS, "guest-set-vcpus", "{\"vcpus\":[{\"online\":false}]}", "logical-id" },
	{ FREE, QEMUS, "guest-set-vcpus", "{\"vcpus\":[7]}", "vcpus" },
	{ FREE, QEMUS, "guest-set-vcpus", "{}", "vcpus" },
	{ FREE, QEMUS, "guest-set-memory-blocks", "{\"mem-blks\":[{\"phys-index\":-1,\"online\":true}]}", "phys-index" },
	{ HELD, TAKEN, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500}", "t1" },
	{ HELD, OLD_EPOCH, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":4,\"lease-ms\":500}", "5" },
	{ HELD, OLD_EPOCH, "lockstep-lock", "{\"txn\":\"t1\",\"epoch\":4,\"lease-ms\":500}", "5" },
	{ HELD, NOT_HELD, "lockstep-unlock", "{\"txn\":\"a\"}", "t1" },
	{ HELD, NOT_HELD, "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[3]}", "t1" },
	{ HELD, NOT_PRESENT, "lockstep-cpu-online", "{\"txn\":\"t1\",\"cpus\":[3,9]}", "cpu9" },
	{ HELD, NOT_PRESENT, "lockstep-cpu-offline", "{\"txn\":\"t1\",\"cpus\":[1,9]}", "cpu9" },
	{ HELD, NO_ONLINE_FILE, "lockstep-cpu-offline", "{\"txn\":\"t1\",\"cpus\":[1,0]}", "cpu0" },
	{ HELD, NOT_PRESENT, "lockstep-memory-online", "{\"txn\":\"t1\",\"start\":1,\"length\":134217728}", "no memory block" },
	{ HELD, NOT_PRESENT, "lockstep-memory-offline", "{\"txn\":\"t1\",\"start\":99999999999,\"length\":134217728}", "no memory block" },
	{ HELD, TAKEN, "lockstep-window-open", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500,\"mode\":\"force\"}", "t1" },
	{ HELD, TAKEN, "lockstep-doctor", "{\"fix\":true}", "t1" },
	{ HELD, TAKEN, "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":3,\"online\":true}]}", "t1" },
	{ HELD, TAKEN, "guest-set-memory-blocks", "{\"mem-blks\":[{\"phys-index\":1,\"online\":true}]}", "t1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "lockstep-lock", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500}", "m1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "lockstep-unlock", "{\"txn\":\"m1\"}", "m1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "lockstep-unlock", "{\"txn\":\"a\"}", "m1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "lockstep-cpu-offline", "{\"txn\":\"a\",\"cpus\":[1]}", "m1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":134217728}", "m1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "lockstep-window-open", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500,\"mode\":\"hold\"}", "m1" },
	{ IN_WINDOW, WRONG_ID, "lockstep-window-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "m1" },
	{ IN_WINDOW, WRONG_ID, "lockstep-window-close", "{\"txn\":\"a\"}", "m1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "lockstep-doctor", "{\"fix\":true}", "m1" },
	{ IN_WINDOW, WINDOW_IS_OPEN, "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":1,\"online\":false}]}", "m1" },
	{ EXPIRED, LEASE_EXPIRED, "lockstep-renew", "{\"txn\":\"t1\",\"lease-ms\":500}", "t1 has run out" },
	{ EXPIRED, LEASE_EXPIRED, "lockstep-cpu-online", "{\"txn\":\"t1\",\"cpus\":[3]}", "t1 has run out" },
	{ EXPIRED, LEASE_EXPIRED, "lockstep-memory-online", "{\"txn\":\"t1\",\"start\":0,\"length\":134217728}", "t1 has run out" },
	{ EXPIRED, NOT_HELD, "lockstep-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "nobody does" },
	{ WINDOW_EXPIRED, LEASE_EXPIRED, "lockstep-window-renew", "{\"txn\":\"m1\",\"lease-ms\":500}", "m1 is over" },
	{ WINDOW_EXPIRED, NOT_HELD, "lockstep-window-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "no window" },
	{ WINDOW_EXPIRED, NOT_HELD, "lockstep-cpu-online", "{\"txn\":\"m1\",\"cpus\":[3]}", "m1" },
	{ ALL_CAN_GO, LAST_ONE, "lockstep-cpu-offline", "{\"txn\":\"t1\",\"cpus\":[0,1,2]}", "no CPU would be left" },
	{ BLOCK_STAYS, NOT_REMOVABLE, "lockstep-memory-offline", "{\"txn\":\"t1\",\"start\":0,\"length\":536870912}", "memory1 cannot go offline" },
};
/* clang-format on */

#define ROWS (sizeof(table) / sizeof(table[0]))

/* ---- one row -------------------------------------------------------------------- */

/* What must not change when a request is refused, as one string. */
static void snapshot(struct fixture *f, char *buf, size_t size)
{
	struct json_object *s = must(f, LS_WIRE_STATUS, "{}"), *lock = qmp_get_obj(s, "lock");

	/* Time passes; nothing else may. */
	json_object_object_del(lock, "lease-ms");
	json_object_object_del(qmp_get_obj(s, "window"), "left-ms");
	json_object_object_del(qmp_get_obj(s, "memory"), "headroom-bytes");
	snprintf(buf, size, "%d writes %s", fake_writes(&f->kernel, NULL, NULL),
		 json_object_to_json_string(s));
	json_object_put(s);
}

static void check_row(struct fixture *f, const struct bad *bad)
{
	char before[4096], after[4096];
	struct json_object *value;
	struct ls_err err;

	snapshot(f, before, sizeof(before));
	value = ask(f, bad->name, bad->args, &err);
	snapshot(f, after, sizeof(after));
	if (value || strcmp(err.class, class_of[bad->kind]) || !strstr(err.text, bad->says))
		fail_msg("row %td, %s %s: %s: %s", bad - table, bad->name, bad->args,
			 value ? json_object_to_json_string(value) : err.class, err.text);
	assert_string_equal(before, after);
}

static void check_all(struct fixture *f, enum situation when)
{
	size_t i, n = 0;

	for (i = 0; i < ROWS; i++)
		if (table[i].when == when) {
			check_row(f, &table[i]);
			n++;
		}
	assert_true(n > 0);
}

/* ---- the situations -------------------------------------------------------------- */

static void hold(struct fixture *f)
{
	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":5,\"lease-ms\":5000}");
	do_it(f, LS_WIRE_RENEW, "{\"txn\":\"t1\",\"lease-ms\":600000}");
}

/* Nobody holds the lock. */
static void test_when_nobody_holds_the_lock_then_refused(void **state)
{
	check_all(*state, FREE);
}

/* Another transaction does, or the one that asks. */
static void test_when_the_lock_is_held_then_refused(void **state)
{
	hold(*state);
	check_all(*state, HELD);
}

/* In the middle of a window. */
static void test_when_a_window_is_open_then_refused(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_WINDOW_OPEN,
	      "{\"txn\":\"m1\",\"epoch\":5,\"lease-ms\":5000,\"mode\":\"force\"}");
	do_it(f, LS_WIRE_WINDOW_RENEW, "{\"txn\":\"m1\",\"lease-ms\":600000}");
	check_all(f, IN_WINDOW);
}

/* Too late: the transaction that asks had the lock. */
static void test_when_the_lease_has_run_out_then_refused(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":5,\"lease-ms\":100}");
	wait_for_status(f, "lock", "held", "false");
	check_all(f, EXPIRED);
}

/* Too late: it had the window. */
static void test_when_the_windows_lease_has_run_out_then_refused(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_WINDOW_OPEN,
	      "{\"txn\":\"m1\",\"epoch\":5,\"lease-ms\":100,\"mode\":\"hold\"}");
	wait_for_status(f, "window", "state", "\"closed\"");
	wait_for_status(f, "lock", "held", "false");
	check_all(f, WINDOW_EXPIRED);
}

/* A guest whose CPUs can all go keeps its last one. */
static void test_when_no_cpu_would_be_left_then_refused(void **state)
{
	struct fixture *f = *state;

	pthread_mutex_lock(&f->kernel.lock);
	f->kernel.cpu[0].fixed = false;
	pthread_mutex_unlock(&f->kernel.lock);
	do_it(f, LS_WIRE_DOCTOR, "{}"); /* looks */
	hold(f);
	check_all(f, ALL_CAN_GO);
}

/* A range with one block that has to stay is refused as a whole. */
static void test_when_a_block_is_not_removable_then_refused(void **state)
{
	struct fixture *f = *state;

	hold(f);
	do_it(f, LS_WIRE_MEMORY_ONLINE, "{\"txn\":\"t1\",\"start\":0,\"length\":536870912}");
	fake_put(&f->kernel, "devices/system/memory/memory0/removable", "1");
	fake_put(&f->kernel, "devices/system/memory/memory1/removable", "0");
	check_all(f, BLOCK_STAYS);
}

/* ---- the table -------------------------------------------------------------------- */

/* Each kind is in the table and has a class of its own. */
static void test_when_listed_then_every_kind_has_its_own_class(void **state)
{
	size_t rows[KIND_COUNT] = { 0 };
	size_t i, k;

	(void)state;
	for (i = 0; i < ROWS; i++)
		rows[table[i].kind]++;
	for (k = 0; k < KIND_COUNT; k++) {
		assert_true(rows[k] > 0);
		for (i = 0; i < k; i++)
			assert_string_not_equal(class_of[i], class_of[k]);
	}
	print_message("# %zu rows, %d kinds\n", ROWS, KIND_COUNT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, agent_setup, agent_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_nobody_holds_the_lock_then_refused),
		T(test_when_the_lock_is_held_then_refused),
		T(test_when_a_window_is_open_then_refused),
		T(test_when_the_lease_has_run_out_then_refused),
		T(test_when_the_windows_lease_has_run_out_then_refused),
		T(test_when_no_cpu_would_be_left_then_refused),
		T(test_when_a_block_is_not_removable_then_refused),
		cmocka_unit_test(test_when_listed_then_every_kind_has_its_own_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
