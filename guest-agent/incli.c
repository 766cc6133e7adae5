/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands of the in-guest command line, and the way to the agent.
 */
#include "incli.h"

#include <ctype.h>
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

#define REACH_MS   5000	  /* for the agent to answer at all */
#define DIGITS_MAX 4	  /* of a CPU's number */
#define CHANGE_MS  600000 /* for a change: hooks and the kernel have their own, shorter limits */

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

	if (c->err.code == -EPIPE) {
		fputs("lockstep-agent: the agent has ended: see what is done when it runs again "
		      "(lockstep-agent status)\n",
		      stderr);
		return INCLI_NO_AGENT;
	}
	fprintf(stderr, "lockstep-agent: %s%s\n", c->err.text,
		locked ? "; nothing was changed" : "");
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

static bool has_word(int argc, char **argv, const char *word)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], word))
			return true;
	return false;
}

static enum incli_exit do_status(struct incli *c, int argc, char **argv)
{
	struct json_object *status = incli_ask(c, "lockstep-status", NULL);

	if (!status)
		return incli_failed(c);
	if (has_word(argc, argv, "--json"))
		incli_show_json(status);
	else
		incli_show_status(status);
	json_object_put(status);
	return INCLI_OK;
}

static enum incli_exit do_watch(struct incli *c, int argc, char **argv)
{
	bool json = has_word(argc, argv, "--json");
	long left = argc > 1 + json ? strtol(argv[argc - 1], NULL, 10) : -1;
	struct json_object *ok = incli_ask(c, "lockstep-subscribe", NULL);
	struct qmp_event event;

	if (!ok)
		return incli_failed(c);
	json_object_put(ok);
	while (left != 0) {
		if (qmp_event_wait(c->q, 0, &c->err, &event) < 0)
			return incli_failed(c);
		if (json)
			incli_show_json(event.data);
		else
			incli_show_change(event.data);
		qmp_event_done(&event);
		if (fflush(stdout) == EOF)
			break;
		left -= left > 0;
	}
	return INCLI_OK;
}

/* The agent takes the lock for a fix by itself. */
static enum incli_exit do_doctor(struct incli *c, int argc, char **argv)
{
	struct json_object *args = json_object_new_object(), *reply;
	bool fix = has_word(argc, argv, "--fix");
	int left;

	json_object_object_add(args, "fix", json_object_new_boolean(fix));
	reply = incli_ask(c, "lockstep-doctor", args);
	if (!reply)
		return incli_failed(c);
	left = incli_show_findings(qmp_get_array(reply, "findings"), fix,
				   has_word(argc, argv, "--json"));
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

static bool check_status(int argc, char **argv)
{
	if (argc == 1 || (argc == 2 && !strcmp(argv[1], "--json")))
		return true;
	incli_usage("status takes nothing but --json: '%s'", argv[argc - 1]);
	return false;
}

static bool check_doctor(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "--fix") != 0 && strcmp(argv[i], "--json") != 0) {
			incli_usage("doctor takes nothing but --fix and --json: '%s'", argv[i]);
			return false;
		}
	return true;
}

static bool check_watch(int argc, char **argv)
{
	int words = argc > 1 && !strcmp(argv[1], "--json") ? 2 : 1;
	char *end;

	if (argc == words)
		return true;
	if (argc == words + 1 && strtol(argv[words], &end, 10) > 0 && !*end)
		return true;
	incli_usage("watch takes [--json] and a number of changes: '%s'", argv[argc - 1]);
	return false;
}

static bool check_fail(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "cpu") && argv[2][0] && strlen(argv[2]) <= DIGITS_MAX &&
	    !argv[2][strspn(argv[2], "0123456789")])
		return true;
	incli_usage("fail takes one CPU and a row of its table: 'fail cpu 3 ap:alive'");
	return false;
}

static bool check_change(int argc, char **argv)
{
	return incli_change_check(argv[0], argc, argv);
}

/**
 * struct command - One of them
 * @name:  the first word
 * @args:  the others, as help shows them
 * @about: one line of `lockstep-agent --help`
 * @more:  what `lockstep-agent COMMAND --help` says besides
 * @check: the words, before anybody is asked: false has been told
 * @run:   with an agent that answers
 */
static const struct command {
	const char *name;
	const char *args;
	const char *about;
	const char *more;
	bool (*check)(int argc, char **argv);
	enum incli_exit (*run)(struct incli *c, int argc, char **argv);
} commands[] = {
	{ "status", "[--json]", "what the agent knows: lock, window, CPUs, memory",
	  "A CPU is online twice: for the driver core (cpuN/online) and in the kernel's mask\n"
	  "(cpu/online). Neighbours in one state are one line. Takes no lock.\n",
	  check_status, do_status },
	{ "online", "cpu|memory N...", "bring CPUs or memory blocks online; N: 3, 2-5 or 2,4",
	  "CPUs: nothing is changed if one of them does not exist. Memory blocks go to the\n"
	  "movable zone, so that they can be taken offline again.\n"
	  "What is online already is left alone.\n",
	  check_change, do_online },
	{ "offline", "cpu|memory N...", "take CPUs or memory blocks offline",
	  "Nothing is changed if one of them does not exist or can never go offline. What\n"
	  "the kernel or a hook (docs/hooks.md) refuses is named; the others are offline then.\n",
	  check_change, do_offline },
	{ "doctor", "[--fix] [--json]", "name what is out of step, and heal it",
	  "Without --fix nothing is changed and no lock is taken.\n", check_doctor, do_doctor },
	{ "watch", "[--json] [N]", "print changes as they happen; end after N of them",
	  "'by agent' was done through lockstep, 'by foreign' by somebody else. Ctrl-C ends it.\n",
	  check_watch, do_watch },
	{ "fail", "cpu N ROW", "for tests: the next visit of a row of the CPU's table fails",
	  "Once, with EAGAIN. A ROW that does not exist is answered with those that do.\n",
	  check_fail, do_fail },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

void incli_help(void)
{
	size_t i;

	puts("Commands, for root in the guest, asked of the agent that runs:");
	for (i = 0; i < COMMANDS; i++)
		printf("  %-8s%-18s%s\n", commands[i].name, commands[i].args, commands[i].about);
	puts("`lockstep-agent COMMAND --help` says more. What changes something takes the same\n"
	     "hotplug lock as the host's requests, and is refused while it is taken. Exit status:\n"
	     "0 done, 1 refused or failed, 2 not understood, 3 no agent answers, 4 somebody else\n"
	     "has the lock, 5 the doctor has found something that is not healed.");
}

static enum incli_exit help_command(const struct command *command)
{
	printf("Usage: lockstep-agent [-t DIR] %s %s\n%c%s.\n\n%s", command->name, command->args,
	       toupper((unsigned char)command->about[0]), command->about + 1, command->more);
	return INCLI_OK;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
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
		fprintf(stderr,
			"lockstep-agent: only root may use %s, and the group that the agent's "
			"--local-group names: try again as root\n",
			path);
	else if (err->code == -ENOENT || err->code == -ECONNREFUSED)
		fprintf(stderr,
			"lockstep-agent: no agent serves %s: start one, or give its state "
			"directory with -t DIR\n",
			path);
	else if (err->code == -EBUSY || err->code == -ETIMEDOUT)
		fprintf(stderr,
			"lockstep-agent: the agent that serves %s has not answered in %d s: "
			"see that it runs (not stopped), or start it again\n",
			path, REACH_MS / 1000);
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
	if (argc > 1 && (!strcmp(argv[argc - 1], "--help") || !strcmp(argv[argc - 1], "-h")))
		return help_command(command);
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
	if (fflush(stdout) != EOF && !ferror(stdout))
		return r;
	fprintf(stderr, "lockstep-agent: the answer could not be written: %s\n", strerror(errno));
	return INCLI_FAILED;
}
