/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client with a guest agent: the sync that begins a session, and begins it anew.
 */
#include "qmp_fixture.h"

/* Half a reply and whole ones of an earlier session are dropped, up to our own sync. */
static void test_when_an_agent_has_old_replies_then_they_are_dropped(void **state)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QGA };
	struct qmp *q;
	int fd;

	(void)state;
	q = start_by_hand(&options, &fd);
	tell(q, fd,
	     "rn\": {}}\n{\"return\": 5}\n{\"error\": {}}\n\xFF{\"return\": 123}\n"
	     "{\"half\": \"");
	assert_int_equal(qmp_state(q), QMP_GREETING);
	answer_sync(fd);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_READY);
	hang_up(q, fd);
}

/* The right number without the sentinel before it is not the answer. */
static void test_when_the_sync_s_answer_has_no_sentinel_then_it_does_not_count(void **state)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QGA };
	char buf[256], text[64];
	struct qmp *q;
	long long id;
	int fd;

	(void)state;
	q = start_by_hand(&options, &fd);
	heard(fd, buf, sizeof(buf));
	assert_int_equal((unsigned char)buf[0], 0xFF);
	id = atoll(strstr(buf, "\"id\":") + 5);
	snprintf(text, sizeof(text), "{\"return\": %lld}\n\xFF{}\n{\"return\": %lld}\n", id, id);
	tell(q, fd, text);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	hang_up(q, fd);
}

/* A QEMU monitor where an agent should be. */
static void test_when_a_qemu_is_where_an_agent_should_be_then_says_so(void **state)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QGA };
	struct ls_err err = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = start_by_hand(&options, &fd);
	say(fd, GREETING);
	assert_int_equal(turn(q, &err), -EPROTO);
	assert_non_null(strstr(err.text, "not a guest agent"));
	hang_up(q, fd);
}

/* Garbage or too much from an agent fails what is pending; the session goes on. */
static void test_when_an_agent_talks_nonsense_then_only_the_pending_fail(void **state)
{
	static const char *const nonsense[] = { "hello\n", "{\"return\": {]\n", "[1]\n", "{}\n" };
	struct note lost = { 0 }, next = { 0 };
	char text[64];
	struct qmp *q;
	uint64_t id;
	int fd;

	(void)state;
	q = agent_by_hand(&fd);
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		request(q, "a", &lost, NULL);
		tell(q, fd, nonsense[i]);
		assert_int_equal(lost.calls, i + 1);
		assert_int_equal(lost.code, -EPROTO);
		assert_non_null(strstr(lost.err.text, "garbage"));
	}
	request(q, "a", &next, &id);
	snprintf(text, sizeof(text), "{\"return\": {\"n\": 3}, \"id\": %llu}\n",
		 (unsigned long long)id);
	tell(q, fd, text);
	assert_int_equal(next.n, 3);
	hang_up(q, fd);
}

/* A new sync gives up what is pending, drops its late reply, and ends in ready again. */
static void test_when_resynced_then_the_late_reply_is_dropped(void **state)
{
	struct note late = { 0 };
	char text[64];
	struct qmp *q;
	uint64_t id;
	int fd;

	(void)state;
	q = agent_by_hand(&fd);
	request(q, "slow", &late, &id);
	assert_int_equal(qmp_resync(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	assert_int_equal(late.code, -ETIMEDOUT);
	snprintf(text, sizeof(text), "{\"return\": {\"n\": 3}, \"id\": %llu}\n",
		 (unsigned long long)id);
	tell(q, fd, text);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	/* of what was sent, the sync is the last */
	char buf[512];
	const char *sync = strstr(heard(fd, buf, sizeof(buf)), "\"id\":");

	while (strstr(sync + 1, "\"id\":"))
		sync = strstr(sync + 1, "\"id\":");
	snprintf(text, sizeof(text), "\xFF{\"return\": %lld}\n", atoll(sync + 5));
	tell(q, fd, text);
	assert_int_equal(qmp_state(q), QMP_READY);
	assert_int_equal(late.calls, 1);
	hang_up(q, fd);
}

/* A monitor cannot be synced with. */
static void test_when_a_monitor_is_resynced_then_refused(void **state)
{
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_resync(q, NULL), -EOPNOTSUPP);
	hang_up(q, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_an_agent_has_old_replies_then_they_are_dropped),
		test(test_when_the_sync_s_answer_has_no_sentinel_then_it_does_not_count),
		test(test_when_a_qemu_is_where_an_agent_should_be_then_says_so),
		test(test_when_an_agent_talks_nonsense_then_only_the_pending_fail),
		test(test_when_resynced_then_the_late_reply_is_dropped),
		test(test_when_a_monitor_is_resynced_then_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
