/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent as its clients see it: the real agent in a thread, a kernel in memory
 * below it, libqmp's client above it.
 */
#include "agent_client.h"

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

static int64_t get(struct json_object *o, const char *object, const char *key)
{
	return qmp_get_int(qmp_get_obj(o, object), key, -1);
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

/*
 * The host's end of a port may change hands without a sign of it. A sync begins anew: the
 * new client gets no events that it has not asked for.
 */
static void test_when_a_client_syncs_then_subscriptions_are_over(void **state)
{
	struct fixture *f = *state;
	struct qmp_event ev;
	struct ls_err err;

	do_it(f, LS_WIRE_SUBSCRIBE, "{}");
	json_object_put(ask(f, "guest-sync", "{\"id\":7}", &err));
	fake_user(&f->kernel, "devices/system/cpu/cpu2/online", "0");
	do_it(f, LS_WIRE_DOCTOR, "{}"); /* looks */
	do_it(f, LS_WIRE_STATUS, "{}"); /* an event would be before this answer */
	assert_int_equal(qmp_event_next(f->q, &ev), 0);
	do_it(f, LS_WIRE_SUBSCRIBE, "{}");
	fake_user(&f->kernel, "devices/system/cpu/cpu2/online", "1");
	do_it(f, LS_WIRE_DOCTOR, "{}");
	assert_int_equal(qmp_event_wait(f->q, qmp_now_ms() + PATIENCE_MS, NULL, &ev), 0);
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

#define T(name) cmocka_unit_test_setup_teardown(name, agent_setup, agent_teardown)
#define S(name) cmocka_unit_test_setup_teardown(name, agent_setup_stopped, agent_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		T(test_when_a_client_syncs_then_subscriptions_are_over),
		T(test_when_a_write_is_out_then_the_agent_answers_and_keeps_the_lock),
		S(test_when_a_request_is_under_way_then_status_does_not_wait),
		S(test_when_bytes_are_malformed_then_the_agent_goes_on),
		S(test_when_a_client_leaves_then_its_request_still_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
