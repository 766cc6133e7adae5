/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server half, spoken to by hand.
 */
#include "qmp_fixture.h"

#define REPLY_BYTES 4096

/**
 * struct session - A server and the hand of its client
 */
struct session {
	struct qmp_peer *p;
	int fd;
	char said[REPLY_BYTES];
};

static void session_open(struct session *s, const struct qmp_peer_options *options)
{
	char address[32];

	s->fd = pair(address);
	s->p = qmp_peer_new(atoi(address + 3), options);
	assert_non_null(s->p);
	n_calls_in = 0;
}

static void session_close(struct session *s)
{
	qmp_peer_free(s->p);
	close(s->fd);
}

/* Turn the server's loop until it has nothing to do; what it said is in s->said. */
static int session_turn(struct session *s)
{
	struct pollfd pfd = { qmp_peer_fd(s->p), 0, 0 };
	int r = 0;

	do {
		r = qmp_peer_dispatch(s->p, pfd.revents);
		pfd.events = qmp_peer_poll_events(s->p);
	} while (!r && poll(&pfd, 1, 0) == 1);
	heard(s->fd, s->said, sizeof(s->said));
	return r;
}

static const char *ask(struct session *s, const char *request)
{
	say(s->fd, request);
	session_turn(s);
	return s->said;
}

static void open_qmp(struct session *s)
{
	session_open(s, &(struct qmp_peer_options){ .verbs = verbs });
	session_turn(s);
	assert_string_equal(ask(s, "{\"execute\": \"qmp_capabilities\"}\n"), "{\"return\":{}}\n");
}

static void open_qga(struct session *s)
{
	session_open(s, &(struct qmp_peer_options){ .verbs = verbs, .dialect = QMP_DIALECT_QGA });
	session_turn(s);
}

/* ---- dialects --------------------------------------------------------- */

/* A QMP server greets; a QGA one keeps silent. */
static void test_when_a_client_comes_then_only_qmp_greets(void **state)
{
	struct session s;

	(void)state;
	session_open(&s, &(struct qmp_peer_options){ .verbs = verbs });
	session_turn(&s);
	assert_memory_equal(s.said, "{\"QMP\":{", 8);
	session_close(&s);
	open_qga(&s);
	assert_string_equal(s.said, "");
	session_close(&s);
}

/* Before the negotiation nothing else is served, and no event is sent. */
static void test_when_not_negotiated_then_commands_are_refused(void **state)
{
	struct session s;

	(void)state;
	session_open(&s, &(struct qmp_peer_options){ .verbs = verbs });
	session_turn(&s);
	qmp_peer_event(s.p, "EARLY", NULL);
	assert_string_equal(ask(&s, "{\"execute\": \"now\", \"id\": 4}"),
			    "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"Expecting "
			    "capabilities negotiation with 'qmp_capabilities'\"},\"id\":4}\n");
	assert_string_equal(ask(&s, "{\"execute\": \"qmp_capabilities\"}"), "{\"return\":{}}\n");
	assert_non_null(strstr(ask(&s, "{\"execute\": \"qmp_capabilities\"}"), "already complete"));
	session_close(&s);
}

/* A capability that was not offered cannot be had; one that was makes exec-oob work. */
static void test_when_oob_was_offered_then_it_can_be_had(void **state)
{
	struct qmp_peer_options options = { .verbs = verbs };
	const char *enable = "{\"execute\": \"qmp_capabilities\", "
			     "\"arguments\": {\"enable\": [\"oob\"]}}";
	const char *oob = "{\"exec-oob\": \"now\"}";
	struct session s;

	(void)state;
	session_open(&s, &options);
	session_turn(&s);
	assert_non_null(strstr(ask(&s, enable), "not available"));
	assert_non_null(strstr(ask(&s, oob), "error"));
	session_close(&s);
	options.greeting = object("{\"capabilities\": [\"oob\"]}");
	session_open(&s, &options);
	session_turn(&s);
	assert_string_equal(ask(&s, enable), "{\"return\":{}}\n");
	assert_string_equal(ask(&s, oob), "{\"return\":{}}\n");
	session_close(&s);
}

/* query-commands names what there is. */
static void test_when_asked_for_commands_then_all_are_named(void **state)
{
	struct session s;

	(void)state;
	open_qmp(&s);
	ask(&s, "{\"execute\": \"query-commands\"}");
	for (const struct qmp_verb *v = verbs; v->name; v++)
		assert_non_null(strstr(s.said, v->name));
	assert_non_null(strstr(s.said, "qmp_capabilities"));
	session_close(&s);
}

/* The two syncs of QGA; 0xFF drops half a request. */
static void test_when_synced_then_the_number_comes_back(void **state)
{
	struct session s;

	(void)state;
	open_qga(&s);
	assert_string_equal(ask(&s, "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":77}}\n"),
			    "{\"return\":77}\n");
	assert_string_equal(ask(&s, "{\"execute\": \"half\xFF{\"execute\":"
				    "\"guest-sync-delimited\",\"arguments\":{\"id\":78}}\n") +
				    strcspn(s.said, "\n") + 1,
			    "\xFF{\"return\":78}\n");
	assert_string_equal(ask(&s, "{\"a\": \xFF{\"execute\":\"guest-sync-delimited\","
				    "\"arguments\":{\"id\":79}}\n"),
			    "\xFF{\"return\":79}\n");
	session_close(&s);
}

/* ---- requests --------------------------------------------------------- */

/* Any JSON value is an id, and comes back as it was. */
static void test_when_a_request_has_an_id_then_it_comes_back(void **state)
{
	static const char *const ids[] = { "1",	   "-1",     "\"x\"",
					   "null", "[1,{}]", "{\"a\":null}",
					   "1.5",  "true",   "18446744073709551615" };
	char request[128], reply[128];
	struct session s;

	(void)state;
	open_qmp(&s);
	for (size_t i = 0; i < COUNT(ids); i++) {
		snprintf(request, sizeof(request), "{\"execute\":\"now\",\"id\":%s}", ids[i]);
		snprintf(reply, sizeof(reply), "{\"return\":{},\"id\":%s}\n", ids[i]);
		assert_string_equal(ask(&s, request), reply);
	}
	session_close(&s);
}

/* A request of the wrong shape is refused with the member named, and the next one served. */
static void test_when_a_request_has_a_wrong_shape_then_the_member_is_named(void **state)
{
	static const char *const rows[][2] = {
		{ "[]", "must be a JSON object" },
		{ "5\n", "must be a JSON object" },
		{ "null", "must be a JSON object" },
		{ "{}", "lacks member 'execute'" },
		{ "{\"execute\": 5}", "'execute' must be a string" },
		{ "{\"execute\": \"now\", \"arguments\": []}", "'arguments' must be an object" },
		{ "{\"execute\": \"now\", \"extra\": 1}", "'extra' is unexpected" },
		{ "{\"execute\": \"nothing\"}", "The command nothing has not been found" },
		{ "{\"execute\": \"now\", \"arguments\": {\"n\": \"1\"}}", "'n' is string" },
		{ "{\"execute\": \"now\", \"arguments\": {\"n\": 1001}}", "'n' is 1001" },
		{ "{\"execute\": \"now\", \"arguments\": {\"m\": 1}}", "'m' is unexpected" },
		{ "{\"execute\": now}\n", "JSON parse error" },
		{ "{\"execute\": \"a\nb\"}\n", "JSON parse error" },
	};
	struct session s;

	(void)state;
	open_qmp(&s);
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!strstr(ask(&s, rows[i][0]), rows[i][1]))
			fail_msg("%s: %s", rows[i][0], s.said);
		assert_memory_equal(s.said, "{\"error\":{\"class\":\"", 19);
		assert_string_equal(ask(&s, "{\"execute\":\"now\"}"), "{\"return\":{}}\n");
	}
	session_close(&s);
}

/* Requests without newlines, several in one write, in pieces. */
static void test_when_requests_share_a_write_then_all_are_answered_in_order(void **state)
{
	struct session s;

	(void)state;
	open_qmp(&s);
	assert_string_equal(ask(&s, "{\"execute\":\"now\",\"id\":1}{\"execute\":\"now\",\"id\":2}"
				    "{\"execute\":\"now\",\"i"),
			    "{\"return\":{},\"id\":1}\n{\"return\":{},\"id\":2}\n");
	assert_string_equal(ask(&s, "d\":3}"), "{\"return\":{},\"id\":3}\n");
	session_close(&s);
}

/* ---- deferred --------------------------------------------------------- */

/* Replies may be given later, in any order. */
static void test_when_replies_are_deferred_then_each_keeps_its_id(void **state)
{
	struct session s;

	(void)state;
	open_qmp(&s);
	assert_string_equal(
		ask(&s, "{\"execute\":\"later\",\"id\":1}{\"execute\":\"later\",\"id\":2}"), "");
	qmp_reply_error(calls_in[1], "GenericError", "no %d", 2);
	qmp_reply(calls_in[0], json_object_new_int(7));
	session_turn(&s);
	assert_string_equal(s.said, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no 2\"},"
				    "\"id\":2}\n{\"return\":7,\"id\":1}\n");
	session_close(&s);
}

/* So many calls at once; more are read when some were answered, without new bytes coming. */
static void test_when_too_many_calls_are_open_then_the_rest_waits(void **state)
{
	struct session s;

	(void)state;
	session_open(&s, &(struct qmp_peer_options){
				 .verbs = verbs, .dialect = QMP_DIALECT_QGA, .calls = 2 });
	for (int i = 0; i < 5; i++)
		ask(&s, "{\"execute\":\"later\"}\n");
	assert_int_equal(n_calls_in, 2);
	assert_int_equal(qmp_peer_poll_events(s.p) & POLLIN, 0);
	qmp_reply(calls_in[0], NULL);
	session_turn(&s);
	assert_int_equal(n_calls_in, 3);
	qmp_reply(calls_in[1], NULL);
	qmp_reply(calls_in[2], NULL);
	session_turn(&s);
	assert_int_equal(n_calls_in, 5);
	qmp_reply(calls_in[3], NULL);
	qmp_reply(calls_in[4], NULL);
	session_close(&s);
}

/* A call survives its client; the answer goes nowhere. */
static void test_when_the_client_has_gone_then_the_answer_goes_nowhere(void **state)
{
	struct session s;

	(void)state;
	open_qmp(&s);
	ask(&s, "{\"execute\":\"later\"}{\"execute\":\"later\"}");
	assert_ptr_equal(qmp_call_peer(calls_in[0]), s.p);
	assert_string_equal(qmp_call_name(calls_in[0]), "later");
	session_close(&s);
	assert_null(qmp_call_peer(calls_in[0]));
	qmp_reply(calls_in[0], json_object_new_int(1));
	qmp_reply_error(calls_in[1], "GenericError", "too late");
}

/* A client that hangs up while all its calls are open is noticed. */
static void test_when_the_client_hangs_up_with_open_calls_then_it_is_noticed(void **state)
{
	struct pollfd pfd;
	struct session s;

	(void)state;
	session_open(&s, &(struct qmp_peer_options){
				 .verbs = verbs, .dialect = QMP_DIALECT_QGA, .calls = 1 });
	ask(&s, "{\"execute\":\"later\"}");
	shutdown(s.fd, SHUT_RDWR);
	pfd = (struct pollfd){ qmp_peer_fd(s.p), qmp_peer_poll_events(s.p), 0 };
	assert_int_equal(poll(&pfd, 1, HANG_MS), 1);
	assert_int_equal(qmp_peer_dispatch(s.p, pfd.revents), -EPIPE);
	qmp_reply(calls_in[0], NULL);
	session_close(&s);
}

/* ---- limits ----------------------------------------------------------- */

/* A request over a limit: told so, and the peer is to be freed. */
static void test_when_a_request_is_too_large_then_the_session_ends(void **state)
{
	static const char *const over[] = {
		"{\"execute\":\"now\",\"arguments\":{\"s\":\"01234567890123456789\"}}",
		"{\"execute\":\"now\",\"arguments\":[[[[]]]]}",
		"[1,2,3,4,5,6,7,8,9,10,11,12]",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(over); i++) {
		struct session s;

		session_open(&s, &(struct qmp_peer_options){
					 .verbs = verbs,
					 .dialect = QMP_DIALECT_QGA,
					 .limits = { .bytes = 50, .depth = 4, .tokens = 10 } });
		say(s.fd, over[i]);
		assert_int_equal(session_turn(&s), -EMSGSIZE);
		assert_non_null(strstr(s.said, "JSON parse error"));
		assert_int_equal(qmp_peer_dispatch(s.p, 0), -EMSGSIZE);
		session_close(&s);
	}
}

/* A client that asks and never reads: it is not read from either, and memory is bounded. */
static void test_when_the_client_never_reads_then_it_is_not_read_from(void **state)
{
	const char request[] = "{\"execute\":\"query-commands\"}\n";
	struct session s;
	size_t sent = 0;
	ssize_t n;

	(void)state;
	open_qmp(&s);
	fcntl(s.fd, F_SETFL, O_NONBLOCK);
	for (int idle = 0; idle < 100; idle++) {
		n = write(s.fd, request, sizeof(request) - 1);
		if (n > 0)
			idle = 0;
		sent += n > 0 ? n : 0;
		assert_int_equal(qmp_peer_dispatch(s.p, 0), 0);
		assert_true(sent < 8 * QMP_SEND_BYTES_MAX);
	}
	assert_int_equal(qmp_peer_poll_events(s.p), POLLOUT);
	session_close(&s);
}

/* Events to a client that does not read are dropped, and the next that fits says how many. */
static void test_when_events_cannot_be_sent_then_their_number_is_told(void **state)
{
	static char text[2 * QMP_SEND_BYTES_MAX], *last;
	struct session s;

	(void)state;
	open_qmp(&s);
	for (int i = 0; i < 20000; i++)
		qmp_peer_event(s.p, "TICK", object("{\"padding\": \"0123456789012345678901234\"}"));
	while (recv(s.fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		qmp_peer_dispatch(s.p, POLLOUT);
	qmp_peer_event(s.p, "AFTER", NULL);
	session_turn(&s);
	last = strstr(s.said, "\"AFTER\"");
	assert_non_null(last);
	assert_non_null(strstr(last, "\"dropped\":"));
	assert_in_range(atoi(strstr(last, "\"dropped\":") + 10), 1, 19999);
	qmp_peer_event(s.p, "LATER", NULL);
	session_turn(&s);
	assert_null(strstr(s.said, "dropped"));
	session_close(&s);
}

/* The client closes: noticed, after what it asked for was looked at. */
static void test_when_the_client_closes_then_dispatch_says_so(void **state)
{
	struct session s;

	(void)state;
	open_qmp(&s);
	say(s.fd, "{\"execute\":\"later\"}");
	shutdown(s.fd, SHUT_WR);
	assert_int_equal(session_turn(&s), -EPIPE);
	assert_int_equal(n_calls_in, 1);
	qmp_reply(calls_in[0], NULL);
	session_close(&s);
}

/* The program's pointer stays with its client. */
static void test_when_data_is_set_then_it_is_read_back(void **state)
{
	struct session s;

	(void)state;
	open_qmp(&s);
	assert_null(qmp_peer_data(s.p));
	qmp_peer_set_data(s.p, &s);
	assert_ptr_equal(qmp_peer_data(s.p), &s);
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_a_client_comes_then_only_qmp_greets),
		test(test_when_not_negotiated_then_commands_are_refused),
		test(test_when_oob_was_offered_then_it_can_be_had),
		test(test_when_asked_for_commands_then_all_are_named),
		test(test_when_synced_then_the_number_comes_back),
		test(test_when_a_request_has_an_id_then_it_comes_back),
		test(test_when_a_request_has_a_wrong_shape_then_the_member_is_named),
		test(test_when_requests_share_a_write_then_all_are_answered_in_order),
		test(test_when_replies_are_deferred_then_each_keeps_its_id),
		test(test_when_too_many_calls_are_open_then_the_rest_waits),
		test(test_when_the_client_has_gone_then_the_answer_goes_nowhere),
		test(test_when_the_client_hangs_up_with_open_calls_then_it_is_noticed),
		test(test_when_a_request_is_too_large_then_the_session_ends),
		test(test_when_the_client_never_reads_then_it_is_not_read_from),
		test(test_when_events_cannot_be_sent_then_their_number_is_told),
		test(test_when_the_client_closes_then_dispatch_says_so),
		test(test_when_data_is_set_then_it_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
