/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's log: the same line with and without a journal, and its fields there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../coordinator/daemon/daemon_log.h"

static char line[2048], entry[4096];

void log_sink(int priority, const char *fmt, ...)
{
	va_list ap;

	(void)priority;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
}

/* Instead of libsystemd's: what would have been sent, a field a line. */
int sd_journal_sendv(const struct iovec *iov, int n);
int sd_journal_sendv(const struct iovec *iov, int n)
{
	size_t at = 0;

	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(entry + at, sizeof(entry) - at, "%.*s\n",
				       (int)iov[i].iov_len, (const char *)iov[i].iov_base);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	line[0] = entry[0] = '\0';
	unsetenv("JOURNAL_STREAM");
	return 0;
}

/* As systemd tells it: device and inode of what standard error is. */
static void with_journal(ino_t difference)
{
	struct stat st;
	char text[64];

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%lu:%lu", (unsigned long)st.st_dev,
		 (unsigned long)(st.st_ino + difference));
	setenv("JOURNAL_STREAM", text, 1);
}

static void assert_field(const char *field)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s\n", field);
	if (!strstr(entry, whole))
		fail_msg("no \"%s\" in:\n%s", field, entry);
}

static struct ls_err refused = { -EREMOTEIO, "DeviceNotFound", "no such device" };

/* Without a journal the line names its subject first; nothing is sent anywhere. */
static void test_when_no_journal_then_one_line(void **state)
{
	const struct log_about about = { LOG_ROW, "vm7", "t12", "qemu:cpu", &refused };
	const struct log_about less = { .message = LOG_READY, .guest = "vm7" };

	(void)state;
	log_about(LOG_INFO, &about, "failed: %s", refused.text);
	assert_string_equal(line, "vm7 t12 qemu:cpu: failed: no such device");
	log_about(LOG_INFO, &less, "ready");
	assert_string_equal(line, "vm7: ready");
	assert_string_equal(entry, "");
}

/* With one, who looks for a guest, a transaction, a row or a class finds it. */
static void test_when_journal_then_fields(void **state)
{
	const struct log_about about = { LOG_ROW, "vm7", "t12", "qemu:cpu", &refused };

	(void)state;
	with_journal(0);
	log_about(LOG_WARNING, &about, "failed: %s", refused.text);
	assert_field("PRIORITY=4");
	assert_field("GUEST=vm7");
	assert_field("TXN=t12");
	assert_field("ROW=qemu:cpu");
	assert_field("ERROR_CLASS=DeviceNotFound");
	assert_field("MESSAGE=vm7 t12 qemu:cpu: failed: no such device");
	assert_non_null(strstr(entry, log_message_id(LOG_ROW)));
	assert_string_equal(line, "");
}

/* An error of ours has its errno's name; what there is not has no field. */
static void test_when_error_is_ours_then_the_class_is_its_errno(void **state)
{
	const struct ls_err ours = { -EPIPE, "", "the monitor's connection is lost" };
	const struct log_about about = { LOG_AWAY, "vm7", NULL, NULL, &ours };

	(void)state;
	with_journal(0);
	log_about(LOG_WARNING, &about, "%s", ours.text);
	assert_field("ERROR_CLASS=EPIPE");
	assert_null(strstr(entry, "TXN="));
	assert_null(strstr(entry, "ROW="));
}

/* Standard error was redirected after systemd had set it up: that is where lines are meant to go.
 */
static void test_when_stderr_is_another_stream_then_no_journal(void **state)
{
	const struct log_about about = { .message = LOG_READY, .guest = "vm7" };

	(void)state;
	with_journal(1);
	log_about(LOG_INFO, &about, "ready");
	assert_string_equal(line, "vm7: ready");
	assert_false(log_journal(LOG_INFO, NULL, "reloaded"));
	assert_string_equal(entry, "");
}

/* Words as long as they get are cut, not written past the end. */
static void test_when_words_are_long_then_cut(void **state)
{
	char word[5000];
	const struct log_about about = { LOG_ROW, word, word, word, NULL };

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	with_journal(0);
	log_about(LOG_INFO, &about, "%s", word);
	assert_non_null(strstr(entry, "GUEST=xxx"));
	assert_true(strlen(entry) < 2048);
}

/* Each kind of line has an id of its own, of the form that journalctl takes. */
static void test_when_kinds_differ_then_ids_do(void **state)
{
	(void)state;
	for (enum log_message a = 0; a < LOG_MESSAGE_COUNT; a++) {
		assert_int_equal(strspn(log_message_id(a), "0123456789abcdef"), 32);
		for (enum log_message b = 0; b < a; b++)
			assert_string_not_equal(log_message_id(a), log_message_id(b));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_when_no_journal_then_one_line),
		T(test_when_journal_then_fields),
		T(test_when_error_is_ours_then_the_class_is_its_errno),
		T(test_when_stderr_is_another_stream_then_no_journal),
		T(test_when_words_are_long_then_cut),
		T(test_when_kinds_differ_then_ids_do),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
