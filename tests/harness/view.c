/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Three pairs of eyes on a guest: its console, its agent, and its QEMU. */
#include "expect.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include <lockstep/cleanup.h>

/* ---- console ---------------------------------------------------------- */

/* Output of the row's command. */
static int view_shell(struct guest *g, const struct view *v, const char *thing, char *ret_value,
		      struct ls_err *err)
{
	ls_autofree char *command = NULL;
	ls_autofree char *output = NULL;
	size_t digits = thing ? strcspn(thing, "0123456789") : 0;
	int status;

	if (thing && asprintf(&command, v->shell, thing + digits) < 0)
		return -ENOMEM;
	status = console_run(g->console, command ? command : v->shell, qmp_now_ms() + LAB_ASK_MS,
			     err, &output);
	if (status < 0)
		return status;
	snprintf(ret_value, VIEW_VALUE_BYTES, "%s", output);
	return 0;
}

#define SYS_CPU "/sys/devices/system/cpu"
#define SYS_MEM "/sys/devices/system/memory"

#define SHELL_KERNEL                                                                               \
	"tr , '\\n' <" SYS_CPU "/online | awk -F- -v n=%s "                                        \
	"'{ hi = NF > 1 ? $2 : $1; if (n >= $1 && n <= hi) f = 1 } "                               \
	"END { print f ? \"on\" : \"off\" }'"
#define SHELL_DEVICE                                                                               \
	"cd " SYS_CPU "/cpu%s 2>/dev/null || { echo absent; exit; }; "                             \
	"[ -e online ] || { echo on; exit; }; [ $(cat online) = 1 ] && echo on || echo off"
/* $(( )) of the shell is of 64 bits; the block size is in hexadecimal. */
#define SHELL_MEMORY(state)                                                                        \
	"n=$(cat " SYS_MEM "/memory*/state | grep -cx " state "); "                                \
	"echo $(( n * 0x$(cat " SYS_MEM "/block_size_bytes) / 1048576 ))M"

/* ---- qemu ------------------------------------------------------------- */

static int view_ask(struct guest *g, const char *command, struct ls_err *err,
		    struct json_object **ret_value)
{
	if (!guest_alive(g))
		return ls_err_set(err, -ECHILD, "%s has ended", g->name);
	return peer_call(g->peer, command, NULL, qmp_now_ms() + LAB_CALL_MS, err, ret_value);
}

static int view_status(struct guest *g, const struct view *v, const char *thing, char *ret_value,
		       struct ls_err *err)
{
	struct json_object *o = NULL;
	int r = view_ask(g, v->shell, err, &o);

	(void)thing;
	if (r == 0)
		snprintf(ret_value, VIEW_VALUE_BYTES, "%s", qmp_get_str(o, "status", "none"));
	json_object_put(o);
	return r;
}

/* Plugged slots have a path to their object; each counts vcpus-count. */
static int view_vcpus(struct guest *g, const struct view *v, const char *thing, char *ret_value,
		      struct ls_err *err)
{
	struct json_object *slots = NULL;
	int r = view_ask(g, "query-hotpluggable-cpus", err, &slots);
	long n = 0;

	(void)v;
	(void)thing;
	for (size_t i = 0; r == 0 && i < json_object_array_length(slots); i++) {
		struct json_object *slot = json_object_array_get_idx(slots, i);

		if (qmp_get_str(slot, "qom-path", NULL))
			n += (long)qmp_get_int(slot, "vcpus-count", 0);
	}
	if (r == 0)
		snprintf(ret_value, VIEW_VALUE_BYTES, "%ld", n);
	json_object_put(slots);
	return r;
}

static int view_memory(struct guest *g, const struct view *v, const char *thing, char *ret_value,
		       struct ls_err *err)
{
	struct json_object *o = NULL;
	int r = view_ask(g, "query-memory-size-summary", err, &o);

	(void)v;
	(void)thing;
	if (r == 0)
		snprintf(ret_value, VIEW_VALUE_BYTES, "%lldM",
			 (long long)((qmp_get_int(o, "base-memory", 0) +
				      qmp_get_int(o, "plugged-memory", 0)) >>
				     20));
	json_object_put(o);
	return r;
}

/* Whether a QOM folder (@shell of the row) has a child of that name. */
static int view_child(struct guest *g, const struct view *v, const char *thing, char *ret_value,
		      struct ls_err *err)
{
	struct json_object *args = json_object_new_object(), *list = NULL;
	bool found = false;
	int r;

	json_object_object_add(args, "path", json_object_new_string(v->shell));
	if (!guest_alive(g)) {
		json_object_put(args);
		return ls_err_set(err, -ECHILD, "%s has ended", g->name);
	}
	r = peer_call(g->peer, "qom-list", args, qmp_now_ms() + LAB_CALL_MS, err, &list);
	for (size_t i = 0; r == 0 && i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);

		if (!strcmp(qmp_get_str(one, "name", ""), thing) &&
		    !strncmp(qmp_get_str(one, "type", ""), "child<", 6))
			found = true;
	}
	if (r == 0)
		strcpy(ret_value, found ? "present" : "absent");
	json_object_put(list);
	return r;
}

/* ---- agent ------------------------------------------------------------ */

static int view_agent_online(struct guest *g, const struct view *v, const char *thing,
			     char *ret_value, struct ls_err *err)
{
	struct json_object *cpus = NULL;
	int r = guest_ask_agent(g, "guest-get-vcpus", NULL, LAB_AGENT_MS, err, &cpus);
	size_t at = 0;

	(void)v;
	(void)thing;
	*ret_value = '\0';
	for (size_t i = 0; r == 0 && i < json_object_array_length(cpus); i++) {
		struct json_object *one = json_object_array_get_idx(cpus, i);

		if (qmp_get_bool(one, "online", false) && at < VIEW_VALUE_BYTES)
			at += (size_t)snprintf(ret_value + at, VIEW_VALUE_BYTES - at, "%s%lld",
					       at ? "," : "",
					       (long long)qmp_get_int(one, "logical-id", -1));
	}
	json_object_put(cpus);
	return r;
}

static int view_agent_memory(struct guest *g, const struct view *v, const char *thing,
			     char *ret_value, struct ls_err *err)
{
	struct json_object *info = NULL, *blocks = NULL;
	int r = guest_ask_agent(g, "guest-get-memory-block-info", NULL, LAB_AGENT_MS, err, &info);
	long long online = 0;

	(void)v;
	(void)thing;
	if (r == 0)
		r = guest_ask_agent(g, "guest-get-memory-blocks", NULL, LAB_AGENT_MS, err, &blocks);
	for (size_t i = 0; r == 0 && i < json_object_array_length(blocks); i++)
		online += qmp_get_bool(json_object_array_get_idx(blocks, i), "online", false);
	if (r == 0)
		snprintf(ret_value, VIEW_VALUE_BYTES, "%lldM",
			 (long long)(online * qmp_get_int(info, "size", 0)) >> 20);
	json_object_put(blocks);
	json_object_put(info);
	return r;
}

/* "window" and "lock" of lockstep-status. */
static int view_agent_status(struct guest *g, const struct view *v, const char *thing,
			     char *ret_value, struct ls_err *err)
{
	struct json_object *status = NULL, *part;
	int r = guest_ask_agent(g, "lockstep-status", NULL, LAB_AGENT_MS, err, &status);

	(void)thing;
	part = qmp_get_obj(status, v->property);
	if (r == 0 && !strcmp(v->property, "window"))
		snprintf(ret_value, VIEW_VALUE_BYTES, "%s", qmp_get_str(part, "state", "none"));
	else if (r == 0)
		strcpy(ret_value, qmp_get_bool(part, "held", false) ? "held" : "free");
	json_object_put(status);
	return r;
}

/* clang-format off */
const struct view views[] = {
	{ "online", "console", NULL, VIEW_LIST, view_shell, "cat " SYS_CPU "/online", "CPUs in the kernel's online mask" },
	{ "present", "console", NULL, VIEW_LIST, view_shell, "cat " SYS_CPU "/present", "CPUs that the kernel has devices for" },
	{ "device", "console", "a CPU, such as cpu1", VIEW_TEXT, view_shell, SHELL_DEVICE, "on, off, absent: what the driver core says of one CPU" },
	{ "kernel", "console", "a CPU, such as cpu1", VIEW_TEXT, view_shell, SHELL_KERNEL, "on, off: whether one CPU is in the kernel's online mask" },
	{ "memory", "console", NULL, VIEW_SIZE, view_shell, SHELL_MEMORY("online"), "all online memory blocks together" },
	{ "offline-memory", "console", NULL, VIEW_SIZE, view_shell, SHELL_MEMORY("offline"), "all offline memory blocks together" },
	{ "online", "agent", NULL, VIEW_LIST, view_agent_online, NULL, "guest-get-vcpus" },
	{ "memory", "agent", NULL, VIEW_SIZE, view_agent_memory, NULL, "guest-get-memory-blocks" },
	{ "window", "agent", NULL, VIEW_TEXT, view_agent_status, NULL, "closed, open, restore-pending" },
	{ "lock", "agent", NULL, VIEW_TEXT, view_agent_status, NULL, "held, free" },
	{ "status", "qemu", NULL, VIEW_TEXT, view_status, "query-status", "running, paused, inmigrate, postmigrate, ..." },
	{ "migration", "qemu", NULL, VIEW_TEXT, view_status, "query-migrate", "none, active, completed, cancelled, failed, ..." },
	{ "vcpus", "qemu", NULL, VIEW_TEXT, view_vcpus, NULL, "number of vCPUs plugged" },
	{ "memory", "qemu", NULL, VIEW_SIZE, view_memory, NULL, "memory at boot and plugged, together" },
	{ "id", "qemu", "a device's id", VIEW_TEXT, view_child, "/machine/peripheral", "present, absent: a device with this id" },
	{ "object", "qemu", "an object's id", VIEW_TEXT, view_child, "/objects", "present, absent: an object with this id (memory backends, secrets)" },
	{ 0 },
};
/* clang-format on */

const struct view *view_find(const char *property, const char *by)
{
	for (const struct view *v = views; v->property; v++)
		if (!strcmp(v->property, property) && (!by || !strcmp(v->by, by)))
			return v;
	return NULL;
}
