/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client connection in an event loop: beginning, replies, events, ends.
 */
#include "qmp_fixture.h"

#include <math.h>

/* ---- beginning -------------------------------------------------------- */

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
	say(fd, GREETING);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_NEGOTIATING);
	assert_string_equal(heard(fd, buf, sizeof(buf)),
			    "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
	assert_int_equal(qmp_submit(q, "stop", NULL, NULL, NULL, NULL, NULL), -ENOTCONN);
	say(fd, "{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_READY);
	assert_non_null(qmp_get_obj(qmp_greeting(q), "QMP"));
	qmp_close(q);
	close(fd);
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
	qmp_close(q);
	close(fd);
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
		qmp_close(q);
		close(fd);
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
	qmp_close(q);
	close(fd);
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

/* ---- replies ---------------------------------------------------------- */

/* Replies in another order than the requests go to the right functions. */
static void test_when_replies_come_out_of_order_then_each_finds_its_request(void **state)
{
	struct note notes[5] = { 0 };
	struct qmp_peer *p;
	struct qmp *q;

	(void)state;
	q = ready_pair(NULL, NULL, &p);
	notes_taken = 0;
	for (size_t i = 0; i < COUNT(notes); i++)
		assert_int_equal(qmp_submit(q, "later", NULL, take_note, &notes[i], NULL, NULL), 0);
	pump(q, p);
	assert_int_equal(n_calls_in, COUNT(notes));
	for (size_t i = COUNT(notes); i--;) {
		char text[32];

		snprintf(text, sizeof(text), "{\"n\": %zu}", i);
		qmp_reply(calls_in[i], object(text));
	}
	pump(q, p);
	for (size_t i = 0; i < COUNT(notes); i++) {
		assert_int_equal(notes[i].calls, 1);
		assert_int_equal(notes[i].n, i);
		assert_int_equal(notes[i].order, COUNT(notes) - i);
	}
	qmp_close(q);
	qmp_peer_free(p);
}

/* QEMU's refusal arrives with class and sentence, made fit for one line. */
static void test_when_refused_then_class_and_sentence_arrive(void **state)
{
	struct note note = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_submit(q, "device_del", NULL, take_note, &note, NULL, NULL), 0);
	say(fd, "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"gone\\u001b[2J\\nold\"}, "
		"\"id\": 1}\n");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(note.code, -EREMOTEIO);
	assert_string_equal(note.err.class, "DeviceNotFound");
	assert_string_equal(note.err.text, "gone [2J old");
	qmp_close(q);
	close(fd);
}

/* A cancelled request's reply goes to nobody, and to no other request. */
static void test_when_cancelled_then_the_late_reply_is_dropped(void **state)
{
	struct note gone = { 0 }, kept = { 0 };
	struct qmp *q;
	uint64_t id;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_submit(q, "a", NULL, take_note, &gone, NULL, &id), 0);
	assert_int_equal(qmp_submit(q, "b", NULL, take_note, &kept, NULL, NULL), 0);
	qmp_cancel(q, id);
	say(fd, "{\"return\": {\"n\": 1}, \"id\": 1}{\"return\": {\"n\": 2}, \"id\": 2}");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(gone.calls, 0);
	assert_int_equal(kept.n, 2);
	qmp_close(q);
	close(fd);
}

/* QMP: the number of a cancelled request is used again after its reply, not before. */
static void test_when_cancelled_then_its_number_is_not_used_before_its_reply(void **state)
{
	struct note gone = { 0 }, next = { 0 }, third = { 0 };
	struct qmp *q;
	char buf[512];
	uint64_t id;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_submit(q, "a", NULL, take_note, &gone, NULL, &id), 0);
	qmp_cancel(q, id);
	assert_int_equal(qmp_submit(q, "b", NULL, take_note, &next, NULL, NULL), 0);
	assert_string_equal(heard(fd, buf, sizeof(buf)),
			    "{\"execute\":\"a\",\"id\":1}\n{\"execute\":\"b\",\"id\":2}\n");
	say(fd, "{\"return\": {\"n\": 1}, \"id\": 1}{\"return\": {\"n\": 2}, \"id\": 2}");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(gone.calls, 0);
	assert_int_equal(next.n, 2);
	assert_int_equal(qmp_submit(q, "c", NULL, take_note, &third, NULL, NULL), 0);
	assert_string_equal(heard(fd, buf, sizeof(buf)), "{\"execute\":\"c\",\"id\":1}\n");
	qmp_cancel(q, id); /* long gone: must not hit the new owner of its number */
	say(fd, "{\"return\": {\"n\": 3}, \"id\": 1}");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(third.n, 3);
	qmp_close(q);
	close(fd);
}

/* Requests that were given up count as pending until they are answered. */
static void test_when_all_are_cancelled_then_the_limit_still_holds(void **state)
{
	struct note note = { 0 };
	struct qmp *q;
	uint64_t id;
	int fd, n = 0;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	while (qmp_submit(q, "a", NULL, take_note, &note, NULL, &id) == 0) {
		qmp_cancel(q, id);
		n++;
	}
	assert_int_equal(n, QMP_PENDING_MAX);
	say(fd, "{\"return\": {}, \"id\": 200}");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_submit(q, "a", NULL, take_note, &note, NULL, &id), 0);
	say(fd, "{\"return\": {}, \"id\": 200}");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(note.calls, 1);
	qmp_close(q);
	close(fd);
}

/* A reply twice, or to a request that was never made, changes nothing. */
static void test_when_a_reply_has_a_wrong_id_then_nobody_gets_it(void **state)
{
	struct note note = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_submit(q, "a", NULL, take_note, &note, NULL, NULL), 0);
	say(fd, "{\"return\": 1, \"id\": 77}{\"return\": 1}{\"return\": 1, \"id\": \"1\"}"
		"{\"return\": 1, \"id\": -1}{\"return\": 1, \"id\": null}");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(note.calls, 0);
	say(fd, "{\"return\": 1, \"id\": 1}{\"return\": 1, \"id\": 1}");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(note.calls, 1);
	qmp_close(q);
	close(fd);
}

static void submit_again(struct qmp *q, struct json_object *value, const struct ls_err *err,
			 void *arg)
{
	(void)value, (void)err;
	assert_int_equal(qmp_submit(q, "now", object("{\"n\": 7}"), take_note, arg, NULL, NULL), 0);
}

/* A reply function may send the next command. */
static void test_when_a_reply_function_submits_then_that_is_sent_too(void **state)
{
	struct note note = { 0 };
	struct qmp_peer *p;
	struct qmp *q;

	(void)state;
	q = ready_pair(NULL, NULL, &p);
	assert_int_equal(qmp_submit(q, "now", NULL, submit_again, &note, NULL, NULL), 0);
	pump(q, p);
	assert_int_equal(note.n, 7);
	qmp_close(q);
	qmp_peer_free(p);
}

/* What cannot be said in JSON is refused before anything is sent. */
static void test_when_arguments_are_no_json_then_nothing_is_sent(void **state)
{
	struct json_object *args[] = { json_object_new_object(), json_object_new_object(),
				       json_object_new_array(), json_object_new_object() };
	const char *const names[] = { "a", "a", "a", "a\"b" };
	struct qmp *q;
	char buf[64];
	int fd;

	(void)state;
	json_object_object_add(args[0], "x", json_object_new_double(INFINITY));
	json_object_object_add(args[1], "x", json_object_new_string("bad \xC0\xAF"));
	q = ready_by_hand(NULL, &fd);
	for (size_t i = 0; i < COUNT(args); i++) {
		struct ls_err err = { 0 };

		assert_int_equal(qmp_submit(q, names[i], args[i], NULL, NULL, &err, NULL), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
	}
	assert_string_equal(heard(fd, buf, sizeof(buf)), "");
	qmp_close(q);
	close(fd);
}

/* ---- limits ----------------------------------------------------------- */

/* A peer that answers nothing: so many requests and no more. */
static void test_when_nothing_is_answered_then_requests_are_refused_at_the_limit(void **state)
{
	struct qmp *q;
	int fd, n = 0;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	while (qmp_submit(q, "a", NULL, NULL, NULL, NULL, NULL) == 0)
		n++;
	assert_int_equal(n, QMP_PENDING_MAX);
	assert_int_equal(qmp_submit(q, "a", NULL, NULL, NULL, NULL, NULL), -ENOBUFS);
	qmp_close(q);
	close(fd);
}

/* A peer that reads nothing: so many bytes and no more; POLLOUT is asked for. */
static void test_when_the_peer_never_reads_then_sending_is_refused_at_the_limit(void **state)
{
	char big[65536];
	struct qmp *q;
	int fd, n = 0;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_poll_events(q), POLLIN);
	for (; n < QMP_PENDING_MAX; n++) {
		struct json_object *args = json_object_new_object();

		json_object_object_add(args, "s", json_object_new_string(big));
		if (qmp_submit(q, "a", args, NULL, NULL, NULL, NULL) < 0)
			break;
	}
	assert_in_range(n, QMP_SEND_BYTES_MAX / sizeof(big) - 1, QMP_PENDING_MAX - 1);
	assert_int_equal(qmp_poll_events(q), POLLIN | POLLOUT);
	qmp_close(q);
	close(fd);
}

/* A message over the limit ends a QMP session, with the limit in the error. */
static void test_when_a_reply_is_too_large_then_dies_with_the_limit(void **state)
{
	const struct qmp_options options = { .limits = { .bytes = 300 } };
	struct note note = { 0 };
	struct ls_err err = { 0 };
	char big[1024] = "{\"return\": \"";
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(&options, &fd);
	assert_int_equal(qmp_submit(q, "a", NULL, take_note, &note, NULL, NULL), 0);
	memset(big + strlen(big), 'x', 900);
	say(fd, big);
	assert_int_equal(turn(q, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "300 bytes"));
	assert_int_equal(note.code, -EMSGSIZE);
	qmp_close(q);
	close(fd);
}

/* ---- events ----------------------------------------------------------- */

/* Events come in order, with data and time. */
static void test_when_events_come_then_they_are_queued_in_order(void **state)
{
	struct qmp_event e;
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	say(fd, "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 3, \"microseconds\": 5}}\n"
		"{\"event\": \"RESUME\", \"data\": {\"x\": 1}, \"timestamp\": {\"seconds\": -1}}");
	assert_int_equal(turn(q, NULL), 0);
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
	qmp_close(q);
	close(fd);
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
	qmp_close(q);
	close(fd);
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

/* ---- ends ------------------------------------------------------------- */

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
		assert_int_equal(qmp_submit(q, "a", NULL, take_note, &notes[i], NULL, NULL), 0);
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
		assert_int_equal(qmp_submit(q, "a", NULL, take_note, &note, NULL, NULL), 0);
		say(fd, nonsense[i]);
		assert_int_equal(turn(q, NULL), -EPROTO);
		assert_int_equal(note.calls, 1);
		assert_int_equal(note.code, -EPROTO);
		qmp_close(q);
		close(fd);
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
	assert_int_equal(qmp_submit(q, "a", NULL, take_note, &note, NULL, NULL), 0);
	qmp_close(q);
	assert_int_equal(note.calls, 0);
	close(fd);
}

/* ---- QGA -------------------------------------------------------------- */

/* Half a reply and whole ones of an earlier session are dropped, up to our own sync. */
static void test_when_an_agent_has_old_replies_then_they_are_dropped(void **state)
{
	const struct qmp_options options = { .dialect = QMP_DIALECT_QGA };
	struct qmp *q;
	int fd;

	(void)state;
	q = start_by_hand(&options, &fd);
	say(fd, "rn\": {}}\n{\"return\": 5}\n{\"error\": {}}\n\xFF{\"return\": 123}\n"
		"{\"half\": \"");
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	answer_sync(fd);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_READY);
	qmp_close(q);
	close(fd);
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
	say(fd, text);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	qmp_close(q);
	close(fd);
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
	qmp_close(q);
	close(fd);
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
		assert_int_equal(qmp_submit(q, "a", NULL, take_note, &lost, NULL, NULL), 0);
		say(fd, nonsense[i]);
		assert_int_equal(turn(q, NULL), 0);
		assert_int_equal(lost.calls, i + 1);
		assert_int_equal(lost.code, -EPROTO);
		assert_non_null(strstr(lost.err.text, "garbage"));
	}
	assert_int_equal(qmp_submit(q, "a", NULL, take_note, &next, NULL, &id), 0);
	snprintf(text, sizeof(text), "{\"return\": {\"n\": 3}, \"id\": %llu}\n",
		 (unsigned long long)id);
	say(fd, text);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(next.n, 3);
	qmp_close(q);
	close(fd);
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
	assert_int_equal(qmp_submit(q, "slow", NULL, take_note, &late, NULL, &id), 0);
	assert_int_equal(qmp_resync(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	assert_int_equal(late.code, -ETIMEDOUT);
	snprintf(text, sizeof(text), "{\"return\": {\"n\": 3}, \"id\": %llu}\n",
		 (unsigned long long)id);
	say(fd, text);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_GREETING);
	/* of what was sent, the sync is the last */
	char buf[512];
	const char *sync = strstr(heard(fd, buf, sizeof(buf)), "\"id\":");

	while (strstr(sync + 1, "\"id\":"))
		sync = strstr(sync + 1, "\"id\":");
	snprintf(text, sizeof(text), "\xFF{\"return\": %lld}\n", atoll(sync + 5));
	say(fd, text);
	assert_int_equal(turn(q, NULL), 0);
	assert_int_equal(qmp_state(q), QMP_READY);
	assert_int_equal(late.calls, 1);
	qmp_close(q);
	close(fd);
}

/* A monitor cannot be synced with. */
static void test_when_a_monitor_is_resynced_then_refused(void **state)
{
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_resync(q, NULL), -EOPNOTSUPP);
	qmp_close(q);
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
		test(test_when_replies_come_out_of_order_then_each_finds_its_request),
		test(test_when_refused_then_class_and_sentence_arrive),
		test(test_when_cancelled_then_the_late_reply_is_dropped),
		test(test_when_cancelled_then_its_number_is_not_used_before_its_reply),
		test(test_when_all_are_cancelled_then_the_limit_still_holds),
		test(test_when_a_reply_has_a_wrong_id_then_nobody_gets_it),
		test(test_when_a_reply_function_submits_then_that_is_sent_too),
		test(test_when_arguments_are_no_json_then_nothing_is_sent),
		test(test_when_nothing_is_answered_then_requests_are_refused_at_the_limit),
		test(test_when_the_peer_never_reads_then_sending_is_refused_at_the_limit),
		test(test_when_a_reply_is_too_large_then_dies_with_the_limit),
		test(test_when_events_come_then_they_are_queued_in_order),
		test(test_when_nobody_fetches_events_then_the_oldest_go_and_are_counted),
		test(test_when_events_are_large_then_their_bytes_are_bounded),
		test(test_when_closed_inside_a_reply_then_all_pending_are_told),
		test(test_when_a_qemu_talks_nonsense_then_dies),
		test(test_when_closed_by_us_then_no_function_is_called),
		test(test_when_an_agent_has_old_replies_then_they_are_dropped),
		test(test_when_the_sync_s_answer_has_no_sentinel_then_it_does_not_count),
		test(test_when_a_qemu_is_where_an_agent_should_be_then_says_so),
		test(test_when_an_agent_talks_nonsense_then_only_the_pending_fail),
		test(test_when_resynced_then_the_late_reply_is_dropped),
		test(test_when_a_monitor_is_resynced_then_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
