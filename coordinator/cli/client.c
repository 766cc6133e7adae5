/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command as a client of the daemon. What it prints is made by render.c from the
 * daemon's events, so that it does not matter where the engine runs.
 */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <lockstep/cleanup.h>
#include <qmp.h>

#include "../daemon/ctl.h"
#include "../report/doctor.h"
#include "../hv/hv.h"
#include "../report/json.h"
#include "paint.h"
#include "render.h"
#include "signals.h"
#include "../report/report.h"
#include "../report/words.h"

#define OPEN_MS	   20000 /* its socket may be there before it is: systemd begins it then */
#define ANSWER_MS  5000	 /* for what the daemon knows already */
#define DOCTOR_MS  (HV_DOCTOR_MS + 2 * (HV_LOOK_MS + HV_AGENT_MS) + ANSWER_MS)
#define WRITTEN_MS 20000 /* for what it has to write down, or to read */

/* The daemon's errors are classed with the names of our exit codes. */
static int exit_of(const struct ls_err *err)
{
#define X(name, code, text)                                                                        \
	if (!strcmp(err->class, #name))                                                            \
		return code;
	EXIT_CODES(X)
#undef X
	if (!strcmp(err->class, "GuestUnknown"))
		return XC_USAGE;
	return err->class[0] ? XC_REFUSED : XC_REACH;
}

static const char *socket_path(void)
{
	const char *path = getenv(DAEMON_SOCKET_ENV);

	return path && path[0] ? path : DAEMON_SOCKET;
}

int client_failed(const struct cli *cli, struct ls_err *err)
{
	if (!err->class[0])
		ls_err_prefix(err, "lockstepd");
	if (strcmp(err->class, "CommandNotFound"))
		return cli_error(cli, exit_of(err), err);
	ls_err_prefix(err, "%.120s: what answers there is no lockstepd, or another version of it",
		      socket_path());
	return cli_error(cli, XC_REACH, err);
}

int client_open(const struct cli *cli, struct qmp **ret_q)
{
	struct ls_err err;
	int r = qmp_open(socket_path(), NULL, qmp_now_ms() + OPEN_MS, &err, ret_q);

	if (r >= 0)
		return XC_OK;
	*ret_q = NULL;
	if (r == -ENOENT || r == -ECONNREFUSED)
		return XC_OK;
	if (r == -EBUSY)
		ls_err_set(&err, r,
			   "%.120s: no greeting within %d s: does it stand still, or not start? "
			   "systemctl status lockstepd",
			   socket_path(), OPEN_MS / 1000);
	return client_failed(cli, &err);
}

struct json_object *client_args(const char *name)
{
	struct json_object *args = json_object_new_object();

	json_add_str(args, "guest", name);
	return args;
}

int client_find(const struct cli *cli, const char *name, struct qmp **ret_q)
{
	struct ls_err err;
	int code = client_open(cli, ret_q), r;

	if (code || !*ret_q)
		return code;
	r = qmp_command(*ret_q, "status", client_args(name), qmp_now_ms() + ANSWER_MS, &err, NULL);
	if (r >= 0)
		return XC_OK;
	qmp_close(*ret_q);
	*ret_q = NULL;
	return strcmp(err.class, "GuestUnknown") ? client_failed(cli, &err) : XC_OK;
}

int client_absent(const struct cli *cli, const char *verb)
{
	struct ls_err err;

	ls_err_set(&err, -ENOENT,
		   "%s: lockstepd does not run here: nobody serves %.120s; \"systemctl start "
		   "lockstepd.socket\" begins it",
		   verb, socket_path());
	return cli_error(cli, XC_REACH, &err);
}

void client_add_timeout(const struct cli *cli, struct json_object *args)
{
	if (cli->timeout_ms)
		json_add_num(args, "timeout-ms", cli->timeout_ms);
}

/* ---- one question, one answer ---------------------------------------------------- */

unsigned client_limit_ms(const struct cli *cli)
{
	return cli->timeout_ms ? cli->timeout_ms : WRITTEN_MS;
}

int client_ask(const struct cli *cli, const char *verb, struct json_object *args,
	       struct json_object **ret_value)
{
	struct ls_err err;
	struct qmp *q;
	int code = client_open(cli, &q);

	if (!code && !q)
		code = client_absent(cli, verb);
	if (code) {
		json_object_put(args);
		return code;
	}
	if (qmp_command(q, verb, args, qmp_now_ms() + client_limit_ms(cli), &err, ret_value) < 0)
		code = client_failed(cli, &err);
	qmp_close(q);
	return code;
}

/* ---- following a transaction ------------------------------------------------------ */

/**
 * struct follow - One request and what comes of it
 * @err:      of class: it was refused; without: the daemon has gone
 * @code:     of the exit, once it is known
 * @over:     nothing more will come
 */
struct follow {
	struct cli *cli;
	struct qmp *q;
	bool over;
	struct ls_err err;
	int code;
	int signals;
};

static void say_accepted(const struct cli *cli, const char *txn)
{
	struct json_object *o;

	if (cli->json) {
		o = report_object("accepted");
		json_add_str(o, "guest", cli->guest.name);
		json_add_str(o, "txn", txn);
		json_print(o);
	} else if (!cli->quiet) {
		printf("%s: on record as %s; how it ends: lockstep txn show %s\n", cli->guest.name,
		       txn, txn);
	}
}

static void on_reply(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct follow *f = arg;

	(void)q;
	if (err) {
		f->err = *err;
		f->over = true;
	} else if (f->cli->no_wait && !qmp_get_str(value, "end", NULL)) {
		f->code = XC_OK;
		f->over = true;
		say_accepted(f->cli, qmp_get_str(value, "txn", ""));
	}
}

static void show_now_object(const struct cli *cli, struct json_object *o)
{
	struct json_object *vm = qmp_get_obj(o, "vm");

	if (cli->json && vm)
		json_print(json_object_get(vm));
	else if (!cli->json && !cli->quiet)
		fputs(qmp_get_str(o, "text", ""), stdout);
}

static void on_event(struct follow *f, struct json_object *o)
{
	const char *event = qmp_get_str(o, "event", "");

	if (!strcmp(event, "now")) {
		if (f->code != XC_LOST)
			show_now_object(f->cli, o);
		f->over = true;
		return;
	}
	if (!strcmp(event, "end"))
		f->code = (int)qmp_get_int(o, "exit", XC_STUCK);
	if (strcmp(event, "error")) /* that comes as the reply, too */
		render(f->cli, o);
}

static void read_events(struct follow *f)
{
	struct qmp_event event;

	while (qmp_event_next(f->q, &event) > 0) {
		if (!strcmp(event.name, CTL_EVENT) && event.data)
			on_event(f, event.data);
		qmp_event_done(&event);
	}
}

/* The daemon has one transaction a guest, and this connection asked for it. */
static void ask_back(struct follow *f)
{
	if (signals_asked(f->cli, f->signals))
		qmp_submit(f->q, "cancel", client_args(f->cli->guest.name), NULL, NULL, NULL, NULL);
}

/* Ends with the transaction, which is bounded, or with the daemon. */
static int follow(struct follow *f)
{
	struct ls_err err;
	int r = 0;

	while (!f->over && r >= 0) {
		struct pollfd p[2] = { { .fd = qmp_fd(f->q), .events = qmp_poll_events(f->q) },
				       { .fd = f->signals, .events = POLLIN } };

		poll(p, 2, -1);
		if (p[1].revents)
			ask_back(f);
		r = qmp_dispatch(f->q, p[0].revents, &err);
		if (!f->over)
			read_events(f);
	}
	if (f->err.class[0])
		return client_failed(f->cli, &f->err);
	if (f->over && !f->err.code)
		return f->code;
	ls_err_set(&err, -EPIPE,
		   "lockstepd has ended in the middle; when it is back it takes this back: "
		   "lockstep status %s",
		   f->cli->guest.name);
	return cli_error(f->cli, XC_STUCK, &err);
}

int client_follow(struct cli *cli, const char *verb, struct json_object *args)
{
	struct follow f = { .cli = cli, .q = cli->daemon, .code = XC_STUCK };
	int code;

	f.signals = signals_open();
	if (qmp_submit(f.q, verb, args, on_reply, &f, &f.err, NULL) < 0)
		code = client_failed(cli, &f.err);
	else
		code = follow(&f);
	ls_closep(&f.signals);
	return code;
}

int client_wish(struct cli *cli, const struct wish *w)
{
	struct json_object *args = client_args(cli->guest.name);

	wish_to_json(w, args);
	client_add_timeout(cli, args);
	return client_follow(cli, wish_verb(w->kind), args);
}

/* ---- looking ------------------------------------------------------------------------ */

static int say_unseen(const struct cli *cli, struct json_object *o)
{
	struct ls_err err;

	ls_err_set(&err, -EPIPE, "%s: %.200s; lockstepd tries again", qmp_get_str(o, "state", ""),
		   qmp_get_str(o, "reason", ""));
	return cli_error(cli, XC_REACH, &err);
}

static int show_status(const struct cli *cli, struct json_object *o)
{
	int64_t age_s = qmp_get_int(o, "age-ms", 0) / 1000;
	const char *state = qmp_get_str(o, "state", "");
	bool seen = qmp_get_obj(o, "vm") != NULL;

	if (cli->json) {
		json_print(json_object_get(o));
		return seen ? XC_OK : XC_REACH;
	}
	if (!seen)
		return say_unseen(cli, o);
	paint_lines(stdout, qmp_get_str(o, "text", ""));
	if (age_s)
		printf("seen by lockstepd %" PRId64 " s ago\n", age_s);
	if (strcmp(state, "ready"))
		printf("lockstepd: %s\n", state);
	return XC_OK;
}

int client_status(struct cli *cli)
{
	struct json_object *o;
	struct ls_err err;
	int code;

	if (qmp_command(cli->daemon, "status", client_args(cli->guest.name),
			qmp_now_ms() + ANSWER_MS, &err, &o) < 0)
		return client_failed(cli, &err);
	code = show_status(cli, o);
	json_object_put(o);
	return code;
}

int client_doctor(struct cli *cli)
{
	struct json_object *args = client_args(cli->guest.name), *findings;
	struct ls_err err;
	int code = XC_OK;

	json_object_object_add(args, "fix", json_object_new_boolean(cli->fix));
	json_object_object_add(args, "no-wait", json_object_new_boolean(cli->no_wait));
	client_add_timeout(cli, args);
	if (qmp_command(cli->daemon, "doctor", args, qmp_now_ms() + DOCTOR_MS, &err, &findings) < 0)
		return client_failed(cli, &err);
	if (!cli->no_wait)
		code = doctor_show(cli, findings);
	else if (!cli->quiet && !cli->json)
		printf("%s: the doctor is at work; what is left then: lockstep doctor %s\n",
		       cli->guest.name, cli->guest.name);
	json_object_put(findings);
	return code;
}
