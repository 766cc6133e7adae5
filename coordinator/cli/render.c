/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports for people and, with --json, for programs. Nothing here knows where the engine ran.
 */
#include "render.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <qmp.h>

#include "../report/json.h"
#include "paint.h"
#include "../report/words.h"

#define BAR 30

static bool bar_shown; /* the terminal's last line is a bar */

static void clear_bar(void)
{
	if (bar_shown)
		fputs("\r\033[K", stderr);
	bar_shown = false;
}

static unsigned columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

/* In the first pass by what it took so far: empty pages go faster than the line does. */
static double seconds_left(struct json_object *o, double done, double left)
{
	double rate = (double)qmp_get_int(o, "bytes-per-second", 0);
	double dirty = (double)qmp_get_int(o, "dirty-bytes-per-second", 0);

	if (qmp_get_int(o, "pass", 0) <= 1)
		return done > 0 ? (double)qmp_get_int(o, "ms", 0) / 1000 * left / done : -1;
	return rate > dirty ? left / (rate - dirty) : -1;
}

static void render_bar(struct json_object *o)
{
	double total = (double)qmp_get_int(o, "total", 0);
	double left = (double)qmp_get_int(o, "remaining", 0);
	double part = total > 0 ? (total - left) / total : 0;
	double eta = seconds_left(o, total - left, left);
	int done = part > 0 && part <= 1 ? (int)(part * BAR) : 0;
	char line[256], end[32] = "";

	if (eta >= 0)
		snprintf(end, sizeof(end), "  %.0f s left", eta);
	snprintf(line, sizeof(line),
		 "  [%.*s%.*s] %3.0f%%  %.0f MiB/s  dirty %.0f MiB/s  pass %" PRId64 "%s", done,
		 "##############################", BAR - done, "..............................",
		 part * 100, (double)qmp_get_int(o, "bytes-per-second", 0) / 1048576,
		 (double)qmp_get_int(o, "dirty-bytes-per-second", 0) / 1048576,
		 qmp_get_int(o, "pass", 0), end);
	/* A line that wraps cannot be taken back. */
	fprintf(stderr, "\r\033[K%.*s", (int)columns() - 1, line);
	fflush(stderr);
	bar_shown = true;
}

static void render_row(struct json_object *o, const char *event)
{
	const char *row = qmp_get_str(o, "row", ""), *text = qmp_get_str(o, "text", "");
	int64_t ms = qmp_get_int(o, "ms", 0);

	clear_bar();
	if (strcmp(event, "row-done") && strcmp(event, "row-failed") &&
	    strcmp(event, "taking-back"))
		return;
	paint(stderr, strcmp(event, "row-done") ? PAINT_BAD : PAINT_GOOD);
	if (!strcmp(event, "row-done"))
		fprintf(stderr, "  %-14s done    %6" PRId64 " ms", row, ms);
	else if (!strcmp(event, "row-failed"))
		fprintf(stderr, "  %-14s failed  %6" PRId64 " ms  ", row, ms);
	else
		fprintf(stderr, "  taking back what was done: ");
	if (strcmp(event, "row-done"))
		words_put(stderr, text);
	paint(stderr, PAINT_PLAIN);
	fputc('\n', stderr);
}

static void render_warning(const struct cli *cli, struct json_object *o)
{
	clear_bar();
	fprintf(stderr, "%s: warning: %s%s", cli->guest.name, qmp_get_str(o, "row", ""),
		qmp_get_str(o, "row", "")[0] ? ": " : "");
	words_put(stderr, qmp_get_str(o, "text", ""));
	fputc('\n', stderr);
}

void render_items(FILE *f, struct json_object *list)
{
	size_t n = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *reason = qmp_get_str(o, "reason", "");

		fputs("  ", f);
		words_put(f, qmp_get_str(o, "item", ""));
		fprintf(f, ": %s%s", qmp_get_str(o, "result", ""), reason[0] ? ": " : "");
		words_put(f, reason);
		fputc('\n', f);
	}
}

static void render_end(const struct cli *cli, struct json_object *o)
{
	struct json_object *items = qmp_get_array(o, "items");

	clear_bar();
	if (!strcmp(qmp_get_str(o, "end", ""), "done"))
		return; /* the command says what it is now */
	fprintf(stderr, "lockstep: %s: %s: %s: ", cli->guest.name, qmp_get_str(o, "operation", ""),
		qmp_get_str(o, "end", ""));
	words_put(stderr, qmp_get_str(o, "reason", ""));
	fputc('\n', stderr);
	if (items && json_object_array_length(items) > 1) /* of one the reason says it */
		render_items(stderr, items);
}

static void render_request(struct json_object *o)
{
	struct json_object *args = qmp_get_obj(o, "arguments");

	printf("      %-5s  ", qmp_get_str(o, "to", ""));
	words_put(stdout, qmp_get_str(o, "execute", ""));
	putchar(' ');
	if (args)
		words_put(stdout,
			  json_object_to_json_string_ext(
				  args, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	putchar('\n');
}

static void render_plan_row(struct json_object *o)
{
	struct json_object *list = qmp_get_array(o, "requests");
	struct json_object *later = qmp_get_array(o, "later");
	int64_t done = qmp_get_int(o, "done", 0);

	printf("  %-14s  %s", qmp_get_str(o, "row", ""), qmp_get_str(o, "verb", ""));
	if (done)
		printf("; done already: %" PRId64, done);
	putchar('\n');
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		render_request(json_object_array_get_idx(list, i));
	for (size_t i = 0; later && i < json_object_array_length(later); i++)
		printf("      later  %s, when it is there and the guest has said where\n",
		       json_object_get_string(json_object_array_get_idx(later, i)));
}

static void render_plan(struct json_object *o)
{
	struct json_object *rows = qmp_get_array(o, "rows");

	printf("%s: %s: nothing is sent; this would be, in this order:\n",
	       qmp_get_str(o, "guest", ""), qmp_get_str(o, "operation", ""));
	for (size_t i = 0; rows && i < json_object_array_length(rows); i++)
		render_plan_row(json_object_array_get_idx(rows, i));
}

/* ---- for who only watches -------------------------------------------------- */

void render_time(FILE *f, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&s, &tm))
		strftime(text, sizeof(text), "%F %T", &tm);
	fprintf(f, "%s.%03d", text, (int)(ms % 1000));
}

/* Of an event that is worth a line: what happened to what, and the words for it. */
static bool watched_words(struct json_object *o, const char **ret_what, const char **ret_words)
{
	static const struct {
		const char *event, *what, *words;
	} lines[] = {
		{ "row", "begun", "text" },	    { "row-done", "done", "text" },
		{ "row-failed", "failed", "text" }, { "taking-back", "taking back", "text" },
		{ "warning", "warning", "text" },   { "error", "refused", "error" },
		{ "plan", "dry run", "operation" }, { "end", NULL, "reason" },
		{ "unplug", NULL, "item" },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (strcmp(qmp_get_str(o, "event", ""), lines[i].event))
			continue;
		*ret_what = lines[i].what ? lines[i].what : qmp_get_str(o, "end", "");
		*ret_words = qmp_get_str(o, lines[i].words, "");
		return true;
	}
	return false;
}

void render_watched(FILE *f, struct json_object *o)
{
	const char *what, *words, *row = qmp_get_str(o, "row", qmp_get_str(o, "operation", ""));

	if (!watched_words(o, &what, &words))
		return;
	render_time(f, qmp_get_int(o, "at-us", 0) / 1000);
	fprintf(f, "  %s  %s", qmp_get_str(o, "guest", ""), qmp_get_str(o, "txn", ""));
	fprintf(f, "  %s%s%s", row, row[0] ? " " : "", what);
	if (!strncmp(qmp_get_str(o, "event", ""), "row-", 4))
		fprintf(f, " %" PRId64 " ms", qmp_get_int(o, "ms", 0));
	fputs(words[0] ? ": " : "", f);
	words_put(f, words);
	fputc('\n', f);
	fflush(f);
}

/* ---- for who asked ---------------------------------------------------------- */

void render(const struct cli *cli, struct json_object *o)
{
	const char *event = qmp_get_str(o, "event", "");
	bool watched = isatty(STDERR_FILENO) && !cli->quiet;

	if (cli->json)
		json_print(json_object_get(o));
	else if (!strcmp(event, "end"))
		render_end(cli, o);
	else if (!strcmp(event, "plan"))
		render_plan(o);
	else if (!strcmp(event, "warning"))
		render_warning(cli, o);
	else if (!strcmp(event, "text") && !cli->quiet)
		paint_lines(stdout, qmp_get_str(o, "text", ""));
	else if (!strcmp(event, "progress") && watched)
		render_bar(o);
	else if (watched)
		render_row(o, event);
}
