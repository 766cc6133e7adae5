/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users, groups and classes. Names are looked up when the configuration is read, never
 * when a client comes: a name service may be slow.
 */
#include "access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <lockstep/cleanup.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

const char *access_class_name(enum access_class class)
{
	static const char *const names[] = {
#define X(name, key, text) key,
		ACCESS_CLASSES(X)
#undef X
	};

	return names[class];
}

/* ---- the lists ------------------------------------------------------------- */

static int look_up(const char *name, struct access_who *ret_who)
{
	const struct passwd *pw;
	const struct group *gr;

	if (name[0] == '@') {
		gr = getgrnam(name + 1);
		if (gr)
			*ret_who = (struct access_who){ true, gr->gr_gid };
		return gr ? 0 : -ENOENT;
	}
	pw = getpwnam(name);
	if (pw)
		*ret_who = (struct access_who){ false, pw->pw_uid };
	return pw ? 0 : -ENOENT;
}

int access_add(struct access *a, enum access_class class, const char *list, struct ls_err *err)
{
	ls_autofree char *copy = strdup(list);
	struct access_who who;
	char *at = NULL;

	if (!copy)
		return ls_err_set(err, -ENOMEM, "out of memory");
	for (char *name = strtok_r(copy, " \t,", &at); name; name = strtok_r(NULL, " \t,", &at)) {
		if (look_up(name, &who) < 0)
			return ls_err_set(err, -EINVAL, "this host has no %s \"%.60s\"",
					  name[0] == '@' ? "group" : "user",
					  name + (name[0] == '@'));
		if (a->n[class] == ACCESS_NAMES_MAX)
			return ls_err_set(err, -EINVAL, "more than %d names", ACCESS_NAMES_MAX);
		a->who[class][a->n[class]++] = who;
	}
	return 0;
}

void access_default(struct access *a)
{
	*a = (struct access){ 0 };
	access_add(a, ACCESS_READ, "@" ACCESS_DEFAULT_READ, NULL);
}

/* ---- a client ---------------------------------------------------------------- */

int access_peer_read(int fd, struct access_peer *ret_peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred), bytes = ACCESS_GROUPS_MAX * sizeof(gid_t);
	ls_autofree gid_t *groups = malloc(bytes);

	if (!groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		bytes = 0; /* too many of them, or an old kernel: fewer rights, not more */
	*ret_peer = (struct access_peer){ .uid = cred.uid,
					  .gid = cred.gid,
					  .pid = cred.pid,
					  .n = bytes / (unsigned)sizeof(gid_t) };
	ret_peer->groups = ls_steal_ptr(&groups);
	return 0;
}

void access_peer_done(struct access_peer *p)
{
	free(p->groups);
	p->groups = NULL;
	p->n = 0;
}

static bool is(const struct access_who *who, const struct access_peer *p)
{
	if (!who->group)
		return p->uid == who->id;
	if (p->gid == who->id)
		return true;
	for (unsigned i = 0; i < p->n; i++)
		if (p->groups[i] == who->id)
			return true;
	return false;
}

bool access_allows(const struct access *a, enum access_class class, const struct access_peer *p)
{
	if (p->uid == 0)
		return true;
	for (unsigned c = class; c < ACCESS_COUNT; c++)
		for (unsigned i = 0; i < a->n[c]; i++)
			if (is(&a->who[c][i], p))
				return true;
	return false;
}
