/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's control socket against clients that are rude, silent, many or not allowed:
 * a real daemon in this process, with one guest that cannot be reached.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <qmp.h>

#include "../../coordinator/daemon/ctl_private.h"

#define HANG_MS	 10000
#define TURN_US	 10000
#define HELLO_MS 200
#define CLIENTS	 4

static struct daemon d;
static char dir[] = "/tmp/lockstep-ctl-XXXXXX";
static char path[64], guests[64], config[64], said[65536];

static void write_file(const char *to, const char *text)
{
	FILE *f = fopen(to, "w");

	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	struct ls_err err;
	char conf[128];

	(void)state;
	d = (struct daemon){ .config_path = config, .guests_dir = guests, .state_dir = dir };
	snprintf(conf, sizeof(conf), "%s/vm1.conf", guests);
	write_file(conf, "[guest]\nqmp = unix:/tmp/lockstep-no-such-monitor\n");
	write_file(config, "[lockstepd]\nmax-clients = 4\nhello-limit = 200ms\n");
	assert_int_equal(sd_event_new(&d.loop), 0);
	assert_int_equal(ctl_new(&d, NULL, 0, path, &err), 0);
	assert_int_equal(daemon_load(&d, false, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	daemon_done(&d);
	ctl_free(d.ctl);
	sd_event_unref(d.loop);
	return 0;
}

/* ---- a client ---------------------------------------------------------------- */

static int join(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* Until the daemon has said it; NULL: until it has hung up. */
static void hear(int fd, const char *text)
{
	uint64_t deadline_ms = qmp_now_ms() + HANG_MS;
	size_t len = 0;
	ssize_t n;

	said[0] = '\0';
	while (!text || !strstr(said, text)) {
		if (qmp_now_ms() > deadline_ms)
			fail_msg("not heard: \"%s\"; heard: %s", text ? text : "(end)", said);
		sd_event_run(d.loop, TURN_US);
		n = recv(fd, said + len, sizeof(said) - 1 - len, 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			assert_null(text);
			return;
		}
		len += n > 0 ? (size_t)n : 0;
		said[len] = '\0';
	}
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One that has negotiated. */
static int client(void)
{
	int fd = join();

	hear(fd, "\"QMP\"");
	say(fd, "{\"execute\": \"qmp_capabilities\"}");
	hear(fd, "return");
	return fd;
}

static void assert_works(int fd)
{
	say(fd, "{\"execute\": \"list\"}");
	hear(fd, "\"vm1\"");
}

/* ---- tests -------------------------------------------------------------------- */

/* A guest that cannot be reached is in the list with the reason; a request is refused. */
static void test_when_a_guest_is_away_then_said_and_refused_at_once(void **state)
{
	int fd = client();

	(void)state;
	for (uint64_t until = qmp_now_ms() + HANG_MS; qmp_now_ms() < until;) {
		say(fd, "{\"execute\": \"list\"}");
		hear(fd, "return");
		if (strstr(said, "lockstep-no-such-monitor"))
			break;
	}
	assert_non_null(strstr(said, "\"away\""));
	say(fd, "{\"execute\": \"vcpus\", \"arguments\": {\"guest\": \"vm1\", \"count\": 2}}");
	hear(fd, "\"REACH\"");
	say(fd, "{\"execute\": \"vcpus\", \"arguments\": {\"guest\": \"vm2\", \"count\": 2}}");
	hear(fd, "\"GuestUnknown\"");
	close(fd);
}

/* Garbage, wrong types, unknown verbs, too much: an error each, or the end, for him alone. */
static void test_when_a_client_is_rude_then_others_do_not_notice(void **state)
{
	static const char *const bad[] = {
		"}{[]\n",
		"{\"execute\": \"no-such-verb\"}",
		"{\"execute\": \"vcpus\", \"arguments\": {\"guest\": 7, \"count\": 2}}",
		"{\"execute\": \"vcpus\", \"arguments\": {\"guest\": \"vm1\", \"count\": -1}}",
		"{\"execute\": \"vcpus\", \"arguments\": {\"guest\": \"vm1\"}}",
		"{\"execute\": \"list\", \"arguments\": {\"more\": true}}",
	};
	int good = client(), rude = client();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		say(rude, bad[i]);
		hear(rude, "\"error\"");
		assert_works(good);
	}
	close(rude);
	rude = client();
	for (int i = 0; i < 64; i++) { /* one value that never ends */
		static char much[4096];

		memset(much, 'x', sizeof(much));
		much[0] = i ? 'x' : '"';
		if (send(rude, much, sizeof(much), MSG_NOSIGNAL) < 0)
			break;
		sd_event_run(d.loop, 0);
	}
	hear(rude, "\"error\"");
	assert_works(good);
	close(rude);
	assert_works(good);
	close(good);
}

/* In the middle of a word, or of a request that is still to be answered. */
static void test_when_a_client_leaves_in_the_middle_then_nobody_notices(void **state)
{
	static const char *const last_words[] = {
		"{\"execute\": \"li",
		"{\"execute\": \"txn-list\"}",
		"{\"execute\": \"subscribe\"} {\"execute\": \"vcpus\", \"arguments\": "
		"{\"guest\": \"vm1\", \"count\": 2}}",
	};
	int good = client(), leaves;

	(void)state;
	for (size_t i = 0; i < sizeof(last_words) / sizeof(last_words[0]); i++) {
		leaves = client();
		say(leaves, last_words[i]);
		sd_event_run(d.loop, 0);
		close(leaves);
		while (d.ctl->n_clients > 1)
			sd_event_run(d.loop, TURN_US);
		assert_works(good);
	}
	close(good);
}

static void test_when_a_client_says_nothing_then_it_is_hung_up(void **state)
{
	int silent = join(), good = client();

	(void)state;
	assert_works(good);
	hear(silent, NULL);
	assert_works(good); /* who has spoken once may be silent */
	close(silent);
	close(good);
}

static void test_when_there_are_too_many_clients_then_told(void **state)
{
	int fds[CLIENTS], more;

	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client();
		assert_works(fds[i]);
	}
	more = join();
	hear(more, "max-clients");
	close(more);
	close(fds[0]);
	while (d.ctl->n_clients == CLIENTS)
		sd_event_run(d.loop, TURN_US);
	fds[0] = client();
	for (int i = 0; i < CLIENTS; i++) {
		assert_works(fds[i]);
		close(fds[i]);
	}
}

/* No descriptor is left: who comes is told so, and does not keep the loop busy. */
static void test_when_no_file_is_left_then_told(void **state)
{
	int fd = client(), more = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct rlimit was, none;
	int lowest = dup(0);

	(void)state;
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &was);
	none = was;
	none.rlim_cur = (rlim_t)lowest;
	strcpy(sun.sun_path, path);
	assert_int_equal(connect(more, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	hear(more, "LimitNOFILE");
	hear(more, NULL);
	assert_works(fd);
	setrlimit(RLIMIT_NOFILE, &was);
	close(more);
	close(fd);
}

/* Arguments that a verb takes, and that change nothing. */
static const char *harmless(const char *verb)
{
	static const char *const with[][2] = {
		{ "list", "" },
		{ "subscribe", "" },
		{ "reload", "" },
		{ "txn-list", "" },
		{ "txn-show", "\"txn\": \"t9\"" },
		{ "txn-resume", "\"txn\": \"t9\"" },
		{ "txn-undo", "\"txn\": \"t9\"" },
		{ "txn-forget", "\"txn\": \"t9\"" },
		{ "vcpus", "\"guest\": \"vm9\", \"count\": 2" },
		{ "memory", "\"guest\": \"vm9\", \"bytes\": 2" },
		{ "vcpus-plug", "\"guest\": \"vm9\", \"slots\": [2]" },
		{ "vcpus-unplug", "\"guest\": \"vm9\", \"slots\": [2]" },
		{ "cpu-online", "\"guest\": \"vm9\", \"cpus\": [2]" },
		{ "cpu-offline", "\"guest\": \"vm9\", \"cpus\": [2]" },
		{ "balloon", "\"guest\": \"vm9\", \"bytes\": 2" },
		{ "dimm-add", "\"guest\": \"vm9\", \"bytes\": 2" },
		{ "dimm-remove", "\"guest\": \"vm9\", \"device\": \"d\"" },
		{ "memory-resize", "\"guest\": \"vm9\", \"device\": \"d\", \"bytes\": 2" },
		{ "add", "\"guest\": \"vm9\", \"qmp\": \"tcp:x\"" },
	};

	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		if (!strcmp(verb, with[i][0]))
			return with[i][1];
	return "\"guest\": \"vm9\"";
}

static bool is_denied(int fd, const char *verb)
{
	char text[160];

	snprintf(text, sizeof(text), "{\"execute\": \"%s\", \"arguments\": {%s}}", verb,
		 harmless(verb));
	say(fd, text);
	hear(fd, "\n");
	return strstr(said, "AccessDenied") != NULL;
}

/* Every verb for a client of every class, and of none: what it has, and nothing above. */
static void test_when_a_client_has_no_right_then_every_verb_above_is_refused(void **state)
{
	static const struct {
		const char *name;
		enum access_class class;
	} verbs[] = {
#define X(name, fields, class, act, doc) { name, ACCESS_##class },
		CTL_VERBS(X)
#undef X
	};
	int fd = client();

	(void)state;
	d.ctl->clients->who.uid = d.ctl->clients->who.gid = 5000;
	for (int c = -1; c < ACCESS_COUNT; c++) {
		d.config.access = (struct access){ 0 };
		if (c >= 0)
			d.config.access.who[c][d.config.access.n[c]++].id = 5000;
		for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
			if (is_denied(fd, verbs[i].name) != (c < (int)verbs[i].class))
				fail_msg("%s, class %d: %s", verbs[i].name, c, said);
	}
	close(fd);
}

/* What is added is kept: the next daemon on this state directory has it. */
static void test_when_a_guest_is_added_then_it_is_there_after_a_restart(void **state)
{
	int fd = client();

	say(fd, "{\"execute\": \"add\", \"arguments\": {\"guest\": \"vm2\", \"qmp\": "
		"\"unix:/tmp/lockstep-no-such-2\"}}");
	hear(fd, "\"return\"");
	say(fd, "{\"execute\": \"add\", \"arguments\": {\"guest\": \"vm3\", \"qmp\": "
		"\"unix:/tmp/lockstep-no-such-2\"}}");
	hear(fd, "is here already");
	say(fd, "{\"execute\": \"add\", \"arguments\": {\"guest\": \"../vm3\", \"qmp\": "
		"\"unix:/tmp/lockstep-no-such-3\"}}");
	hear(fd, "cannot be a guest's name");
	close(fd);
	teardown(state);
	setup(state);
	assert_non_null(daemon_find(&d, "vm2"));
	fd = client();
	say(fd, "{\"execute\": \"remove\", \"arguments\": {\"guest\": \"vm2\"}}");
	hear(fd, "\"return\"");
	close(fd);
	teardown(state);
	setup(state);
	assert_null(daemon_find(&d, "vm2"));
}

/* Who adds it hears whether it is there, and why not; and does not wait for ever. */
static void test_when_a_guest_is_added_then_what_became_of_it_is_told(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = client(), mute = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char add[160];

	(void)state;
	say(fd, "{\"execute\": \"add\", \"arguments\": {\"guest\": \"vm5\", \"qmp\": "
		"\"unix:/tmp/lockstep-no-such-5\"}}");
	hear(fd, "\"state\":\"away\",\"reason\":\"unix:/tmp/lockstep-no-such-5");
	say(fd, "{\"execute\": \"remove\", \"arguments\": {\"guest\": \"vm5\"}}");
	hear(fd, "\"return\"");
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/mute", dir);
	assert_int_equal(bind(mute, (struct sockaddr *)&sun, sizeof(sun)), 0);
	listen(mute, 1);
	snprintf(add, sizeof(add),
		 "{\"execute\": \"add\", \"id\": 6, \"arguments\": {\"guest\": \"vm6\", "
		 "\"qmp\": \"unix:%s/mute\"}}",
		 dir);
	say(fd, add);
	say(fd, "{\"execute\": \"remove\", \"arguments\": {\"guest\": \"vm6\"}}");
	hear(fd, "it was removed meanwhile\"},\"id\":6}");
	close(mute);
	close(fd);
}

/* A mistake in any file: the reload is refused by name, and all stays as it was. */
static void test_when_a_file_is_wrong_then_the_reload_changes_nothing(void **state)
{
	char conf[128];
	int fd = client();

	(void)state;
	snprintf(conf, sizeof(conf), "%s/vm4.conf", guests);
	write_file(conf, "[guest]\nqmp = unix:/tmp/lockstep-no-such-monitor\n");
	say(fd, "{\"execute\": \"reload\"}");
	hear(fd, "the same monitor");
	write_file(conf, "[guest]\nqpm = unix:/tmp/x\n");
	say(fd, "{\"execute\": \"reload\"}");
	hear(fd, "vm4.conf");
	assert_null(daemon_find(&d, "vm4"));
	assert_works(fd);
	write_file(conf, "[guest]\nqmp = unix:/tmp/lockstep-no-such-4\n");
	say(fd, "{\"execute\": \"reload\"}");
	hear(fd, "\"return\"");
	assert_non_null(daemon_find(&d, "vm4"));
	unlink(conf);
	say(fd, "{\"execute\": \"reload\"}");
	hear(fd, "\"return\"");
	assert_null(daemon_find(&d, "vm4"));
	close(fd);
}

/* A second daemon on the same socket is told who has it; a dead one's socket is taken. */
static void test_when_the_socket_is_served_then_a_second_daemon_is_refused(void **state)
{
	struct daemon second = d;
	struct ls_err err;

	(void)state;
	second.ctl = NULL;
	assert_int_equal(ctl_new(&second, NULL, 0, path, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another lockstepd"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_when_a_guest_is_away_then_said_and_refused_at_once),
		T(test_when_a_client_is_rude_then_others_do_not_notice),
		T(test_when_a_client_leaves_in_the_middle_then_nobody_notices),
		T(test_when_a_client_says_nothing_then_it_is_hung_up),
		T(test_when_there_are_too_many_clients_then_told),
		T(test_when_no_file_is_left_then_told),
		T(test_when_a_client_has_no_right_then_every_verb_above_is_refused),
		T(test_when_a_guest_is_added_then_it_is_there_after_a_restart),
		T(test_when_a_guest_is_added_then_what_became_of_it_is_told),
		T(test_when_a_file_is_wrong_then_the_reload_changes_nothing),
		T(test_when_the_socket_is_served_then_a_second_daemon_is_refused),
	};
#undef T
	char command[80];
	int r;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/ctl", dir);
	snprintf(guests, sizeof(guests), "%s/here", dir);
	snprintf(config, sizeof(config), "%s/conf", dir);
	mkdir(guests, 0700);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) ? 1 : r;
}
