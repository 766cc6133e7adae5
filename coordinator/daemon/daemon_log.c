/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines and fields of the daemon's log.
 */
#include "daemon_log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#define LINE_BYTES  1024
#define FIELD_BYTES 160
#define FIELDS_MAX  7

const char *log_message_id(enum log_message m)
{
	static const char *const ids[] = {
#define X(name, id, when) id,
		LOG_MESSAGES(X)
#undef X
	};

	return ids[m];
}

/* systemd tells device and inode of the stream: who has redirected it has not meant us. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%lu:%lu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* ---- fields ------------------------------------------------------------------- */

/**
 * struct fields - One entry, being put together
 * @text: of those that are not the line; @iov: all, @n of them
 */
struct fields {
	char text[FIELDS_MAX][FIELD_BYTES];
	struct iovec iov[FIELDS_MAX];
	int n;
};

static void add(struct fields *f, const char *key, const char *value)
{
	char *text = f->text[f->n];

	if (!value || !value[0])
		return;
	snprintf(text, FIELD_BYTES, "%s=%s", key, value);
	f->iov[f->n++] = (struct iovec){ text, strlen(text) };
}

static const char *class_of(const struct ls_err *err)
{
	if (!err || !err->code)
		return NULL;
	return err->class[0] ? err->class : strerrorname_np(-err->code);
}

static void add_about(struct fields *f, const struct log_about *about)
{
	add(f, "MESSAGE_ID", log_message_id(about->message));
	add(f, "GUEST", about->guest);
	add(f, "TXN", about->txn);
	add(f, "ROW", about->row);
	add(f, "ERROR_CLASS", class_of(about->err));
}

bool log_journal(int priority, const struct log_about *about, const char *line)
{
	char message[LINE_BYTES + 8], level[2] = { (char)('0' + priority), '\0' };
	struct fields f = { .n = 0 };

	if (!is_journal())
		return false;
	add(&f, "PRIORITY", level);
	if (about)
		add_about(&f, about);
	snprintf(message, sizeof(message), "MESSAGE=%s", line);
	f.iov[f.n++] = (struct iovec){ message, strlen(message) };
	return sd_journal_sendv(f.iov, f.n) >= 0;
}

/* ---- the line ------------------------------------------------------------------ */

/* "vm7 TXN row: ..." */
static size_t put_subject(char *line, const struct log_about *about)
{
	const char *const words[] = { about->guest, about->txn, about->row };
	size_t at = 0;

	line[0] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i] && words[i][0])
			at += (size_t)snprintf(line + at, FIELD_BYTES, "%s%.140s", at ? " " : "",
					       words[i]);
	if (at)
		at += (size_t)snprintf(line + at, 3, ": ");
	return at;
}

void log_about(int priority, const struct log_about *about, const char *fmt, ...)
{
	char line[LINE_BYTES];
	size_t at = put_subject(line, about);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + at, sizeof(line) - at, fmt, ap);
	va_end(ap);
	if (!log_journal(priority, about, line))
		log_sink(priority, "%s", line);
}
