/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An agent: the hotplug lock and the CPUs. Arguments are held to wire.h, as in the real one.
 */
#include "fleet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <lockstep/wire.h>

static struct json_object *object_of(const char *fmt, ...)
{
	struct json_object *o;
	va_list ap;

	va_start(ap, fmt);
	o = json_of(fmt, ap);
	va_end(ap);
	return o;
}

void fake_agent_changed(struct fleet_guest *g, const char *kind, int id, const char *state,
			const char *by)
{
	if (g->subscribed)
		port_event(&g->agent, "LOCKSTEP_CHANGE",
			   "{\"kind\": \"%s\", \"id\": %d, \"count\": 1, \"state\": \"%s\", "
			   "\"by\": \"%s\"}",
			   kind, id, state, by);
}

static struct json_object *cpu_of(const struct fleet_cpu *c, int i)
{
	const char *online = c->online ? "true" : "false", *row = c->online ? "online" : "offline";
	struct json_object *o = object_of("{\"cpu\": %d, \"slot\": %d, \"present\": true, "
					  "\"device\": %s, \"kernel\": %s, \"fixed\": %s, "
					  "\"row\": \"%s\"}",
					  i, i, online, online, i ? "false" : "true", row);

	if (c->touched)
		json_object_object_add(o, "target", json_object_new_string(row));
	return o;
}

static struct json_object *cpus_of(const struct fleet_guest *g)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < FLEET_SLOTS; i++)
		if (g->cpu[i].plugged)
			json_object_array_add(list, cpu_of(&g->cpu[i], i));
	return list;
}

struct json_object *fake_agent_status(const struct fleet_guest *g)
{
	struct json_object *o = object_of(
		"{\"version\": 1, \"agent\": \"fleet\", \"boot-id\": "
		"\"cd8c3bb9-2128-4337-8e30-d4a553e5c0f8\", \"machine\": \"x86_64\", "
		"\"guard\": \"hold\", \"guard-held\": 0, \"expedite\": \"off\", "
		"\"lock\": {\"held\": %s, \"txn\": \"%s\", \"epoch\": %lld, \"lease-ms\": %d}, "
		"\"window\": {\"state\": \"closed\", \"txn\": \"\", \"mode\": \"\", "
		"\"forced\": [], \"left-ms\": 0}, \"memory\": {\"block-bytes\": 134217728, "
		"\"blocks\": [{\"first\": 0, \"count\": 4, \"state\": \"online\"}], "
		"\"headroom-bytes\": 17179869184}}",
		g->lock[0] ? "true" : "false", g->lock, (long long)g->epoch, g->lock[0] ? 5000 : 0);

	json_object_object_add(o, "cpus", cpus_of(g));
	return o;
}

static void do_status(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args;
	qmp_reply(call, fake_agent_status(arg));
}

static void do_subscribe(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct fleet_guest *g = arg;

	(void)args;
	g->subscribed = true;
	qmp_reply(call, NULL);
}

/* ---- the lock ------------------------------------------------------------------------ */

static bool is_holder(const struct fleet_guest *g, struct json_object *args)
{
	return !strcmp(g->lock, qmp_get_str(args, "txn", ""));
}

static void do_lock(struct qmp_call *call, struct json_object *args, void *arg)
{
	bool already = is_holder(arg, args);
	struct fleet_guest *g = arg;

	if (g->lock[0] && !already) {
		qmp_reply_error(call, "LockHeld", "transaction %s holds it", g->lock);
		return;
	}
	snprintf(g->lock, sizeof(g->lock), "%s", qmp_get_str(args, "txn", ""));
	g->epoch = qmp_get_int(args, "epoch", 0);
	say(call, "{\"already\": %s}", already ? "true" : "false");
	fake_agent_changed(g, "lock", -1, "held", "agent");
}

static void do_renew(struct qmp_call *call, struct json_object *args, void *arg)
{
	if (is_holder(arg, args))
		qmp_reply(call, NULL);
	else
		qmp_reply_error(call, "LeaseExpired", "it is not yours");
}

static void do_unlock(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct fleet_guest *g = arg;

	say(call, "{\"already\": %s}", is_holder(g, args) ? "false" : "true");
	if (!is_holder(g, args))
		return;
	g->lock[0] = '\0';
	fake_agent_changed(g, "lock", -1, "free", "agent");
}

/* ---- CPUs ------------------------------------------------------------------------------ */

static int set_cpu(struct fleet_guest *g, int i, bool online)
{
	struct fleet_cpu *c = &g->cpu[i];

	if (i >= FLEET_SLOTS || !c->plugged)
		return -ENODEV;
	if (c->online == online)
		return 1;
	c->online = online;
	c->touched = true;
	fake_agent_changed(g, "cpu", i, online ? "online" : "offline", "agent");
	return 0;
}

static void set_cpus(struct qmp_call *call, struct json_object *args, struct fleet_guest *g,
		     bool online)
{
	struct json_object *list = qmp_get_array(args, "cpus"), *o = json_object_new_object();
	struct json_object *results = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		int cpu = json_object_get_int(json_object_array_get_idx(list, i));

		json_object_array_add(results, object_of("{\"id\": %d, \"code\": %d}", cpu,
							 set_cpu(g, cpu, online)));
	}
	json_object_object_add(o, "results", results);
	qmp_reply(call, o);
}

static void do_online(struct qmp_call *call, struct json_object *args, void *arg)
{
	set_cpus(call, args, arg, true);
}

static void do_offline(struct qmp_call *call, struct json_object *args, void *arg)
{
	set_cpus(call, args, arg, false);
}

/* clang-format off */
#define VERB(name, id, fn) { name, fn, ls_wire_args_##id, LS_WIRE_N(ls_wire_args_##id) }
const struct qmp_verb fake_agent_verbs[] = {
	VERB("lockstep-status",      STATUS,      do_status),
	VERB("lockstep-subscribe",   SUBSCRIBE,   do_subscribe),
	VERB("lockstep-lock",        LOCK,        do_lock),
	VERB("lockstep-renew",       RENEW,       do_renew),
	VERB("lockstep-unlock",      UNLOCK,      do_unlock),
	VERB("lockstep-cpu-online",  CPU_ONLINE,  do_online),
	VERB("lockstep-cpu-offline", CPU_OFFLINE, do_offline),
	{ 0 }
};
/* clang-format on */
