/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the in-guest command prints.
 */
#include "incli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <qmp.h>

static const char *on(bool online)
{
	return online ? "online" : "offline";
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

	if (failed)
		printf("  last failure: %s: %s", failed,
		       strerror((int)-qmp_get_int(cpu, "failed-code", 0)));
	if (qmp_get_bool(cpu, "stuck", false))
		printf("  stuck at %s: lockstep-agent doctor --fix", qmp_get_str(cpu, "row", "?"));
	if (qmp_get_bool(cpu, "unverified", false))
		printf("  not verified: no thread could be tied to it");
	putchar('\n');
}

static void show_cpu(struct json_object *cpu)
{
	bool device = qmp_get_bool(cpu, "device", false);
	bool kernel = qmp_get_bool(cpu, "kernel", false);
	const char *note = "";

	if (device != kernel)
		note = "  out of step: lockstep-agent doctor --fix";
	else if (qmp_get_bool(cpu, "fixed", false))
		note = "  cannot go offline";
	printf("%5" PRId64 " %5" PRId64 "  %-11s  %-7s%s", qmp_get_int(cpu, "cpu", -1),
	       qmp_get_int(cpu, "slot", -1), on(device), on(kernel), note);
	show_table(cpu);
}

static void show_run(struct json_object *run, int64_t block_bytes)
{
	int64_t first = qmp_get_int(run, "first", 0), count = qmp_get_int(run, "count", 0);
	char range[48];

	if (count == 1)
		snprintf(range, sizeof(range), "%" PRId64, first);
	else
		snprintf(range, sizeof(range), "%" PRId64 "-%" PRId64, first, first + count - 1);
	printf("%11s  %-13s  %" PRId64 " MiB\n", range, qmp_get_str(run, "state", "?"),
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
	printf("\n     BLOCKS  STATE          SIZE   (of %" PRId64 " MiB each)\n", bytes >> 20);
	for (i = 0; i < n; i++)
		show_run(json_object_array_get_idx(runs, i), bytes);
	if (headroom >= 0)
		printf("%" PRId64 " MiB can be added: the kernel has no room to describe more\n",
		       headroom >> 20);
}

void incli_show_status(struct json_object *status)
{
	struct json_object *cpus = qmp_get_array(status, "cpus");
	size_t i, n = cpus ? json_object_array_length(cpus) : 0;

	printf("agent    %s\n", qmp_get_str(status, "agent", "?"));
	printf("guard    %s\n", qmp_get_str(status, "guard", "?"));
	printf("expedite %s\n", qmp_get_str(status, "expedite", "?"));
	show_lock(qmp_get_obj(status, "lock"));
	show_window(qmp_get_obj(status, "window"));
	puts("\n  CPU  SLOT  DRIVER CORE  KERNEL");
	for (i = 0; i < n; i++)
		show_cpu(json_object_array_get_idx(cpus, i));
	show_memory(qmp_get_obj(status, "memory"));
}

void incli_show_change(struct json_object *change)
{
	int64_t id = qmp_get_int(change, "id", -1), count = qmp_get_int(change, "count", 1);

	printf("%s", qmp_get_str(change, "kind", "?"));
	if (id >= 0)
		printf("%" PRId64, id);
	if (id >= 0 && count > 1)
		printf("-%" PRId64, id + count - 1);
	printf(" %s by %s\n", qmp_get_str(change, "state", "?"), qmp_get_str(change, "by", "?"));
	fflush(stdout);
}

int incli_show_findings(struct json_object *findings)
{
	size_t i, n = findings ? json_object_array_length(findings) : 0;
	int left = 0;

	if (!n)
		puts("nothing is out of step");
	for (i = 0; i < n; i++) {
		struct json_object *f = json_object_array_get_idx(findings, i);
		bool healed = qmp_get_bool(f, "healed", false);

		left += !healed;
		printf("%s%s\n", healed ? "healed: " : "", qmp_get_str(f, "text", "?"));
	}
	return left;
}
