/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an agent, or the guest's kernel behind it, does to its host.
 */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define STATUS	"lockstep-status"
#define LOCK	"lockstep-lock"
#define ONLINE	"lockstep-cpu-online"
#define MIB	(1024 * 1024)
#define LATE_MS 4000 /* more than a look waits */

static void nothing(struct mood *m, const char *verb, const char *line)
{
	(void)m, (void)verb, (void)line;
}

static void half(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	if (!m->n++)
		mood_say(m, line, strlen(line) / 2);
}

/* ---- floods ------------------------------------------------------------------------- */

static void endless(struct mood *m)
{
	if (!m->n++)
		mood_text(m, "{\"return\": \"");
	mood_repeat(m, 'x', 16384);
}

static void storm_ff(struct mood *m)
{
	mood_repeat(m, '\xff', 16384);
}

static void storm_lines(struct mood *m)
{
	mood_repeat(m, '\n', 16384);
}

static void storm_brackets(struct mood *m)
{
	for (int i = 0; i < 100; i++)
		mood_text(m, "{\"return\": [[[[[[}\n");
}

/* Ten each millisecond. */
static void storm_events(struct mood *m)
{
	for (int i = 0; i < 10; i++)
		mood_text(m, "{\"event\": \"LOCKSTEP_CHANGE\", \"data\": {\"kind\": \"cpu\", "
			     "\"id\": 1, \"count\": 1, \"state\": \"online\", \"by\": "
			     "\"foreign\"}}\n");
}

static void hang_up(struct mood *m)
{
	mood_hang_up(m);
}

/* One byte a second: of all that is to be said only what it is time for. */
static void slow(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_say(m, line, 1);
}

/* One byte more at each connection. */
static void cut(struct mood *m, const char *verb, const char *line)
{
	unsigned left = m->port->connections > m->n ? m->port->connections - m->n : 0;
	size_t len = strlen(line);

	(void)verb;
	if (len >= left) {
		mood_say(m, line, left);
		mood_hang_up(m);
		return;
	}
	m->n += (unsigned)len;
	mood_text(m, "%s\n", line);
}

/* ---- too much ----------------------------------------------------------------------------- */

static void huge(struct mood *m, const char *verb, const char *line)
{
	(void)verb, (void)line;
	mood_text(m, "{\"return\": \"");
	mood_repeat(m, 'x', 10 * MIB);
	mood_text(m, "\"}\n");
}

static void deep(struct mood *m, const char *verb, const char *line)
{
	(void)verb, (void)line;
	mood_text(m, "{\"return\": ");
	mood_repeat(m, '[', 100000);
	mood_text(m, "\n");
}

/* The most objects that a message of a megabyte can be made of. */
static void many(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m, "{\"return\": {\"cpus\": [0");
	for (int i = 0; i < 400000; i++)
		mood_say(m, ",0", 2);
	mood_text(m, "]}, \"id\": %s\n", strstr(line, "\"id\":") + 5);
}

/* ---- another one's words ------------------------------------------------------------------- */

static void wrong_sync(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	if (*line == '\xff')
		mood_text(m, "\xff{\"return\": 1}\n");
	else
		mood_text(m, "%s\n", line);
}

/* The answer to the sync before: what a reader of a stale buffer would see. */
static void old_sync(struct mood *m, const char *verb, const char *line)
{
	const char *id = strpbrk(line, "0123456789");

	(void)verb;
	if (*line == '\xff' && id)
		mood_text(m, "\xff{\"return\": %llu}\n", strtoull(id, NULL, 10) - 1);
	else
		mood_text(m, "%s\n", line);
}

static void twice(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m, "%s\n%s\n", line, line);
}

/* A reply to the request that will come next. */
static void before(struct mood *m, const char *verb, const char *line)
{
	const char *id = strstr(line, "\"id\":");

	(void)verb;
	mood_text(m, "%s\n", line);
	if (id)
		mood_text(m, "{\"return\": {}, \"id\": %llu}\n", strtoull(id + 5, NULL, 10) + 1);
}

/* Kept until the look has given up. */
static void late(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	if (!m->kept)
		m->kept = strdup(line);
}

static void late_tick(struct mood *m)
{
	if (m->kept)
		mood_text(m, "%s\n", m->kept);
	free(m->kept);
	m->kept = NULL;
}

/* ---- wrong in every place ------------------------------------------------------------------- */

typedef void (*spoil_fn)(struct json_object *parent, const char *key);

/* The @at-th member of all objects in it. Return: how many are left to count. */
static int spoil(struct json_object *v, int at, spoil_fn fn)
{
	if (json_object_is_type(v, json_type_array))
		for (size_t i = 0; i < json_object_array_length(v) && at >= 0; i++)
			at = spoil(json_object_array_get_idx(v, i), at, fn);
	if (!json_object_is_type(v, json_type_object))
		return at;
	json_object_object_foreach (v, key, member) {
		if (at-- == 0) {
			fn(v, key);
			return -1;
		}
		at = spoil(member, at, fn);
		if (at < 0)
			return at;
	}
	return at;
}

static void other_type(struct json_object *parent, const char *key)
{
	struct json_object *was, *now;

	json_object_object_get_ex(parent, key, &was);
	now = json_object_is_type(was, json_type_string) ? json_object_new_int(7)
							 : json_object_new_string("seven");
	json_object_object_add(parent, key, now);
}

static void missing(struct json_object *parent, const char *key)
{
	json_object_object_del(parent, key);
}

static void spoil_reply(struct mood *m, const char *line, spoil_fn fn)
{
	struct json_object *reply = NULL;

	if (qmp_parse(line, strlen(line), NULL, NULL, &reply) < 0)
		return;
	if (spoil(qmp_get_obj(reply, "return"), (int)(m->port->mood->n++ % 64), fn) >= 0)
		m->n = 0;
	mood_text(m, "%s\n", json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN));
	json_object_put(reply);
}

static void types(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	spoil_reply(m, line, other_type);
}

static void holes(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	spoil_reply(m, line, missing);
}

/* ---- lies ------------------------------------------------------------------------------------ */

/* "Done", and nothing was. */
static bool success(struct mood *m, const char *verb, struct json_object *request)
{
	if (strcmp(verb, ONLINE) != 0)
		return true;
	mood_text(m, "{\"return\": {\"results\": [{\"id\": 2, \"code\": 0}]}, \"id\": %lld}\n",
		  (long long)qmp_get_int(request, "id", 0));
	return false;
}

/* "Refused", and it was done. */
static void failure(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m, "{\"error\": {\"class\": \"HookVeto\", \"desc\": \"no\"}, \"id\": %s\n",
		  strstr(line, "\"id\":") + 5);
}

static void veto_escapes(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m,
		  "{\"error\": {\"class\": \"Hook%%nVeto\\u001b[2J\", \"desc\": "
		  "\"\\u001b]0;owned\\u0007 %%s%%n \\u202e\\r\\n\"}, \"id\": %s\n",
		  strstr(line, "\"id\":") + 5);
}

static void veto_long(struct mood *m, const char *verb, const char *line)
{
	(void)verb;
	mood_text(m, "{\"error\": {\"class\": \"HookVeto\", \"desc\": \"");
	mood_repeat(m, 'y', MIB - 4096);
	mood_text(m, "\"}, \"id\": %s\n", strstr(line, "\"id\":") + 5);
}

/* ---- the kernel behind it -----------------------------------------------------------------------
 */

static void eject_all(struct mood *m)
{
	for (unsigned i = FLEET_BOOT_CPUS; i < FLEET_SLOTS; i++)
		if (m->port->guest->cpu[i].id[0])
			fake_eject(m->port->guest, i);
}

static void flood_monitor(struct mood *m, const char *name, const char *data)
{
	for (int i = 0; i < 10; i++)
		port_event(&m->port->guest->qemu, name, "%s", data);
}

static void flood_ost(struct mood *m)
{
	flood_monitor(m, "ACPI_DEVICE_OST",
		      "{\"info\": {\"source\": 3, \"status\": 132, \"slot\": \"1\", "
		      "\"slot-type\": \"CPU\"}}");
}

static void flood_port(struct mood *m)
{
	flood_monitor(m, "VSERPORT_CHANGE", "{\"id\": \"agent\", \"open\": true}");
}

static void flood_reset(struct mood *m)
{
	flood_monitor(m, "RESET", "{\"guest\": true, \"reason\": \"guest-reset\"}");
}

/* ---- the table
 * ------------------------------------------------------------------------------------ */

/* clang-format off */
#define TEXT(bytes) .verb = STATUS, .find = "\"fleet\"", .put = "\"" bytes "\""
#define SLOT(value) .verb = STATUS, .find = "\"slot\":1", .put = "\"slot\":" value
const struct hostile hostile_agents[] = {
	{ "silent",            .reply = nothing, .sync = true },
	{ "half-a-reply",      .verb = STATUS, .reply = half },
	{ "a-byte-a-line",     .reply = slow },
	{ "endless",           .tick = endless, .tick_ms = STORM_MS },
	{ "huge",              .verb = STATUS, .reply = huge },
	{ "deep",              .verb = STATUS, .reply = deep },
	{ "many-values",       .verb = STATUS, .reply = many },
	{ "storm-of-ff",       .tick = storm_ff, .tick_ms = STORM_MS },
	{ "storm-of-lines",    .tick = storm_lines, .tick_ms = STORM_MS },
	{ "storm-of-damage",   .tick = storm_brackets, .tick_ms = STORM_MS },
	{ "storm-of-events",   .tick = storm_events, .tick_ms = STORM_MS },
	{ "hangs-up-at-once",  .begin = hang_up },
	{ "hangs-up-anywhere", .reply = cut, .sync = true },
	{ "types",             .verb = STATUS, .reply = types },
	{ "missing",           .verb = STATUS, .reply = holes },
	{ "extra",             .verb = STATUS, .find = "\"version\":1", .put = "\"version\":1,\"more\":[{}]" },
	{ "key-twice",         .verb = STATUS, .find = "\"version\":1", .put = "\"version\":1,\"version\":\"x\"" },
	{ "wrong-sync",        .reply = wrong_sync, .sync = true },
	{ "old-sync",          .reply = old_sync, .sync = true },
	{ "late-reply",        .verb = STATUS, .reply = late, .tick = late_tick, .tick_ms = LATE_MS },
	{ "two-replies",       .reply = twice },
	{ "reply-before",      .reply = before },
	{ "return-0",          .verb = STATUS, .find = "{\"return\"", .put = "{\"return\":0,\"was\"" },
	{ "return-negative",   .verb = ONLINE, .find = "\"code\":0", .put = "\"code\":-9223372036854775808" },
	{ "return-more",       .verb = ONLINE, .find = "[", .put = "[{\"id\":77,\"code\":0},{\"id\":2,\"code\":0}," },
	{ "return-2-63",       .verb = LOCK, .find = "\"already\":false", .put = "\"already\":9223372036854775808" },
	{ "number-1e999",      SLOT("1e999") },
	{ "number-nan",        SLOT("NaN") },
	{ "cpu-2-31",          SLOT("2147483648") },
	{ "cpu-twice",         SLOT("0") },
	{ "cpu-unknown",       SLOT("1023") },
	{ "block-2-63",        .verb = STATUS, .find = "\"first\":0", .put = "\"first\":9223372036854775807" },
	{ "block-size-1",      .verb = STATUS, .find = "\"block-bytes\":134217728", .put = "\"block-bytes\":1" },
	{ "raw-newline",       TEXT("a\nb") },
	{ "lone-surrogate",    TEXT("\\ud800") },
	{ "overlong",          TEXT("\xc0\xaf") },
	{ "nul",               TEXT("a\\u0000b") },
	{ "claims-success",    .ask = success },
	{ "claims-failure",    .verb = ONLINE, .reply = failure },
	{ "window-of-another", .verb = STATUS, .find = "\"state\":\"closed\",\"txn\":\"\"", .put = "\"state\":\"open\",\"txn\":\"other\"" },
	{ "lease-2-63",        .verb = STATUS, .find = "\"lease-ms\":", .put = "\"lease-ms\":922337203685477580" },
	{ "lock-of-another",   .verb = STATUS, .find = "\"held\":false,\"txn\":\"\"", .put = "\"held\":true,\"txn\":\"other\"" },
	{ "epoch-2-63",        .verb = STATUS, .find = "\"epoch\":", .put = "\"epoch\":922337203685477580" },
	{ "future-version",    .verb = STATUS, .find = "\"version\":1", .put = "\"version\":99" },
	{ "another-boot",      .verb = STATUS, .find = "cd8c3bb9", .put = "00000000" },
	{ "veto-escapes",      .verb = ONLINE, .reply = veto_escapes },
	{ "veto-long",         .verb = ONLINE, .reply = veto_long },
	{ "kernel-ost",        .tick = flood_ost, .tick_ms = STORM_MS },
	{ "kernel-port",       .tick = flood_port, .tick_ms = STORM_MS },
	{ "kernel-reset",      .tick = flood_reset, .tick_ms = STORM_MS },
	{ "kernel-ejects",     .tick = eject_all, .tick_ms = 50 },
	{ 0 }
};
/* clang-format on */
