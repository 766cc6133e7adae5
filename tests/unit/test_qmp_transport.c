/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses: what each kind reaches, and what it says when it does not.
 */
#include "qmp_fixture.h"
#include "qmp_qemu.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SHORT_MS 60

static uint64_t soon(void)
{
	return qmp_now_ms() + HANG_MS;
}

/* ---- what is no address ------------------------------------------------ */

/* A malformed address is refused before anything is tried, and named. */
static void test_when_an_address_is_malformed_then_it_is_named(void **state)
{
	static const struct {
		const char *address, *why;
	} rows[] = {
		{ "unix:", "no path" },
		{ "", "no path" },
		{ "tcp:", "want tcp:HOST:PORT" },
		{ "tcp:host", "want tcp:HOST:PORT" },
		{ "tcp::1", "want tcp:HOST:PORT" },
		{ "tcp:host:", "want tcp:HOST:PORT" },
		{ "fd:", "want fd:N" },
		{ "fd:x", "want fd:N" },
		{ "fd:-1", "want fd:N" },
		{ "fd:3x", "want fd:N" },
		{ "fd:99999999999", "want fd:N" },
		{ "fd:1000000", "no such descriptor" },
		{ "ssh:host", "want ssh:HOST:/PATH" },
		{ "ssh:host:path", "want ssh:HOST:/PATH" },
		{ "ssh::/path", "a host name is not empty" },
		{ "ssh:-oProxyCommand=x:/path", "begins with no '-'" },
		{ "ssh:a b:/path", "cannot stand in a host name" },
		{ "ssh:a;b:/path", "cannot stand in a host name" },
		{ "ssh:host:/a:b", "byte 0x3a cannot stand" },
		{ "ssh:host:/%h", "byte 0x25 cannot stand" },
		{ "ssh:host:/${HOME}", "byte 0x24 cannot stand" },
		{ "ssh:host:/a\nb", "byte 0x0a cannot stand" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ls_err err = { 0 };
		struct qmp *q = NULL;

		assert_int_equal(qmp_start(rows[i].address, NULL, &err, &q), -EINVAL);
		if (!strstr(err.text, rows[i].why))
			fail_msg("%s: %s", rows[i].address, err.text);
		assert_memory_equal(err.text, rows[i].address, strlen(rows[i].address));
	}
}

/* A path that does not fit into sun_path: the limit is told. 107 bytes do fit. */
static void test_when_a_path_is_too_long_then_the_limit_is_told(void **state)
{
	char path[200] = "/tmp/";
	struct ls_err err = { 0 };
	struct qmp *q;

	(void)state;
	memset(path + 5, 'x', 103);
	assert_int_equal(qmp_start(path, NULL, &err, &q), -EINVAL);
	assert_non_null(strstr(err.text, "108 bytes"));
	assert_non_null(strstr(err.text, "at most 107"));
	path[107] = '\0';
	assert_int_equal(qmp_start(path, NULL, &err, &q), -ENOENT);
}

/* ---- unix --------------------------------------------------------------- */

struct place {
	char dir[32], path[64];
	int fd;
};

/* A socket with nobody in front of it; listening only if asked to. */
static void place_make(struct place *p, bool listening)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	strcpy(p->dir, "/tmp/qmp-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/sock", p->dir);
	strcpy(sun.sun_path, p->path);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	if (listening)
		assert_int_equal(listen(p->fd, 0), 0);
}

static void place_remove(struct place *p)
{
	close(p->fd);
	unlink(p->path);
	rmdir(p->dir);
}

/* Nothing there; something there that is no socket; a socket whose owner has gone. */
static void test_when_nobody_listens_then_the_reason_is_told(void **state)
{
	struct ls_err err = { 0 };
	struct place p;
	struct qmp *q;

	(void)state;
	assert_int_equal(qmp_open("/tmp/qmp-test-none", NULL, soon(), &err, &q), -ENOENT);
	assert_string_equal(err.text, "/tmp/qmp-test-none: no such socket");
	place_make(&p, false);
	assert_int_equal(qmp_open(p.path, NULL, soon(), &err, &q), -ECONNREFUSED);
	assert_non_null(strstr(err.text, "nobody listens on it"));
	unlink(p.path);
	close(open(p.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(qmp_open(p.path, NULL, soon(), &err, &q), -ECONNREFUSED);
	place_remove(&p);
}

/* A socket of somebody else. */
static void test_when_there_is_no_permission_then_it_is_told(void **state)
{
	const uid_t me = geteuid(), nobody = 65534;
	struct ls_err err = { 0 };
	struct place p;
	struct qmp *q;
	int r;

	(void)state;
	place_make(&p, true);
	assert_int_equal(chmod(p.path, 0), 0);
	assert_int_equal(chmod(p.dir, 0755), 0);
	if (me == 0)
		assert_int_equal(seteuid(nobody), 0);
	r = qmp_open(p.path, NULL, soon(), &err, &q);
	if (me == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -EACCES);
	assert_non_null(strstr(err.text, "no permission"));
	place_remove(&p);
}

/* An accept queue that is full: refused at once without a deadline, waited for with one. */
static void test_when_the_accept_queue_is_full_then_the_deadline_holds(void **state)
{
	struct qmp *waiting[4] = { 0 }, *q = NULL;
	struct ls_err err = { 0 };
	struct place p;
	uint64_t before;
	size_t n = 0;
	int r = 0;

	(void)state;
	place_make(&p, true);
	while (n < COUNT(waiting) && !r)
		r = qmp_start(p.path, NULL, &err, &waiting[n++]);
	assert_int_equal(r, -EBUSY);
	assert_non_null(strstr(err.text, "another client holds it"));
	before = qmp_now_ms();
	assert_int_equal(qmp_open(p.path, NULL, before + SHORT_MS, &err, &q), -EBUSY);
	assert_in_range(qmp_now_ms() - before, SHORT_MS - 10, HANG_MS / 2);
	while (n--)
		qmp_close(waiting[n]);
	place_remove(&p);
}

/* ---- fd ----------------------------------------------------------------- */

/* A passed descriptor belongs to the connection: it is closed with it. */
static void test_when_a_descriptor_is_passed_then_it_is_owned(void **state)
{
	char address[32];
	struct qmp *q;
	int fd = pair(address);

	(void)state;
	assert_int_equal(qmp_start(address, NULL, NULL, &q), 0);
	assert_int_equal(qmp_fd(q), atoi(address + 3));
	assert_string_equal(qmp_address(q), address);
	qmp_close(q);
	assert_int_equal(fcntl(atoi(address + 3), F_GETFD), -1);
	close(fd);
}

/* ---- tcp ---------------------------------------------------------------- */

static int tcp_listen(int *ret_port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	*ret_port = ntohs(sin.sin_port);
	return fd;
}

/* By number and by a name that has more addresses than the one that listens. */
static void test_when_tcp_is_connected_then_commands_work(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "[::ffff:127.0.0.1]" };

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		int port, l = tcp_listen(&port), fd;
		struct note note = { 0 };
		struct ls_err err = { 0 };
		struct qmp_peer *p;
		char address[64];
		struct qmp *q;

		snprintf(address, sizeof(address), "tcp:%s:%d", hosts[i], port);
		if (qmp_start(address, NULL, &err, &q) < 0)
			fail_msg("%s", err.text);
		fd = qmp_fd(q);
		while (qmp_state(q) == QMP_CONNECTING) {
			struct pollfd pfd = { fd, qmp_poll_events(q), 0 };

			assert_int_equal(poll(&pfd, 1, HANG_MS), 1);
			assert_int_equal(qmp_dispatch(q, pfd.revents, &err), 0);
		}
		p = serve(accept4(l, NULL, NULL, SOCK_CLOEXEC), QMP_DIALECT_QMP, NULL);
		pump(q, p);
		assert_int_equal(
			qmp_submit(q, "now", object("{\"n\": 9}"), take_note, &note, NULL, NULL),
			0);
		pump(q, p);
		assert_int_equal(note.n, 9);
		assert_int_equal(qmp_fd(q), fd);
		qmp_close(q);
		qmp_peer_free(p);
		close(l);
	}
}

/* Nobody at the port; a name that does not exist. */
static void test_when_tcp_fails_then_the_reason_is_told(void **state)
{
	int port, l = tcp_listen(&port);
	struct ls_err err = { 0 };
	char address[64];
	struct qmp *q;

	(void)state;
	close(l);
	snprintf(address, sizeof(address), "tcp:127.0.0.1:%d", port);
	assert_int_equal(qmp_open(address, NULL, soon(), &err, &q), -ECONNREFUSED);
	assert_memory_equal(err.text, address, strlen(address));
	assert_int_equal(qmp_open("tcp:256.1.1.1:x", NULL, soon(), &err, &q), -EINVAL);
}

/* ---- ssh ---------------------------------------------------------------- */

#define SSHD	 "/usr/sbin/sshd"
#define FILE_MAX 2048

/**
 * struct lab - An sshd of our own and a QEMU to reach through it
 * @dir:  keys, configuration, TMPDIR and a program "ssh" that uses them
 * @path: PATH as it was
 */
struct lab {
	char dir[32];
	char *path;
	pid_t sshd;
	int port;
	struct qemu qemu;
};

static void write_file(const struct lab *lab, const char *name, mode_t mode, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void write_file(const struct lab *lab, const char *name, mode_t mode, const char *fmt, ...)
{
	char path[64];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", lab->dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
	chmod(path, mode);
}

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *fmt, ...)
{
	char line[FILE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (system(line) != 0)
		fail_msg("%s", line);
}

/* Started when it says so. */
static void start_sshd(struct lab *lab)
{
	char config[64], line[256];
	int fds[2];
	FILE *f;

	snprintf(config, sizeof(config), "%s/sshd_config", lab->dir);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	lab->sshd = fork();
	if (lab->sshd == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], 2);
		execl(SSHD, SSHD, "-D", "-e", "-f", config, NULL);
		_exit(127);
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	while (fgets(line, sizeof(line), f) && !strstr(line, "Server listening"))
		;
	assert_non_null(strstr(line, "Server listening"));
	fclose(f); /* what it says from now on goes nowhere: it ignores SIGPIPE */
}

static void lab_config(struct lab *lab)
{
	shell("ssh-keygen -q -t ed25519 -N '' -f %s/host && "
	      "ssh-keygen -q -t ed25519 -N '' -f %s/user && mkdir %s/tmp",
	      lab->dir, lab->dir, lab->dir);
	write_file(lab, "sshd_config", 0600,
		   "Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nPidFile none\n"
		   "AuthorizedKeysFile %s/user.pub\nStrictModes no\nPermitRootLogin yes\n"
		   "UsePAM no\nPasswordAuthentication no\nAllowStreamLocalForwarding yes\n",
		   lab->port, lab->dir, lab->dir);
	write_file(lab, "ssh_config", 0600,
		   "Host lab\n HostName 127.0.0.1\n Port %d\nHost closed\n HostName 127.0.0.1\n "
		   "Port 1\nHost *\n IdentityFile %s/user\n StrictHostKeyChecking yes\n"
		   " UserKnownHostsFile %s/known\n",
		   lab->port, lab->dir, lab->dir);
	shell("echo \"[127.0.0.1]:%d $(cat %s/host.pub)\" >%s/known", lab->port, lab->dir,
	      lab->dir);
	write_file(lab, "ssh", 0700, "#!/bin/sh\nexec /usr/bin/ssh -F %s/ssh_config \"$@\"\n",
		   lab->dir);
}

static int lab_start(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	const char *path = getenv("PATH");
	char text[FILE_MAX];

	*state = lab;
	count_fds(NULL);
	if (access(SSHD, X_OK) || access("/usr/bin/ssh", X_OK) || !qemu_is_installed())
		return 0;
	if (geteuid() == 0)
		mkdir("/run/sshd", 0755); /* sshd insists on it */
	close(tcp_listen(&lab->port));
	strcpy(lab->dir, "/tmp/qmp-ssh-XXXXXX");
	assert_non_null(mkdtemp(lab->dir));
	lab_config(lab);
	start_sshd(lab);
	assert_int_equal(qemu_start(&lab->qemu, (const char *const[]){ "-machine", "none", NULL }),
			 0);
	lab->path = strdup(path ? path : "/usr/bin:/bin");
	snprintf(text, sizeof(text), "%s:%s", lab->dir, lab->path);
	setenv("PATH", text, 1);
	snprintf(text, sizeof(text), "%s/tmp", lab->dir);
	setenv("TMPDIR", text, 1);
	return 0;
}

static int lab_stop(void **state)
{
	struct lab *lab = *state;
	char text[64];
	int r = 0;

	if (lab->sshd) {
		snprintf(text, sizeof(text), "rmdir %s/tmp", lab->dir);
		r = system(text); /* fails unless all private folders are gone */
		qemu_stop(&lab->qemu);
		kill(lab->sshd, SIGTERM);
		waitpid(lab->sshd, NULL, 0);
		r |= waitpid(-1, NULL, WNOHANG) != -1; /* a child left over */
		setenv("PATH", lab->path, 1);
		unsetenv("TMPDIR");
		snprintf(text, sizeof(text), "rm -r %s", lab->dir);
		r |= system(text);
	}
	free(lab->path);
	free(lab);
	return r | compare_fds(NULL);
}

static void need(const struct lab *lab)
{
	if (lab->sshd)
		return;
	print_message("# skipped: needs " SSHD ", /usr/bin/ssh and " QEMU "\n");
	skip();
}

/* A real QEMU through a real sshd: blocking. */
static void test_when_a_monitor_is_behind_ssh_then_commands_work(void **state)
{
	struct lab *lab = *state;
	struct json_object *v = NULL;
	struct ls_err err = { 0 };
	char address[128];
	struct qmp *q = NULL;

	need(lab);
	snprintf(address, sizeof(address), "ssh:lab:%s", lab->qemu.path);
	if (qmp_open(address, NULL, soon(), &err, &q) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(qmp_command(q, "query-status", NULL, soon(), &err, &v), 0);
	assert_string_equal(qmp_get_str(v, "status", ""), "running");
	json_object_put(v);
	qmp_close(q);
}

/* The same in a loop, with one descriptor from the first moment to the last. */
static void test_when_ssh_is_started_in_a_loop_then_the_descriptor_stays(void **state)
{
	struct lab *lab = *state;
	struct note note = { 0 };
	struct ls_err err = { 0 };
	char address[128];
	bool asked = false;
	struct qmp *q;
	int fd;

	need(lab);
	snprintf(address, sizeof(address), "ssh:lab:%s", lab->qemu.path);
	assert_int_equal(qmp_start(address, NULL, &err, &q), 0);
	assert_int_equal(qmp_state(q), QMP_CONNECTING);
	fd = qmp_fd(q);
	while (!note.calls) {
		struct pollfd pfd = { fd, qmp_poll_events(q), 0 };

		assert_int_equal(poll(&pfd, 1, HANG_MS), 1);
		if (qmp_dispatch(q, pfd.revents, &err) < 0)
			fail_msg("%s", err.text);
		if (!asked && qmp_state(q) == QMP_READY)
			asked = !qmp_submit(q, "query-status", NULL, take_note, &note, NULL, NULL);
		assert_int_equal(qmp_fd(q), fd);
	}
	assert_int_equal(note.code, 0);
	qmp_close(q);
}

/* No socket behind ssh, no sshd, no host: ssh's own words are in the error. */
static void test_when_ssh_fails_then_its_words_are_told(void **state)
{
	static const struct {
		const char *address;
		int code;
		const char *why;
	} rows[] = {
		{ "ssh:lab:/nowhere/qmp", -EPIPE, "open failed" },
		{ "ssh:closed:/nowhere/qmp", -ECONNREFUSED, "Connection refused" },
		{ "ssh:no-such-host.invalid:/qmp", -ECONNREFUSED, "no-such-host.invalid" },
	};

	need(*state);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ls_err err = { 0 };
		struct qmp *q;

		assert_int_equal(qmp_open(rows[i].address, NULL, soon(), &err, &q), rows[i].code);
		if (!strstr(err.text, rows[i].why))
			fail_msg("%s", err.text);
	}
}

/* No ssh program at all. */
static void test_when_there_is_no_ssh_then_says_so(void **state)
{
	struct lab *lab = *state;
	struct ls_err err = { 0 };
	struct qmp *q;
	int r;

	need(lab);
	setenv("PATH", "/nowhere", 1);
	r = qmp_open("ssh:lab:/qmp", NULL, soon(), &err, &q);
	setenv("PATH", lab->path, 1);
	assert_int_equal(r, -ECONNREFUSED);
	assert_non_null(strstr(err.text, "no ssh program in PATH"));
}

/* Closed before ssh has come up: nothing of it is left. lab_stop() looks. */
static void test_when_closed_while_ssh_starts_then_nothing_is_left(void **state)
{
	struct lab *lab = *state;
	char address[128];
	struct qmp *q;

	need(lab);
	snprintf(address, sizeof(address), "ssh:lab:%s", lab->qemu.path);
	assert_int_equal(qmp_start(address, NULL, NULL, &q), 0);
	qmp_close(q);
}

#define test_ssh(fn) cmocka_unit_test_setup_teardown(fn, lab_start, lab_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_an_address_is_malformed_then_it_is_named),
		test(test_when_a_path_is_too_long_then_the_limit_is_told),
		test(test_when_nobody_listens_then_the_reason_is_told),
		test(test_when_there_is_no_permission_then_it_is_told),
		test(test_when_the_accept_queue_is_full_then_the_deadline_holds),
		test(test_when_a_descriptor_is_passed_then_it_is_owned),
		test(test_when_tcp_is_connected_then_commands_work),
		test(test_when_tcp_fails_then_the_reason_is_told),
		test_ssh(test_when_a_monitor_is_behind_ssh_then_commands_work),
		test_ssh(test_when_ssh_is_started_in_a_loop_then_the_descriptor_stays),
		test_ssh(test_when_ssh_fails_then_its_words_are_told),
		test_ssh(test_when_there_is_no_ssh_then_says_so),
		test_ssh(test_when_closed_while_ssh_starts_then_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
