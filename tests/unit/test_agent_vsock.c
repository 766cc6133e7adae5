/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent on a vsock port: the host is served as the host, nobody else is.
 */
#include "agent_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <qmp.h>

#include "../../guest-agent/vsock.h"
#include "fake_vsock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int begin(struct fixture *f, const char *where, struct ls_err *err)
{
	const struct agent_options opt = { .method = "vsock-listen", .path = where };

	fake_vsock = (struct fake_vsock){ .path.sun_family = AF_UNIX };
	snprintf(fake_vsock.path.sun_path, sizeof(fake_vsock.path.sun_path), "/tmp/test-vsock-%d",
		 (int)getpid());
	unlink(fake_vsock.path.sun_path);
	return begin_agent(f, &opt, err);
}

static void end(struct fixture *f)
{
	assert_int_equal(end_agent(f), 0);
	unlink(fake_vsock.path.sun_path);
}

/* A connection from CID 2 may what the host may, and not what only the guest's root may. */
static void test_when_the_host_connects_then_it_is_served_as_the_host(void **state)
{
	const struct qmp_options opt = { .dialect = QMP_DIALECT_QGA };
	struct json_object *args = json_tokener_parse("{\"cpu\": 1, \"row\": \"ap:alive\"}");
	struct json_object *value = NULL;
	struct ls_err err = { 0 };
	struct fixture f;
	struct qmp *q;

	(void)state;
	assert_int_equal(begin(&f, "1024", &err), 0);
	assert_int_equal(fake_vsock.at.svm_cid, VMADDR_CID_ANY);
	assert_int_equal(fake_vsock.at.svm_port, 1024);
	fake_vsock.peer_cid = VMADDR_CID_HOST;
	run_agent(&f);
	if (qmp_open("vsock:3:1024", &opt, qmp_now_ms() + PATIENCE_MS, &err, &q) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(
		qmp_command(q, "lockstep-status", NULL, qmp_now_ms() + PATIENCE_MS, &err, &value),
		0);
	json_object_put(value);
	assert_int_equal(
		qmp_command(q, "lockstep-fail", args, qmp_now_ms() + PATIENCE_MS, &err, &value),
		-EREMOTEIO);
	assert_non_null(strstr(err.text, "for the guest itself"));
	qmp_close(q);
	end(&f);
}

/* The guest's own programs come by loopback or its own CID, guests inside it by theirs. */
static void test_when_anybody_else_connects_then_he_is_turned_away(void **state)
{
	static const unsigned cids[] = { VMADDR_CID_LOCAL, 0, 3, 4294967294u, VMADDR_CID_ANY };
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct ls_err err = { 0 };
	struct fixture f;
	char byte;

	(void)state;
	assert_int_equal(begin(&f, "3:1024", &err), 0);
	assert_int_equal(fake_vsock.at.svm_cid, 3);
	run_agent(&f);
	for (size_t i = 0; i < COUNT(cids); i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		__atomic_store_n(&fake_vsock.peer_cid, cids[i], __ATOMIC_SEQ_CST);
		assert_int_equal(
			connect(fd, (struct sockaddr *)&fake_vsock.path, sizeof(fake_vsock.path)),
			0);
		send(fd, "{\"execute\": \"guest-ping\"}\n", 26, MSG_NOSIGNAL);
		if (recv(fd, &byte, 1, 0) > 0)
			fail_msg("CID %u was answered", cids[i]);
		close(fd);
	}
	end(&f);
}

/* What is no port, and a kernel that has no vsock, are told before anything is served. */
static void test_when_it_cannot_listen_then_it_says_why(void **state)
{
	static const char *const rows[] = {
		"",	"x",  ":1",	     "3:", "3:0", "0", "1:2:3", "4294967295:1",
		"-1:3", " 1", "99999999999",
	};
	struct ls_err err = { 0 };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(begin(&f, rows[i], &err), -EINVAL);
		if (!strstr(err.text, "PORT or CID:PORT"))
			fail_msg("%s: %s", rows[i], err.text);
	}
	assert_int_equal(begin(&f, "1024", &err), 0);
	fake_vsock.none = true;
	assert_int_equal(vsock_open(&f.agent, "1025", &err), -EAFNOSUPPORT);
	assert_non_null(strstr(err.text, "modprobe"));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_the_host_connects_then_it_is_served_as_the_host),
		cmocka_unit_test(test_when_anybody_else_connects_then_he_is_turned_away),
		cmocka_unit_test(test_when_it_cannot_listen_then_it_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
