/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command's own reports: rendered here, or sent to the command that watches.
 */
#include "tell.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <json-c/json.h>
#include <qmp.h>

#include "../report/json.h"
#include "render.h"
#include "../report/report.h"

#define WATCHER_MS 1000 /* for one that has not read what it was sent */

static bool stood_still; /* the watcher was waited for, once and in vain */

/*
 * One report is one packet: it arrives whole or not at all. What only shows that it moves
 * is never waited for; a watcher that stands still must not hold up a migration.
 */
void tell_send(const struct cli *cli, struct json_object *o)
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
		render(cli, o);
	else
		tell_send(cli, o);
	json_object_put(o);
}

static void on_tell(void *arg, const struct txn *t, const struct action *a)
{
	emit(arg, report_tell(t, a));
}

static void on_progress(void *arg, const struct vm_progress *p, enum vm_mig mig)
{
	emit(arg, report_progress(p, mig));
}

void tell_ops(struct cli *cli, struct run_ops *ret_ops)
{
	*ret_ops = (struct run_ops){ .tell = on_tell, .progress = on_progress, .arg = cli };
}

void tell_end(const struct cli *cli, const struct txn *t)
{
	emit(cli, report_ended(cli->guest.name, t));
}

void tell_object(const struct cli *cli, struct json_object *o)
{
	emit(cli, o);
}

void tell_text(const struct cli *cli, const char *text)
{
	struct json_object *o = report_object("text");

	json_add_str(o, "text", text);
	emit(cli, o);
}
