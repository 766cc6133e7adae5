/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a monitor says when a guest has escaped into its QEMU.
 */
#include "hostile.h"

#include <string.h>

#include <json-c/json.h>

#define MIB  (1024 * 1024)
#define CPUS "query-hotpluggable-cpus"
#define MEMS "query-memory-devices"

static void greets_for_ever(struct mood *m)
{
	if (!m->n++)
		mood_text(m, "{\"QMP\": {\"version\": \"");
	mood_repeat(m, 'x', 16384);
}

static void nothing(struct mood *m, const char *verb, const char *line)
{
	(void)m, (void)verb, (void)line;
}

static void to_nobody(struct mood *m)
{
	mood_text(m, "{\"return\": {}, \"id\": 200}\n{\"return\": []}\n");
}

static void error_to_nobody(struct mood *m)
{
	mood_text(m, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n");
}

static void error_long(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"");
	mood_repeat(m, 'y', 10 * MIB);
	mood_text(m, "\"}, \"id\": %s\n", strstr(line, "\"id\":") + 5);
}

static void events_of_all_times(struct mood *m)
{
	static const char *const times[] = { "-1", "0", "9223372036854775807", "99999999999" };

	for (int i = 0; i < 4; i++)
		mood_text(m,
			  "{\"timestamp\": {\"seconds\": %s, \"microseconds\": 0}, \"event\": "
			  "\"DEVICE_DELETED\", \"data\": {\"device\": \"x\", \"path\": "
			  "\"/machine/peripheral/x\"}}\n",
			  times[i]);
}

static void many_slots(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m, "{\"return\": [");
	for (int i = 0; i < 100000; i++)
		mood_text(m, "%s{\"props\": {}, \"vcpus-count\": 1, \"type\": \"x\"}",
			  i ? "," : "");
	mood_text(m, "], \"id\": %s\n", strstr(line, "\"id\":") + 5);
}

static void many_devices(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m, "{\"return\": [");
	for (int i = 0; i < 100000; i++)
		mood_text(m, "%s{\"type\": \"dimm\", \"data\": {\"id\": \"d%d\"}}", i ? "," : "",
			  i);
	mood_text(m, "], \"id\": %s\n", strstr(line, "\"id\":") + 5);
}

/* It accepts, greets, and never reads again: what it gets is nobody's to answer. */
static bool deaf(struct mood *m, const char *verb, struct json_object *request)
{
	(void)request;
	if (strcmp(verb, "qmp_capabilities") != 0)
		sd_event_source_set_enabled(m->outer_io, SD_EVENT_OFF);
	return !strcmp(verb, "qmp_capabilities");
}

/* clang-format off */
#define SEVEN(command, of) { "seven-to-" command, .verb = (of), .find = "{\"return\":", .put = "{\"return\":7,\"was\":" }
#define MIGRATE(status) .verb = "query-migrate", .find = "completed", .put = status
#define FIRST_ID .verb = CPUS, .find = "unattached/device[1]"
const struct hostile hostile_qemus[] = {
	{ "no-greeting",      .reply = nothing, .sync = true },
	{ "greeting-endless", .sync = true, .reply = nothing, .tick = greets_for_ever, .tick_ms = STORM_MS },
	{ "answers-nobody",   .tick = to_nobody, .tick_ms = 5 * STORM_MS },
	{ "error-to-nobody",  .tick = error_to_nobody, .tick_ms = 200 },
	{ "never-reads",      .ask = deaf },
	{ "error-long",       .verb = "query-status", .reply = error_long },
	{ "events-any-time",  .tick = events_of_all_times, .tick_ms = 5 * STORM_MS },
	SEVEN("status", "query-status"),
	SEVEN("version", "query-version"),
	SEVEN("cpus", CPUS),
	SEVEN("memory-devices", MEMS),
	SEVEN("ospm", "query-acpi-ospm-status"),
	SEVEN("migrate", "query-migrate"),
	SEVEN("capabilities", "query-migrate-capabilities"),
	SEVEN("list", "qom-list"),
	SEVEN("get", "qom-get"),
	SEVEN("object-add", "object-add"),
	SEVEN("object-del", "object-del"),
	SEVEN("device-add", "device_add"),
	{ "slots-100000",     .verb = CPUS, .reply = many_slots },
	{ "devices-100000",   .verb = MEMS, .reply = many_devices },
	{ "id-of-a-path",     FIRST_ID, .put = "peripheral/../../etc" },
	{ "id-with-quotes",   FIRST_ID, .put = "peripheral/x\\\",\\\"y" },
	{ "vcpus-2-63",       .verb = CPUS, .find = "\"vcpus-count\":1", .put = "\"vcpus-count\":9223372036854775807" },
	{ "size-2-64",        .verb = "qom-get", .find = "\"size\":536870912", .put = "\"size\":18446744073709551615" },
	{ "version-2-31",     .verb = "query-version", .find = "\"major\":7", .put = "\"major\":2147483648" },
	{ "migrates-already", MIGRATE("active") },
	{ "migrated-nobody",  MIGRATE("pre-switchover") },
	{ "status-unknown",   MIGRATE("teleporting") },
	{ 0 }
};
/* clang-format on */
