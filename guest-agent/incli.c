/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands of the in-guest command line, and the way to the agent.
 */
#include "incli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <lockstep/wire.h>
#include <qmp.h>

#include "local.h"

#define REACH_MS  5000	 /* for the agent to answer at all */
#define CHANGE_MS 600000 /* for a change: hooks and the kernel have their own, shorter limits */

const char incli_help[] =
	"Commands, for root in the guest, asked of the agent that runs:\n"
	"  status                   what the agent knows: lock, window, CPUs, memory\n"
	"  online cpu N...          bring CPUs online: 3, 2-5 or 2,4\n"
	"  offline cpu N...         take them offline\n"
	"  online memory N...       the same for memory blocks\n"
	"  offline memory N...\n"
	"  doctor [--fix]           name what is out of step, and heal it\n"
	"  watch [N]                print changes as they happen; end after N of them\n"
	"  fail cpu N ROW           the next visit of this row of the CPU's table fails, once:\n"
	"                           for tests; `status` names the rows where CPUs stand\n"
	"They take the same hotplug lock as the host's requests, and are refused while it is\n"
	"taken. Exit status: 0 done, 1 refused or failed, 2 not understood, 3 no agent answers,\n"
	"4 somebody else has the lock, 5 the doctor has found something that is not healed.\n";

enum incli_exit incli_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("lockstep-agent: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\nTry 'lockstep-agent --help'.\n", stderr);
	va_end(ap);
	return INCLI_USAGE;
}

enum incli_exit incli_failed(const struct incli *c)
{
	bool locked = !strcmp(c->err.class, LS_CLASS_LOCK_HELD) ||
		      !strcmp(c->err.class, LS_CLASS_WINDOW_OPEN);

	fprintf(stderr, "lockstep-agent: %s%s\n", c->err.text,
		locked ? "; nothing was changed: try again when it is done" : "");
	return locked ? INCLI_LOCKED : INCLI_FAILED;
}

struct json_object *incli_ask(struct incli *c, const char *verb, struct json_object *args)
{
	struct json_object *value = NULL;

	if (qmp_command(c->q, verb, args, qmp_now_ms() + CHANGE_MS, &c->err, &value) < 0)
		return NULL;
	return value;
}

/* ---- commands that only look -------------------------------------------------- */

static enum incli_exit do_status(struct incli *c, int argc, char **argv)
{
	struct json_object *status = incli_ask(c, "lockstep-status", NULL);

	(void)argc;
	(void)argv;
	if (!status)
		return incli_failed(c);
	incli_show_status(status);
	json_object_put(status);
	return INCLI_OK;
}

static enum incli_exit do_watch(struct incli *c, int argc, char **argv)
{
	long left = argc > 1 ? strtol(argv[1], NULL, 10) : -1;
	struct json_object *ok = incli_ask(c, "lockstep-subscribe", NULL);
	struct qmp_event event;

	if (!ok)
		return incli_failed(c);
	json_object_put(ok);
	while (left != 0) {
		if (qmp_event_wait(c->q, 0, &c->err, &event) < 0)
			return incli_failed(c);
		incli_show_change(event.data);
		qmp_event_done(&event);
		left -= left > 0;
	}
	return INCLI_OK;
}

/* The agent takes the lock for a fix by itself. */
static enum incli_exit do_doctor(struct incli *c, int argc, char **argv)
{
	struct json_object *args = json_object_new_object(), *reply;
	int left;

	(void)argv;
	json_object_object_add(args, "fix", json_object_new_boolean(argc > 1));
	reply = incli_ask(c, "lockstep-doctor", args);
	if (!reply)
		return incli_failed(c);
	left = incli_show_findings(qmp_get_array(reply, "findings"));
	json_object_put(reply);
	return left ? INCLI_FINDINGS : INCLI_OK;
}

static enum incli_exit do_fail(struct incli *c, int argc, char **argv)
{
	struct json_object *args = json_object_new_object(), *reply;

	(void)argc;
	json_object_object_add(args, "cpu", json_object_new_int64(strtoll(argv[2], NULL, 10)));
	json_object_object_add(args, "row", json_object_new_string(argv[3]));
	reply = incli_ask(c, "lockstep-fail", args);
	if (!reply)
		return incli_failed(c);
	json_object_put(reply);
	return INCLI_OK;
}

static enum incli_exit do_online(struct incli *c, int argc, char **argv)
{
	return incli_change(c, true, argc, argv);
}

static enum incli_exit do_offline(struct incli *c, int argc, char **argv)
{
	return incli_change(c, false, argc, argv);
}

/* ---- the words ------------------------------------------------------------------ */

static bool check_alone(int argc, char **argv)
{
	if (argc == 1)
		return true;
	incli_usage("%s takes no argument: '%s'", argv[0], argv[1]);
	return false;
}

static bool check_doctor(int argc, char **argv)
{
	if (argc == 1 || (argc == 2 && !strcmp(argv[1], "--fix")))
		return true;
	incli_usage("doctor takes nothing but --fix: '%s'", argv[argc - 1]);
	return false;
}

static bool check_watch(int argc, char **argv)
{
	char *end;

	if (argc == 1)
		return true;
	if (argc == 2 && strtol(argv[1], &end, 10) > 0 && !*end)
		return true;
	incli_usage("watch takes a number of changes: '%s'", argv[argc - 1]);
	return false;
}

static bool check_fail(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "cpu") && argv[2][0] &&
	    !argv[2][strspn(argv[2], "0123456789")])
		return true;
	incli_usage("fail takes one CPU and a row of its table: 'fail cpu 3 ap:alive'");
	return false;
}

static bool check_change(int argc, char **argv)
{
	return incli_change_check(argv[0], argc, argv);
}

static const struct command {
	const char *name;
	bool (*check)(int argc, char **argv);
	enum incli_exit (*run)(struct incli *c, int argc, char **argv);
} commands[] = {
	{ "status", check_alone, do_status },	 { "online", check_change, do_online },
	{ "offline", check_change, do_offline }, { "doctor", check_doctor, do_doctor },
	{ "watch", check_watch, do_watch },	 { "fail", check_fail, do_fail },
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static enum incli_exit unknown(const char *name)
{
	if (!strcmp(name, "plug") || !strcmp(name, "unplug") || !strcmp(name, "migrate") ||
	    !strcmp(name, "vcpus") || !strcmp(name, "memory"))
		return incli_usage("'%s' is for the host: there, run `lockstep %s`", name, name);
	return incli_usage(
		"there is no command '%s': status, online, offline, doctor, watch or fail", name);
}

/* ---- the way to the agent --------------------------------------------------------- */

static enum incli_exit unreached(const char *path, const struct ls_err *err)
{
	if (err->code == -EACCES || err->code == -EPERM)
		fprintf(stderr, "lockstep-agent: only root may use %s\n", path);
	else if (err->code == -ENOENT || err->code == -ECONNREFUSED)
		fprintf(stderr,
			"lockstep-agent: no agent serves %s: start one, or give its state "
			"directory with -t DIR\n",
			path);
	else
		fprintf(stderr, "lockstep-agent: %s\n", err->text);
	return INCLI_NO_AGENT;
}

enum incli_exit incli_run(int argc, char **argv, const char *state_dir)
{
	static const struct qmp_options opt = { .dialect = QMP_DIALECT_QGA };
	const struct command *command = find_command(argv[0]);
	char path[LS_PATH_BYTES], address[LS_PATH_BYTES + 8];
	struct incli c = { 0 };
	enum incli_exit r;

	if (!command)
		return unknown(argv[0]);
	if (!command->check(argc, argv))
		return INCLI_USAGE;
	if (local_path(state_dir, path, sizeof(path)) < 0)
		return incli_usage("%s: too long", state_dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	snprintf(c.txn, sizeof(c.txn), "local.%d", (int)getpid());
	if (qmp_open(address, &opt, qmp_now_ms() + REACH_MS, &c.err, &c.q) < 0)
		return unreached(path, &c.err);
	r = command->run(&c, argc, argv);
	qmp_close(c.q);
	return r;
}
