/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The harness program: a table of its commands. */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "up.h"

/* clang-format off */
static const struct command {
	const char *name;
	int (*fn)(int argc, char **argv, const char *build);
	const char *doc;
} commands[] = {
	{ "run",     run_main,     "run scenarios, print TAP" },
	{ "check",   check_main,   "look for mistakes in scenarios" },
	{ "words",   words_main,   "list the words of the scenario language" },
	{ "warm",    warm_main,    "time boots and starts from a saved guest" },
	{ "up",      up_main,      "start guests and keep them running" },
	{ "console", console_main, "run a shell command in such a guest" },
};
/* clang-format on */

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(void)
{
	fprintf(stderr, "usage: harness COMMAND ...\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(stderr, "  %-8s %s\n", commands[i].name, commands[i].doc);
	return 2;
}

int main(int argc, char **argv)
{
	char self[4096] = "";

	/* The programs under test lie beside this one. */
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
		perror("/proc/self/exe");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc > 1 && i < N_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].fn(argc - 2, argv + 2, dirname(self));
	return usage();
}
