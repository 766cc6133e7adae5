/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the in-guest command prints.
 */
#include "incli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <qmp.h>

#define CPU_NOTE 41 /* the column where notes on a CPU begin */

void incli_show_json(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
}

static const char *on(bool online)
{
	return online ? "online" : "offline";
}

/* Whose write hangs looks here for the reason. */
static void show_guard(struct json_object *status)
{
	int64_t held = qmp_get_int(status, "guard-held", 0);

	printf("guard    %s", qmp_get_str(status, "guard", "?"));
	if (held)
		printf(", %" PRId64 " writing to sysfs must wait until the lock is free", held);
	putchar('\n');
}

static void show_lock(struct json_object *lock)
{
	if (!qmp_get_bool(lock, "held", false)) {
		puts("lock     free");
		return;
	}
	printf("lock     held by %s, %" PRId64 " ms left\n", qmp_get_str(lock, "txn", "?"),
	       qmp_get_int(lock, "lease-ms", 0));
}

static void show_forced(struct json_object *forced)
{
	size_t i, n = forced ? json_object_array_length(forced) : 0;

	for (i = 0; i < n; i++)
		printf("%scpu%d", i ? " " : ", forced online: ",
		       json_object_get_int(json_object_array_get_idx(forced, i)));
}

static void show_window(struct json_object *window)
{
	const char *state = qmp_get_str(window, "state", "?");

	printf("window   %s", state);
	if (strcmp(state, "closed")) {
		printf(" (%s) by %s", qmp_get_str(window, "mode", ""),
		       qmp_get_str(window, "txn", "?"));
		show_forced(qmp_get_array(window, "forced"));
	}
	putchar('\n');
}

/* Only what is remarkable: a CPU at the end of its table has nothing to tell. */
static void show_table(struct json_object *cpu)
{
	const char *failed = qmp_get_str(cpu, "failed-row", NULL);
	int code = (int)-qmp_get_int(cpu, "failed-code", 0);

	if (failed)
		printf("%*slast failure: %s: %s\n", CPU_NOTE, "", failed,
		       code == ECANCELED ? "vetoed by a hook" : strerror(code));
	if (qmp_get_bool(cpu, "stuck", false))
		printf("%*sstuck at %s: lockstep-agent doctor --fix\n", CPU_NOTE, "",
		       qmp_get_str(cpu, "row", "?"));
	if (qmp_get_bool(cpu, "unverified", false))
		printf("%*snot verified: no thread could be tied to it\n", CPU_NOTE, "");
}

static const char *cpu_note(struct json_object *cpu)
{
	if (qmp_get_bool(cpu, "device", false) != qmp_get_bool(cpu, "kernel", false))
		return "out of step: lockstep-agent doctor --fix";
	return qmp_get_bool(cpu, "fixed", false) ? "cannot go offline" : "";
}

static bool same(struct json_object *a, struct json_object *b, const char *key)
{
	return qmp_get_bool(a, key, false) == qmp_get_bool(b, key, false);
}

/* Two that a run can hold: nothing but their numbers tells them apart. */
static bool cpu_joins(struct json_object *a, struct json_object *b)
{
	static const char *const flags[] = { "device", "kernel", "fixed", "stuck", "unverified" };
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!same(a, b, flags[i]))
			return false;
	return !qmp_get_str(a, "failed-row", NULL) && !qmp_get_str(b, "failed-row", NULL) &&
	       qmp_get_int(b, "cpu", -1) == qmp_get_int(a, "cpu", -1) + 1 &&
	       qmp_get_int(b, "slot", -1) == qmp_get_int(a, "slot", -1) + 1;
}

static void show_numbers(int width, int64_t first, int64_t last)
{
	char range[48];

	if (first == last)
		snprintf(range, sizeof(range), "%" PRId64, first);
	else
		snprintf(range, sizeof(range), "%" PRId64 "-%" PRId64, first, last);
	printf("%*s", width, range);
}

static void show_cpus(struct json_object *first, struct json_object *last)
{
	bool device = qmp_get_bool(first, "device", false);
	bool kernel = qmp_get_bool(first, "kernel", false);
	const char *note = cpu_note(first);

	show_numbers(9, qmp_get_int(first, "cpu", -1), qmp_get_int(last, "cpu", -1));
	show_numbers(11, qmp_get_int(first, "slot", -1), qmp_get_int(last, "slot", -1));
	printf("  %-11s  %s", on(device), on(kernel));
	if (*note)
		printf("%*s%s", kernel ? 4 : 3, "", note);
	putchar('\n');
	show_table(first);
}

static void show_all_cpus(struct json_object *cpus)
{
	size_t i, run = 0, n = cpus ? json_object_array_length(cpus) : 0;

	puts("\n     CPUS      SLOTS  DRIVER CORE  KERNEL");
	for (i = 0; i < n; i++) {
		struct json_object *cpu = json_object_array_get_idx(cpus, i);

		if (i + 1 < n && cpu_joins(cpu, json_object_array_get_idx(cpus, i + 1)))
			continue;
		show_cpus(json_object_array_get_idx(cpus, run), cpu);
		run = i + 1;
	}
}

static void show_run(struct json_object *run, int64_t block_bytes)
{
	int64_t first = qmp_get_int(run, "first", 0), count = qmp_get_int(run, "count", 0);

	show_numbers(9, first, first + count - 1);
	printf("  %-13s  %" PRId64 " MiB\n", qmp_get_str(run, "state", "?"),
	       count * (block_bytes >> 20));
}

static void show_memory(struct json_object *memory)
{
	struct json_object *runs = qmp_get_array(memory, "blocks");
	int64_t bytes = qmp_get_int(memory, "block-bytes", 0);
	int64_t headroom = qmp_get_int(memory, "headroom-bytes", -1);
	size_t i, n = runs ? json_object_array_length(runs) : 0;

	if (!memory)
		return;
	printf("\n   BLOCKS  STATE          SIZE   (of %" PRId64 " MiB each)\n", bytes >> 20);
	for (i = 0; i < n; i++)
		show_run(json_object_array_get_idx(runs, i), bytes);
	if (headroom >= 0)
		printf("%" PRId64 " MiB can be added: the kernel has no room to describe more\n",
		       headroom >> 20);
}

void incli_show_status(struct json_object *status)
{
	printf("agent    %s\n", qmp_get_str(status, "agent", "?"));
	show_guard(status);
	printf("expedite %s\n", qmp_get_str(status, "expedite", "?"));
	show_lock(qmp_get_obj(status, "lock"));
	show_window(qmp_get_obj(status, "window"));
	show_all_cpus(qmp_get_array(status, "cpus"));
	show_memory(qmp_get_obj(status, "memory"));
}

/* The lock and the window are nobody's but the agent's. */
void incli_show_change(struct json_object *change)
{
	int64_t id = qmp_get_int(change, "id", -1), count = qmp_get_int(change, "count", 1);

	printf("%s", qmp_get_str(change, "kind", "?"));
	if (id >= 0)
		show_numbers(0, id, id + count - 1);
	printf(" %s", qmp_get_str(change, "state", "?"));
	if (id >= 0)
		printf(" by %s", qmp_get_str(change, "by", "?"));
	putchar('\n');
}

static bool show_finding(struct json_object *f, bool json)
{
	bool healed = qmp_get_bool(f, "healed", false);

	if (json)
		incli_show_json(f);
	else
		printf("%s%s\n", healed ? "healed: " : "", qmp_get_str(f, "text", "?"));
	return healed;
}

int incli_show_findings(struct json_object *findings, bool fix, bool json)
{
	size_t i, n = findings ? json_object_array_length(findings) : 0;
	int left = 0;

	for (i = 0; i < n; i++)
		left += !show_finding(json_object_array_get_idx(findings, i), json);
	if (!n && !json)
		puts("nothing is out of step");
	if (left && !json)
		puts(fix ? "not all of it could be healed: remove what is named, and try again"
			 : "`lockstep-agent doctor --fix` heals what can be healed");
	return left;
}
