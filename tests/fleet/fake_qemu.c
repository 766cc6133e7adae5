/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A monitor: vCPU slots, objects, and what a look asks for. Its guest's kernel follows at
 * once, and gives a CPU up when it is offline there.
 */
#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define OST_EJECTING 132
#define N(table)     (sizeof(table) / sizeof((table)[0]))

struct json_object *fake_qemu_greeting(void)
{
	static const char text[] =
		"{\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
		"\"package\": \"fleet\"}, \"capabilities\": [\"oob\"]}";
	struct json_object *value = NULL;

	qmp_parse(text, sizeof(text) - 1, NULL, NULL, &value);
	return value;
}

/* ---- looking ----------------------------------------------------------------------- */

static void do_status(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	say(call, "{\"status\": \"running\", \"singlestep\": false, \"running\": true}");
}

static void do_version(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	say(call, "{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"\"}");
}

/* Highest slot first, as QEMU does. */
static void do_hotpluggable(struct qmp_call *call, struct json_object *args, void *arg)
{
	const struct fleet_guest *g = arg;
	char text[4096] = "[";
	size_t n = 1;

	(void)args;
	for (unsigned i = FLEET_SLOTS; i-- > 0;) {
		const struct fleet_cpu *c = &g->cpu[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "{\"props\": {\"core-id\": 0, \"thread-id\": 0, \"node-id\": "
				      "0, \"socket-id\": %u}, \"vcpus-count\": 1, ",
				      i);
		if (c->plugged && c->id[0])
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "\"qom-path\": \"/machine/peripheral/%s\", ", c->id);
		else if (c->plugged)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "\"qom-path\": \"/machine/unattached/device[%u]\", ",
					      i);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\"type\": \"max-x86_64-cpu\"}%s",
				      i ? ", " : "]");
	}
	say(call, "%s", text);
}

static void do_memory(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	say(call, "[{\"type\": \"virtio-mem\", \"data\": {\"memdev\": \"/objects/vmem0-ram\", "
		  "\"memaddr\": 4294967296, \"block-size\": 2097152, \"size\": 0, \"node\": 0, "
		  "\"max-size\": 2147483648, \"requested-size\": 0, \"id\": \"vmem0\"}}]");
}

static void do_ospm(struct qmp_call *call, struct json_object *args, void *arg)
{
	const struct fleet_guest *g = arg;
	char text[2048] = "[", device[LS_NAME_BYTES + 16];
	size_t n = 1;

	(void)args;
	for (unsigned i = 0; i < FLEET_SLOTS; i++) {
		device[0] = '\0';
		if (g->cpu[i].plugged && g->cpu[i].id[0])
			snprintf(device, sizeof(device), "\"device\": \"%s\", ", g->cpu[i].id);
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "{%s\"source\": 0, \"status\": 0, \"slot\": \"%u\", "
				      "\"slot-type\": \"CPU\"}%s",
				      device, i, i + 1 < FLEET_SLOTS ? ", " : "]");
	}
	say(call, "%s", text);
}

static void do_migrate(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	say(call, "{\"status\": \"completed\"}");
}

static void do_capabilities(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	say(call, "[{\"state\": true, \"capability\": \"events\"}, "
		  "{\"state\": false, \"capability\": \"return-path\"}, "
		  "{\"state\": false, \"capability\": \"pause-before-switchover\"}, "
		  "{\"state\": false, \"capability\": \"late-block-activate\"}]");
}

/* ---- objects ------------------------------------------------------------------------ */

static struct fleet_object *object_find(struct fleet_guest *g, const char *id)
{
	for (unsigned i = 0; i < FLEET_OBJECTS; i++)
		if (g->object[i].data && !strcmp(g->object[i].id, id))
			return &g->object[i];
	return NULL;
}

static void do_qom_list(struct qmp_call *call, struct json_object *args, void *arg)
{
	const struct fleet_guest *g = arg;
	char text[2048];
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": "
				    "\"vmem0-ram\", \"type\": \"child<memory-backend-ram>\"}");

	(void)args;
	for (unsigned i = 0; i < FLEET_OBJECTS; i++)
		if (g->object[i].data)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      ", {\"name\": \"%s\", \"type\": \"child<secret>\"}",
					      g->object[i].id);
	say(call, "%s]", text);
}

static void do_qom_get(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *path = qmp_get_str(args, "path", ""), *what = qmp_get_str(args, "property", "");
	const struct fleet_object *o = NULL;

	if (!strncmp(path, "/objects/", 9))
		o = object_find(arg, path + 9);
	if (o)
		qmp_reply(call, json_object_new_string(o->data));
	else if (strcmp(path, "/machine") != 0)
		qmp_reply_error(call, "DeviceNotFound", "Device '%s' not found", path);
	else if (!strcmp(what, "type"))
		say(call, "\"pc-q35-7.2-machine\"");
	else if (!strcmp(what, "memory"))
		say(call, "{\"size\": 536870912, \"slots\": 4, \"max-size\": 8589934592}");
	else
		qmp_reply_error(call, "GenericError", "Property 'pc-q35-7.2-machine.%s' not found",
				what);
}

static void do_object_add(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct fleet_guest *g = arg;
	const char *id = qmp_get_str(args, "id", "");

	for (unsigned i = 0; i < FLEET_OBJECTS && !object_find(g, id); i++) {
		struct fleet_object *o = &g->object[i];

		if (o->data)
			continue;
		snprintf(o->id, sizeof(o->id), "%s", id);
		o->data = strdup(qmp_get_str(args, "data", ""));
		qmp_reply(call, NULL);
		return;
	}
	qmp_reply_error(call, "GenericError",
			"attempt to add duplicate property '%s' to object (type 'container')", id);
}

static void do_object_del(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *id = qmp_get_str(args, "id", "");
	struct fleet_object *o = object_find(arg, id);

	if (!o) {
		qmp_reply_error(call, "GenericError", "object '%s' not found", id);
		return;
	}
	free(o->data);
	o->data = NULL;
	qmp_reply(call, NULL);
}

/* ---- vCPUs --------------------------------------------------------------------------- */

static void tell_ost(struct fleet_guest *g, unsigned slot, int source, int status)
{
	char device[LS_NAME_BYTES + 16] = "";

	if (g->cpu[slot].id[0])
		snprintf(device, sizeof(device), "\"device\": \"%s\", ", g->cpu[slot].id);
	port_event(&g->qemu, "ACPI_DEVICE_OST",
		   "{\"info\": {%s\"source\": %d, \"status\": %d, \"slot\": \"%u\", "
		   "\"slot-type\": \"CPU\"}}",
		   device, source, status, slot);
}

static void do_device_add(struct qmp_call *call, struct json_object *args, void *arg)
{
	unsigned slot = (unsigned)qmp_get_int(args, "socket-id", FLEET_SLOTS);
	struct fleet_guest *g = arg;

	if (slot >= FLEET_SLOTS || g->cpu[slot].plugged) {
		qmp_reply_error(call, "GenericError", "CPU[%u] with APIC ID %u exists", slot, slot);
		return;
	}
	g->cpu[slot].plugged = true;
	snprintf(g->cpu[slot].id, LS_NAME_BYTES, "%s", qmp_get_str(args, "id", ""));
	qmp_reply(call, NULL);
	tell_ost(g, slot, 1, 0);
	fake_agent_changed(g, "cpu", (int)slot, "present", "foreign");
}

void fake_eject(struct fleet_guest *g, unsigned slot)
{
	char path[LS_NAME_BYTES];

	memcpy(path, g->cpu[slot].id, sizeof(path));
	tell_ost(g, slot, 3, OST_EJECTING);
	g->cpu[slot] = (struct fleet_cpu){ 0 };
	port_event(&g->qemu, "DEVICE_DELETED", "{\"path\": \"/machine/peripheral/%s/lapic\"}",
		   path);
	tell_ost(g, slot, 3, 0);
	fake_agent_changed(g, "cpu", (int)slot, "gone", "foreign");
}

static void do_device_del(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *id = qmp_get_str(args, "id", "");
	struct fleet_guest *g = arg;

	for (unsigned i = FLEET_BOOT_CPUS; i < FLEET_SLOTS; i++) {
		if (strcmp(g->cpu[i].id, id) != 0)
			continue;
		qmp_reply(call, NULL);
		fake_eject(g, i);
		return;
	}
	qmp_reply_error(call, "DeviceNotFound", "Device '%s' not found", id);
}

/* ---- the table ------------------------------------------------------------------------- */

/* clang-format off */
#define TEXT(name)   { name, QMP_STRING, false, 0, INT32_MAX, 0, "" }
#define NUMBER(name) { name, QMP_INT, true, 0, INT64_MAX, 0, "" }
static const struct qmp_field id_fields[] = { TEXT("id") };
static const struct qmp_field path_fields[] = { TEXT("path") };
static const struct qmp_field get_fields[] = { TEXT("path"), TEXT("property") };
static const struct qmp_field object_fields[] = { TEXT("qom-type"), TEXT("id"), TEXT("data") };
static const struct qmp_field device_fields[] = {
	TEXT("driver"), TEXT("id"), NUMBER("socket-id"), NUMBER("core-id"), NUMBER("thread-id"),
	NUMBER("node-id"),
};

const struct qmp_verb fake_qemu_verbs[] = {
	{ "query-status",               do_status,       NULL, 0 },
	{ "query-version",              do_version,      NULL, 0 },
	{ "query-hotpluggable-cpus",    do_hotpluggable, NULL, 0 },
	{ "query-memory-devices",       do_memory,       NULL, 0 },
	{ "query-acpi-ospm-status",     do_ospm,         NULL, 0 },
	{ "query-migrate",              do_migrate,      NULL, 0 },
	{ "query-migrate-capabilities", do_capabilities, NULL, 0 },
	{ "qom-list",                   do_qom_list,     path_fields, N(path_fields) },
	{ "qom-get",                    do_qom_get,      get_fields, N(get_fields) },
	{ "object-add",                 do_object_add,   object_fields, N(object_fields) },
	{ "object-del",                 do_object_del,   id_fields, N(id_fields) },
	{ "device_add",                 do_device_add,   device_fields, N(device_fields) },
	{ "device_del",                 do_device_del,   id_fields, N(id_fields) },
	{ 0 }
};
/* clang-format on */
