/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a transaction goes, for whoever watches.
 *
 * What happens becomes one JSON object each. Then there are two ways: it is rendered
 * here, or, in a migration's own process, it is sent to the command that watches, which
 * renders it with report_render().
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <qmp.h>

#include "paint.h"

#define BAR	   30
#define WATCHER_MS 1000 /* for one that has not read what it was sent */

static bool bar_shown;	 /* the terminal's last line is a bar */
static bool stood_still; /* the watcher was waited for, once and in vain */

/*
 * One report is one packet: it arrives whole or not at all. What only shows that it moves
 * is never waited for; a watcher that stands still must not hold up a migration.
 */
void report_send(const struct cli *cli, struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	bool waits = strcmp(qmp_get_str(o, "event", ""), "progress") != 0;
	struct pollfd p = { .fd = cli->watcher, .events = POLLOUT };

	if (send(cli->watcher, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
	    errno != EAGAIN || !waits || stood_still)
		return; /* nobody watches any more: go on without */
	stood_still = poll(&p, 1, WATCHER_MS) != 1 ||
		      send(cli->watcher, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
}

static void emit(const struct cli *cli, struct json_object *o)
{
	if (cli->watcher < 0)
		report_render(cli, o);
	else
		report_send(cli, o);
	json_object_put(o);
}

/* With the time, to be laid beside QEMU's own events. */
struct json_object *report_object(const char *event)
{
	struct timespec ts;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "event", json_object_new_string(event));
	clock_gettime(CLOCK_REALTIME, &ts);
	json_add_num(o, "at-us", (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	return o;
}

/* ---- what happens ------------------------------------------------------- */

struct json_object *report_tell(const struct txn *t, const struct action *a)
{
	static const char *const names[] = {
		[TELL_ACCEPTED] = "accepted",	 [TELL_ROW] = "row",
		[TELL_ROW_DONE] = "row-done",	 [TELL_ROW_FAILED] = "row-failed",
		[TELL_ROLLBACK] = "taking-back", [TELL_WARN] = "warning",
	};
	struct json_object *o = report_object(names[a->tell]);

	json_add_str(o, "txn", t->id);
	json_add_str(o, "row", a->row ? a->row : "");
	json_add_str(o, "text", a->text);
	json_add_num(o, "ms", a->took_ms);
	return o;
}

static void on_tell(void *arg, const struct txn *t, const struct action *a)
{
	emit(arg, report_tell(t, a));
}

static void on_progress(void *arg, const struct vm_progress *p, enum vm_mig mig)
{
	struct json_object *o = report_object("progress");

	json_add_str(o, "status", vm_mig_name(mig));
	json_add_num(o, "total", p->total);
	json_add_num(o, "remaining", p->remaining);
	json_add_num(o, "transferred", p->transferred);
	json_add_num(o, "dirty-bytes-per-second", p->dirty_rate * p->page_bytes);
	json_add_num(o, "bytes-per-second", (uint64_t)(p->mbps * 1e6 / 8));
	json_add_num(o, "pass", p->pass);
	json_add_num(o, "ms", p->total_ms);
	emit(arg, o);
}

void report_ops(struct cli *cli, struct run_ops *ret_ops)
{
	*ret_ops = (struct run_ops){ .tell = on_tell, .progress = on_progress, .arg = cli };
}

/* What became of each device: "item", "result", and the "reason" if there is one. */
static struct json_object *items(const struct txn *t)
{
	struct json_object *list = json_object_new_array();
	char name[ITEM_NAME_BYTES];

	for (unsigned i = 0; i < t->n; i++) {
		struct json_object *o = json_object_new_object();

		txn_item_name(t, i, name);
		json_add_str(o, "item", name);
		json_add_str(o, "result", txn_item_result(t, i));
		if (t->items[i].why.code)
			json_add_str(o, "reason", t->items[i].why.text);
		json_object_array_add(list, o);
	}
	return list;
}

struct json_object *report_ended(const char *guest, const struct txn *t)
{
	struct json_object *o = report_object("end");

	json_add_str(o, "guest", guest);
	json_add_str(o, "txn", t->id);
	json_add_str(o, "operation", txn_op_name(t->op));
	json_add_str(o, "end", txn_end_name(t->end));
	json_add_str(o, "reason",
		     t->end == END_DONE	 ? ""
		     : t->reason.text[0] ? t->reason.text
					 : "what stopped it is not on record");
	json_add_num(o, "exit", (uint64_t)cli_exit_end(t->end));
	if (t->op != OP_MIGRATE)
		json_object_object_add(o, "items", items(t));
	return o;
}

void report_end(const struct cli *cli, const struct txn *t)
{
	emit(cli, report_ended(cli->guest.name, t));
}

void report_plan(const struct cli *cli, struct json_object *plan)
{
	emit(cli, plan);
}

struct json_object *report_error(int code, const struct ls_err *err)
{
	struct json_object *o = report_object("error");

	json_add_str(o, "error", err->text);
	json_object_object_add(o, "errno", json_object_new_int(-err->code));
	json_object_object_add(o, "exit", json_object_new_int(code));
	return o;
}

void report_text(const struct cli *cli, const char *text)
{
	struct json_object *o = report_object("text");

	json_add_str(o, "text", text);
	emit(cli, o);
}

/* ---- for people ---------------------------------------------------------- */

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
		cli_put(stderr, text);
	paint(stderr, PAINT_PLAIN);
	fputc('\n', stderr);
}

static void render_warning(const struct cli *cli, struct json_object *o)
{
	clear_bar();
	fprintf(stderr, "%s: warning: %s%s", cli->guest.name, qmp_get_str(o, "row", ""),
		qmp_get_str(o, "row", "")[0] ? ": " : "");
	cli_put(stderr, qmp_get_str(o, "text", ""));
	fputc('\n', stderr);
}

/* Of several: each with what became of it. */
static void render_items(struct json_object *list)
{
	size_t n = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n && n > 1; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *reason = qmp_get_str(o, "reason", "");

		fputs("  ", stderr);
		cli_put(stderr, qmp_get_str(o, "item", ""));
		fprintf(stderr, ": %s%s", qmp_get_str(o, "result", ""), reason[0] ? ": " : "");
		cli_put(stderr, reason);
		fputc('\n', stderr);
	}
}

static void render_end(const struct cli *cli, struct json_object *o)
{
	clear_bar();
	if (!strcmp(qmp_get_str(o, "end", ""), "done"))
		return; /* the command says what it is now */
	fprintf(stderr, "lockstep: %s: %s: %s: ", cli->guest.name, qmp_get_str(o, "operation", ""),
		qmp_get_str(o, "end", ""));
	cli_put(stderr, qmp_get_str(o, "reason", ""));
	fputc('\n', stderr);
	render_items(qmp_get_array(o, "items"));
}

static void render_request(struct json_object *o)
{
	struct json_object *args = qmp_get_obj(o, "arguments");

	printf("      %-5s  ", qmp_get_str(o, "to", ""));
	cli_put(stdout, qmp_get_str(o, "execute", ""));
	putchar(' ');
	if (args)
		cli_put(stdout,
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

void report_render(const struct cli *cli, struct json_object *o)
{
	const char *event = qmp_get_str(o, "event", "");
	bool watched = isatty(STDERR_FILENO) && !cli->quiet;

	if (cli->json)
		show_json(json_object_get(o));
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
