/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client connection in an event loop: how it begins, its events, how it ends.
 */
#include "qmp_fixture.h"

/* ---- beginning ------------------------------------------------------------- */

/* The greeting is answered with qmp_capabilities, its reply makes the session ready. */
static void test_when_greeted_then_negotiates_and_is_ready(void **state)
{
	struct qmp *q;
	char buf[256];
	int fd;

	(void)state;
	q = start_by_hand(NULL, &fd);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	assert_null(qmp_greeting(q));
	tell(q, fd, GREETING);
	assert_int_equal(qmp_state(q), QMP_NEGOTIATING);
	assert_string_equal(heard(fd, buf, sizeof(buf)),
			    "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
	assert_int_equal(qmp_submit(q, "stop", NULL, NULL, NULL, NULL, NULL), -ENOTCONN);
	tell(q, fd, "{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(qmp_state(q), QMP_READY);
	assert_non_null(qmp_get_obj(qmp_greeting(q), "QMP"));
	hang_up(q, fd);
}

/* The greeting in single bytes is the same greeting. */
static void test_when_greeted_byte_by_byte_then_is_ready(void **state)
{
	struct qmp *q;
	int fd;

	(void)state;
	q = start_by_hand(NULL, &fd);
	for (const char *p = GREETING; *p; p++) {
		assert_int_equal(write(fd, p, 1), 1);
		assert_int_equal(turn(q, NULL), 0);
	}
	assert_int_equal(qmp_state(q), QMP_NEGOTIATING);
	hang_up(q, fd);
}

/* Somebody who is no QMP server is told apart by what it said, and quoted safely. */
static void test_when_somebody_else_answers_then_its_words_are_quoted(void **state)
{
	static const struct {
		const char *said, *quoted;
	} rows[] = {
		{ "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "\"SSH-2.0-OpenSSH_9.2p1 Debian\"" },
		{ "220 mail.example ESMTP\r\n", "\"220 mail.example ESMTP\"" },
		{ "HTTP/1.1 400 Bad Request\r\n", "\"HTTP/1.1 400 Bad Request\"" },
		{ "{\"error\": {}}\n", "\"{\"error\": {}}\"" },
		{ "{\"QMP\": 5}\n", "\"{\"QMP\": 5}\"" },
		{ "[1, 2]\n", "\"[1, 2]\"" },
		{ "a\x1b[2Jb\x7f", "\"a.[2Jb.\"" },
		{ "0123456789012345678901234567890123456789xyz\n",
		  "\"0123456789012345678901234567890123456789\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ls_err err = { 0 };
		struct qmp *q;
		int fd;

		q = start_by_hand(NULL, &fd);
		say(fd, rows[i].said);
		assert_int_equal(turn(q, &err), -EPROTO);
		assert_int_equal(qmp_state(q), QMP_DEAD);
		if (!strstr(err.text, rows[i].quoted))
			fail_msg("%s does not quote %s", err.text, rows[i].quoted);
		assert_memory_equal(err.text, qmp_address(q), strlen(qmp_address(q)));
		hang_up(q, fd);
	}
}

/* A server that hangs up instead of greeting. */
static void test_when_closed_before_the_greeting_then_says_so(void **state)
{
	struct ls_err err = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = start_by_hand(NULL, &fd);
	close(fd);
	assert_int_equal(turn(q, &err), -EPIPE);
	assert_non_null(strstr(err.text, "before the session was ready"));
	qmp_close(q);
}

/* A server that refuses the negotiation is no use. */
static void test_when_capabilities_are_refused_then_dies_with_the_reason(void **state)
{
	struct ls_err err = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = start_by_hand(NULL, &fd);
	say(fd,
	    GREETING "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 1}\n");
	assert_int_equal(turn(q, &err), -EPROTO);
	assert_non_null(strstr(err.text, "refused: no"));
	hang_up(q, fd);
}

/* OOB is there only if it was offered and asked for. */
static void test_when_oob_is_asked_for_and_offered_then_it_is_used(void **state)
{
	static const char *const greetings[] = { "{\"capabilities\": []}",
						 "{\"capabilities\": [\"oob\"]}" };

	(void)state;
	for (int asked = 0; asked < 2; asked++)
		for (int offered = 0; offered < 2; offered++) {
			const struct qmp_options options = { .oob = asked };
			struct qmp_peer *p;
			struct qmp *q = ready_pair(&options, greetings[offered], &p);

			assert_int_equal(qmp_has_oob(q), asked && offered);
			if (!asked || !offered)
				assert_int_equal(qmp_command_oob(q, "now", NULL, 0, NULL, NULL),
						 -EOPNOTSUPP);
			qmp_close(q);
			qmp_peer_free(p);
		}
}

/* ---- events ---------------------------------------------------------------- */

/* Events come in order, with data and time. */
static void test_when_events_come_then_they_are_queued_in_order(void **state)
{
	struct qmp_event e;
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	tell(q, fd,
	     "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 3, \"microseconds\": 5}}\n"
	     "{\"event\": \"RESUME\", \"data\": {\"x\": 1}, \"timestamp\": {\"seconds\": -1}}");
	assert_int_equal(qmp_event_next(q, &e), 1);
	assert_string_equal(e.name, "STOP");
	assert_null(e.data);
	assert_int_equal(e.time_us, 3000005);
	qmp_event_done(&e);
	assert_int_equal(qmp_event_next(q, &e), 1);
	assert_string_equal(e.name, "RESUME");
	assert_int_equal(qmp_get_int(e.data, "x", 0), 1);
	assert_int_equal(e.time_us, 0);
	assert_int_equal(e.dropped, 0);
	qmp_event_done(&e);
	assert_int_equal(qmp_event_next(q, &e), 0);
	hang_up(q, fd);
}

/* A full queue loses its oldest, and says how many. */
static void test_when_nobody_fetches_events_then_the_oldest_go_and_are_counted(void **state)
{
	const struct qmp_options options = { .events = 4 };
	struct qmp_event e;
	char text[64];
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(&options, &fd);
	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "{\"event\": \"E%d\"}", i);
		say(fd, text);
	}
	assert_int_equal(turn(q, NULL), 0);
	for (int i = 6; i < 10; i++) {
		snprintf(text, sizeof(text), "E%d", i);
		assert_int_equal(qmp_event_next(q, &e), 1);
		assert_string_equal(e.name, text);
		assert_int_equal(e.dropped, i == 6 ? 6 : 0);
		qmp_event_done(&e);
	}
	assert_int_equal(qmp_event_next(q, &e), 0);
	hang_up(q, fd);
}

/* Few but large events are bounded, too: by their bytes. */
static void test_when_events_are_large_then_their_bytes_are_bounded(void **state)
{
	static char big[1024 * 1024];
	unsigned kept = 0, dropped = 0;
	struct qmp_event e;
	struct qmp_peer *p;
	struct qmp *q;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	q = ready_pair(NULL, NULL, &p);
	for (int i = 0; i < 20; i++) {
		struct json_object *data = json_object_new_object();

		json_object_object_add(data, "s", json_object_new_string(big));
		qmp_peer_event(p, "BIG", data);
		pump(q, p);
	}
	while (qmp_event_next(q, &e)) {
		kept++;
		dropped += e.dropped;
		qmp_event_done(&e);
	}
	assert_int_equal(kept + dropped, 20);
	assert_in_range(kept, 6, 8);
	qmp_close(q);
	qmp_peer_free(p);
}

/* ---- ends ------------------------------------------------------------------ */

/* The peer goes away in the middle of a reply: everybody who waits is told once, why. */
static void test_when_closed_inside_a_reply_then_all_pending_are_told(void **state)
{
	struct note notes[3] = { 0 };
	struct ls_err err = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	for (size_t i = 0; i < COUNT(notes); i++)
		request(q, "a", &notes[i], NULL);
	say(fd, "{\"return\": {\"n\": 1}, \"id\": 1} {\"return\": {\"n");
	close(fd);
	assert_int_equal(turn(q, &err), -EPIPE);
	assert_int_equal(notes[0].n, 1);
	assert_int_equal(notes[0].code, 0);
	for (size_t i = 1; i < COUNT(notes); i++) {
		assert_int_equal(notes[i].calls, 1);
		assert_int_equal(notes[i].code, -EPIPE);
	}
	assert_int_equal(qmp_dispatch(q, 0, &err), -EPIPE);
	assert_int_equal(notes[1].calls, 1);
	assert_int_equal(qmp_submit(q, "a", NULL, NULL, NULL, NULL, NULL), -ENOTCONN);
	qmp_close(q);
}

/* QMP: what is neither reply nor event ends the session. */
static void test_when_a_qemu_talks_nonsense_then_dies(void **state)
{
	static const char *const nonsense[] = {
		"hello\n", "[]", "5 ", "{}", "{\"id\": 1}", "{\"error\": {}}", "\"x\"", "{'a'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		struct note note = { 0 };
		struct qmp *q;
		int fd;

		q = ready_by_hand(NULL, &fd);
		request(q, "a", &note, NULL);
		say(fd, nonsense[i]);
		assert_int_equal(turn(q, NULL), -EPROTO);
		assert_int_equal(note.calls, 1);
		assert_int_equal(note.code, -EPROTO);
		hang_up(q, fd);
	}
}

/* Closing with requests under way calls nobody. */
static void test_when_closed_by_us_then_no_function_is_called(void **state)
{
	struct note note = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	request(q, "a", &note, NULL);
	qmp_close(q);
	assert_int_equal(note.calls, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_greeted_then_negotiates_and_is_ready),
		test(test_when_greeted_byte_by_byte_then_is_ready),
		test(test_when_somebody_else_answers_then_its_words_are_quoted),
		test(test_when_closed_before_the_greeting_then_says_so),
		test(test_when_capabilities_are_refused_then_dies_with_the_reason),
		test(test_when_oob_is_asked_for_and_offered_then_it_is_used),
		test(test_when_events_come_then_they_are_queued_in_order),
		test(test_when_nobody_fetches_events_then_the_oldest_go_and_are_counted),
		test(test_when_events_are_large_then_their_bytes_are_bounded),
		test(test_when_closed_inside_a_reply_then_all_pending_are_told),
		test(test_when_a_qemu_talks_nonsense_then_dies),
		test(test_when_closed_by_us_then_no_function_is_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
