/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which files of a directory of hooks are programs to be run: the same rules in the guest
 * and on the host (docs/hooks.md).
 */
#ifndef LOCKSTEP_HOOKDIR_H
#define LOCKSTEP_HOOKDIR_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/log.h>

#define HOOKS_MAX	64 /* programs in the directory that are run */
#define HOOK_NAME_BYTES 64 /* of one's name, with the NUL */
#define HOOK_PATH	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Whether nobody but root, or whoever runs us, can change it. */
static inline bool hookdir_is_safe(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return false;
	return !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Names as run-parts(8) takes them: editors' and package managers' leavings are not programs. */
static inline bool hookdir_is_name(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.-";

	if (name[0] == '.' || strlen(name) >= HOOK_NAME_BYTES)
		return false;
	return name[strspn(name, good)] == '\0' && !strstr(name, ".dpkg-");
}

static inline bool hookdir_is_program(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (S_ISREG(st.st_mode) && !(st.st_mode & S_IXUSR))
		return false;
	if (S_ISREG(st.st_mode) && hookdir_is_safe(&st))
		return true;
	log_warning("hook %s: not run: it must be a file that only root can change", name);
	return false;
}

/**
 * struct hookdir - Programs, in the order of their names
 * @n:    how many
 * @name: in the directory
 */
struct hookdir {
	unsigned n;
	char name[HOOKS_MAX][HOOK_NAME_BYTES];
};

static inline int hookdir_by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static inline void hookdir_read(const char *path, DIR *d, struct hookdir *out)
{
	struct dirent *de;

	while ((de = readdir(d))) {
		if (!hookdir_is_name(de->d_name) || !hookdir_is_program(dirfd(d), de->d_name))
			continue;
		if (out->n == HOOKS_MAX) {
			log_warning("hooks: more than %d programs in %s: the rest is not run",
				    HOOKS_MAX, path);
			break;
		}
		strcpy(out->name[out->n++], de->d_name);
	}
	qsort(out->name, out->n, sizeof(out->name[0]), hookdir_by_name);
}

/* What is to be run of a directory; nothing, if there is none. @path may be NULL. */
static inline void hookdir_list(const char *path, struct hookdir *out)
{
	DIR *d = path ? opendir(path) : NULL;
	struct stat st;

	out->n = 0;
	if (!d)
		return;
	if (fstat(dirfd(d), &st) == 0 && hookdir_is_safe(&st))
		hookdir_read(path, d, out);
	else
		log_warning("hooks: none is run: others than root can change %s", path);
	closedir(d);
}

#endif
