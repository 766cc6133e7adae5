/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is sent to QEMU and the agent for a row of a transaction, and what a refusal of theirs
 * is taken for.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "../../coordinator/report/exit.h"
#include "fake_guest.h"

static char dry[FAKE_TEXT];

static void on_dry(void *arg, const char *to, const char *name, struct json_object *args)
{
	(void)arg, (void)to;
	fake_note(dry, name, args);
}

static unsigned bad_items[8], n_bad;

static void on_bad(void *arg, unsigned item, const struct ls_err *err)
{
	(void)arg;
	assert_int_not_equal(err->code, 0);
	bad_items[n_bad++] = item;
}

/* The cores of a pSeries; the last two are free, as are their slots' ids. */
static void look_at_cores(void)
{
	static const char c0[] = ",\"qom-path\":\"/machine/peripheral/c0\"";
	static const char c1[] = ",\"qom-path\":\"/machine/peripheral/c1\"";
	static char list[1024];
	size_t at = 0;

	for (unsigned i = 0; i < 5; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at,
				       "%s{\"type\":\"power9-core\",\"vcpus-count\":2,"
				       "\"props\":{\"core-id\":%u}%s}",
				       i ? "," : "[", i,
				       i == 0	? c0
				       : i == 1 ? c1
						: "");
	strcpy(list + at, "]");
	fake.cpus = list;
	fake.vsmt = "8";
	fake.says = FAKE_SAYS("1", "b", "ppc64le",
			      FAKE_CPU(6, 8, true, false) "," FAKE_CPU(7, 8, true, true), "");
	fake_look();
}

static void ask(enum verb verb, const unsigned *todo, unsigned n)
{
	struct view view = { .vm = { fake.seen } };
	struct item items[6] = { { .slot = 0 },
				 { .slot = 1, .id = "c1" },
				 { .slot = 2, .id = "ls-t1-2" },
				 { .slot = 3, .id = "ls-t1-3" },
				 { .slot = 4, .id = "ls-t1-4" },
				 { .slot = 0, .id = "dimm-1", .backend = "mem-1" } };
	struct txn t = { .id = "t1", .epoch = 1, .agent = AGENT_LOCKSTEP, .items = items, .n = 6 };
	struct hv_request rq = {
		.verb = verb, .t = &t, .view = &view, .todo = todo, .n = n, .bad = on_bad
	};

	fake.commands[0] = dry[0] = '\0';
	n_bad = 0;
	hv_dry(fake.hv, &rq, on_dry, NULL);
	fake_ask(&rq);
}

/* Byte for byte what goes over the wire, and a dry run alone sends and notes nothing. */
static void test_when_it_is_a_dry_run_then_told_what_is_sent(void **state)
{
	(void)state;
	look_at_cores();
	ask(VERB_CPU_ADD, (unsigned[]){ 2, 3 }, 2);
	assert_string_equal(
		fake.commands,
		"device_add {\"driver\":\"power9-core\",\"id\":\"ls-t1-2\",\"core-id\":2}\n"
		"device_add {\"driver\":\"power9-core\",\"id\":\"ls-t1-3\",\"core-id\":3}\n");
	assert_string_equal(dry, fake.commands);
	ask(VERB_CPU_DEL, (unsigned[]){ 3 }, 1);
	assert_string_equal(
		fake.commands,
		"object-add {\"qom-type\":\"secret\",\"id\":\"lockstep-unplug-7-ls-t1-3\","
		"\"data\":\"t1\"}\n"
		"device_del {\"id\":\"ls-t1-3\"}\n");
	assert_string_equal(dry, fake.commands);
	ask(VERB_CPU_ONLINE, (unsigned[]){ 1 }, 1);
	assert_string_equal(fake.commands, "lockstep-cpu-online {\"txn\":\"t1\",\"cpus\":[6,7]}\n");
	assert_string_equal(dry, fake.commands);
}

static void refuse_slot(unsigned slot)
{
	struct json_object *data;
	char text[160];

	snprintf(text, sizeof(text),
		 "{\"info\":{\"source\":3,\"status\":130,\"slot\":\"%u\",\"slot-type\":\"CPU\"}}",
		 slot);
	assert_int_equal(qmp_parse(text, strlen(text), NULL, NULL, &data), 0);
	qmp_peer_event(fake.qemu.peer, "ACPI_DEVICE_OST", data);
	server_turn(&fake.qemu, 0);
	fake_look(); /* by then it has come */
}

/* Once, without a look, and only about what was asked for from here. */
static void test_when_the_guest_refuses_then_its_word_is_told_once(void **state)
{
	(void)state;
	look_at_cores();
	refuse_slot(0);
	assert_string_equal(fake.said, "");
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	assert_string_equal(fake.said, "");
	refuse_slot(1);
	refuse_slot(1);
	assert_string_equal(fake.said, "the guest refuses to give up the vCPU in slot 1\n");
	assert_true(fake.seen.cpus[1].refused);
}

/* It is pending only if QEMU has passed it on, now or earlier. */
static void test_when_qemu_does_not_take_an_unplug_then_none_is_pending(void **state)
{
	(void)state;
	look_at_cores();
	fake.no_id = "c1";
	fake.no_words = "device_del not allowed while migrating";
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	fake_look();
	assert_int_equal(fake.seen.cpus[1].unplug, TRI_NO);
	fake.no_words = "Device c1 is already in the process of unplug";
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	fake_look();
	assert_int_equal(fake.seen.cpus[1].unplug, TRI_YES);
}

static bool has_mark(const char *name)
{
	for (size_t i = 0; i < COUNT(fake.objects); i++)
		if (!strcmp(fake.objects[i], name))
			return true;
	return false;
}

/* QEMU cannot be asked: the mark tells, until the guest has refused, or the device has gone. */
static void test_when_another_asked_for_an_unplug_then_it_is_pending(void **state)
{
	(void)state;
	look_at_cores();
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	fake_another();
	fake_look();
	assert_int_equal(fake.seen.cpus[1].unplug, TRI_YES);
	assert_int_equal(fake.seen.cpus[0].unplug, TRI_NO);
	refuse_slot(1);
	fake_look();
	assert_int_equal(fake.seen.cpus[1].unplug, TRI_NO);
	fake_look(); /* by then what the last one has sent is done */
	assert_false(has_mark("lockstep-unplug-2-c1"));
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	fake_look();
	assert_int_equal(fake.seen.cpus[1].unplug, TRI_YES);
	assert_true(has_mark("lockstep-unplug-2-c1"));
	fake.cpus = "[]";
	fake_another();
	fake_look();
	fake_look();
	assert_false(has_mark("lockstep-unplug-2-c1"));
}

/* Somebody says that it is not pending: nobody after that thinks so. */
static void test_when_an_unplug_is_forgotten_then_its_mark_goes(void **state)
{
	(void)state;
	look_at_cores();
	ask(VERB_CPU_DEL, (unsigned[]){ 1 }, 1);
	hv_expect_unplug(fake.hv, &fake.seen, "c1", false);
	fake_look();
	assert_int_equal(fake.seen.cpus[1].unplug, TRI_NO);
	assert_false(has_mark("lockstep-unplug-2-c1"));
}

/* A DIMM goes late: whoever looks next finds the memory that it has left, whatever its name. */
static void test_when_a_dimm_went_late_then_its_memory_is_found(void **state)
{
	(void)state;
	strcpy(fake.objects[2], "lockstep-unplug-6-dimm-1-mem-1");
	strcpy(fake.objects[5], "mem-1");
	fake_look();
	assert_int_equal(fake.seen.n_mems, 1);
	assert_string_equal(fake.seen.mems[0].id, "dimm-1");
	assert_string_equal(fake.seen.mems[0].backend, "mem-1");
	assert_false(fake.seen.mems[0].plugged);
	ask(VERB_DIMM_ADD, &(unsigned){ 5 }, 1); /* it comes again: nobody has asked for that */
	assert_false(has_mark("lockstep-unplug-6-dimm-1-mem-1"));
	strcpy(fake.objects[2], "lockstep-unplug-6-dimm-1-mem-1");
	fake.objects[5][0] = '\0';
	fake_look();
	fake_look();
	assert_int_equal(fake.seen.n_mems, 0);
	assert_false(has_mark("lockstep-unplug-6-dimm-1-mem-1"));
}

/* What only looks like a mark is none, and is left alone. */
static void test_when_a_name_is_no_mark_then_it_is_left_alone(void **state)
{
	static const char *const names[] = {
		"lockstep-unplug-",	"lockstep-unplug-c1",	 "lockstep-unplug-99-c1",
		"lockstep-unplug-3-c1", "lockstep-unplug-1-c/1", "lockstep-unplug-2-c1x",
	};

	(void)state;
	look_at_cores();
	for (size_t i = 0; i < COUNT(names); i++)
		strcpy(fake.objects[i], names[i]);
	fake_look();
	fake_look();
	assert_int_equal(fake.seen.cpus[1].unplug, TRI_NO);
	for (size_t i = 0; i < COUNT(names); i++)
		assert_true(has_mark(names[i]));
}

/* The command of one item fails: it is named, the others are not. */
static void test_when_one_item_fails_then_it_is_named(void **state)
{
	(void)state;
	look_at_cores();
	fake.no_id = "ls-t1-4";
	ask(VERB_CPU_ADD, (unsigned[]){ 2, 4, 3 }, 3);
	assert_int_equal(fake.reply.code, -EREMOTEIO);
	assert_int_equal(n_bad, 1);
	assert_int_equal(bad_items[0], 4);
}

/* ---- the doctor ---------------------------------------------------------------- */

static void on_findings(void *arg, struct json_object *value, const struct ls_err *err)
{
	bool *waits = arg;

	(void)value;
	fake.reply = *err;
	*waits = false;
}

static void call_doctor(bool fix)
{
	bool waits = true;

	hv_doctor(fake.hv, fix, 50, on_findings, &waits);
	fake_run_while(&waits, HANG_MS);
	assert_false(waits);
}

/* Nobody waits any longer for an agent that was asked to heal: it may do so still. */
static void test_when_the_healing_takes_too_long_then_it_is_not_refused(void **state)
{
	(void)state;
	look_at_cores();
	call_doctor(true);
	assert_int_equal(exit_of_doctor(fake.reply.code), XC_PENDING);
	assert_string_equal(fake.reply.text,
			    "no answer within 50 ms; the agent may still be healing: "
			    "\"lockstep doctor\" shows what is left");
}

/* One that was only asked what it sees has changed nothing. */
static void test_when_only_looking_takes_too_long_then_refused(void **state)
{
	(void)state;
	look_at_cores();
	call_doctor(false);
	assert_int_equal(exit_of_doctor(fake.reply.code), XC_REFUSED);
	assert_string_equal(fake.reply.text, "no answer within 50 ms");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(test_when_it_is_a_dry_run_then_told_what_is_sent),
		FAKE_TEST(test_when_the_guest_refuses_then_its_word_is_told_once),
		FAKE_TEST(test_when_qemu_does_not_take_an_unplug_then_none_is_pending),
		FAKE_TEST(test_when_another_asked_for_an_unplug_then_it_is_pending),
		FAKE_TEST(test_when_an_unplug_is_forgotten_then_its_mark_goes),
		FAKE_TEST(test_when_a_dimm_went_late_then_its_memory_is_found),
		FAKE_TEST(test_when_a_name_is_no_mark_then_it_is_left_alone),
		FAKE_TEST(test_when_one_item_fails_then_it_is_named),
		FAKE_TEST(test_when_the_healing_takes_too_long_then_it_is_not_refused),
		FAKE_TEST(test_when_only_looking_takes_too_long_then_refused),
	};

	return cmocka_run_group_tests(tests, fake_make_dir, fake_remove_dir);
}
