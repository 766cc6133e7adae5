/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * online and offline: the lock is taken for a transaction of our own, and given back
 * whatever came of it. If we are killed in between, its lease ends.
 */
#include "incli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <lockstep/wire.h>
#include <qmp.h>

#define NUMBER_MAX 0x7ffffffe /* of a memory block; the kernel's are ints */

/* ---- numbers ------------------------------------------------------------------- */

static bool take_number(const char **p, int64_t *ret_number)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*ret_number = strtoll(*p, &end, 10);
	*p = end;
	return !errno && *ret_number <= NUMBER_MAX;
}

/* "3", "2-5", "2,4-7", and "cpu3" or "memory32", as sysfs calls them. */
static bool take_word(const char *kind, const char *word, struct incli_range *range, int *n)
{
	const char *p = word;

	if (!strncmp(word, kind, strlen(kind)))
		p += strlen(kind);
	for (;; p++) {
		if (*n == INCLI_RANGES_MAX || !take_number(&p, &range[*n].lo))
			return false;
		range[*n].hi = range[*n].lo;
		if (*p == '-' && (p++, !take_number(&p, &range[*n].hi)))
			return false;
		if (range[*n].hi < range[*n].lo)
			return false;
		(*n)++;
		if (*p != ',')
			return *p == '\0';
	}
}

static int take_words(const char *kind, int argc, char **argv, struct incli_range *range)
{
	int i, n = 0;

	for (i = 2; i < argc; i++)
		if (!take_word(kind, argv[i], range, &n))
			return -i;
	return n;
}

static bool is_memory(const char *kind)
{
	return !strcmp(kind, "memory");
}

bool incli_change_check(const char *verb, int argc, char **argv)
{
	struct incli_range range[INCLI_RANGES_MAX];
	const char *kind = argc > 1 ? argv[1] : "";
	int n;

	if (strcmp(kind, "cpu") && !is_memory(kind)) {
		if (*kind >= '0' && *kind <= '9')
			incli_usage("%s what? '%s cpu %s' or '%s memory %s'", verb, verb, kind,
				    verb, kind);
		else
			incli_usage("%s takes cpu or memory, and numbers: '%s cpu 3'", verb, verb);
		return false;
	}
	n = take_words(kind, argc, argv, range);
	if (n < 0)
		incli_usage("'%s' is no number of a %s: 3, 2-5 or 2,4", argv[-n],
			    is_memory(kind) ? "memory block" : "CPU");
	else if (!n)
		incli_usage("%s %s takes numbers: '%s %s 3'", verb, kind, verb, kind);
	return n > 0;
}

/* ---- requests -------------------------------------------------------------------- */

static struct json_object *with_txn(const struct incli *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "txn", json_object_new_string(c->txn));
	return o;
}

static void add_int(struct json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

/* As the newest coordinator that has shown itself: being local is no reason to be older. */
static int lock(struct incli *c, struct json_object *status)
{
	struct json_object *args = with_txn(c), *reply;

	add_int(args, "epoch", qmp_get_int(qmp_get_obj(status, "lock"), "epoch", 0));
	add_int(args, "lease-ms", LS_LEASE_FIRST_MAX_MS);
	reply = incli_ask(c, "lockstep-lock", args);
	json_object_put(reply);
	return reply ? 0 : -EBUSY;
}

static void unlock(struct incli *c)
{
	struct ls_err was = c->err;

	json_object_put(incli_ask(c, "lockstep-unlock", with_txn(c)));
	c->err = was;
}

/* "cpu3: " unless the text begins with it. */
static void tell_failure(const char *kind, int64_t id, const char *text)
{
	char who[48];

	snprintf(who, sizeof(who), "%s%" PRId64, kind, id);
	if (!strncmp(text, who, strlen(who)))
		who[0] = '\0';
	fprintf(stderr, "lockstep-agent: %s%s%s\n", who, *who ? ": " : "", text);
}

/* What could not be done, one line each. Return: how many. */
static int tell_failures(const char *kind, struct json_object *list)
{
	size_t i, n = list ? json_object_array_length(list) : 0;
	int failures = 0;

	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (qmp_get_int(o, "code", 0) >= 0)
			continue;
		failures++;
		tell_failure(kind, qmp_get_int(o, "id", -1), qmp_get_str(o, "error", "failed"));
	}
	return failures;
}

/* A CPU that was named twice is asked for once. */
static struct json_object *cpu_numbers(const struct incli_range *range, int n)
{
	struct json_object *list = json_object_new_array();
	bool seen[LS_CPUS_MAX] = { false };
	int64_t cpu;
	int i;

	for (i = 0; i < n; i++)
		for (cpu = range[i].lo; cpu <= range[i].hi && cpu <= LS_CPUS_MAX; cpu++) {
			if (cpu < LS_CPUS_MAX && seen[cpu])
				continue;
			if (cpu < LS_CPUS_MAX)
				seen[cpu] = true;
			json_object_array_add(list, json_object_new_int64(cpu));
		}
	return list;
}

static int change_cpus(struct incli *c, bool online, const struct incli_range *range, int n)
{
	struct json_object *args = with_txn(c), *reply;
	int failures;

	json_object_object_add(args, "cpus", cpu_numbers(range, n));
	reply = incli_ask(c, online ? "lockstep-cpu-online" : "lockstep-cpu-offline", args);
	if (!reply)
		return -EREMOTEIO;
	failures = tell_failures("cpu", qmp_get_array(reply, "results"));
	json_object_put(reply);
	return failures;
}

/* The first block of a range that is in no run of the status: -1 none. */
static int64_t missing_block(struct json_object *memory, const struct incli_range *r)
{
	struct json_object *runs = qmp_get_array(memory, "blocks");
	size_t i, n = runs ? json_object_array_length(runs) : 0;
	int64_t next = r->lo;

	for (i = 0; i < n && next <= r->hi; i++) {
		struct json_object *run = json_object_array_get_idx(runs, i);
		int64_t first = qmp_get_int(run, "first", 0);

		if (next >= first && next < first + qmp_get_int(run, "count", 0))
			next = first + qmp_get_int(run, "count", 0);
	}
	return next <= r->hi ? next : -1;
}

/* As for CPUs: one that does not exist, and nothing is changed. */
static int check_blocks(struct incli *c, struct json_object *memory,
			const struct incli_range *range, int n)
{
	int64_t block;
	int i;

	if (qmp_get_int(memory, "block-bytes", 0) <= 0)
		return ls_err_set(&c->err, -EOPNOTSUPP, "this kernel has no memory blocks");
	for (i = 0; i < n; i++) {
		block = missing_block(memory, &range[i]);
		if (block >= 0)
			return ls_err_set(
				&c->err, -ENODEV,
				"this guest has no memory%" PRId64 "; nothing was changed", block);
	}
	return 0;
}

static int change_blocks(struct incli *c, bool online, const struct incli_range *r, int64_t bytes)
{
	struct json_object *args = with_txn(c), *reply;
	int failures;

	add_int(args, "start", r->lo * bytes);
	add_int(args, "length", (r->hi - r->lo + 1) * bytes);
	reply = incli_ask(c, online ? "lockstep-memory-online" : "lockstep-memory-offline", args);
	if (!reply)
		return -EREMOTEIO;
	failures = tell_failures("memory", qmp_get_array(reply, "failed"));
	if (failures)
		fprintf(stderr,
			"lockstep-agent: of %" PRId64 " blocks %d could not be changed, %" PRId64
			" were: lockstep-agent status\n",
			qmp_get_int(reply, "present", 0), failures,
			qmp_get_int(reply, "changed", 0));
	json_object_put(reply);
	return failures;
}

static int change_memory(struct incli *c, bool online, const struct incli_range *range, int n,
			 struct json_object *memory)
{
	int i, r = check_blocks(c, memory, range, n), failures = 0;

	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		r = change_blocks(c, online, &range[i], qmp_get_int(memory, "block-bytes", 0));
		if (r < 0)
			return r;
		failures += r;
	}
	return failures;
}

enum incli_exit incli_change(struct incli *c, bool online, int argc, char **argv)
{
	struct json_object *status = incli_ask(c, "lockstep-status", NULL);
	struct incli_range range[INCLI_RANGES_MAX];
	int n = take_words(argv[1], argc, argv, range), r = -EBUSY;

	if (status && lock(c, status) == 0) {
		if (is_memory(argv[1]))
			r = change_memory(c, online, range, n, qmp_get_obj(status, "memory"));
		else
			r = change_cpus(c, online, range, n);
		unlock(c);
	}
	json_object_put(status);
	if (r < 0)
		return incli_failed(c);
	return r ? INCLI_FAILED : INCLI_OK;
}
