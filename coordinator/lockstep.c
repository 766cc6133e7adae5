/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep: the command line. One table of commands; the rest of each is in cmd_*.c.
 */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/log.h>
#include <qmp.h>

#include "cli/client.h"

/* Where a command finds its guest. */
enum where {
	HERE,	/* the engine in this process: lockstepd must not have it */
	EITHER, /* lockstepd, if it has the guest */
	DAEMON, /* lockstepd alone; the guest, if any, is an argument */
};

/* What to do where lockstepd has the guest. */
#define LET_GO	  "cannot move it: \"lockstep remove\" the guest first, then migrate it"
#define BY_ITSELF "recovers it by itself: \"lockstep status\", \"lockstep txn list\""

static const char *const on_or_off[] = { "online", "offline", NULL };

/**
 * struct entry - A command
 * @max_args: how many arguments it takes beside the guest
 * @words:    one of these stands before the guest; NULL: nothing does
 * @instead:  of a command that is HERE
 */
static const struct entry {
	const struct command *c;
	int max_args;
	enum where where;
	const char *const *words;
	const char *instead;
} commands[] = {
	{ &cmd_status, 0, EITHER, NULL, NULL },
	{ &cmd_vcpus, 1, EITHER, NULL, NULL },
	{ &cmd_memory, 1, EITHER, NULL, NULL },
	{ &cmd_balloon, 1, EITHER, NULL, NULL },
	{ &cmd_cpu, LS_CPUS_MAX, EITHER, on_or_off, NULL },
	{ &cmd_migrate, 0, HERE, NULL, LET_GO },
	{ &cmd_doctor, 0, EITHER, NULL, NULL },
	{ &cmd_recover, 0, HERE, NULL, BY_ITSELF },
	{ &cmd_list, 0, DAEMON, NULL, NULL },
	{ &cmd_watch, 0, DAEMON, NULL, NULL },
	{ &cmd_add, 1, DAEMON, NULL, NULL },
	{ &cmd_remove, 1, DAEMON, NULL, NULL },
	{ &cmd_cancel, 2, DAEMON, NULL, NULL },
	{ &cmd_txn, 2, DAEMON, NULL, NULL },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void log_sink(int priority, const char *fmt, ...)
{
	va_list ap;

	if (priority > LOG_WARNING && !getenv("LOCKSTEP_DEBUG"))
		return;
	va_start(ap, fmt);
	fputs("lockstep: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static void help(FILE *f)
{
	fputs("lockstep keeps a KVM guest's idea of its CPUs and memory in step with its "
	      "host's.\n\n"
	      "usage: lockstep COMMAND GUEST [ARGUMENTS]\n"
	      "       lockstep COMMAND --qmp SOCKET [--agent SOCKET] [ARGUMENTS]\n\n"
	      "GUEST is a name from " GUESTS_DIR "/NAME.conf:\n\n"
	      "    [guest]\n"
	      "    qmp = unix:/run/NAME.qmp        # a monitor of QEMU that only lockstep uses\n"
	      "    agent = unix:/run/NAME.agent    # virtio-serial port org.lockstep.agent.0\n\n"
	      "commands:\n",
	      f);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-9s %s\n", commands[i].c->name, commands[i].c->summary);
	fputs("\n\"lockstep COMMAND --help\" says what a command does, step by step.\n\nexit "
	      "status:\n",
	      f);
#define X(name, code, text) fprintf(f, "  %d  %s\n", code, text);
	EXIT_CODES(X)
#undef X
}

static const struct entry *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].c->name, name))
			return &commands[i];
	return NULL;
}

/* What is given by hand is meant instead of what guests.d says. */
static void override(struct guest *g, const struct guest *by_hand)
{
	if (by_hand->qmp[0])
		memcpy(g->qmp, by_hand->qmp, sizeof(g->qmp));
	if (by_hand->agent[0])
		memcpy(g->agent, by_hand->agent, sizeof(g->agent));
}

static void take_name(struct cli *cli)
{
	cli->args++;
	cli->n_args--;
}

/*
 * Whether lockstepd has it. A guest given by address, or out of a folder given by hand, is
 * meant to be reached from here.
 */
static int find_at_daemon(struct cli *cli, const struct entry *e)
{
	const char *name = cli->args[0];
	struct ls_err err;
	int code;

	if (cli->has_guest || cli->guest.agent[0] || cli->dir)
		return XC_OK;
	code = client_find(cli, name, &cli->daemon);
	if (code || !cli->daemon)
		return code;
	if (e->where == HERE) {
		ls_err_set(&err, -EBUSY, "%.60s: lockstepd has this guest and %s", name,
			   e->instead);
		return cli_error(cli, XC_BUSY, &err);
	}
	snprintf(cli->guest.name, sizeof(cli->guest.name), "%s", name);
	take_name(cli);
	return XC_OK;
}

/* The guest: by --qmp, or by the first argument that is left. */
static int find_guest_anywhere(struct cli *cli, const struct entry *e)
{
	const struct guest by_hand = cli->guest;
	struct ls_err err;
	int r;

	if (e->where == DAEMON)
		return 0;
	if (cli->has_guest && cli->n_args <= e->max_args) {
		snprintf(cli->guest.name, sizeof(cli->guest.name), "guest");
		return 0;
	}
	if (!cli->n_args) {
		ls_err_set(&err, -EINVAL,
			   "%s: which guest? name one of guests.d, or give --qmp SOCKET",
			   e->c->name);
		return cli_error(cli, XC_USAGE, &err);
	}
	r = find_at_daemon(cli, e);
	if (r || cli->daemon)
		return r;
	r = guest_load(cli->dir, cli->args[0], &err, &cli->guest);
	if (r < 0)
		return cli_error(cli, XC_USAGE, &err);
	override(&cli->guest, &by_hand);
	take_name(cli);
	return 0;
}

static int take_word(struct cli *cli, const struct entry *e)
{
	struct ls_err err;

	for (const char *const *w = e->words; cli->n_args && *w; w++)
		if (!strcmp(cli->args[0], *w)) {
			cli->word = *w;
			take_name(cli);
			return XC_OK;
		}
	ls_err_set(&err, -EINVAL, "%s: \"%s\" or \"%s\" comes first: lockstep %s %s GUEST ...",
		   e->c->name, e->words[0], e->words[1], e->c->name, e->words[0]);
	return cli_error(cli, XC_USAGE, &err);
}

/* Who goes away leaves nobody behind but lockstepd. */
static int find_guest(struct cli *cli, const struct entry *e)
{
	int r = find_guest_anywhere(cli, e);
	struct ls_err err;

	if (r || cli->daemon || e->where == DAEMON || !cli->no_wait)
		return r;
	ls_err_set(
		&err, -EOPNOTSUPP,
		"--no-wait is for guests that lockstepd has (lockstep list): here nobody would go "
		"on with it");
	return cli_error(cli, XC_USAGE, &err);
}

/* What argp does not know to be wrong. */
static int check_line(struct cli *cli, const struct entry *e)
{
	struct ls_err err;
	int r = XC_OK;

	if (cli->bad.code)
		return cli_error(cli, XC_USAGE, &cli->bad);
	if (e->words)
		r = take_word(cli, e);
	if (!r)
		r = find_guest(cli, e);
	if (r || cli->n_args <= e->max_args)
		return r;
	ls_err_set(&err, -EINVAL, "%s: \"%s\" is too much", e->c->name, cli->args[e->max_args]);
	return cli_error(cli, XC_USAGE, &err);
}

/* What was meant, if one is the beginning of the other; "" if not. */
static const char *nearest(const char *typed)
{
	for (size_t i = 0; i < N_COMMANDS && typed[0]; i++) {
		const char *name = commands[i].c->name;
		size_t n = strlen(name), m = strlen(typed);

		if (!strncmp(name, typed, n < m ? n : m))
			return name;
	}
	return "";
}

static int unknown_command(int argc, char **argv)
{
	struct cli cli = { .watcher = -1 };
	const char *near;
	struct ls_err err;

	for (int i = 2; i < argc; i++)
		cli.json |= !strcmp(argv[i], "--json") || !strcmp(argv[i], "-j");
	near = nearest(argv[1]);
	ls_err_set(&err, -EINVAL, "no command \"%.60s\"%s%s%s \"lockstep --help\" lists them",
		   argv[1], near[0] ? ": is \"" : ";", near, near[0] ? "\" meant?" : "");
	return cli_error(&cli, XC_USAGE, &err);
}

static int run_command(const struct entry *e, int argc, char **argv)
{
	struct cli cli = { .watcher = -1, .window = "force", .wish.node = NODE_ANY };
	char name[64];
	int first = 0, r;

	snprintf(name, sizeof(name), "lockstep %s", e->c->name);
	argv[0] = name;
	argp_err_exit_status = XC_USAGE;
	if (argp_parse(e->c->argp, argc, argv, 0, &first, &cli))
		return XC_USAGE;
	cli.args = argv + first;
	cli.n_args = argc - first;
	r = check_line(&cli, e);
	if (!r)
		r = e->c->run(&cli);
	qmp_close(cli.daemon);
	return r;
}

static int command(int argc, char **argv)
{
	const struct entry *e;

	if (argc < 2) {
		help(stderr);
		return XC_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return XC_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("lockstep " LOCKSTEP_VERSION);
		return XC_OK;
	}
	e = find(argv[1]);
	return e ? run_command(e, argc - 1, argv + 1) : unknown_command(argc, argv);
}

/*
 * A script must not take what is left of a status on a full disk for the whole. Who stopped
 * reading, or closed standard output, wanted no more.
 */
static int told(int r)
{
	struct pollfd out = { .fd = STDOUT_FILENO };
	bool lost;

	errno = 0;
	lost = fflush(stdout) != 0 || ferror(stdout);
	if (!lost || (poll(&out, 1, 0) == 1 && out.revents & (POLLERR | POLLNVAL)))
		return r;
	fprintf(stderr, "lockstep: standard output: %s: what this command says is not all there\n",
		errno ? strerror(errno) : "an error");
	return r ? r : XC_UNTOLD;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN); /* who stops reading has not asked to stop the change */
	return told(command(argc, argv));
}
