/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed commands: replies that are right arrive whole, and each member that is wrong,
 * in each way, is refused by name.
 */
#include "qmp_fixture.h"

#include <qmp_commands.h>

/* ---- one sample of each reply ------------------------------------------ */

typedef int (*decode_any)(struct json_object *value, struct ls_err *err);

#define SINGLE(name, type)                                                                         \
	static int any_##name(struct json_object *value, struct ls_err *err)                       \
	{                                                                                          \
		struct type ret;                                                                   \
		return qmp_decode_##name(value, err, &ret);                                        \
	}
/* An array whose elements own nothing. */
static void free_list(void *list, size_t n)
{
	(void)n;
	free(list);
}

#define LIST(name, type, release)                                                                  \
	static int any_##name(struct json_object *value, struct ls_err *err)                       \
	{                                                                                          \
		struct type *list;                                                                 \
		size_t n;                                                                          \
		int r = qmp_decode_##name(value, err, &list, &n);                                  \
		if (!r) {                                                                          \
			release(list, n);                                                          \
		}                                                                                  \
		return r;                                                                          \
	}

SINGLE(version, qmp_version)
SINGLE(status, qmp_status)
SINGLE(memory_size, qmp_memory_size)
SINGLE(ospm_event, qmp_ospm_status)
SINGLE(migration, qmp_migration_info)
LIST(hotpluggable_cpus, qmp_hotpluggable_cpu, qmp_hotpluggable_cpus_free)
LIST(cpus, qmp_cpu, qmp_cpus_free)
LIST(memory_devices, qmp_memory_device, free_list)
LIST(ospm_status, qmp_ospm_status, free_list)
LIST(capabilities, qmp_capability, free_list)
LIST(blocks, qmp_block, free_list)
LIST(properties, qmp_property, free_list)

#define DIMM                                                                                       \
	"{\"type\": \"dimm\", \"data\": {\"id\": \"d1\", \"memdev\": \"/objects/m1\", \"addr\": "  \
	"4294967296, \"size\": 134217728, \"node\": 0, \"slot\": 2, \"hotplugged\": true, "        \
	"\"hotpluggable\": true}}"
#define VIRTIO_MEM                                                                                 \
	"{\"type\": \"virtio-mem\", \"data\": {\"id\": \"vm0\", \"memdev\": \"/objects/m2\", "     \
	"\"memaddr\": 8589934592, \"size\": 2097152, \"node\": 1, \"requested-size\": 4194304, "   \
	"\"max-size\": 1073741824, \"block-size\": 2097152}}"
#define OSPM                                                                                       \
	"{\"device\": \"d1\", \"slot\": \"2\", \"slot-type\": \"DIMM\", \"source\": 3, "           \
	"\"status\": 132}"

/* Every member that is decoded is in it: the ones below are replaced one by one. */
static const struct {
	const char *name;
	decode_any decode;
	const char *sample;
} samples[] = {
	{ "version", any_version,
	  "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 22}, \"package\": \"Debian\"}" },
	{ "status", any_status, "{\"running\": true, \"status\": \"running\"}" },
	{ "memory_size", any_memory_size, "{\"base-memory\": 536870912, \"plugged-memory\": 0}" },
	{ "ospm_event", any_ospm_event, "{\"info\": " OSPM "}" },
	{ "migration", any_migration,
	  "{\"status\": \"active\", \"total-time\": 12, \"expected-downtime\": 300, \"downtime\": "
	  "5, "
	  "\"error-desc\": \"x\", \"ram\": {\"transferred\": 1, \"remaining\": 2, \"total\": 3, "
	  "\"dirty-pages-rate\": 4, \"dirty-sync-count\": 5, \"page-size\": 4096, \"mbps\": "
	  "6.5}}" },
	{ "hotpluggable_cpus", any_hotpluggable_cpus,
	  "[{\"type\": \"max-x86_64-cpu\", \"vcpus-count\": 1, \"qom-path\": \"/machine/c\", "
	  "\"props\": {\"core-id\": 1}}]" },
	{ "cpus", any_cpus,
	  "[{\"cpu-index\": 0, \"thread-id\": 99, \"qom-path\": \"/machine/c\", \"props\": {}}]" },
	{ "memory_devices", any_memory_devices, "[" DIMM "]" },
	{ "memory_devices", any_memory_devices, "[" VIRTIO_MEM "]" },
	{ "ospm_status", any_ospm_status, "[" OSPM "]" },
	{ "capabilities", any_capabilities, "[{\"capability\": \"xbzrle\", \"state\": false}]" },
	{ "blocks", any_blocks,
	  "[{\"device\": \"\", \"qdev\": \"/machine/d\", \"inserted\": {\"node-name\": \"n\", "
	  "\"file\": \"/x\", \"ro\": false}}]" },
	{ "properties", any_properties, "[{\"name\": \"size\", \"type\": \"int\"}]" },
};

/* ---- all members, all wrong values ------------------------------------- */

/* A value of each kind; an integer does where a real is expected. */
static const struct {
	enum json_type type;
	const char *text;
} wrong[] = {
	{ json_type_null, "null" },
	{ json_type_boolean, "false" },
	{ json_type_int, "-9" },
	{ json_type_double, "1.5" },
	{ json_type_string, "\"\xc3\xa9\"" },
	{ json_type_array, "[]" },
	{ json_type_object, "{}" },
};

static unsigned replaced;

static bool same_kind(struct json_object *was, enum json_type type)
{
	enum json_type is = json_object_get_type(was);

	return is == type || (is == json_type_double && type == json_type_int);
}

/* Members inside of "props" are passed on and never looked at. */
static bool is_opaque(const char *key)
{
	return !strcmp(key, "props");
}

static void replace_each(size_t s, struct json_object *root, struct json_object *at);

/* Put each wrong kind in the place of one member, see it refused, put the right one back. */
static void replace_member(size_t s, struct json_object *root, struct json_object *at,
			   const char *key)
{
	struct json_object *was = json_object_get(json_object_object_get(at, key));

	for (size_t w = 0; w < COUNT(wrong); w++) {
		struct ls_err err = { 0 };

		if (same_kind(was, wrong[w].type))
			continue;
		json_object_object_add(at, key, object(wrong[w].text));
		replaced++;
		if (samples[s].decode(root, &err) != -EPROTO)
			fail_msg("%s: '%s' may be %s", samples[s].name, key, wrong[w].text);
		if (!strstr(err.text, key))
			fail_msg("%s: '%s' is not named: %s", samples[s].name, key, err.text);
	}
	json_object_object_add(at, key, json_object_get(was));
	if (!is_opaque(key))
		replace_each(s, root, was);
	json_object_put(was);
}

static void replace_each(size_t s, struct json_object *root, struct json_object *at)
{
	char *keys[32];
	size_t n = 0;

	if (json_object_is_type(at, json_type_array)) {
		replace_each(s, root, json_object_array_get_idx(at, 0));
		return;
	}
	if (!json_object_is_type(at, json_type_object))
		return;
	json_object_object_foreach (at, key, value) {
		(void)value;
		assert_true(n < COUNT(keys));
		keys[n++] = strdup(key);
	}
	for (size_t i = 0; i < n; i++) {
		replace_member(s, root, at, keys[i]);
		free(keys[i]);
	}
}

/* Each member of each reply, replaced by a value of each other kind, is refused by name. */
static void test_when_any_member_has_another_type_then_it_is_named(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(samples); s++) {
		struct json_object *root = object(samples[s].sample);
		struct ls_err err = { 0 };

		if (samples[s].decode(root, &err) < 0)
			fail_msg("%s: %s", samples[s].name, err.text);
		replace_each(s, root, root);
		assert_int_equal(samples[s].decode(root, NULL), 0);
		json_object_put(root);
	}
	assert_true(replaced > 250);
	print_message("# members replaced by wrong ones: %u\n", replaced);
}

/* The whole reply of another kind. */
static void test_when_the_whole_reply_has_another_type_then_it_is_refused(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(samples); s++) {
		bool list = samples[s].sample[0] == '[';

		for (size_t w = 0; w < COUNT(wrong); w++) {
			struct json_object *v = object(wrong[w].text);
			int r = samples[s].decode(v, NULL);

			json_object_put(v);
			if (list && wrong[w].type == json_type_array)
				assert_int_equal(r, 0);
			else if (wrong[w].type != json_type_object ||
				 samples[s].decode != any_migration)
				assert_int_equal(r, -EPROTO);
		}
	}
}

/* ---- what arrives ------------------------------------------------------ */

/* Both kinds of memory device, each with its own names for the same thing. */
static void test_when_memory_devices_are_decoded_then_all_members_arrive(void **state)
{
	struct json_object *v =
		object("[" DIMM "," VIRTIO_MEM ",{\"type\": \"nvdimm\", \"data\": {}}]");
	struct qmp_memory_device *m;
	size_t n;

	(void)state;
	assert_int_equal(qmp_decode_memory_devices(v, NULL, &m, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(m[0].kind, QMP_MEMORY_DIMM);
	assert_string_equal(m[0].id, "d1");
	assert_string_equal(m[0].memdev, "/objects/m1");
	assert_int_equal(m[0].addr, 4294967296);
	assert_int_equal(m[0].slot, 2);
	assert_true(m[0].hotplugged && m[0].hotpluggable);
	assert_int_equal(m[1].kind, QMP_MEMORY_VIRTIO_MEM);
	assert_int_equal(m[1].addr, 8589934592);
	assert_int_equal(m[1].size, 2097152);
	assert_int_equal(m[1].requested_size, 4194304);
	assert_int_equal(m[1].max_size, 1073741824);
	assert_int_equal(m[1].block_size, 2097152);
	assert_int_equal(m[1].slot, -1);
	assert_int_equal(m[2].kind, QMP_MEMORY_OTHER);
	free(m);
	json_object_put(v);
}

/* A slot's props are passed on as they came; a free slot has no path. */
static void test_when_slots_are_decoded_then_props_go_into_device_add_unchanged(void **state)
{
	struct json_object *v = object("[{\"type\": \"t\", \"vcpus-count\": 2, \"props\": "
				       "{\"socket-id\": 1, \"core-id\": 0, \"new-id\": \"x\"}}]");
	struct qmp_hotpluggable_cpu *cpus;
	struct json_object *args;
	size_t n;

	(void)state;
	assert_int_equal(qmp_decode_hotpluggable_cpus(v, NULL, &cpus, &n), 0);
	json_object_put(v);
	assert_int_equal(n, 1);
	assert_int_equal(cpus[0].vcpus_count, 2);
	assert_string_equal(cpus[0].qom_path, "");
	args = qmp_args_device_add(cpus[0].type, "ls-1-2", cpus[0].props);
	assert_string_equal(json_object_to_json_string_ext(args, JSON_C_TO_STRING_PLAIN),
			    "{\"driver\":\"t\",\"id\":\"ls-1-2\",\"socket-id\":1,\"core-id\":0,"
			    "\"new-id\":\"x\"}");
	json_object_put(args);
	qmp_hotpluggable_cpus_free(cpus, n);
}

/* A migration that never was, one under way, and one of a state nobody knows yet. */
static void test_when_a_migration_is_decoded_then_absent_means_none(void **state)
{
	struct json_object *none = object("{}"), *some = object(samples[4].sample),
			   *newer = object("{\"status\": \"teleporting\"}");
	struct qmp_migration_info m;

	(void)state;
	assert_int_equal(qmp_decode_migration(none, NULL, &m), 0);
	assert_int_equal(m.status, QMP_MIGRATION_NONE);
	assert_int_equal(m.total, 0);
	assert_int_equal(qmp_decode_migration(some, NULL, &m), 0);
	assert_int_equal(m.status, QMP_MIGRATION_ACTIVE);
	assert_int_equal(m.remaining, 2);
	assert_int_equal(m.dirty_syncs, 5);
	assert_int_equal(m.expected_ms, 300);
	assert_true(m.mbps == 6.5);
	assert_string_equal(m.error, "x");
	assert_int_equal(qmp_decode_migration(newer, NULL, &m), 0);
	assert_int_equal(m.status, QMP_MIGRATION_UNKNOWN);
	json_object_put(none);
	json_object_put(some);
	json_object_put(newer);
}

/* The words and the numbers of a migration's status are one to one. */
static void test_when_a_status_is_named_then_the_name_leads_back(void **state)
{
	(void)state;
	for (int s = 0; s < QMP_MIGRATION_STATUS_COUNT; s++)
		assert_int_equal(qmp_migration_status_from(qmp_migration_status_name(s)), s);
	assert_string_equal(qmp_migration_status_name(QMP_MIGRATION_STATUS_COUNT), "invalid");
}

/* A string that would not fit, and a list that is too long. */
static void test_when_a_reply_is_too_long_then_it_is_refused(void **state)
{
	struct json_object *list = json_object_new_array(), *row = object("{}");
	char id[QMP_ID_BYTES + 1];

	(void)state;
	memset(id, 'x', sizeof(id) - 1);
	id[QMP_ID_BYTES - 1] = '\0';
	json_object_object_add(row, "name", json_object_new_string(id));
	json_object_object_add(row, "type", json_object_new_string("t"));
	json_object_array_add(list, row);
	assert_int_equal(any_properties(list, NULL), 0);
	id[QMP_ID_BYTES - 1] = 'x';
	id[QMP_ID_BYTES] = '\0';
	json_object_object_add(row, "name", json_object_new_string(id));
	assert_int_equal(any_properties(list, NULL), -EPROTO);
	json_object_object_add(row, "name", json_object_new_string("n"));
	while (json_object_array_length(list) < QMP_PROPERTIES_MAX)
		json_object_array_add(list, json_object_get(row));
	assert_int_equal(any_properties(list, NULL), 0);
	json_object_array_add(list, json_object_get(row));
	assert_int_equal(any_properties(list, NULL), -EPROTO);
	json_object_put(list);
}

/* ---- what is sent ------------------------------------------------------ */

/* The arguments, as they go over the wire. */
static void test_when_arguments_are_built_then_they_read_as_qemu_wants_them(void **state)
{
	const struct qmp_capability caps[] = { { "return-path", true }, { "events", false } };
	const struct qmp_parameter params[] = { { "downtime-limit", 300 }, { "max-bandwidth", 0 } };
	const struct {
		struct json_object *args;
		const char *text;
	} rows[] = {
		{ qmp_args_device_add("pc-dimm", "d1", NULL),
		  "{\"driver\":\"pc-dimm\",\"id\":\"d1\"}" },
		{ qmp_args_id("cpu4"), "{\"id\":\"cpu4\"}" },
		{ qmp_args_object_add("memory-backend-memfd", "m1", NULL),
		  "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"m1\"}" },
		{ qmp_args_object_add_ram("m1", 134217728, false),
		  "{\"qom-type\":\"memory-backend-ram\",\"id\":\"m1\",\"size\":134217728}" },
		{ qmp_args_object_add_ram("m1", 1, true),
		  "{\"qom-type\":\"memory-backend-ram\",\"id\":\"m1\",\"size\":1,\"share\":true}" },
		{ qmp_args_object_add_secret("lockstep-claim", "h1 3"),
		  "{\"qom-type\":\"secret\",\"id\":\"lockstep-claim\",\"data\":\"h1 3\"}" },
		{ qmp_args_qom_list("/objects"), "{\"path\":\"\\/objects\"}" },
		{ qmp_args_qom_get("p", "size"), "{\"path\":\"p\",\"property\":\"size\"}" },
		{ qmp_args_qom_set_int("p", "requested-size", 5),
		  "{\"path\":\"p\",\"property\":\"requested-size\",\"value\":5}" },
		{ qmp_args_balloon(5), "{\"value\":5}" },
		{ qmp_args_uri("unix:x"), "{\"uri\":\"unix:x\"}" },
		{ qmp_args_migrate_continue("pre-switchover"), "{\"state\":\"pre-switchover\"}" },
		{ qmp_args_capabilities(caps, 2),
		  "{\"capabilities\":[{\"capability\":\"return-path\",\"state\":true},"
		  "{\"capability\":\"events\",\"state\":false}]}" },
		{ qmp_args_parameters(params, 2), "{\"downtime-limit\":300,\"max-bandwidth\":0}" },
		{ qmp_args_announce_self(50, 550, 5, 100),
		  "{\"initial\":50,\"max\":550,\"rounds\":5,\"step\":100}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_string_equal(
			json_object_to_json_string_ext(rows[i].args, JSON_C_TO_STRING_PLAIN),
			rows[i].text);
		json_object_put(rows[i].args);
	}
}

/* ---- the schema -------------------------------------------------------- */

#define SCHEMA                                                                                     \
	"[{\"name\": \"go\", \"meta-type\": \"command\", \"arg-type\": \"1\"}, "                   \
	"{\"name\": \"STOP\", \"meta-type\": \"event\", \"arg-type\": \"0\"}, "                    \
	"{\"name\": \"0\", \"meta-type\": \"object\", \"members\": []}, "                          \
	"{\"name\": \"1\", \"meta-type\": \"object\", \"members\": [{\"name\": \"list\", "         \
	"\"type\": \"[2]\"}]}, "                                                                   \
	"{\"name\": \"[2]\", \"meta-type\": \"array\", \"element-type\": \"2\"}, "                 \
	"{\"name\": \"2\", \"meta-type\": \"enum\", \"values\": [\"left\", 5, \"right\"]}, "       \
	"{\"name\": \"loop\", \"meta-type\": \"command\", \"arg-type\": \"[l]\"}, "                \
	"{\"name\": \"[l]\", \"meta-type\": \"array\", \"element-type\": \"[l]\"}, 7, null]"

/* A path leads through members and arrays to an enum's value, and ends with the schema. */
static void test_when_the_schema_is_asked_then_only_what_is_there_is_found(void **state)
{
	static const char *const there[] = { "go",	"STOP",		"loop",
					     "go/list", "go/list/left", "go/list/right" };
	static const char *const not_there[] = { "",
						 "/",
						 "stop",
						 "0",
						 "1",
						 "[2]",
						 "go/",
						 "go/none",
						 "go/list/",
						 "go/list/up",
						 "go/list/left/more",
						 "STOP/x",
						 "loop/x",
						 "go//list" };
	struct json_object *schema = object(SCHEMA);

	(void)state;
	for (size_t i = 0; i < COUNT(there); i++)
		if (!qmp_schema_has(schema, there[i]))
			fail_msg("%s was not found", there[i]);
	for (size_t i = 0; i < COUNT(not_there); i++)
		if (qmp_schema_has(schema, not_there[i]))
			fail_msg("%s was found", not_there[i]);
	assert_false(qmp_schema_has(NULL, "go"));
	json_object_put(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_any_member_has_another_type_then_it_is_named),
		test(test_when_the_whole_reply_has_another_type_then_it_is_refused),
		test(test_when_memory_devices_are_decoded_then_all_members_arrive),
		test(test_when_slots_are_decoded_then_props_go_into_device_add_unchanged),
		test(test_when_a_migration_is_decoded_then_absent_means_none),
		test(test_when_a_status_is_named_then_the_name_leads_back),
		test(test_when_a_reply_is_too_long_then_it_is_refused),
		test(test_when_arguments_are_built_then_they_read_as_qemu_wants_them),
		test(test_when_the_schema_is_asked_then_only_what_is_there_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
