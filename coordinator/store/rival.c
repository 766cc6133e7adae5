/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that may be on its way out (pidfd_open(2): readable once it has ended,
 * which is after do_exit() has closed its files).
 */
#include "rival.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

bool rival_ends(int pid)
{
	ls_autoclose int fd = -1;
	struct pollfd p = { .events = POLLIN };

	if (pid <= 0 || pid == getpid())
		return false;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH;
	p.fd = fd;
	return poll(&p, 1, RIVAL_MS) > 0;
}
