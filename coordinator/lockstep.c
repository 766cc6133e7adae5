/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep: the command line. One table of commands; the rest of each is in cmd_*.c.
 */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/log.h>

static const struct command *const commands[] = {
	&cmd_status, &cmd_vcpus, &cmd_memory, &cmd_migrate, &cmd_doctor, &cmd_recover,
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
		fprintf(f, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n\"lockstep COMMAND --help\" says what a command does, step by step.\n\nexit "
	      "status:\n",
	      f);
#define X(name, code, text) fprintf(f, "  %d  %s\n", code, text);
	EXIT_CODES(X)
#undef X
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* The guest: by --qmp, or by the first argument that is left. */
static int find_guest(struct cli *cli, const char *command)
{
	struct ls_err err;
	int r;

	if (cli->has_guest) {
		if (!cli->guest.name[0])
			snprintf(cli->guest.name, sizeof(cli->guest.name), "guest");
		return 0;
	}
	if (cli->guest.agent[0] || !cli->n_args) {
		ls_err_set(&err, -EINVAL,
			   "%s: which guest? name one of guests.d, or give --qmp SOCKET", command);
		return cli_error(cli, XC_USAGE, &err);
	}
	r = guest_load(cli->dir, cli->args[0], &err, &cli->guest);
	if (r < 0)
		return cli_error(cli, XC_USAGE, &err);
	cli->args++;
	cli->n_args--;
	return 0;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	struct cli cli = { .watcher = -1, .window = "force" };
	char name[64];
	int first = 0, r;

	snprintf(name, sizeof(name), "lockstep %s", c->name);
	argv[0] = name;
	argp_err_exit_status = XC_USAGE;
	if (argp_parse(c->argp, argc, argv, 0, &first, &cli))
		return XC_USAGE;
	cli.args = argv + first;
	cli.n_args = argc - first;
	r = find_guest(&cli, c->name);
	return r ? r : c->run(&cli);
}

int main(int argc, char **argv)
{
	const struct command *c;

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
	c = find(argv[1]);
	if (!c) {
		fprintf(stderr, "lockstep: no command \"%s\"; \"lockstep --help\" lists them\n",
			argv[1]);
		return XC_USAGE;
	}
	return run_command(c, argc - 1, argv + 1);
}
