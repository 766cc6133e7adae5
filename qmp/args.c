/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arguments of QEMU's commands.
 */
#include <qmp_commands.h>

#include <json-c/json.h>

#include <lockstep/cleanup.h>

/* Each add is a step: @obj becomes NULL with the first that fails, and stays it. */
static void add(struct json_object **obj, const char *key, struct json_object *value)
{
	if (*obj && value && json_object_object_add(*obj, key, value) == 0)
		return;
	json_object_put(value);
	json_object_put(ls_steal_ptr(obj));
}

static void add_str(struct json_object **obj, const char *key, const char *value)
{
	add(obj, key, json_object_new_string(value));
}

static void add_int(struct json_object **obj, const char *key, int64_t value)
{
	add(obj, key, json_object_new_int64(value));
}

static void add_bool(struct json_object **obj, const char *key, bool value)
{
	add(obj, key, json_object_new_boolean(value));
}

static struct json_object *made(const char *what, const char *type, const char *id,
				struct json_object *props)
{
	struct json_object *args = json_object_new_object();

	add_str(&args, what, type);
	add_str(&args, "id", id);
	if (!props)
		return args;
	json_object_object_foreach (props, key, value) {
		add(&args, key, json_object_get(value));
	}
	return args;
}

struct json_object *qmp_args_device_add(const char *driver, const char *id,
					struct json_object *props)
{
	return made("driver", driver, id, props);
}

struct json_object *qmp_args_object_add(const char *type, const char *id, struct json_object *props)
{
	return made("qom-type", type, id, props);
}

struct json_object *qmp_args_id(const char *id)
{
	struct json_object *args = json_object_new_object();

	add_str(&args, "id", id);
	return args;
}

struct json_object *qmp_args_object_add_ram(const char *id, int64_t size_bytes, bool share)
{
	struct json_object *args = json_object_new_object();

	add_str(&args, "qom-type", "memory-backend-ram");
	add_str(&args, "id", id);
	add_int(&args, "size", size_bytes);
	if (share)
		add_bool(&args, "share", true);
	return args;
}

struct json_object *qmp_args_object_add_secret(const char *id, const char *data)
{
	struct json_object *args = json_object_new_object();

	add_str(&args, "qom-type", "secret");
	add_str(&args, "id", id);
	add_str(&args, "data", data);
	return args;
}

struct json_object *qmp_args_qom_list(const char *path)
{
	struct json_object *args = json_object_new_object();

	add_str(&args, "path", path);
	return args;
}

struct json_object *qmp_args_qom_get(const char *path, const char *property)
{
	struct json_object *args = qmp_args_qom_list(path);

	add_str(&args, "property", property);
	return args;
}

struct json_object *qmp_args_qom_set_int(const char *path, const char *property, int64_t value)
{
	struct json_object *args = qmp_args_qom_get(path, property);

	add_int(&args, "value", value);
	return args;
}

struct json_object *qmp_args_balloon(int64_t bytes)
{
	struct json_object *args = json_object_new_object();

	add_int(&args, "value", bytes);
	return args;
}

struct json_object *qmp_args_uri(const char *uri)
{
	struct json_object *args = json_object_new_object();

	add_str(&args, "uri", uri);
	return args;
}

struct json_object *qmp_args_migrate_continue(const char *state)
{
	struct json_object *args = json_object_new_object();

	add_str(&args, "state", state);
	return args;
}

struct json_object *qmp_args_capabilities(const struct qmp_capability *list, size_t n)
{
	struct json_object *args = json_object_new_object(), *array = json_object_new_array();

	for (size_t i = 0; array && i < n; i++) {
		struct json_object *row = json_object_new_object();

		add_str(&row, "capability", list[i].name);
		add_bool(&row, "state", list[i].on);
		if (!row || json_object_array_add(array, row) < 0) {
			json_object_put(row);
			json_object_put(ls_steal_ptr(&array));
		}
	}
	add(&args, "capabilities", array);
	return args;
}

struct json_object *qmp_args_parameters(const struct qmp_parameter *list, size_t n)
{
	struct json_object *args = json_object_new_object();

	for (size_t i = 0; i < n; i++)
		add_int(&args, list[i].name, list[i].value);
	return args;
}

struct json_object *qmp_args_announce_self(int64_t initial_ms, int64_t max_ms, int64_t rounds,
					   int64_t step_ms)
{
	struct json_object *args = json_object_new_object();

	add_int(&args, "initial", initial_ms);
	add_int(&args, "max", max_ms);
	add_int(&args, "rounds", rounds);
	add_int(&args, "step", step_ms);
	return args;
}
