/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the command line prints, whom it finds busy, and what it hears of its own process.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <qmp.h>

#include "../../coordinator/hv/claim.h"
#include "../../coordinator/cli/cli.h"
#include "../../coordinator/cli/client.h"
#include "../../coordinator/cli/job.h"
#include "../../coordinator/cli/render.h"
#include "../../coordinator/cli/tell.h"
#include "../../coordinator/report/show.h"
#include "../../coordinator/report/words.h"
#include "fake_server.h"

#define REPORTS 2000
#define QUEUE	64 /* more than any claim's socket lets wait */

/* ---- what is printed ----------------------------------------------------- */

static void assert_put(const char *text, const char *shown)
{
	char *buf = NULL;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	words_put(f, text);
	fclose(f);
	assert_string_equal(buf, shown);
	free(buf);
}

/* Neither ESC nor its 8-bit kin, nor half a character, reaches a terminal; words do. */
static void test_when_text_has_controls_then_shown_not_sent(void **state)
{
	(void)state;
	assert_put("cpu3: \xc3\xa4 \xe2\x82\xac", "cpu3: \xc3\xa4 \xe2\x82\xac");
	assert_put("\033[2J", "\\x1b[2J");
	assert_put("\xc2\x9b"
		   "2J",
		   "\\xc2\\x9b2J");
	assert_put("\x9b"
		   "2J",
		   "\\x9b2J");
	assert_put("a\xe2\x82", "a\\xe2\\x82");
}

/* Who watches is told what, of whom and when; what only programs need is left out. */
static void test_when_watched_then_a_line_for_what_happened(void **state)
{
	static const struct {
		const char *event, *line;
	} cases[] = {
		{ "{\"event\":\"row\",\"row\":\"qemu:cpu\",\"text\":\"device_add cpu\",\"ms\":7",
		  "qemu:cpu begun: device_add cpu\n" },
		{ "{\"event\":\"row-done\",\"row\":\"qemu:cpu\",\"text\":\"\",\"ms\":32",
		  "qemu:cpu done 32 ms\n" },
		{ "{\"event\":\"row-failed\",\"row\":\"qemu:cpu\",\"text\":\"\033no\",\"ms\":1",
		  "qemu:cpu failed 1 ms: \\x1bno\n" },
		{ "{\"event\":\"end\",\"operation\":\"vcpus\",\"end\":\"undone\",\"reason\":"
		  "\"cancelled\"",
		  "vcpus undone: cancelled\n" },
		{ "{\"event\":\"error\",\"error\":\"too many\"", "refused: too many\n" },
		{ "{\"event\":\"unplug\",\"item\":\"ls-1-3\",\"end\":\"late\"", "late: ls-1-3\n" },
		{ "{\"event\":\"accepted\",\"row\":\"claim\"", NULL },
		{ "{\"event\":\"now\"", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[300], line[200], *shown = NULL;
		struct json_object *o;
		size_t len;
		FILE *f = open_memstream(&shown, &len);

		snprintf(text, sizeof(text),
			 "%s,\"guest\":\"g1\",\"txn\":\"1\",\"at-us\":1795310000123456}",
			 cases[i].event);
		o = json_tokener_parse(text);
		render_watched(f, o);
		fclose(f);
		snprintf(line, sizeof(line), ":20.123  g1  1  %s",
			 cases[i].line ? cases[i].line : "");
		if (cases[i].line)
			assert_string_equal(strstr(shown, ":20.123"), line);
		else
			assert_int_equal(len, 0);
		json_object_put(o);
		free(shown);
	}
}

/* ---- the state vector ---------------------------------------------------- */

/* What is pasted into a report or compared has no blanks at the ends of its lines. */
static void test_when_shown_then_no_blank_ends_a_line(void **state)
{
	struct vm_cpu cpus[] = {
		{ .plugged = true, .vcpus = 1, .present = 1, .device = 1, .kernel = 1 },
		{ .plugged = true, .vcpus = 1, .present = 1, .device = 1, .kernel = 0 },
	};
	struct vm vm = {
		.agent = AGENT_LOCKSTEP, .agent_answers = true, .cpus = cpus, .n_cpus = 2
	};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	snprintf(vm.machine, sizeof(vm.machine), "q35");
	show_vm(f, "g1", &vm);
	show_side_by_side(f, &vm, &vm);
	fclose(f);
	assert_non_null(strstr(text, "online   online\n"));
	assert_non_null(strstr(text, "online   offline   ! "));
	assert_null(strstr(text, " \n"));
	free(text);
}

/* ---- the claim ----------------------------------------------------------- */

/* The holder is stopped and its queue is full: who asks is told "busy", and at once. */
static void test_when_holder_stands_still_then_busy_without_waiting(void **state)
{
	char path[] = "/tmp/lockstep-claim-XXXXXX";
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct claim *mine = NULL, *other = NULL;
	struct ls_err err = { 0 };
	sd_event *loop = NULL;
	int fds[QUEUE], n = 0, len;
	struct stat st;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(sd_event_new(&loop), 0);
	assert_int_equal(claim_take(loop, path, "vcpus 4", &err, &mine), 0);
	len = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "lockstep-%lx-%lx",
		       (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	do
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	while (!connect(fds[n++], (struct sockaddr *)&sun,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) &&
	       n < QUEUE);
	assert_true(n < QUEUE);
	alarm(5); /* to hang here is to fail */
	assert_int_equal(claim_take(loop, path, "memory 2G", &err, &other), -EBUSY);
	alarm(0);
	assert_non_null(strstr(err.text, "does not answer"));
	while (n)
		close(fds[--n]);
	claim_drop(mine);
	sd_event_unref(loop);
	unlink(path);
}

/* Two spellings of one socket are one guest. */
static void test_when_spelled_differently_then_the_same_guest(void **state)
{
	char path[] = "/tmp/lockstep-claim-XXXXXX", other[80];

	(void)state;
	close(mkstemp(path));
	snprintf(other, sizeof(other), "unix:/tmp/.%s", path + 4);
	assert_true(claim_same(path, other));
	assert_false(claim_same(path, "/tmp"));
	assert_false(claim_same(path, "tcp:host:1"));
	unlink(path);
}

/* ---- the daemon's socket ------------------------------------------------- */

/* Serves nothing but the greeting, until it is killed; its path goes to @fd. */
static void be_a_monitor(const char *dir, int fd)
{
	static const struct qmp_verb none[] = { { 0 } };
	struct server s = { 0 };
	sd_event *loop = NULL;

	if (sd_event_new(&loop) < 0)
		_exit(1);
	server_begin(&s, loop, dir, "qmp", QMP_DIALECT_QMP, none);
	if (write(fd, s.path, sizeof(s.path)) == sizeof(s.path))
		sd_event_loop(loop);
	_exit(1);
}

/* A monitor of QEMU where lockstepd should be: what is wrong is the socket, not the verb. */
static void test_when_it_is_no_daemon_then_said(void **state)
{
	struct cli cli = { .watcher = -1, .json = true };
	char dir[] = "/tmp/lockstep-cli-XXXXXX", path[sizeof(((struct server *)0)->path)];
	char seen[1000] = "";
	FILE *f = tmpfile();
	int saved, code, fds[2];
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid)
		be_a_monitor(dir, fds[1]);
	assert_int_equal(read(fds[0], path, sizeof(path)), sizeof(path));
	setenv("LOCKSTEPD_SOCKET", path, 1);
	saved = dup(STDOUT_FILENO);
	dup2(fileno(f), STDOUT_FILENO);
	code = client_ask(&cli, "list", NULL, NULL);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(code, XC_REACH);
	assert_true(pread(fileno(f), seen, sizeof(seen) - 1, 0) > 0);
	assert_non_null(strstr(seen, "no lockstepd"));
	fclose(f);
	close(fds[0]);
	close(fds[1]);
	unlink(path);
	rmdir(dir);
}

/* ---- a migration's own process ------------------------------------------- */

static int reports(struct cli *cli, int watch)
{
	char text[32];

	(void)watch;
	for (int i = 0; i < REPORTS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		tell_text(cli, text);
	}
	return XC_OK;
}

static int nonsense_first(struct cli *cli, int watch)
{
	(void)watch;
	send(cli->watcher, "{\"event\":\"te", 12, 0);
	tell_text(cli, "whole");
	return XC_OK;
}

static int dies(struct cli *cli, int watch)
{
	(void)cli, (void)watch;
	raise(SIGKILL);
	return XC_OK;
}

/* What the watching command prints with --json; its lines are in @ret_lines. */
static int watch(job_fn fn, char **ret_lines, size_t *ret_len)
{
	struct cli cli = { .watcher = -1, .json = true };
	int saved = dup(STDOUT_FILENO), code;
	FILE *f = tmpfile();

	fflush(stdout);
	dup2(fileno(f), STDOUT_FILENO);
	code = job_run(&cli, fn);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	*ret_len = (size_t)lseek(fileno(f), 0, SEEK_END);
	*ret_lines = calloc(1, *ret_len + 1);
	assert_int_equal(pread(fileno(f), *ret_lines, *ret_len, 0), *ret_len);
	fclose(f);
	return code;
}

/* Faster than anybody reads: each line that arrives is whole, and the last one does. */
static void test_when_reports_come_fast_then_each_is_whole(void **state)
{
	char *lines, *save = NULL, *line;
	size_t len;
	int last = -1;

	(void)state;
	assert_int_equal(watch(reports, &lines, &len), XC_OK);
	for (line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct json_object *o = NULL;

		assert_int_equal(qmp_parse(line, strlen(line), NULL, NULL, &o), 0);
		last = atoi(qmp_get_str(o, "text", "-1"));
		json_object_put(o);
	}
	assert_int_equal(last, REPORTS - 1);
	free(lines);
}

/* A report that cannot be read is skipped; those after it are shown. */
static void test_when_a_report_is_bad_then_the_next_is_shown(void **state)
{
	char *lines;
	size_t len;

	(void)state;
	assert_int_equal(watch(nonsense_first, &lines, &len), XC_OK);
	assert_non_null(strstr(lines, "\"whole\""));
	free(lines);
}

/* A process that was killed said nothing: the command does, as an error object. */
static void test_when_the_job_is_killed_then_an_error_object(void **state)
{
	char *lines;
	size_t len;

	(void)state;
	assert_int_equal(watch(dies, &lines, &len), XC_STUCK);
	assert_non_null(strstr(lines, "\"event\":\"error\""));
	assert_non_null(strstr(lines, "recover"));
	free(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_text_has_controls_then_shown_not_sent),
		cmocka_unit_test(test_when_watched_then_a_line_for_what_happened),
		cmocka_unit_test(test_when_shown_then_no_blank_ends_a_line),
		cmocka_unit_test(test_when_holder_stands_still_then_busy_without_waiting),
		cmocka_unit_test(test_when_spelled_differently_then_the_same_guest),
		cmocka_unit_test(test_when_it_is_no_daemon_then_said),
		cmocka_unit_test(test_when_reports_come_fast_then_each_is_whole),
		cmocka_unit_test(test_when_a_report_is_bad_then_the_next_is_shown),
		cmocka_unit_test(test_when_the_job_is_killed_then_an_error_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
