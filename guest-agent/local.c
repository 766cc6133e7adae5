/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening for the guest's own root.
 */
#include "local.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/err.h>
#include <lockstep/log.h>

#include "agent.h"

int local_path(const char *state_dir, char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/" LOCAL_NAME, state_dir);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

/* The kernel remembers who connected, whatever the file's mode has become since. */
static bool is_root(int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	    (cred.uid == 0 || cred.uid == geteuid()))
		return true;
	log_warning("local: user %u is turned away", (unsigned)cred.uid);
	return false;
}

int local_open(struct agent *a, const char *state_dir, struct ls_err *err)
{
	char path[LS_PATH_BYTES];
	pid_t other;

	if (local_path(state_dir, path, sizeof(path)) < 0)
		return ls_err_set(err, -ENAMETOOLONG, "local socket in %s: the path is too long",
				  state_dir);
	mkdir(state_dir, 0755);
	other = listen_owner(path);
	if (other >= 0)
		return ls_err_set(err, -EADDRINUSE,
				  "process %d is an agent with this state directory (it has %s): "
				  "end it, or give this one another with -t DIR",
				  (int)other, path);
	return listen_open(&a->local, a, path, is_root, err);
}

void local_close(struct agent *a)
{
	listen_close(&a->local);
}
