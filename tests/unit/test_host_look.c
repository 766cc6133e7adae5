/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look at one guest: what the driver believes of a QEMU and an agent that are of another age,
 * leave something out, hang up or stop in the middle of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_guest.h"

/* ---- what is believed ---------------------------------------------------- */

#define CORE(id, path)                                                                             \
	"{\"type\":\"power9-core\",\"vcpus-count\":2,\"props\":{\"core-id\":" #id "}" path "}"

/* Cores of two threads, 8 numbers apart: the guest's CPUs are put into the right ones. */
static void test_when_a_pseries_then_each_core_has_its_threads(void **state)
{
	(void)state;
	fake.vsmt = "8";
	fake.cpus =
		"[" CORE(4, "") "," CORE(2, ",\"qom-path\":\"/machine/peripheral/c1\"") "," CORE(
			0, ",\"qom-path\":\"/machine/unattached/device[1]\"") "]";
	fake.says = FAKE_SAYS(
		"1", "b", "ppc64le",
		FAKE_CPU(0, 0, true, true) "," FAKE_CPU(1, 0, true, true) "," FAKE_CPU(
			6, 8, true,
			false) "," FAKE_CPU(7, 8, true,
					    true) "," FAKE_CPU(9, 8, true,
							       true) "," FAKE_CPU(8, 16, false,
										  false) "," FAKE_CPU(3,
												      2,
												      true,
												      true),
		"");
	fake_look();
	assert_true(fake.seen.agent_answers);
	assert_int_equal(fake.seen.n_cpus, 3);
	assert_int_equal(fake.seen.cpus[0].present, 2);
	assert_int_equal(vm_cpu_online(&fake.seen.cpus[0]), 2);
	assert_int_equal(fake.seen.cpus[1].present, 2);
	assert_int_equal(fake.seen.cpus[1].guest_cpu[0], 6);
	assert_int_equal(fake.seen.cpus[1].guest_cpu[1], 7);
	assert_int_equal(vm_cpu_online(&fake.seen.cpus[1]), 1);
	assert_false(vm_cpu_thread(&fake.seen.cpus[1], 0).kernel);
	assert_true(vm_cpu_thread(&fake.seen.cpus[1], 1).kernel);
	assert_true(vm_cpu_thread(&fake.seen.cpus[1], 1).device);
	assert_int_equal(fake.seen.cpus[2].present, 0);
	assert_int_equal(vm_vcpus_online(&fake.seen), 3);
}

/* What a QEMU never changes is asked once a connection: the next may be another QEMU's. */
static void test_when_looked_at_again_then_fixed_facts_are_not_asked(void **state)
{
	(void)state;
	fake.vsmt = "8";
	fake.cpus = "[" CORE(2, "") "," CORE(0, "") "]";
	fake_look();
	assert_int_equal(fake.seen.cpus[1].number, 8);
	fake.vsmt = "4";
	fake_look();
	assert_int_equal(fake.seen.cpus[1].number, 8);
	assert_int_not_equal(fake.seen.version, 0);
	assert_string_not_equal(fake.seen.machine, "");
	server_hang_up(&fake.qemu);
	fake_look();
	fake_look();
	assert_int_equal(fake.seen.cpus[1].number, 4);
}

/* They go into reasons, records and terminals: a line of printable characters, cut. */
static void test_when_the_kernels_words_are_hostile_then_made_harmless(void **state)
{
	(void)state;
	fake.says = FAKE_SAYS("1", "b", "x86_64", FAKE_CPU(0, 0, true, true),
			      ",\"kernel-says\":\"a\\nkey \\u001b[2J \\u00e9\"");
	fake_look();
	assert_true(fake.seen.agent_answers);
	assert_string_equal(fake.seen.kernel_says, "a?key ?[2J ??");
}

#define CPU0(more)                                                                                 \
	"{\"cpu\":0,\"slot\":0,\"present\":true,\"device\":true,\"kernel\":true,"                  \
	"\"fixed\":true" more "}"

/* An older agent says less, and a newer one more: what both know is believed. */
static void test_when_agent_is_of_another_age_then_what_is_known_counts(void **state)
{
	static const char *const ages[] = {
		FAKE_SAYS("1", "b", "x86_64", CPU0(""), ""),
		FAKE_SAYS("99", "b", "x86_64", CPU0(",\"colour\":\"blue\""),
			  ",\"moon\":{\"phase\":[1,2]}"),
	};

	(void)state;
	fake.cpus = "[{\"type\":\"max-x86_64-cpu\",\"vcpus-count\":1,\"props\":{\"socket-id\":0},"
		    "\"qom-path\":\"/machine/unattached/device[0]\"}]";
	for (size_t i = 0; i < COUNT(ages); i++) {
		fake.says = ages[i];
		fake_look();
		assert_true(fake.seen.agent_answers);
		assert_int_equal(fake.seen.agent, AGENT_LOCKSTEP);
		assert_int_equal(vm_vcpus_online(&fake.seen), 1);
	}
}

/* One that leaves out what must be there is not half believed; its age is the first guess. */
static void test_when_agent_says_too_little_then_not_believed_and_said(void **state)
{
	(void)state;
	fake.says = "{\"version\":1,\"agent\":\"a\"}";
	fake_look();
	assert_true(fake.seen.answers);
	assert_false(fake.seen.agent_answers);
	assert_non_null(strstr(fake.seen.agent_text, "of another release?"));
	assert_non_null(strstr(fake.seen.agent_text, "is missing"));
}

/* ---- who does not answer ------------------------------------------------- */

/* The guest is stopped after it was seen to run: its agent is not waited for. */
static void test_when_stopped_in_a_look_then_the_agent_is_not_waited_for(void **state)
{
	(void)state;
	fake.stops_when_asked = true;
	assert_true(fake_look() < HV_AGENT_MS / 3);
	assert_non_null(fake.held);
	assert_true(fake.seen.answers);
	assert_false(fake.seen.agent_answers);
	assert_string_equal(fake.seen.agent_text, "the guest stands still");
}

/* An agent that hangs up at once is tried a handful of times, and QEMU's part is there. */
static void test_when_agent_hangs_up_then_not_hammered(void **state)
{
	(void)state;
	fake.agent.closes = true;
	fake_look();
	assert_true(fake.seen.answers);
	assert_false(fake.seen.agent_answers);
	assert_in_range(fake.agent.opened, 2, 6);
}

/* What was wrong with it is said by the looks that do not wait for it any more, too. */
static void test_when_agent_is_not_waited_for_then_the_reason_is_kept(void **state)
{
	char why[sizeof(fake.seen.agent_text)];

	(void)state;
	fake.agent.closes = true;
	fake_look();
	memcpy(why, fake.seen.agent_text, sizeof(why));
	assert_memory_equal(why, fake.agent.path, strlen(fake.agent.path));
	fake_look();
	assert_string_equal(fake.seen.agent_text, why);
}

/* A connection that is lost says nothing: least of all that the source was not given away. */
static void test_when_lost_before_the_last_answer_then_no_observation(void **state)
{
	(void)state;
	fake.agent.closes = true; /* from the second look on it is not waited for */
	fake_look();
	assert_true(fake.seen.answers);
	fake.cuts_at_the_end = true;
	fake_look();
	assert_false(fake.seen.answers);
}

/* Slots are ordered by their properties, however large those are. */
static void test_when_ids_are_large_then_slots_keep_their_order(void **state)
{
	(void)state;
	fake.cpus = "[{\"type\":\"c\",\"vcpus-count\":1,\"qom-path\":\"/machine/peripheral/b\","
		    "\"props\":{\"socket-id\":0,\"core-id\":1024}},"
		    "{\"type\":\"c\",\"vcpus-count\":1,\"qom-path\":\"/machine/peripheral/c\","
		    "\"props\":{\"socket-id\":1,\"core-id\":0}},"
		    "{\"type\":\"c\",\"vcpus-count\":1,\"qom-path\":\"/machine/peripheral/a\","
		    "\"props\":{\"socket-id\":0,\"core-id\":3}}]";
	fake_look();
	assert_int_equal(fake.seen.n_cpus, 3);
	assert_string_equal(fake.seen.cpus[0].id, "a");
	assert_string_equal(fake.seen.cpus[1].id, "b");
	assert_string_equal(fake.seen.cpus[2].id, "c");
}

/* ---- what is read -------------------------------------------------------- */

/* What is no number of a slot is none, least of all slot 0. */
static void test_when_slot_is_no_number_then_none(void **state)
{
	unsigned slot = 77;

	(void)state;
	assert_false(hv_slot_number("", 8, &slot));
	assert_false(hv_slot_number("x", 8, &slot));
	assert_false(hv_slot_number("-1", 8, &slot));
	assert_false(hv_slot_number("3x", 8, &slot));
	assert_false(hv_slot_number("8", 8, &slot));
	assert_int_equal(slot, 77);
	assert_true(hv_slot_number("7", 8, &slot));
	assert_int_equal(slot, 7);
}

/* A transaction's name is in an alphabet; whoever has another is not one of ours. */
static void test_when_txn_has_escapes_then_unreadable(void **state)
{
	char txn[LS_TXN_BYTES];

	(void)state;
	hv_copy_txn(txn, "18c2a.7f");
	assert_string_equal(txn, "18c2a.7f");
	hv_copy_txn(txn, "\033[2J");
	assert_string_equal(txn, "(unreadable)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(test_when_a_pseries_then_each_core_has_its_threads),
		FAKE_TEST(test_when_looked_at_again_then_fixed_facts_are_not_asked),
		FAKE_TEST(test_when_the_kernels_words_are_hostile_then_made_harmless),
		FAKE_TEST(test_when_agent_is_of_another_age_then_what_is_known_counts),
		FAKE_TEST(test_when_agent_says_too_little_then_not_believed_and_said),
		FAKE_TEST(test_when_stopped_in_a_look_then_the_agent_is_not_waited_for),
		FAKE_TEST(test_when_agent_hangs_up_then_not_hammered),
		FAKE_TEST(test_when_agent_is_not_waited_for_then_the_reason_is_kept),
		FAKE_TEST(test_when_lost_before_the_last_answer_then_no_observation),
		FAKE_TEST(test_when_ids_are_large_then_slots_keep_their_order),
		cmocka_unit_test(test_when_slot_is_no_number_then_none),
		cmocka_unit_test(test_when_txn_has_escapes_then_unreadable),
	};

	return cmocka_run_group_tests(tests, fake_make_dir, fake_remove_dir);
}
