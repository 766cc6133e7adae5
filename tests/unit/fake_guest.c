/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fake QEMU and the fake agent say, and one guest made of them.
 */
#include "fake_guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#define TURN_US 50000

struct fake_guest fake;
static char dir[] = "/tmp/lockstep-hv-XXXXXX";

void fake_note(char text[FAKE_TEXT], const char *name, struct json_object *args)
{
	size_t at = strlen(text);

	snprintf(text + at, FAKE_TEXT - at, "%s %s\n", name,
		 json_object_to_json_string_ext(args, JSON_C_TO_STRING_PLAIN));
}

void fake_run_while(const bool *go_on, unsigned limit_ms)
{
	uint64_t until_ms = qmp_now_ms() + limit_ms;

	while (*go_on && qmp_now_ms() < until_ms)
		assert_true(sd_event_run(fake.loop, TURN_US) >= 0);
}

/* ---- what QEMU says ------------------------------------------------------ */

static void answer(struct qmp_call *call, const char *text)
{
	struct json_object *v = NULL;

	assert_int_equal(qmp_parse(text, strlen(text), NULL, NULL, &v), 0);
	qmp_reply(call, v);
}

static void do_status(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, "{\"running\":true,\"singlestep\":false,\"status\":\"running\"}");
}

static void do_version(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, "{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22},\"package\":\"\"}");
}

/* The answers before this one leave; this one never does. */
static void cut(struct qmp_call *call)
{
	fake.held = call;
	server_hang_up_later(&fake.qemu, FLUSH_MS);
}

static void do_get(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *path = qmp_get_str(args, "path", "");

	(void)arg;
	if (!strcmp(qmp_get_str(args, "property", ""), "type"))
		answer(call, "\"pc-q35-7.2-machine\"");
	else if (fake.vsmt && !strcmp(qmp_get_str(args, "property", ""), "vsmt"))
		answer(call, fake.vsmt);
	else if (fake.cuts_at_the_end && strstr(path, SURRENDERED_ID))
		cut(call);
	else
		qmp_reply_error(call, "GenericError", "no such thing");
}

static void do_cpus(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, fake.cpus);
}

static void do_nothing(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	qmp_reply(call, NULL);
}

static void do_empty_list(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	answer(call, "[]");
}

/* The one of that name, "" for a free one; NULL: there is none. */
static char *object_find(const char *name)
{
	for (size_t i = 0; i < COUNT(fake.objects); i++)
		if (!strcmp(fake.objects[i], name))
			return fake.objects[i];
	return NULL;
}

static void do_objects(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct json_object *list = json_object_new_array();

	(void)args, (void)arg;
	for (size_t i = 0; i < COUNT(fake.objects); i++) {
		struct json_object *o;

		if (!fake.objects[i][0])
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "name", json_object_new_string(fake.objects[i]));
		json_object_object_add(o, "type", json_object_new_string("child<secret>"));
		json_object_array_add(list, o);
	}
	qmp_reply(call, list);
}

static void do_object_add(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *id = qmp_get_str(args, "id", "");

	(void)arg;
	if (object_find(id)) {
		qmp_reply_error(call, "GenericError", "attempt to add duplicate property");
		return;
	}
	snprintf(object_find(""), sizeof(fake.objects[0]), "%s", id);
	fake_note(fake.commands, qmp_call_name(call), args);
	qmp_reply(call, NULL);
}

static void do_object_del(struct qmp_call *call, struct json_object *args, void *arg)
{
	char *object = object_find(qmp_get_str(args, "id", ""));

	(void)arg;
	if (object)
		object[0] = '\0';
	qmp_reply(call, NULL);
}

static void do_change(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)arg;
	fake_note(fake.commands, qmp_call_name(call), args);
	if (!strcmp(qmp_get_str(args, "id", ""), fake.no_id))
		qmp_reply_error(call, "GenericError", "%s", fake.no_words);
	else
		qmp_reply(call, NULL);
}

static const struct qmp_field device_fields[] = {
	{ "driver", QMP_STRING, true, 0, 200, 0, "type" },
	{ "id", QMP_STRING, false, 0, 200, 0, "of the device" },
	{ "core-id", QMP_INT, true, 0, 200, 0, "where" },
	{ "slot", QMP_INT, true, 0, 200, 0, "where" },
	{ "memdev", QMP_STRING, true, 0, 200, 0, "its memory" },
};

static const struct qmp_field object_fields[] = {
	{ "qom-type", QMP_STRING, false, 0, 200, 0, "what" },
	{ "id", QMP_STRING, false, 0, 200, 0, "of the object" },
	{ "data", QMP_STRING, true, 0, 200, 0, "in it" },
};

static const struct qmp_field get_fields[] = {
	{ "path", QMP_STRING, false, 0, 200, 0, "of an object" },
	{ "property", QMP_STRING, true, 0, 200, 0, "of it" },
};

static const struct qmp_verb qemu_verbs[] = {
	{ "query-status", do_status, NULL, 0 },
	{ "query-version", do_version, NULL, 0 },
	{ "qom-get", do_get, get_fields, COUNT(get_fields) },
	{ "qom-list", do_objects, get_fields, COUNT(get_fields) },
	{ "object-add", do_object_add, object_fields, COUNT(object_fields) },
	{ "object-del", do_object_del, device_fields, COUNT(device_fields) },
	{ "query-hotpluggable-cpus", do_cpus, NULL, 0 },
	{ "device_add", do_change, device_fields, COUNT(device_fields) },
	{ "device_del", do_change, device_fields, COUNT(device_fields) },
	{ "query-migrate", do_nothing, NULL, 0 },
	{ "query-migrate-capabilities", do_empty_list, NULL, 0 },
	{ 0 },
};

/* ---- what the agent says ------------------------------------------------- */

static void do_guest_status(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	if (fake.says) {
		answer(call, fake.says);
		return;
	}
	if (!fake.stops_when_asked) {
		qmp_reply_error(call, "GenericError", "not today");
		return;
	}
	fake.held = call;
	qmp_peer_event(fake.qemu.peer, "STOP", NULL);
	server_turn(&fake.qemu, 0);
}

static void do_renew(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	if (fake.renewals++ < fake.refusals)
		qmp_reply_error(call, "GenericError", "a hiccup");
	else
		qmp_reply(call, NULL);
}

/* It is at work for longer than anybody waits. */
static void do_doctor(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args, (void)arg;
	fake.held = call;
}

#define FIELDS(id) ls_wire_args_##id, LS_WIRE_N(ls_wire_args_##id)

static const struct qmp_verb agent_verbs[] = {
	{ "lockstep-status", do_guest_status, NULL, 0 },
	{ "lockstep-subscribe", do_nothing, NULL, 0 },
	{ "lockstep-lock", do_nothing, FIELDS(LOCK) },
	{ "lockstep-cpu-online", do_change, FIELDS(CPU_ONLINE) },
	{ "lockstep-renew", do_renew, FIELDS(RENEW) },
	{ "lockstep-doctor", do_doctor, FIELDS(DOCTOR) },
	{ 0 },
};

/* ---- a guest ------------------------------------------------------------- */

static void on_hint(void *arg, const char *what)
{
	(void)arg, (void)what;
}

static void on_lost(void *arg)
{
	(void)arg;
}

static void on_said(void *arg, const char *text)
{
	size_t at = strlen(fake.said);

	(void)arg;
	snprintf(fake.said + at, sizeof(fake.said) - at, "%s\n", text);
}

void fake_another(void)
{
	const struct hv_listener listener = { on_hint, on_lost, NULL, on_said };

	hv_free(fake.hv);
	fake.hv = hv_new(fake.loop, "g1", fake.qemu.path, fake.agent.path, &listener);
	assert_non_null(fake.hv);
}

int fake_begin(void **state)
{
	(void)state;
	fake = (struct fake_guest){ .cpus = "[]", .no_id = "", .no_words = "" };
	assert_int_equal(sd_event_new(&fake.loop), 0);
	server_begin(&fake.qemu, fake.loop, dir, "qmp", QMP_DIALECT_QMP, qemu_verbs);
	server_begin(&fake.agent, fake.loop, dir, "agent", QMP_DIALECT_QGA, agent_verbs);
	fake_another();
	return 0;
}

int fake_finish(void **state)
{
	(void)state;
	if (fake.held)
		qmp_reply(fake.held, NULL);
	hv_free(fake.hv);
	vm_done(&fake.seen);
	server_end(&fake.qemu);
	server_end(&fake.agent);
	sd_event_unref(fake.loop);
	return 0;
}

int fake_make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

int fake_remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

/* ---- what it is asked ---------------------------------------------------- */

static void on_look(void *arg, struct vm *vm)
{
	bool *looking = arg;

	fake.seen = *vm;
	*looking = false;
}

uint64_t fake_look(void)
{
	uint64_t since_ms = qmp_now_ms();
	bool looking = true;

	vm_done(&fake.seen);
	hv_look(fake.hv, on_look, &looking);
	fake_run_while(&looking, HANG_MS);
	assert_false(looking);
	return qmp_now_ms() - since_ms;
}

static void on_reply(void *arg, const struct ls_err *err)
{
	bool *asking = arg;

	fake.reply = *err;
	*asking = false;
}

void fake_ask(const struct hv_request *rq)
{
	bool asking = true;

	hv_ask(fake.hv, rq, on_reply, &asking);
	fake_run_while(&asking, HANG_MS);
	assert_false(asking);
}
