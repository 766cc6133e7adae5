/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inih tells the first line that is bad, but not what was bad in it: both are kept here.
 */
#include "ini_file.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

/**
 * struct reading - One file
 * @line: that is being read
 * @err:  the first mistake in a key, in line @err_line
 */
struct reading {
	FILE *f;
	int line;
	ini_take_fn take;
	void *arg;
	struct ls_err err;
	int err_line;
};

static char *read_line(char *buf, int len, void *arg)
{
	struct reading *r = arg;

	r->line++;
	return fgets(buf, len, r->f);
}

static int on_key(void *arg, const char *section, const char *key, const char *value)
{
	struct reading *r = arg;

	if (r->err.code)
		return 0; /* the first one is told */
	if (r->take(r->arg, section, key, value, &r->err) >= 0)
		return 1;
	ls_err_prefix(&r->err, "[%.40s] %.40s", section, key);
	r->err_line = r->line;
	return 0;
}

static int read_all(struct reading *r, const char *path, struct ls_err *err)
{
	/* Its stream is the reading: reader and handler share it. */
	int line = ini_parse_stream(read_line, r, on_key, r);

	if (ferror(r->f))
		return ls_err_set(err, -EIO, "%s: it cannot be read", path);
	if (!line)
		return 0;
	if (line != r->err_line)
		return ls_err_set(err, -EINVAL, "%s:%d: not \"key = value\"", path, line);
	ls_err_prefix(&r->err, "%s:%d", path, line);
	if (err)
		*err = r->err;
	return -EINVAL;
}

int ini_file_read(const char *path, ini_take_fn take, void *arg, struct ls_err *err)
{
	struct reading r = { .f = fopen(path, "re"), .take = take, .arg = arg };
	int ret;

	if (!r.f)
		return ls_err_set(err, -errno, "%s: %s", path, strerror(errno));
	ret = read_all(&r, path, err);
	fclose(r.f);
	return ret;
}
