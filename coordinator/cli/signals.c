/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "signals.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool signals_asked(const struct cli *cli, int fd)
{
	struct signalfd_siginfo si;

	if (read(fd, &si, sizeof(si)) != sizeof(si))
		return false;
	if (!cli->quiet && !cli->json)
		fprintf(stderr,
			"\nlockstep: %s: taking it back, if it still can be; wait for the end\n",
			strsignal((int)si.ssi_signo));
	return true;
}
