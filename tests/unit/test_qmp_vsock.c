/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock addresses: whom they reach, and what is said when they do not.
 */
#include "qmp_fixture.h"

#include "fake_vsock.h"

static int listen_there(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fake_vsock = (struct fake_vsock){ .path.sun_family = AF_UNIX };
	snprintf(fake_vsock.path.sun_path, sizeof(fake_vsock.path.sun_path), "/tmp/test-vsock-%d",
		 (int)getpid());
	unlink(fake_vsock.path.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&fake_vsock.path, sizeof(fake_vsock.path)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void listen_no_more(int fd)
{
	close(fd);
	unlink(fake_vsock.path.sun_path);
}

/* What is no "CID:PORT" is refused before anything is tried, and named. */
static void test_when_a_vsock_address_is_malformed_then_it_is_named(void **state)
{
	static const char *const rows[] = {
		"vsock:",
		"vsock:3",
		"vsock:3:",
		"vsock::1024",
		"vsock:3:0",
		"vsock:a:1",
		"vsock:3:1x",
		"vsock:-1:1024",
		"vsock:3:-1",
		"vsock: 3:1",
		"vsock:4294967295:1",
		"vsock:3:4294967295",
		"vsock:3:1:1",
		"vsock:0x3:1",
		"vsock:3:99999999999",
	};

	(void)state;
	fake_vsock.at.svm_port = 0;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ls_err err = { 0 };
		struct qmp *q = NULL;

		assert_int_equal(qmp_start(rows[i], NULL, &err, &q), -EINVAL);
		if (!strstr(err.text, "want vsock:CID:PORT"))
			fail_msg("%s: %s", rows[i], err.text);
		assert_memory_equal(err.text, rows[i], strlen(rows[i]));
	}
	assert_int_equal(fake_vsock.at.svm_port, 0);
}

/* The guest that is named is the one that is connected to, and then commands work. */
static void test_when_a_guest_is_named_then_it_is_reached(void **state)
{
	int l = listen_there();
	struct note note = { 0 };
	struct ls_err err = { 0 };
	struct qmp_peer *p;
	struct qmp *q;

	(void)state;
	if (qmp_start("vsock:4294967294:1024", NULL, &err, &q) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(fake_vsock.at.svm_family, AF_VSOCK);
	assert_int_equal(fake_vsock.at.svm_cid, 4294967294);
	assert_int_equal(fake_vsock.at.svm_port, 1024);
	p = serve(accept4(l, NULL, NULL, SOCK_CLOEXEC), QMP_DIALECT_QMP, NULL);
	pump(q, p);
	assert_int_equal(qmp_submit(q, "now", object("{\"n\": 9}"), take_note, &note, NULL, NULL),
			 0);
	pump(q, p);
	assert_int_equal(note.n, 9);
	qmp_close(q);
	qmp_peer_free(p);
	listen_no_more(l);
}

/* Each way to fail, at once or later, is told in words that help. */
static void test_when_a_guest_is_not_reached_then_the_reason_is_told(void **state)
{
	static const struct {
		bool none;
		int error, late, code;
		const char *why;
	} rows[] = {
		{ true, 0, 0, -EAFNOSUPPORT, "modprobe vhost_vsock" },
		{ false, ENODEV, 0, -ENODEV, "no guest has this CID" },
		{ false, ECONNRESET, 0, -ECONNREFUSED, "nobody listens on that port" },
		{ false, 0, ECONNRESET, -ECONNREFUSED, "nobody listens on that port" },
		{ false, 0, ETIMEDOUT, -ETIMEDOUT, "timed out" },
	};
	int l = listen_there();

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ls_err err = { 0 };
		struct qmp *q;

		fake_vsock.none = rows[i].none;
		fake_vsock.error = rows[i].error;
		fake_vsock.late = rows[i].late;
		assert_int_equal(qmp_open("vsock:3:1024", NULL, qmp_now_ms() + HANG_MS, &err, &q),
				 rows[i].code);
		if (!strstr(err.text, rows[i].why) || strncmp(err.text, "vsock:3:1024", 12) != 0)
			fail_msg("%zu: %s", i, err.text);
	}
	listen_no_more(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_a_vsock_address_is_malformed_then_it_is_named),
		test(test_when_a_guest_is_named_then_it_is_reached),
		test(test_when_a_guest_is_not_reached_then_the_reason_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
