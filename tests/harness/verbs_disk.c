/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "disk": a small file system of the scenario's own at @tmp/NAME, which can be filled to the last
 * page and made read-only. It is seen by what the scenario starts from then on, and goes with it.
 */
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#define FILLER "filler"

static int make(struct args *a, const char *path, const char *size)
{
	char how[64];

	snprintf(how, sizeof(how), "mode=700,size=%s", size);
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		a->run->skip = true;
		return args_fail(a, "a disk needs CAP_SYS_ADMIN: %s", strerror(errno));
	}
	if (mkdir(path, 0700) < 0 || mount("none", path, "tmpfs", 0, how) < 0)
		return args_fail(a, "%s: %s", path, strerror(errno));
	return 0;
}

/* Whole pages, and then what is less than one. */
static int fill(struct args *a, const char *path)
{
	ls_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	static const char page[4096];
	ssize_t n;

	if (fd < 0)
		return args_fail(a, "%s: %s", path, strerror(errno));
	do
		n = write(fd, page, sizeof(page));
	while (n > 0);
	return errno == ENOSPC ? 0 : args_fail(a, "%s: %s", path, strerror(errno));
}

static int change(struct args *a, const char *path, const char *to)
{
	char filler[LS_PATH_BYTES + sizeof(FILLER)];
	int r;

	snprintf(filler, sizeof(filler), "%s/" FILLER, path);
	if (!strcmp(to, "full"))
		return fill(a, filler);
	if (!strcmp(to, "room"))
		r = unlink(filler);
	else if (!strcmp(to, "read-only"))
		r = mount("none", path, "tmpfs", MS_REMOUNT | MS_RDONLY, "");
	else if (!strcmp(to, "writable"))
		r = mount("none", path, "tmpfs", MS_REMOUNT, "");
	else
		return make(a, path, to);
	return r < 0 ? args_fail(a, "%s: %s: %s", path, to, strerror(errno)) : 0;
}

int verb_disk(struct args *a)
{
	const char *name;
	const struct word *to;
	char path[LS_PATH_BYTES];

	if (args_new_name(a, &name) < 0 ||
	    args_word(a, "a size, or full, room, read-only, writable", &to) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	snprintf(path, sizeof(path), "%.60s/%s", a->run->lab.dir, name);
	return change(a, path, to->text);
}
