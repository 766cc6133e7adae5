/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening for the guest's own root, and for a group that may look.
 */
#include "local.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/err.h>
#include <lockstep/log.h>

#include "agent.h"

#define LOCAL_GROUPS_MAX 1024 /* of one user; who has more is known by its first group only */

int local_path(const char *state_dir, char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/" LOCAL_NAME, state_dir);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

/* Whether the group is one of the peer's, its effective or a supplementary one. */
static bool is_member(int fd, const struct ucred *cred, gid_t gid)
{
	gid_t groups[LOCAL_GROUPS_MAX];
	socklen_t len = sizeof(groups);
	size_t i;

	if (!gid)
		return false;
	if (cred->gid == gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/*
 * The kernel remembers who connected, whatever the file's mode has become since.
 * Return: an enum client_kind, or -EACCES.
 */
static int who_is(const struct listener *l, int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -EACCES;
	if (cred.uid == 0 || cred.uid == geteuid())
		return CLIENT_ROOT;
	if (is_member(fd, &cred, l->gid))
		return CLIENT_MEMBER;
	log_warning("local: user %u is turned away", (unsigned)cred.uid);
	return -EACCES;
}

/* Under systemd's Group= the file has its group already, and chown() is not allowed. */
static int open_to_group(const char *path, gid_t gid)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (st.st_gid != gid && chown(path, (uid_t)-1, gid) < 0)
		return -errno;
	return chmod(path, 0660) < 0 ? -errno : 0;
}

/* Not getgrnam(): a static program has no name service. */
int local_group(const char *name, gid_t *ret_gid)
{
	FILE *file = fopen("/etc/group", "re");
	char *end;
	unsigned long n = strtoul(name, &end, 10);
	struct group *g = NULL;

	*ret_gid = name[0] >= '0' && name[0] <= '9' && !*end && n < (gid_t)-1 ? (gid_t)n : 0;
	while (file && (g = fgetgrent(file)) && strcmp(g->gr_name, name) != 0)
		;
	if (g)
		*ret_gid = g->gr_gid;
	if (file)
		fclose(file);
	return *ret_gid ? 0 : -ENOENT;
}

int local_open(struct agent *a, const char *state_dir, gid_t gid, struct ls_err *err)
{
	char path[LS_PATH_BYTES];
	pid_t other;
	int r;

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
	r = listen_open(&a->local, a, path, who_is, err);
	if (r < 0 || !gid)
		return r;
	a->local.gid = gid;
	r = open_to_group(path, gid);
	if (r < 0)
		log_warning("%s: cannot be opened to group %u: %s; only root is served", path,
			    (unsigned)gid, strerror(-r));
	return 0;
}

void local_close(struct agent *a)
{
	listen_close(&a->local);
}
