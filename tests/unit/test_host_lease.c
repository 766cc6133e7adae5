/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lease of the guest's lock: renewed in time, whatever becomes of a renewal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_guest.h"

static void lock(void)
{
	struct txn t = { .id = "t1", .epoch = 1, .agent = AGENT_LOCKSTEP };
	struct hv_request rq = { .verb = VERB_GUEST_LOCK, .t = &t, .side = SIDE_SRC };

	fake_ask(&rq);
	assert_int_equal(fake.reply.code, 0);
}

static void until_renewed(unsigned n)
{
	uint64_t until = qmp_now_ms() + HANG_MS;

	while (fake.renewals < n && qmp_now_ms() < until)
		assert_true(sd_event_run(fake.loop, 50000) >= 0);
	assert_true(fake.renewals >= n);
}

/* A refused renewal is tried again, and before the first short lease is over. */
static void test_when_renewal_is_refused_then_tried_again_in_time(void **state)
{
	uint64_t since;

	(void)state;
	fake.refusals = 1;
	fake_look();
	since = qmp_now_ms();
	lock();
	until_renewed(2);
	assert_true(qmp_now_ms() - since < LS_LEASE_FIRST_MAX_MS / 2);
}

/* The connection goes while the lease is held: renewed as soon as there is another. */
static void test_when_connection_was_lost_then_renewed_on_the_next(void **state)
{
	(void)state;
	fake.refusals = 1;
	fake_look();
	lock();
	until_renewed(1);
	server_hang_up(&fake.agent);
	fake_look();
	until_renewed(2);
}

/* A lease counts from when it was asked for: what is known is never more than granted. */
static void test_when_granted_then_counted_from_the_sending(void **state)
{
	uint64_t now;

	(void)state;
	fake_look();
	lock();
	until_renewed(1);
	now = qmp_now_ms();
	fake_run_while(&(bool){ true }, FLUSH_MS);
	assert_true(fake.hv->lease_until_ms > now + LS_LEASE_FIRST_MAX_MS);
	assert_true(fake.hv->lease_until_ms <= now + LEASE_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(test_when_renewal_is_refused_then_tried_again_in_time),
		FAKE_TEST(test_when_connection_was_lost_then_renewed_on_the_next),
		FAKE_TEST(test_when_granted_then_counted_from_the_sending),
	};

	return cmocka_run_group_tests(tests, fake_make_dir, fake_remove_dir);
}
