/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The white-list of what a DIMM's memory can be made of.
 */
#include "backing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTION_BYTES (BACKING_PATH_BYTES + 8)

static const char *const kinds[] = {
	[BACKING_RAM] = "ram", [BACKING_MEMFD] = "memfd", [BACKING_FILE] = "file="
};

static const char *const policies[] = { "bind", "preferred", "interleave" };

bool backing_path_ok(const char *path)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n >= BACKING_PATH_BYTES || strstr(path, "//") ||
	    strpbrk(path, " ,\"\\\n"))
		return false;
	for (const char *at = path; (at = strstr(at, "/.")); at += 2) {
		const char *rest = at + 2 + (at[2] == '.');

		if (!*rest || *rest == '/')
			return false;
	}
	for (const char *at = path; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	return true;
}

static int set_path(struct backing *b, const char *path, struct ls_err *err)
{
	if (!backing_path_ok(path))
		return ls_err_set(err, -EINVAL,
				  "backend: \"%.80s\" is no path that can be used: absolute, no "
				  "\"..\", no blanks or commas",
				  path);
	b->kind = BACKING_FILE;
	snprintf(b->path, sizeof(b->path), "%s", path);
	return 0;
}

static int set_kind(struct backing *b, const char *word, struct ls_err *err)
{
	if (!strncmp(word, kinds[BACKING_FILE], strlen(kinds[BACKING_FILE])))
		return set_path(b, word + strlen(kinds[BACKING_FILE]), err);
	for (int k = 0; k < BACKING_FILE; k++)
		if (!strcmp(word, kinds[k])) {
			b->kind = (enum backing_kind)k;
			return 0;
		}
	return ls_err_set(err, -EINVAL,
			  "backend: \"%.80s\" is none: first comes ram, memfd or file=PATH", word);
}

/* Those that Linux has for one architecture or another. */
static int set_hugepages(struct backing *b, const char *value, struct ls_err *err)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);
	unsigned shift = !strcmp(end, "K")   ? 10
			 : !strcmp(end, "M") ? 20
			 : !strcmp(end, "G") ? 30
					     : 0;
	uint64_t bytes = (uint64_t)n << shift;

	if (value[0] < '0' || value[0] > '9' || !shift || n > 1024 || bytes & (bytes - 1) ||
	    bytes < 1 << 14)
		return ls_err_set(err, -EINVAL,
				  "backend: \"%.40s\" is no size of a huge page, such as 2M or 1G",
				  value);
	b->hugepage = bytes;
	return 0;
}

static bool one_node(const char **at, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(*at, &end, 10);

	if (**at < '0' || **at > '9' || n >= BACKING_NODES)
		return false;
	*at = end;
	*ret = (unsigned)n;
	return true;
}

/* "0", "0-1", "0+2-3" */
static int set_nodes(struct backing *b, const char *value, struct ls_err *err)
{
	const char *at = value;
	unsigned from, to;

	for (;; at++) {
		if (!one_node(&at, &from))
			break;
		to = from;
		if (*at == '-' && (at++, !one_node(&at, &to) || to < from))
			break;
		while (from <= to)
			b->nodes |= UINT64_C(1) << from++;
		if (!*at)
			return 0;
		if (*at != '+')
			break;
	}
	return ls_err_set(err, -EINVAL,
			  "backend: \"%.40s\" is no list of host nodes (0 to %d), such as 0-1 or "
			  "0+2",
			  value, BACKING_NODES - 1);
}

static int set_policy(struct backing *b, const char *value, struct ls_err *err)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (!strcmp(value, policies[i])) {
			b->policy = policies[i];
			return 0;
		}
	return ls_err_set(err, -EINVAL,
			  "backend: \"%.40s\" is no policy: bind, preferred or interleave", value);
}

static const struct option {
	const char *name; /* with "=" if it has a value */
	int (*set)(struct backing *b, const char *value, struct ls_err *err);
} options[] = {
	{ "hugepages=", set_hugepages },
	{ "nodes=", set_nodes },
	{ "policy=", set_policy },
};

static int set_option(struct backing *b, const char *word, struct ls_err *err)
{
	bool *flag = !strcmp(word, "share")	 ? &b->share
		     : !strcmp(word, "prealloc") ? &b->prealloc
						 : NULL;

	if (flag) {
		*flag = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strncmp(word, options[i].name, strlen(options[i].name)))
			return options[i].set(b, word + strlen(options[i].name), err);
	return ls_err_set(err, -EINVAL,
			  "backend: \"%.80s\" is no option: share, prealloc, hugepages=SIZE, "
			  "nodes=LIST, policy=WORD",
			  word);
}

/* What fits no other. */
static int check_whole(struct backing *b, struct ls_err *err)
{
	if (b->hugepage && b->kind != BACKING_MEMFD)
		return ls_err_set(err, -EINVAL,
				  "backend: hugepages= is for memfd; of a file its file system "
				  "decides (file=/dev/hugepages)");
	if (b->policy && !b->nodes)
		return ls_err_set(err, -EINVAL, "backend: policy= needs nodes=");
	if (b->nodes && !b->policy)
		b->policy = policies[0];
	return 0;
}

int backing_parse(const char *text, struct ls_err *err, struct backing *ret_backing)
{
	int (*set)(struct backing *, const char *, struct ls_err *) = set_kind;
	struct backing b = { 0 };
	char word[OPTION_BYTES];
	int r = 0;

	for (const char *at = text; *text && !r; at += strcspn(at, ",") + 1) {
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, ","), at);
		r = set(&b, word, err);
		set = set_option;
		if (!at[strcspn(at, ",")])
			break;
	}
	if (!r)
		r = check_whole(&b, err);
	if (!r)
		*ret_backing = b;
	return r;
}

int backing_allowed(const struct backing *b, const char *folders, struct ls_err *err)
{
	const char *at = folders;

	if (b->kind != BACKING_FILE)
		return 0;
	while (*at) {
		size_t n = strcspn(at, " ");

		if (n && !strncmp(b->path, at, n) && (!b->path[n] || b->path[n] == '/'))
			return 0;
		at += n + (at[n] == ' ');
	}
	return ls_err_set(err, -EPERM,
			  "backend: %.120s is not in a folder where files may be: %.100s", b->path,
			  folders[0] ? folders : "there is none");
}
