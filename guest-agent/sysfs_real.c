/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel as it really is: files below a root.
 */
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

static int real_open(void *ctx, const char *path, int flags)
{
	char full[512];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", (const char *)ctx, path);
	fd = open(full, flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static int real_read(void *ctx, const char *path, char *buf, size_t size)
{
	ls_autoclose int fd = real_open(ctx, path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n;
}

/* A write that a signal has interrupted is not begun again: that was the point. */
static int real_write(void *ctx, const char *path, const char *value)
{
	ls_autoclose int fd = real_open(ctx, path, O_WRONLY | O_TRUNC);

	if (fd < 0)
		return fd;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

static int real_list(void *ctx, const char *dir, void (*fn)(void *arg, const char *name), void *arg)
{
	int fd = real_open(ctx, dir, O_RDONLY | O_DIRECTORY);
	struct dirent *de;
	DIR *d;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((de = readdir(d)))
		fn(arg, de->d_name);
	closedir(d);
	return 0;
}

static int real_keep(void *ctx, const char *path)
{
	return real_open(ctx, path, O_RDONLY);
}

const struct sysfs_ops sysfs_real_ops = { real_read, real_write, real_list, real_keep };
