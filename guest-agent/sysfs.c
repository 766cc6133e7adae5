/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading sysfs. How it is written is in sysfs_write.c.
 */
#include "sysfs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "sysfs_private.h"

/* ---- life --------------------------------------------------------------- */

void sysfs_put_locked(struct sysfs *s)
{
	bool last = --s->refs == 0;

	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static unsigned most_kept(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 2 > SYSFS_KEPT_MAX)
		return SYSFS_KEPT_MAX;
	return (unsigned)files.rlim_cur / 2;
}

struct sysfs *sysfs_new_ops(const struct sysfs_ops *ops, void *ctx)
{
	struct sysfs *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	sysfs_write_init();
	pthread_mutex_init(&s->lock, NULL);
	s->refs = 1;
	s->kept_max = most_kept();
	s->ops = ops;
	s->ctx = ctx;
	return s;
}

struct sysfs *sysfs_new(const char *root)
{
	return sysfs_new_ops(&sysfs_real_ops, (void *)root);
}

void sysfs_free(struct sysfs *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->on_out = NULL;
	s->on_write = NULL;
	sysfs_put_locked(s);
}

void sysfs_on_out(struct sysfs *s, void (*fn)(void *arg, int change), void *arg)
{
	ls_guard(&s->lock);
	s->on_out = fn;
	s->on_out_arg = arg;
}

void sysfs_on_write(struct sysfs *s, void (*fn)(void *arg, const char *path, const char *value),
		    void *arg)
{
	ls_guard(&s->lock);
	s->on_write = fn;
	s->on_write_arg = arg;
}

/* ---- reading ------------------------------------------------------------ */

static int read_v(struct sysfs *s, char *buf, size_t size, const char *fmt, va_list ap)
{
	char path[SYSFS_PATH_BYTES];

	vsnprintf(path, sizeof(path), fmt, ap);
	return s->ops->read(s->ctx, path, buf, size);
}

int sysfs_read_raw(struct sysfs *s, void *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = read_v(s, buf, size, fmt, ap);
	va_end(ap);
	return n;
}

static int end_string(char *buf, size_t size, int n)
{
	if (n < 0)
		return n;
	if ((size_t)n >= size)
		return -EMSGSIZE;
	buf[n] = '\0';
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return 0;
}

int sysfs_read_str(struct sysfs *s, char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = read_v(s, buf, size, fmt, ap);
	va_end(ap);
	return end_string(buf, size, n);
}

int sysfs_read_num(struct sysfs *s, int base, long long *ret_num, const char *fmt, ...)
{
	char buf[32], *end;
	long long num;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = read_v(s, buf, sizeof(buf), fmt, ap);
	va_end(ap);
	n = end_string(buf, sizeof(buf), n);
	if (n < 0)
		return n;
	errno = 0;
	num = strtoll(buf, &end, base);
	if (errno || end == buf || *end)
		return -EPROTO;
	*ret_num = num;
	return 0;
}

void sysfs_drop(struct sysfs *s, struct sysfs_kept *kept)
{
	if (kept->fd < 0)
		return;
	close(kept->fd);
	kept->fd = -1;
	s->kept--;
}

static void keep(struct sysfs *s, struct sysfs_kept *kept, const char *path)
{
	if (kept->fd >= 0 || !s->ops->keep || s->kept >= s->kept_max)
		return;
	kept->fd = s->ops->keep(s->ctx, path);
	if (kept->fd >= 0)
		s->kept++;
}

/* A device that went and came again has another file: the one kept fails, then. */
int sysfs_read_kept(struct sysfs *s, struct sysfs_kept *kept, char *buf, size_t size,
		    const char *fmt, ...)
{
	char path[SYSFS_PATH_BYTES];
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	keep(s, kept, path);
	n = kept->fd < 0 ? -1 : pread(kept->fd, buf, size, 0);
	if (n < 0) {
		sysfs_drop(s, kept);
		n = s->ops->read(s->ctx, path, buf, size);
	}
	return end_string(buf, size, (int)n);
}

int sysfs_list(struct sysfs *s, const char *dir, void (*fn)(void *arg, const char *name), void *arg)
{
	return s->ops->list(s->ctx, dir, fn, arg);
}
