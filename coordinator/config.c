/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the daemon's configuration. The first mistake is told, with its line.
 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct limit {
	const char *key;
	enum config_unit unit;
	unsigned lo, hi;
	size_t offset;
};

static const struct limit limits[] = {
#define X(field, key, unit, otherwise, lo, hi, help)                                               \
	{ key, CONFIG_##unit, lo, hi, offsetof(struct config, field) },
	CONFIG_LIMITS(X)
#undef X
};
#define N_LIMITS (sizeof(limits) / sizeof(limits[0]))

static const struct config defaults = {
#define X(field, key, unit, otherwise, lo, hi, help) .field = (otherwise),
	CONFIG_LIMITS(X)
#undef X
};

/**
 * struct parse - One reading
 * @seen: bit per limit, then per class: a key that comes twice is a mistake
 * @err:  the first mistake in a key, in line @err_line
 * @line: that is being read; inih tells the first bad line, but not what was bad
 */
struct parse {
	struct config conf;
	uint64_t seen;
	struct ls_err err;
	int line, err_line;
	FILE *f;
};

/* ---- values ------------------------------------------------------------------ */

/* Milliseconds in one of them; 0 if there is no such unit. */
static unsigned long unit_ms(const char *unit)
{
	return !strcmp(unit, "ms")    ? 1
	       : !strcmp(unit, "s")   ? 1000
	       : !strcmp(unit, "min") ? 60000
				      : 0;
}

static int parse_limit(const struct limit *l, const char *text, unsigned *ret, struct ls_err *err)
{
	char *end;
	unsigned long n, scale = 1;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno)
		return ls_err_set(err, -EINVAL, "\"%.40s\" is no number", text);
	while (*end == ' ')
		end++;
	if (l->unit == CONFIG_MS)
		scale = unit_ms(end);
	if (!scale || (l->unit == CONFIG_COUNT && *end))
		return ls_err_set(err, -EINVAL, "\"%.40s\" %s", text,
				  l->unit == CONFIG_COUNT ? "is a count: no unit is meant"
							  : "needs a unit: ms, s or min");
	if (n > UINT32_MAX / scale || n * scale < l->lo || n * scale > l->hi)
		return ls_err_set(err, -ERANGE, "\"%.40s\" is not from %u to %u%s", text, l->lo,
				  l->hi, l->unit == CONFIG_MS ? " ms" : "");
	*ret = (unsigned)(n * scale);
	return 0;
}

/* ---- keys --------------------------------------------------------------------- */

static int once(struct parse *p, unsigned bit)
{
	if (p->seen & UINT64_C(1) << bit)
		return ls_err_set(&p->err, -EINVAL, "it stands here a second time");
	p->seen |= UINT64_C(1) << bit;
	return 0;
}

static const char known[] =
#define X(field, key, unit, otherwise, lo, hi, help) " " key
	CONFIG_LIMITS(X);
#undef X

static int set_limit(struct parse *p, const char *key, const char *value)
{
	for (unsigned i = 0; i < N_LIMITS; i++) {
		unsigned *at = (unsigned *)((char *)&p->conf + limits[i].offset);

		if (strcmp(key, limits[i].key))
			continue;
		return once(p, i) < 0 ? -EINVAL : parse_limit(&limits[i], value, at, &p->err);
	}
	return ls_err_set(&p->err, -EINVAL, "unknown; known are%s", known);
}

static int set_access(struct parse *p, const char *key, const char *value)
{
	for (unsigned c = 0; c < ACCESS_COUNT; c++) {
		if (strcmp(key, access_class_name(c)))
			continue;
		if (once(p, (unsigned)N_LIMITS + c) < 0)
			return -EINVAL;
		p->conf.access.n[c] = 0; /* instead of the default */
		return access_add(&p->conf.access, c, value, &p->err);
	}
	return ls_err_set(&p->err, -EINVAL, "unknown; known are read, hotplug, migrate, admin");
}

static int on_key(void *arg, const char *section, const char *key, const char *value)
{
	struct parse *p = arg;
	int r;

	if (p->err.code)
		return 0; /* the first one is told */
	if (!strcmp(section, "lockstepd"))
		r = set_limit(p, key, value);
	else if (!strcmp(section, "access"))
		r = set_access(p, key, value);
	else
		r = ls_err_set(&p->err, -EINVAL,
			       "no such section; there are [lockstepd] and [access]");
	if (r < 0) {
		ls_err_prefix(&p->err, "[%.40s] %.40s", section, key);
		p->err_line = p->line;
	}
	return r >= 0;
}

static char *read_line(char *buf, int len, void *arg)
{
	struct parse *p = arg;

	p->line++;
	return fgets(buf, len, p->f);
}

/* inih's stream is the parse: its reader and its handler share it. */
static int parse_file(struct parse *p, const char *path, struct ls_err *err)
{
	int line = ini_parse_stream(read_line, p, on_key, p);

	if (ferror(p->f))
		return ls_err_set(err, -EIO, "%s: it cannot be read", path);
	if (!line)
		return 0;
	if (line != p->err_line)
		return ls_err_set(err, -EINVAL, "%s:%d: not \"key = value\"", path, line);
	ls_err_prefix(&p->err, "%s:%d", path, line);
	if (err)
		*err = p->err;
	return -EINVAL;
}

int config_load(const char *path, struct ls_err *err, struct config *ret_conf)
{
	struct parse p = { .conf = defaults, .f = fopen(path, "re") };
	int r = 0;

	if (!p.f && !(errno == ENOENT && !strcmp(path, CONFIG_FILE)))
		return ls_err_set(err, -errno, "%s: %s", path, strerror(errno));
	access_default(&p.conf.access);
	if (p.f) {
		r = parse_file(&p, path, err);
		fclose(p.f);
	}
	if (r == 0)
		*ret_conf = p.conf;
	return r;
}
