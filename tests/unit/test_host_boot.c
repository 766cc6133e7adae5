/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that boots again: by a reset that QEMU tells, or by a kexec that nobody does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_guest.h"

#define OF_BOOT(id) FAKE_SAYS("1", id, "x86_64", "", "")

static void tell_reset(void)
{
	qmp_peer_event(fake.qemu.peer, "RESET", NULL);
	server_turn(&fake.qemu, 0);
	fake_run_while(&(bool){ true }, FLUSH_MS);
}

/* From a reset on it boots, until its agent says something; what it is kept is not forgotten. */
static void test_when_reset_then_it_boots_until_the_agent_answers(void **state)
{
	unsigned boots;

	(void)state;
	fake.says = OF_BOOT("b");
	fake_look();
	assert_false(fake.seen.booting);
	boots = fake.seen.boots;
	fake.says = NULL;
	tell_reset();
	fake_look();
	assert_true(fake.seen.answers && fake.seen.booting && !fake.seen.agent_answers);
	assert_int_equal(fake.seen.agent, AGENT_LOCKSTEP);
	assert_int_equal(fake.seen.boots, boots + 1);
	fake.says = OF_BOOT("b");
	fake_look();
	assert_true(fake.seen.agent_answers && !fake.seen.booting);
	assert_int_equal(fake.seen.boots, boots + 1);
}

/* kexec: no reset is told, but it is another boot. */
static void test_when_the_boot_id_changes_then_another_boot(void **state)
{
	unsigned boots;

	(void)state;
	fake.says = OF_BOOT("b");
	fake_look();
	boots = fake.seen.boots;
	fake_look();
	assert_int_equal(fake.seen.boots, boots);
	fake.says = OF_BOOT("c");
	fake_look();
	assert_true(fake.seen.agent_answers && !fake.seen.booting);
	assert_int_equal(fake.seen.boots, boots + 1);
}

/* Where no agent was ever heard nobody could say when it is over. */
static void test_when_reset_without_an_agent_then_not_waited_for(void **state)
{
	(void)state;
	fake.agent.closes = true;
	fake_look();
	tell_reset();
	fake_look();
	assert_false(fake.seen.booting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(test_when_reset_then_it_boots_until_the_agent_answers),
		FAKE_TEST(test_when_the_boot_id_changes_then_another_boot),
		FAKE_TEST(test_when_reset_without_an_agent_then_not_waited_for),
	};

	return cmocka_run_group_tests(tests, fake_make_dir, fake_remove_dir);
}
