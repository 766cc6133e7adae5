/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the daemon's configuration. The first mistake is told, with its line.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../run/ini_file.h"

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
		.folders = BACKING_FOLDERS,
};

/**
 * struct parse - One reading
 * @seen: bit per limit, then per class, [memory], [metrics]: a key that comes twice is a mistake
 */
struct parse {
	struct config conf;
	uint64_t seen;
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

static int once(struct parse *p, unsigned bit, struct ls_err *err)
{
	if (p->seen & UINT64_C(1) << bit)
		return ls_err_set(err, -EINVAL, "it stands here a second time");
	p->seen |= UINT64_C(1) << bit;
	return 0;
}

static const char known[] =
#define X(field, key, unit, otherwise, lo, hi, help) " " key
	CONFIG_LIMITS(X);
#undef X

static int set_limit(struct parse *p, const char *key, const char *value, struct ls_err *err)
{
	for (unsigned i = 0; i < N_LIMITS; i++) {
		unsigned *at = (unsigned *)((char *)&p->conf + limits[i].offset);

		if (strcmp(key, limits[i].key))
			continue;
		return once(p, i, err) < 0 ? -EINVAL : parse_limit(&limits[i], value, at, err);
	}
	return ls_err_set(err, -EINVAL, "unknown; known are%s", known);
}

static int set_access(struct parse *p, const char *key, const char *value, struct ls_err *err)
{
	for (unsigned c = 0; c < ACCESS_COUNT; c++) {
		if (strcmp(key, access_class_name(c)))
			continue;
		if (once(p, (unsigned)N_LIMITS + c, err) < 0)
			return -EINVAL;
		p->conf.access.n[c] = 0; /* instead of the default */
		return access_add(&p->conf.access, c, value, err);
	}
	return ls_err_set(err, -EINVAL, "unknown; known are read, hotplug, migrate, admin");
}

static int set_folders(struct parse *p, const char *key, const char *value, struct ls_err *err)
{
	char *at, *save = NULL, list[CONFIG_FOLDERS_BYTES];

	if (strcmp(key, "folders"))
		return ls_err_set(err, -EINVAL, "unknown; known is folders");
	if (once(p, (unsigned)N_LIMITS + ACCESS_COUNT, err) < 0)
		return -EINVAL;
	if (strlen(value) >= sizeof(list))
		return ls_err_set(err, -EINVAL, "more than %zu bytes", sizeof(list) - 1);
	strcpy(list, value);
	for (at = strtok_r(list, " ", &save); at; at = strtok_r(NULL, " ", &save))
		if (!backing_path_ok(at) || !at[1] || at[strlen(at) - 1] == '/')
			return ls_err_set(err, -EINVAL,
					  "\"%.80s\" is no folder's path: absolute, no \"..\", no "
					  "\"/\" at the end",
					  at);
	strcpy(p->conf.folders, value);
	return 0;
}

static int set_metrics(struct parse *p, const char *key, const char *value, struct ls_err *err)
{
	if (strcmp(key, "listen") != 0)
		return ls_err_set(err, -EINVAL, "unknown; known is listen");
	if (once(p, (unsigned)N_LIMITS + ACCESS_COUNT + 1, err) < 0)
		return -EINVAL;
	if (metrics_address_check(value, err) < 0)
		return -EINVAL;
	snprintf(p->conf.metrics, sizeof(p->conf.metrics), "%s", value);
	return 0;
}

static int on_key(void *arg, const char *section, const char *key, const char *value,
		  struct ls_err *err)
{
	if (!strcmp(section, "lockstepd"))
		return set_limit(arg, key, value, err);
	if (!strcmp(section, "access"))
		return set_access(arg, key, value, err);
	if (!strcmp(section, "memory"))
		return set_folders(arg, key, value, err);
	if (!strcmp(section, "metrics"))
		return set_metrics(arg, key, value, err);
	return ls_err_set(
		err, -EINVAL,
		"no such section; there are [lockstepd], [access], [memory] and [metrics]");
}

int config_load(const char *path, struct ls_err *err, struct config *ret_conf)
{
	bool may_be_missing = !strcmp(path, CONFIG_FILE);
	struct parse p = { .conf = defaults };
	int r;

	access_default(&p.conf.access);
	r = ini_file_read(path, on_key, &p, err);
	if (r < 0 && !(r == -ENOENT && may_be_missing))
		return r;
	*ret_conf = p.conf;
	return 0;
}
