/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real side of a dialogue besides lockstep: second monitors, a console, and what is done by
 * them. */
#include "peer.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>
#include <qmp_commands.h>

/* ---- events in short ---------------------------------------------------------------- */

static void ost(struct json_object *data, char *ret, size_t len)
{
	struct json_object *info = qmp_get_obj(data, "info");

	snprintf(ret, len, "%s %s: ACPI_DEVICE_OST %" PRId64 " %" PRId64,
		 qmp_get_str(info, "slot-type", ""), qmp_get_str(info, "slot", ""),
		 qmp_get_int(info, "source", 0), qmp_get_int(info, "status", 0));
}

/*
 * Of a vCPU QEMU names only the child, "/machine/peripheral/ls-TXN-SLOT/lapic"; a DIMM has its
 * slot in its id, too.
 */
static void deleted(struct json_object *data, char *ret, size_t len)
{
	const char *path = qmp_get_str(data, "path", "");
	const char *dash = strrchr(path, '-');
	bool cpu = strstr(path, "/lapic") != NULL;

	snprintf(ret, len, "%s %d: DEVICE_DELETED", cpu ? "CPU" : "DIMM",
		 dash ? atoi(dash + 1) : -1);
}

/* Return: false for one that has no meaning for lockstep, or comes by chance. */
static bool in_short(const struct qmp_event *e, char *ret, size_t len)
{
	if (!strcmp(e->name, "MIGRATION_PASS") || !strcmp(e->name, "RTC_CHANGE"))
		return false;
	if (!strcmp(e->name, "ACPI_DEVICE_OST"))
		ost(e->data, ret, len);
	else if (!strcmp(e->name, "DEVICE_DELETED"))
		deleted(e->data, ret, len);
	else if (!strcmp(e->name, "MIGRATION"))
		snprintf(ret, len, "MIGRATION %s", qmp_get_str(e->data, "status", ""));
	else if (!strcmp(e->name, "VSERPORT_CHANGE"))
		snprintf(ret, len, "VSERPORT_CHANGE %s",
			 qmp_get_bool(e->data, "open", false) ? "open" : "closed");
	else
		snprintf(ret, len, "%s", e->name);
	return true;
}

/* ---- the monitor ---------------------------------------------------------------------- */

static void on_event(void *arg, const struct qmp_event *event)
{
	struct peer *p = arg;
	char text[80];

	p->heard++;
	if (*p->into && in_short(event, text, sizeof(text)))
		note_event(*p->into, p->on, text);
}

static void on_ready(void *arg)
{
	(void)arg;
}

static void on_lost(void *arg, const struct ls_err *err)
{
	(void)arg, (void)err;
}

int peer_start(struct peer *p, sd_event *loop, const char *lab, const char *name, enum side on,
	       struct story **into, struct ls_err *err)
{
	static const struct conn_ops ops = { on_ready, on_event, on_lost };
	struct qmp_options options = { 0 };
	int r;

	p->on = on;
	p->into = into;
	snprintf(p->address, sizeof(p->address), "unix:%s/%s.peer", lab, name);
	conn_init(&p->conn, loop, p->address, &options, &ops, p);
	while ((r = conn_want(&p->conn)) == 0)
		sd_event_run(loop, UINT64_MAX);
	if (r < 0)
		return ls_err_set(err, r, "%s: %s", p->address, p->conn.last.text);
	return 0;
}

void peer_stop(struct peer *p)
{
	if (p->into)
		conn_done(&p->conn);
}

/* ---- harm ------------------------------------------------------------------------------ */

void peer_reset(struct peer *p)
{
	conn_submit(&p->conn, "system_reset", NULL, NULL, NULL, NULL);
}

/* Who listens on the socket. */
void peer_kill(struct peer *p)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);

	if (p->conn.q && getsockopt(qmp_fd(p->conn.q), SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	    who.pid > 1)
		kill(who.pid, SIGKILL);
}

int guest_console(const char *harness, const char *lab, const char *command, struct ls_err *err)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execl(harness, harness, "console", lab, "g1", command, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		return ls_err_set(err, -EIO, "console: \"%.100s\" has failed", command);
	return 0;
}
