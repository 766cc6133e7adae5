/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The blocking calls: against a server in another thread, and against silence.
 */
#include "qmp_fixture.h"

/* Long enough to be a wait, short enough to be tried often. */
#define SHORT_MS 60

/**
 * struct serving - A server half with a loop of its own
 * @address: for the client
 * @stop:    a pipe; closing its write end ends the loop
 */
struct serving {
	char address[32];
	struct qmp_peer *p;
	int stop[2];
	pthread_t thread;
};

static void *serve_loop(void *arg)
{
	struct serving *s = arg;
	int r = 0;

	while (!r) {
		struct pollfd pfds[] = {
			{ qmp_peer_fd(s->p), qmp_peer_poll_events(s->p), 0 },
			{ s->stop[0], POLLIN, 0 },
		};

		if (poll(pfds, 2, HANG_MS) <= 0 || pfds[1].revents)
			break;
		r = qmp_peer_dispatch(s->p, pfds[0].revents);
	}
	qmp_peer_free(s->p);
	return NULL;
}

/* Deferred calls are never answered here: they stand for a peer that hangs. */
static void serving_start(struct serving *s, enum qmp_dialect dialect)
{
	s->p = serve(pair(s->address), dialect, NULL);
	assert_int_equal(pipe2(s->stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve_loop, s), 0);
}

static void serving_stop(struct serving *s)
{
	close(s->stop[1]); /* the loop sees the pipe's end */
	pthread_join(s->thread, NULL);
	close(s->stop[0]);
}

static uint64_t in_ms(unsigned ms)
{
	return qmp_now_ms() + ms;
}

/* Open, ask, get what was asked for, in both dialects. */
static void test_when_a_server_answers_then_the_reply_is_returned(void **state)
{
	const enum qmp_dialect dialects[] = { QMP_DIALECT_QMP, QMP_DIALECT_QGA };

	(void)state;
	for (size_t i = 0; i < COUNT(dialects); i++) {
		const struct qmp_options options = { .dialect = dialects[i] };
		struct json_object *v = NULL;
		struct ls_err err = { 0 };
		struct serving s;
		struct qmp *q = NULL;

		serving_start(&s, dialects[i]);
		if (qmp_open(s.address, &options, in_ms(HANG_MS), &err, &q) < 0)
			fail_msg("%s", err.text);
		if (qmp_command(q, "now", object("{\"n\": 12}"), in_ms(HANG_MS), &err, &v) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(qmp_get_int(v, "n", 0), 12);
		json_object_put(v);
		assert_int_equal(qmp_command(q, "now", NULL, in_ms(HANG_MS), NULL, NULL), 0);
		qmp_close(q);
		serving_stop(&s);
	}
}

/* The refusal of a command is the peer's class and sentence. */
static void test_when_a_server_refuses_then_its_sentence_is_returned(void **state)
{
	struct ls_err err = { 0 };
	struct serving s;
	struct qmp *q = NULL;

	(void)state;
	serving_start(&s, QMP_DIALECT_QMP);
	assert_int_equal(qmp_open(s.address, NULL, in_ms(HANG_MS), &err, &q), 0);
	assert_int_equal(qmp_command(q, "refuse", NULL, in_ms(HANG_MS), &err, NULL), -EREMOTEIO);
	assert_string_equal(err.class, "DeviceNotFound");
	assert_string_equal(err.text, "Device 'cpu9' not found");
	qmp_close(q);
	serving_stop(&s);
}

/* No reply: the deadline ends the wait, the connection stays good for the next command. */
static void test_when_a_reply_does_not_come_then_the_next_command_still_works(void **state)
{
	struct json_object *v = NULL;
	struct ls_err err = { 0 };
	struct serving s;
	struct qmp *q = NULL;
	uint64_t before;

	(void)state;
	serving_start(&s, QMP_DIALECT_QMP);
	assert_int_equal(qmp_open(s.address, NULL, in_ms(HANG_MS), &err, &q), 0);
	before = qmp_now_ms();
	assert_int_equal(qmp_command(q, "later", NULL, in_ms(SHORT_MS), &err, NULL), -ETIMEDOUT);
	assert_in_range(qmp_now_ms() - before, SHORT_MS, HANG_MS / 2);
	assert_non_null(strstr(err.text, "later"));
	assert_int_equal(qmp_command(q, "now", object("{\"n\": 3}"), in_ms(HANG_MS), &err, &v), 0);
	assert_int_equal(qmp_get_int(v, "n", 0), 3);
	json_object_put(v);
	qmp_close(q);
	serving_stop(&s);
	qmp_reply(calls_in[0], NULL);
}

/* The reply of a command that has run into its deadline is not taken for the next one's. */
static void test_when_a_reply_comes_late_then_it_is_dropped(void **state)
{
	struct json_object *v = NULL;
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	assert_int_equal(qmp_command(q, "a", NULL, in_ms(SHORT_MS), NULL, NULL), -ETIMEDOUT);
	say(fd, "{\"error\": {}, \"id\": 1}{\"return\": {\"n\": 2}, \"id\": 2}");
	assert_int_equal(qmp_command(q, "b", NULL, in_ms(HANG_MS), NULL, &v), 0);
	assert_int_equal(qmp_get_int(v, "n", 0), 2);
	json_object_put(v);
	hang_up(q, fd);
}

/* A QEMU that has another client says nothing at all. */
static void test_when_nobody_speaks_then_the_monitor_is_held_by_another(void **state)
{
	static const struct {
		enum qmp_dialect dialect;
		const char *hint;
	} rows[] = { { QMP_DIALECT_QMP, "another client holds this monitor" },
		     { QMP_DIALECT_QGA, "no agent answers" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct qmp_options options = { .dialect = rows[i].dialect };
		struct ls_err err = { 0 };
		char address[32];
		struct qmp *q = NULL;
		int fd = pair(address);

		assert_int_equal(qmp_open(address, &options, in_ms(SHORT_MS), &err, &q), -EBUSY);
		assert_null(q);
		assert_non_null(strstr(err.text, rows[i].hint));
		assert_memory_equal(err.text, address, strlen(address));
		close(fd);
	}
}

/* Half a greeting and then silence is another thing than silence. */
static void test_when_the_greeting_never_ends_then_it_is_quoted(void **state)
{
	struct ls_err err = { 0 };
	char address[32];
	struct qmp *q = NULL;
	int fd = pair(address);

	(void)state;
	say(fd, "{\"QMP\": {");
	assert_int_equal(qmp_open(address, NULL, in_ms(SHORT_MS), &err, &q), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "it said \"{\"QMP\": {\""));
	close(fd);
}

/* The peer dies while we wait. */
static void test_when_the_peer_dies_in_a_command_then_returns_at_once(void **state)
{
	struct ls_err err = { 0 };
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	say(fd, "{\"return\": ");
	shutdown(fd, SHUT_RDWR);
	assert_int_equal(qmp_command(q, "a", NULL, in_ms(HANG_MS), &err, NULL), -EPIPE);
	assert_int_equal(qmp_command(q, "a", NULL, in_ms(HANG_MS), &err, NULL), -EPIPE);
	assert_int_equal(qmp_state(q), QMP_DEAD);
	hang_up(q, fd);
}

/* Events that came during a command are there afterwards; without one the wait ends. */
static void test_when_waiting_for_an_event_then_it_comes_or_the_deadline_does(void **state)
{
	struct ls_err err = { 0 };
	struct qmp_event e;
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	say(fd, "{\"event\": \"STOP\"}{\"return\": {}, \"id\": 1}");
	assert_int_equal(qmp_command(q, "stop", NULL, in_ms(HANG_MS), NULL, NULL), 0);
	assert_int_equal(qmp_event_wait(q, in_ms(HANG_MS), &err, &e), 0);
	assert_string_equal(e.name, "STOP");
	qmp_event_done(&e);
	assert_int_equal(qmp_event_wait(q, in_ms(SHORT_MS), &err, &e), -ETIMEDOUT);
	say(fd, "{\"event\": \"LAST\"}");
	close(fd);
	assert_int_equal(qmp_event_wait(q, in_ms(HANG_MS), &err, &e), 0);
	qmp_event_done(&e);
	assert_int_equal(qmp_event_wait(q, in_ms(HANG_MS), &err, &e), -EPIPE);
	qmp_close(q);
}

/* A reply that arrives with a thousand events in front of it is found. */
static void test_when_events_flood_then_the_reply_is_still_found(void **state)
{
	static const char event[] = "{\"event\": \"E\", \"data\": {}}\r\n";
	char flood[1000 * (sizeof(event) - 1) + 1];
	struct qmp *q;
	int fd;

	(void)state;
	q = ready_by_hand(NULL, &fd);
	for (int i = 0; i < 1000; i++)
		memcpy(flood + i * (sizeof(event) - 1), event, sizeof(event));
	say(fd, flood);
	say(fd, "{\"return\": {}, \"id\": 1}");
	assert_int_equal(qmp_command(q, "a", NULL, in_ms(HANG_MS), NULL, NULL), 0);
	hang_up(q, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_a_server_answers_then_the_reply_is_returned),
		test(test_when_a_server_refuses_then_its_sentence_is_returned),
		test(test_when_a_reply_does_not_come_then_the_next_command_still_works),
		test(test_when_a_reply_comes_late_then_it_is_dropped),
		test(test_when_nobody_speaks_then_the_monitor_is_held_by_another),
		test(test_when_the_greeting_never_ends_then_it_is_quoted),
		test(test_when_the_peer_dies_in_a_command_then_returns_at_once),
		test(test_when_waiting_for_an_event_then_it_comes_or_the_deadline_does),
		test(test_when_events_flood_then_the_reply_is_still_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
