/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests of the client and their replies: which belongs to which, and how many there
 * may be.
 */
#include "qmp_fixture.h"

#include <math.h>

/* ---- replies --------------------------------------------------------------- */

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
		request(q, "later", &notes[i], NULL);
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
	request(q, "device_del", &note, NULL);
	tell(q, fd,
	     "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"gone\\u001b[2J\\nold\"}, "
	     "\"id\": 1}\n");
	assert_int_equal(note.code, -EREMOTEIO);
	assert_string_equal(note.err.class, "DeviceNotFound");
	assert_string_equal(note.err.text, "gone [2J old");
	hang_up(q, fd);
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
	request(q, "a", &gone, &id);
	request(q, "b", &kept, NULL);
	qmp_cancel(q, id);
	tell(q, fd, "{\"return\": {\"n\": 1}, \"id\": 1}{\"return\": {\"n\": 2}, \"id\": 2}");
	assert_int_equal(gone.calls, 0);
	assert_int_equal(kept.n, 2);
	hang_up(q, fd);
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
	request(q, "a", &gone, &id);
	qmp_cancel(q, id);
	request(q, "b", &next, NULL);
	assert_string_equal(heard(fd, buf, sizeof(buf)),
			    "{\"execute\":\"a\",\"id\":1}\n{\"execute\":\"b\",\"id\":2}\n");
	tell(q, fd, "{\"return\": {\"n\": 1}, \"id\": 1}{\"return\": {\"n\": 2}, \"id\": 2}");
	assert_int_equal(gone.calls, 0);
	assert_int_equal(next.n, 2);
	request(q, "c", &third, NULL);
	assert_string_equal(heard(fd, buf, sizeof(buf)), "{\"execute\":\"c\",\"id\":1}\n");
	qmp_cancel(q, id); /* long gone: must not hit the new owner of its number */
	tell(q, fd, "{\"return\": {\"n\": 3}, \"id\": 1}");
	assert_int_equal(third.n, 3);
	hang_up(q, fd);
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
	tell(q, fd, "{\"return\": {}, \"id\": 200}");
	request(q, "a", &note, &id);
	tell(q, fd, "{\"return\": {}, \"id\": 200}");
	assert_int_equal(note.calls, 1);
	hang_up(q, fd);
}

/* A reply twice, or to a request that was never made, changes nothing. */
static void test_when_a_reply_has_a_wrong_id_then_nobody_gets_it(void **state)
{
	struct note note = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	request(q, "a", &note, NULL);
	tell(q, fd,
	     "{\"return\": 1, \"id\": 77}{\"return\": 1}{\"return\": 1, \"id\": \"1\"}"
	     "{\"return\": 1, \"id\": -1}{\"return\": 1, \"id\": null}");
	assert_int_equal(note.calls, 0);
	tell(q, fd, "{\"return\": 1, \"id\": 1}{\"return\": 1, \"id\": 1}");
	assert_int_equal(note.calls, 1);
	hang_up(q, fd);
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
	hang_up(q, fd);
}

/* ---- limits ---------------------------------------------------------------- */

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
	hang_up(q, fd);
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
	hang_up(q, fd);
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
	request(q, "a", &note, NULL);
	memset(big + strlen(big), 'x', 900);
	say(fd, big);
	assert_int_equal(turn(q, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "300 bytes"));
	assert_int_equal(note.code, -EMSGSIZE);
	hang_up(q, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
