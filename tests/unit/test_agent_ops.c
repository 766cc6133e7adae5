/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent as its clients see it: the real agent in a thread, a kernel in memory
 * below it, libqmp's client above it.
 */
#include "fake_sysfs.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/wire.h>

#include "../../guest-agent/agent.h"
#include "../../guest-agent/model.h"

#define PATIENCE_MS 10000 /* only a bound on hanging */

/**
 * struct fixture - An agent that runs
 * @kernel: below it
 * @thread: its loop
 * @q:      one client
 */
struct fixture {
	struct fake kernel;
	struct sysfs *sysfs;
	struct agent agent;
	pthread_t thread;
	bool running;
	struct qmp *q;
};

static void *agent_thread(void *arg)
{
	agent_run(arg);
	return NULL;
}

static void run_agent(struct fixture *f)
{
	assert_int_equal(pthread_create(&f->thread, NULL, agent_thread, &f->agent), 0);
	f->running = true;
}

/* A client's end; the agent's end is served. Only before the agent runs. */
static int attach(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(agent_serve_fd(&f->agent, pair[1], CLIENT_ROOT), 0);
	return pair[0];
}

static struct qmp *client_of(int fd)
{
	const struct qmp_options opt = { .dialect = QMP_DIALECT_QGA };
	struct qmp *q = NULL;
	char address[32];

	snprintf(address, sizeof(address), "fd:%d", fd);
	assert_int_equal(qmp_open(address, &opt, qmp_now_ms() + PATIENCE_MS, NULL, &q), 0);
	return q;
}

/* CPUs 0-3, of which 0-2 are online, and 4 blocks offline; nothing runs yet. */
static int setup_stopped(void **state)
{
	static const struct agent_options opt = { .method = NULL };
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	fake_init(&f.kernel, 4, 3, 4);
	f.sysfs = sysfs_new_ops(&fake_ops, &f.kernel);
	if (agent_init(&f.agent, &opt, f.sysfs, NULL) < 0)
		return -1;
	f.agent.model.workers.ops = &fake_machine;
	f.agent.model.pause_ms = 0;
	*state = &f;
	return 0;
}

static int setup(void **state)
{
	struct fixture *f;
	int fd;

	if (setup_stopped(state) < 0)
		return -1;
	f = *state;
	fd = attach(f);
	run_agent(f);
	f->q = client_of(fd);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	qmp_close(f->q);
	if (f->running) {
		agent_stop(&f->agent);
		pthread_join(f->thread, NULL);
	}
	if (agent_done(&f->agent) < 0)
		return -1;
	sysfs_free(f->sysfs);
	fake_done(&f->kernel);
	return 0;
}

/* ---- asking ------------------------------------------------------------------ */

/* The value of "return", or NULL and the error. */
static struct json_object *ask_q(struct qmp *q, const char *name, const char *args,
				 struct ls_err *err)
{
	struct json_object *value = NULL, *obj = json_tokener_parse(args);

	assert_non_null(obj);
	memset(err, 0, sizeof(*err));
	if (qmp_command(q, name, obj, qmp_now_ms() + PATIENCE_MS, err, &value) < 0)
		return NULL;
	return value;
}

static struct json_object *ask(struct fixture *f, const char *name, const char *args,
			       struct ls_err *err)
{
	return ask_q(f->q, name, args, err);
}

/* It succeeds, and the reply is what the wire's table says, not more and not less. */
static struct json_object *must(struct fixture *f, enum ls_wire_command c, const char *args)
{
	struct ls_err err;
	struct json_object *value = ask(f, ls_wire[c].name, args, &err);

	if (!value)
		fail_msg("%s %s: %s", ls_wire[c].name, args, err.text);
	if (qmp_fields_check(ls_wire[c].rets, ls_wire[c].n_rets, true, value, &err) < 0)
		fail_msg("%s: %s", ls_wire[c].name, err.text);
	return value;
}

static void do_it(struct fixture *f, enum ls_wire_command c, const char *args)
{
	json_object_put(must(f, c, args));
}

static int64_t get(struct json_object *o, const char *object, const char *key)
{
	return qmp_get_int(qmp_get_obj(o, object), key, -1);
}

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

/* ---- bad input ----------------------------------------------------------------- */

struct bad {
	const char *name;
	const char *args;
	const char *class;
	const char *says; /* a part of the text that names the matter */
};

static void check_bad(struct fixture *f, const struct bad *bad, size_t n)
{
	char before[4096], after[4096];
	struct json_object *value;
	struct ls_err err;
	size_t i;

	for (i = 0; i < n; i++) {
		snapshot(f, before, sizeof(before));
		value = ask(f, bad[i].name, bad[i].args, &err);
		snapshot(f, after, sizeof(after));
		if (value || strcmp(err.class, bad[i].class) || !strstr(err.text, bad[i].says))
			fail_msg("row %zu, %s %s: %s: %s", i, bad[i].name, bad[i].args,
				 value ? json_object_to_json_string(value) : err.class, err.text);
		assert_string_equal(before, after);
	}
}

#define LONG_TXN "0123456789012345678901234567890123456789"

/* clang-format off */
static const struct bad bad_free[] = {
	/* what libqmp refuses by the wire's table */
	{ "lockstep-nonsense", "{}", "CommandNotFound", "lockstep-nonsense" },
	{ "lockstep-lock", "{\"epoch\":1,\"lease-ms\":500}", "GenericError", "txn" },
	{ "lockstep-lock", "{\"txn\":7,\"epoch\":1,\"lease-ms\":500}", "GenericError", "txn" },
	{ "lockstep-lock", "{\"txn\":\"\",\"epoch\":1,\"lease-ms\":500}", "GenericError", "txn" },
	{ "lockstep-lock", "{\"txn\":\"" LONG_TXN "\",\"epoch\":1,\"lease-ms\":500}", "GenericError", "txn" },
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":-1,\"lease-ms\":500}", "GenericError", "epoch" },
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1.5,\"lease-ms\":500}", "GenericError", "epoch" },
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":1}", "GenericError", "lease-ms" },
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":999999999}", "GenericError", "lease-ms" },
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":500,\"more\":1}", "GenericError", "more" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":3}", "GenericError", "cpus" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[\"3\"]}", "GenericError", "cpus" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[-1]}", "GenericError", "cpus" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[1024]}", "GenericError", "cpus" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[99999999999999999999]}", "GenericError", "cpus" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[3,3]}", "GenericError", "cpus" },
	{ "lockstep-memory-online", "{\"txn\":\"a\",\"start\":-1,\"length\":1}", "GenericError", "start" },
	{ "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":0}", "GenericError", "length" },
	{ "lockstep-doctor", "{\"fix\":1}", "GenericError", "fix" },
	{ "lockstep-fail", "{\"cpu\":1024,\"row\":\"ap:alive\"}", "GenericError", "cpu" },
	{ "lockstep-fail", "{\"cpu\":9,\"row\":\"ap:alive\"}", "DeviceNotFound", "cpu9" },
	{ "lockstep-fail", "{\"cpu\":3,\"row\":\"ap:dead\"}", "GenericError", "ap:dead" },
	/* what the verbs refuse by themselves */
	{ "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":1,\"zone\":\"dma\"}", "GenericError", "dma" },
	{ "lockstep-window-open", "{\"txn\":\"a\",\"epoch\":1,\"lease-ms\":500,\"mode\":\"wide\"}", "GenericError", "wide" },
	/* nobody holds the lock */
	{ "lockstep-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "LockNotHeld", "a" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[3]}", "LockNotHeld", "lease may have run out" },
	{ "lockstep-cpu-offline", "{\"txn\":\"a\",\"cpus\":[1]}", "LockNotHeld", "a" },
	{ "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":134217728}", "LockNotHeld", "a" },
	{ "lockstep-memory-offline", "{\"txn\":\"a\",\"start\":0,\"length\":134217728}", "LockNotHeld", "a" },
	{ "lockstep-window-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "LockNotHeld", "no window" },
	/* QEMU's */
	{ "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":77,\"online\":true}]}", "GenericError", "77" },
	{ "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":0,\"online\":false}]}", "GenericError", "can't be offlined" },
	{ "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":4294967297,\"online\":true}]}", "GenericError", "4294967297" },
	{ "guest-set-vcpus", "{\"vcpus\":[{\"online\":false}]}", "GenericError", "logical-id" },
	{ "guest-set-vcpus", "{\"vcpus\":[7]}", "GenericError", "vcpus" },
	{ "guest-set-vcpus", "{}", "GenericError", "vcpus" },
	{ "guest-set-memory-blocks", "{\"mem-blks\":[{\"phys-index\":-1,\"online\":true}]}", "GenericError", "phys-index" },
};

static const struct bad bad_held[] = { /* "t1" holds the lock with epoch 5 */
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500}", "LockHeld", "t1" },
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":4,\"lease-ms\":500}", "LowerEpoch", "5" },
	{ "lockstep-lock", "{\"txn\":\"t1\",\"epoch\":4,\"lease-ms\":500}", "LowerEpoch", "5" },
	{ "lockstep-unlock", "{\"txn\":\"a\"}", "LockNotHeld", "t1" },
	{ "lockstep-cpu-online", "{\"txn\":\"a\",\"cpus\":[3]}", "LockNotHeld", "t1" },
	{ "lockstep-cpu-online", "{\"txn\":\"t1\",\"cpus\":[3,9]}", "DeviceNotFound", "cpu9" },
	{ "lockstep-cpu-offline", "{\"txn\":\"t1\",\"cpus\":[1,9]}", "DeviceNotFound", "cpu9" },
	{ "lockstep-cpu-offline", "{\"txn\":\"t1\",\"cpus\":[1,0]}", "CpuFixed", "cpu0" },
	{ "lockstep-memory-online", "{\"txn\":\"t1\",\"start\":1,\"length\":134217728}", "DeviceNotFound", "no memory block" },
	{ "lockstep-memory-offline", "{\"txn\":\"t1\",\"start\":99999999999,\"length\":134217728}", "DeviceNotFound", "no memory block" },
	{ "lockstep-window-open", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500,\"mode\":\"force\"}", "LockHeld", "t1" },
	{ "lockstep-doctor", "{\"fix\":true}", "LockHeld", "t1" },
	{ "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":3,\"online\":true}]}", "LockHeld", "t1" },
	{ "guest-set-memory-blocks", "{\"mem-blks\":[{\"phys-index\":1,\"online\":true}]}", "LockHeld", "t1" },
};

static const struct bad bad_window[] = { /* "m1" has a window open, epoch 5 */
	{ "lockstep-lock", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500}", "WindowOpen", "m1" },
	{ "lockstep-unlock", "{\"txn\":\"m1\"}", "WindowOpen", "m1" },
	{ "lockstep-unlock", "{\"txn\":\"a\"}", "WindowOpen", "m1" },
	{ "lockstep-cpu-offline", "{\"txn\":\"a\",\"cpus\":[1]}", "WindowOpen", "m1" },
	{ "lockstep-memory-online", "{\"txn\":\"a\",\"start\":0,\"length\":134217728}", "WindowOpen", "m1" },
	{ "lockstep-window-open", "{\"txn\":\"a\",\"epoch\":5,\"lease-ms\":500,\"mode\":\"hold\"}", "WindowOpen", "m1" },
	{ "lockstep-window-renew", "{\"txn\":\"a\",\"lease-ms\":500}", "WrongTransaction", "m1" },
	{ "lockstep-window-close", "{\"txn\":\"a\"}", "WrongTransaction", "m1" },
	{ "lockstep-doctor", "{\"fix\":true}", "WindowOpen", "m1" },
	{ "guest-set-vcpus", "{\"vcpus\":[{\"logical-id\":1,\"online\":false}]}", "WindowOpen", "m1" },
};
/* clang-format on */

#define CHECK_BAD(f, table) check_bad(f, table, sizeof(table) / sizeof((table)[0]))

/* Every bad input has its own class and text, and changes nothing: no lock held. */
static void test_when_input_is_bad_then_refused_and_nothing_changes(void **state)
{
	CHECK_BAD(*state, bad_free);
}

/* The same while a transaction holds the lock. */
static void test_when_the_lock_is_held_then_bad_input_changes_nothing(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":5,\"lease-ms\":5000}");
	do_it(f, LS_WIRE_RENEW, "{\"txn\":\"t1\",\"lease-ms\":600000}");
	CHECK_BAD(f, bad_held);
}

/* The same in the middle of a window. */
static void test_when_a_window_is_open_then_bad_input_changes_nothing(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_WINDOW_OPEN,
	      "{\"txn\":\"m1\",\"epoch\":5,\"lease-ms\":5000,\"mode\":\"force\"}");
	do_it(f, LS_WIRE_WINDOW_RENEW, "{\"txn\":\"m1\",\"lease-ms\":600000}");
	CHECK_BAD(f, bad_window);
}

/* A guest whose CPUs can all go keeps its last one. */
static void test_when_no_cpu_would_be_left_then_refused(void **state)
{
	static const struct bad last[] = { { "lockstep-cpu-offline",
					     "{\"txn\":\"t1\",\"cpus\":[0,1,2]}", "LastCpu",
					     "no CPU would be left" } };
	struct fixture *f = *state;

	pthread_mutex_lock(&f->kernel.lock);
	f->kernel.cpu[0].fixed = false;
	pthread_mutex_unlock(&f->kernel.lock);
	do_it(f, LS_WIRE_DOCTOR, "{}"); /* looks */
	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":5,\"lease-ms\":5000}");
	CHECK_BAD(f, last);
}

/* ---- good input ------------------------------------------------------------------ */

/* Results come in the order asked, already-there is 1, and status agrees. */
static void test_when_cpus_are_changed_then_status_agrees(void **state)
{
	struct fixture *f = *state;
	struct json_object *v, *results, *cpus;
	int i;

	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":1,\"lease-ms\":5000}");
	v = must(f, LS_WIRE_CPU_ONLINE, "{\"txn\":\"t1\",\"cpus\":[3,1]}");
	results = qmp_get_array(v, "results");
	assert_int_equal(qmp_get_int(json_object_array_get_idx(results, 0), "id", -1), 3);
	assert_int_equal(qmp_get_int(json_object_array_get_idx(results, 0), "code", -1), 0);
	assert_int_equal(qmp_get_int(json_object_array_get_idx(results, 1), "id", -1), 1);
	assert_int_equal(qmp_get_int(json_object_array_get_idx(results, 1), "code", -1), 1);
	json_object_put(v);
	v = must(f, LS_WIRE_STATUS, "{}");
	cpus = qmp_get_array(v, "cpus");
	assert_int_equal(json_object_array_length(cpus), 4);
	for (i = 0; i < 4; i++) {
		struct json_object *c = json_object_array_get_idx(cpus, (size_t)i);

		assert_true(qmp_get_bool(c, "device", false));
		assert_true(qmp_get_bool(c, "kernel", false));
		assert_int_equal(qmp_get_int(c, "slot", -1), i);
		assert_int_equal(qmp_fields_check(ls_wire_obj_CPU, LS_WIRE_N(ls_wire_obj_CPU), true,
						  c, NULL),
				 0);
	}
	json_object_put(v);
}

static struct json_object *cpu_of(struct json_object *status, size_t i)
{
	return json_object_array_get_idx(qmp_get_array(status, "cpus"), i);
}

/* A CPU that has gone without a word is shown as gone, and the next scan forgets it. */
static void test_when_a_cpu_has_left_the_mask_then_the_status_says_so(void **state)
{
	struct fixture *f = *state;
	struct json_object *v;
	size_t n = 4;

	pthread_mutex_lock(&f->kernel.lock);
	f->kernel.cpu[3].present = false;
	pthread_mutex_unlock(&f->kernel.lock);
	v = must(f, LS_WIRE_STATUS, "{}");
	assert_false(qmp_get_bool(cpu_of(v, 3), "present", true));
	assert_true(qmp_get_bool(cpu_of(v, 2), "present", false));
	json_object_put(v);
	while (n == 4) { /* the scan that this has asked for; the unit's time limit ends it */
		v = must(f, LS_WIRE_STATUS, "{}");
		n = json_object_array_length(qmp_get_array(v, "cpus"));
		json_object_put(v);
	}
	assert_int_equal(n, 3);
}

/* The knob fails one visit; the status says where, with what, and where the CPU stands. */
static void test_when_a_row_is_made_to_fail_then_the_status_says_which(void **state)
{
	struct fixture *f = *state;
	struct json_object *v, *c;

	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":1,\"lease-ms\":5000}");
	do_it(f, LS_WIRE_FAIL, "{\"cpu\":3,\"row\":\"ap:clock\"}");
	do_it(f, LS_WIRE_CPU_ONLINE, "{\"txn\":\"t1\",\"cpus\":[3]}");
	v = must(f, LS_WIRE_STATUS, "{}");
	c = cpu_of(v, 3);
	assert_string_equal(qmp_get_str(c, "row", ""), "offline");
	assert_string_equal(qmp_get_str(c, "target", ""), "online");
	assert_string_equal(qmp_get_str(c, "failed-row", ""), "ap:clock");
	assert_int_equal(qmp_get_int(c, "failed-code", 0), -EAGAIN);
	assert_string_equal(qmp_get_str(cpu_of(v, 0), "row", ""), "online");
	assert_null(json_object_object_get(cpu_of(v, 0), "target"));
	json_object_put(v);
	do_it(f, LS_WIRE_CPU_ONLINE, "{\"txn\":\"t1\",\"cpus\":[3]}");
	v = must(f, LS_WIRE_STATUS, "{}");
	assert_string_equal(qmp_get_str(cpu_of(v, 3), "row", ""), "online");
	json_object_put(v);
}

/* CPUs go from the highest number down. */
static void test_when_cpus_leave_then_the_highest_goes_first(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":1,\"lease-ms\":5000}");
	do_it(f, LS_WIRE_CPU_OFFLINE, "{\"txn\":\"t1\",\"cpus\":[1,2]}");
	assert_string_equal(f->kernel.write[0].path, "devices/system/cpu/cpu2/online");
	assert_string_equal(f->kernel.write[1].path, "devices/system/cpu/cpu1/online");
}

/* A failing block is named, the others are done, and the reply fits the wire's tables. */
static void test_when_memory_is_changed_then_failures_are_named(void **state)
{
	struct fixture *f = *state;
	struct json_object *v, *failed;

	fake_fail(&f->kernel, "devices/system/memory/memory2/state", 0, 1, -ENOMEM);
	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":1,\"lease-ms\":5000}");
	v = must(f, LS_WIRE_MEMORY_ONLINE, "{\"txn\":\"t1\",\"start\":0,\"length\":536870912}");
	failed = qmp_get_array(v, "failed");
	assert_int_equal(qmp_get_int(v, "present", -1), 4);
	assert_int_equal(qmp_get_int(v, "online", -1), 3);
	assert_int_equal(json_object_array_length(failed), 1);
	assert_int_equal(qmp_fields_check(ls_wire_obj_RESULT, LS_WIRE_N(ls_wire_obj_RESULT), true,
					  json_object_array_get_idx(failed, 0), NULL),
			 0);
	json_object_put(v);
	v = must(f, LS_WIRE_STATUS, "{}");
	assert_int_equal(
		json_object_array_length(qmp_get_array(qmp_get_obj(v, "memory"), "blocks")), 3);
	json_object_put(v);
}

/* A CPU taken down behind the driver core's back shows in the very next status. */
static void test_when_desynchronized_then_status_shows_it_at_once(void **state)
{
	struct fixture *f = *state;
	struct json_object *v, *c;

	fake_user(&f->kernel, "devices/system/cpu/cpu1/hotplug/target", "0");
	v = must(f, LS_WIRE_STATUS, "{}");
	c = json_object_array_get_idx(qmp_get_array(v, "cpus"), 1);
	assert_true(qmp_get_bool(c, "device", false));
	assert_false(qmp_get_bool(c, "kernel", true));
	json_object_put(v);
	v = must(f, LS_WIRE_DOCTOR, "{\"fix\":true}");
	assert_int_equal(json_object_array_length(qmp_get_array(v, "findings")), 1);
	json_object_put(v);
	assert_true(fake_agrees(&f->kernel, 1, true));
}

/* QEMU's way: the number done if something was, the error at the next call. */
static void test_when_set_vcpus_fails_in_the_middle_then_the_count(void **state)
{
	struct fixture *f = *state;
	struct json_object *v;
	struct ls_err err;

	v = ask(f, "guest-set-vcpus",
		"{\"vcpus\":[{\"logical-id\":3,\"online\":true},{\"logical-id\":2,\"online\":false}"
		","
		"{\"logical-id\":9,\"online\":true},{\"logical-id\":1,\"online\":false}]}",
		&err);
	assert_int_equal(json_object_get_int(v), 2);
	json_object_put(v);
	assert_true(fake_agrees(&f->kernel, 3, true));
	assert_true(fake_agrees(&f->kernel, 2, false));
	assert_true(fake_agrees(&f->kernel, 1, true));
	v = ask(f, "guest-set-vcpus", "{\"vcpus\":[]}", &err);
	assert_int_equal(json_object_get_int(v), 0);
	json_object_put(v);
}

static void response_is(struct json_object *list, size_t i, const char *response, int code)
{
	struct json_object *o = json_object_array_get_idx(list, i);

	assert_string_equal(qmp_get_str(o, "response", ""), response);
	assert_int_equal(qmp_get_int(o, "error-code", 0), code);
}

/* Each block has its own of QEMU's answers. */
static void test_when_set_memory_blocks_then_one_answer_each(void **state)
{
	struct fixture *f = *state;
	struct ls_err err;
	struct json_object *v;

	fake_fail(&f->kernel, "devices/system/memory/memory2/state", 0, 1, -ENOMEM);
	v = ask(f, "guest-set-memory-blocks",
		"{\"mem-blks\":[{\"phys-index\":1,\"online\":true},{\"phys-index\":2,\"online\":"
		"true},"
		"{\"phys-index\":99,\"online\":true},{\"phys-index\":3,\"online\":false}]}",
		&err);
	assert_int_equal(json_object_array_length(v), 4);
	response_is(v, 0, "success", 0);
	response_is(v, 1, "operation-failed", ENOMEM);
	response_is(v, 2, "not-found", 0);
	response_is(v, 3, "success", 0);
	json_object_put(v);
}

/* guest-info names every verb that is served, QEMU's own and ours. */
static void test_when_asked_for_info_then_every_verb_is_named(void **state)
{
	struct fixture *f = *state;
	struct ls_err err;
	struct json_object *v = ask(f, "guest-info", "{}", &err), *list;
	size_t i, found = 0;

	list = qmp_get_array(v, "supported_commands");
	assert_int_equal(json_object_array_length(list), LS_WIRE_COMMAND_COUNT + 9);
	for (i = 0; i < json_object_array_length(list); i++)
		found += !strcmp(qmp_get_str(json_object_array_get_idx(list, i), "name", ""),
				 "guest-sync-delimited");
	assert_int_equal(found, 1);
	json_object_put(v);
}

/* ---- time, events, clients --------------------------------------------------------- */

static void wait_for_status(struct fixture *f, const char *object, const char *key,
			    const char *value)
{
	uint64_t until = qmp_now_ms() + PATIENCE_MS;
	bool there = false;

	while (!there && qmp_now_ms() < until) {
		struct json_object *v = must(f, LS_WIRE_STATUS, "{}"), *o = qmp_get_obj(v, object);

		there = !strcmp(json_object_to_json_string(json_object_object_get(o, key)), value);
		json_object_put(v);
		sched_yield();
	}
	assert_true(there);
}

/* A window that nobody renews closes by itself, and the CPUs are as before. */
static void test_when_nobody_renews_then_the_window_closes_itself(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_WINDOW_OPEN,
	      "{\"txn\":\"m1\",\"epoch\":5,\"lease-ms\":100,\"mode\":\"force\"}");
	wait_for_status(f, "window", "state", "\"closed\"");
	assert_true(fake_agrees(&f->kernel, 3, false));
	wait_for_status(f, "lock", "held", "false");
}

/* A lock that nobody renews is free again. */
static void test_when_nobody_renews_then_the_lock_is_free(void **state)
{
	struct fixture *f = *state;

	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":5,\"lease-ms\":100}");
	wait_for_status(f, "lock", "held", "false");
}

/* A renew that has arrived counts, though the lease was over before it was read. */
static void test_when_the_renew_has_arrived_then_expiry_reads_it_first(void **state)
{
	static const char renew[] = "{\"execute\":\"lockstep-window-renew\",\"arguments\":{\"txn\":"
				    "\"m1\",\"lease-ms\":9000}}\n";
	struct fixture *f = *state;
	struct agent *a = &f->agent;
	uint64_t long_ago = qmp_now_ms() - 1000;
	ls_autoclose int fd = attach(f);

	window_admit(&a->window, "m1", 1, 500, WINDOW_HOLD, long_ago, NULL);
	assert_int_equal(write(fd, renew, sizeof(renew) - 1), sizeof(renew) - 1);
	agent_expire(a);
	assert_true(window_deadline_ms(&a->window) > qmp_now_ms());
}

/* Without a renew the same window is on its way to be closed. */
static void test_when_no_renew_has_arrived_then_expiry_acts(void **state)
{
	struct fixture *f = *state;
	struct agent *a = &f->agent;

	window_admit(&a->window, "m1", 1, 500, WINDOW_HOLD, qmp_now_ms() - 1000, NULL);
	agent_expire(a);
	assert_int_equal(window_deadline_ms(&a->window), 0);
	run_agent(f);
	while (lock_renew(&a->lock, "m1", 100, 0, NULL) == 0)
		sched_yield();
}

/* The kernel's devices cannot be read just then: the window closes all the same. */
static void test_when_nothing_can_be_read_then_the_window_closes_itself(void **state)
{
	struct fixture *f = *state;
	struct agent *a = &f->agent;
	uint64_t until = qmp_now_ms() + PATIENCE_MS;

	window_admit(&a->window, "m1", 1, 500, WINDOW_HOLD, qmp_now_ms() - 1000, NULL);
	fake_blind(&f->kernel, "devices/system/cpu", -EMFILE);
	agent_expire(a);
	run_agent(f);
	while (lock_renew(&a->lock, "m1", 100, 0, NULL) == 0 && qmp_now_ms() < until)
		sched_yield();
	assert_int_equal(lock_renew(&a->lock, "m1", 100, 0, NULL), -ENOLCK);
}

/* Who has subscribed is told of changes, ours and foreign; who has not, is not. */
static void test_when_subscribed_then_changes_are_told(void **state)
{
	struct fixture *f = *state;
	struct qmp_event ev;

	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":1,\"lease-ms\":5000}");
	do_it(f, LS_WIRE_SUBSCRIBE, "{}");
	do_it(f, LS_WIRE_CPU_ONLINE, "{\"txn\":\"t1\",\"cpus\":[3]}");
	assert_int_equal(qmp_event_wait(f->q, qmp_now_ms() + PATIENCE_MS, NULL, &ev), 0);
	assert_string_equal(ev.name, LS_WIRE_EVENT);
	assert_string_equal(qmp_get_str(ev.data, "kind", ""), "cpu");
	assert_int_equal(qmp_get_int(ev.data, "id", -1), 3);
	assert_string_equal(qmp_get_str(ev.data, "state", ""), "online");
	assert_string_equal(qmp_get_str(ev.data, "by", ""), "agent");
	qmp_event_done(&ev);
	fake_user(&f->kernel, "devices/system/cpu/cpu2/online", "0");
	do_it(f, LS_WIRE_DOCTOR, "{}"); /* looks */
	assert_int_equal(qmp_event_wait(f->q, qmp_now_ms() + PATIENCE_MS, NULL, &ev), 0);
	assert_int_equal(qmp_get_int(ev.data, "id", -1), 2);
	assert_string_equal(qmp_get_str(ev.data, "by", ""), "foreign");
	qmp_event_done(&ev);
}

/* While a write is in the kernel the loop answers, and the lock is not given away. */
static void test_when_a_write_is_out_then_the_agent_answers_and_keeps_the_lock(void **state)
{
	struct fixture *f = *state;
	struct json_object *v;
	struct ls_err err;

	f->agent.model.cpu_ms = 50;
	strcpy(f->kernel.hang, "devices/system/cpu/cpu3/online");
	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":1,\"lease-ms\":5000}");
	do_it(f, LS_WIRE_CPU_ONLINE, "{\"txn\":\"t1\",\"cpus\":[3]}");
	v = must(f, LS_WIRE_STATUS, "{}");
	assert_int_equal(get(v, "lock", "epoch"), 1);
	json_object_put(v);
	assert_null(ask(f, "lockstep-unlock", "{\"txn\":\"t1\"}", &err));
	wait_for_status(f, "lock", "held", "true");
	fake_release(&f->kernel);
	wait_for_status(f, "lock", "held", "false");
	assert_true(fake_agrees(&f->kernel, 3, true));
}

/* A request is under way when another client asks: status is answered at once. */
static void test_when_a_request_is_under_way_then_status_does_not_wait(void **state)
{
	struct fixture *f = *state;
	int fd = attach(f);
	uint64_t id;

	f->agent.model.cpu_ms = 1000000;
	strcpy(f->kernel.hang, "devices/system/cpu/cpu3/online");
	run_agent(f);
	f->q = client_of(fd);
	do_it(f, LS_WIRE_LOCK, "{\"txn\":\"t1\",\"epoch\":1,\"lease-ms\":5000}");
	assert_int_equal(qmp_submit(f->q, "lockstep-cpu-online",
				    json_tokener_parse("{\"txn\":\"t1\",\"cpus\":[3]}"), NULL, NULL,
				    NULL, &id),
			 0);
	/* The same channel: requests are answered in any order. */
	do_it(f, LS_WIRE_RENEW, "{\"txn\":\"t1\",\"lease-ms\":5000}");
	do_it(f, LS_WIRE_STATUS, "{}");
	qmp_cancel(f->q, id);
	fake_release(&f->kernel);
	do_it(f, LS_WIRE_CPU_ONLINE, "{\"txn\":\"t1\",\"cpus\":[3]}");
	assert_true(fake_agrees(&f->kernel, 3, true));
}

/* Bytes that are no JSON are answered as QEMU does, and the session goes on. */
static void test_when_bytes_are_malformed_then_the_agent_goes_on(void **state)
{
	static const char *const bytes[] = {
		"\n",	   "}\n",	  "{\"execute\":\n", "\xff\xff\n",
		"[1,2]\n", "\"guest\"\n", "\x01\x02\x03\n",  "nul\n"
	};
	struct fixture *f = *state;
	int fd = attach(f);
	size_t i;

	for (i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		assert_true(write(fd, bytes[i], strlen(bytes[i])) > 0);
	run_agent(f);
	f->q = client_of(fd);
	do_it(f, LS_WIRE_STATUS, "{}");
}

/* A client that leaves in the middle of its request takes nobody with it. */
static void test_when_a_client_leaves_then_its_request_still_ends(void **state)
{
	static const char ask_and_go[] =
		"{\"execute\":\"lockstep-lock\",\"arguments\":{\"txn\":\"t1\",\"epoch\":1,\"lease-"
		"ms\":5000}}"
		"{\"execute\":\"lockstep-cpu-online\",\"arguments\":{\"txn\":\"t1\",\"cpus\":[3]}}";
	struct fixture *f = *state;
	int goes = attach(f), stays = attach(f);

	assert_true(write(goes, ask_and_go, sizeof(ask_and_go) - 1) > 0);
	close(goes);
	run_agent(f);
	f->q = client_of(stays);
	wait_for_status(f, "lock", "txn", "\"t1\"");
	while (!fake_agrees(&f->kernel, 3, true))
		sched_yield();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define S(name) cmocka_unit_test_setup_teardown(name, setup_stopped, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_when_input_is_bad_then_refused_and_nothing_changes),
		T(test_when_the_lock_is_held_then_bad_input_changes_nothing),
		T(test_when_a_window_is_open_then_bad_input_changes_nothing),
		T(test_when_no_cpu_would_be_left_then_refused),
		T(test_when_cpus_are_changed_then_status_agrees),
		T(test_when_a_cpu_has_left_the_mask_then_the_status_says_so),
		T(test_when_a_row_is_made_to_fail_then_the_status_says_which),
		T(test_when_cpus_leave_then_the_highest_goes_first),
		T(test_when_memory_is_changed_then_failures_are_named),
		T(test_when_desynchronized_then_status_shows_it_at_once),
		T(test_when_set_vcpus_fails_in_the_middle_then_the_count),
		T(test_when_set_memory_blocks_then_one_answer_each),
		T(test_when_asked_for_info_then_every_verb_is_named),
		T(test_when_nobody_renews_then_the_window_closes_itself),
		T(test_when_nobody_renews_then_the_lock_is_free),
		S(test_when_the_renew_has_arrived_then_expiry_reads_it_first),
		S(test_when_no_renew_has_arrived_then_expiry_acts),
		S(test_when_nothing_can_be_read_then_the_window_closes_itself),
		T(test_when_subscribed_then_changes_are_told),
		T(test_when_a_write_is_out_then_the_agent_answers_and_keeps_the_lock),
		S(test_when_a_request_is_under_way_then_status_does_not_wait),
		S(test_when_bytes_are_malformed_then_the_agent_goes_on),
		S(test_when_a_client_leaves_then_its_request_still_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
