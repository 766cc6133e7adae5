/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Members of objects: held against a table, or read with a default.
 */
#include <qmp.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <lockstep/cleanup.h>

static struct json_object *member(struct json_object *obj, const char *key)
{
	struct json_object *v = NULL;

	if (json_object_is_type(obj, json_type_object))
		json_object_object_get_ex(obj, key, &v);
	return v;
}

/* json-c cuts an integer above INT64_MAX down to it; such a one is no int64. */
static bool as_int64(struct json_object *v, int64_t *ret)
{
	if (!json_object_is_type(v, json_type_int))
		return false;
	*ret = json_object_get_int64(v);
	return *ret != INT64_MAX || json_object_get_uint64(v) == INT64_MAX;
}

/* ---- one member ------------------------------------------------------- */

typedef int (*check_fn)(const struct qmp_field *f, struct json_object *v, struct ls_err *err);

static int wrong_type(const struct qmp_field *f, struct json_object *v, const char *want,
		      struct ls_err *err)
{
	return ls_err_class(err, -EPROTO, QMP_CLASS_TYPE, "'%s' is %s, should be %s", f->name,
			    v ? json_type_to_name(json_object_get_type(v)) : "null", want);
}

static int check_bool(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	return json_object_is_type(v, json_type_boolean) ? 0 : wrong_type(f, v, "a boolean", err);
}

static int check_int(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	int64_t n;

	if (!json_object_is_type(v, json_type_int))
		return wrong_type(f, v, "an integer", err);
	if (as_int64(v, &n) && n >= f->lo && n <= f->hi)
		return 0;
	return ls_err_class(err, -EPROTO, QMP_CLASS_VALUE,
			    "'%s' is %s, should be %" PRId64 " to %" PRId64, f->name,
			    json_object_get_string(v), f->lo, f->hi);
}

static int check_string(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	int64_t len;

	if (!json_object_is_type(v, json_type_string))
		return wrong_type(f, v, "a string", err);
	len = json_object_get_string_len(v);
	if (memchr(json_object_get_string(v), '\0', len))
		return ls_err_class(err, -EPROTO, QMP_CLASS_VALUE, "'%s' has a NUL inside",
				    f->name);
	if (len >= f->lo && len <= f->hi)
		return 0;
	return ls_err_class(err, -EPROTO, QMP_CLASS_VALUE,
			    "'%s' is %" PRId64 " bytes long, should be %" PRId64 " to %" PRId64,
			    f->name, len, f->lo, f->hi);
}

static int check_array(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	if (!json_object_is_type(v, json_type_array))
		return wrong_type(f, v, "an array", err);
	if (json_object_array_length(v) <= f->count)
		return 0;
	return ls_err_class(err, -EPROTO, QMP_CLASS_VALUE,
			    "'%s' has %zu elements, should have at most %u", f->name,
			    json_object_array_length(v), f->count);
}

static int compare_int64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int check_distinct(const struct qmp_field *f, int64_t *n, size_t len, struct ls_err *err)
{
	qsort(n, len, sizeof(*n), compare_int64);
	for (size_t i = 1; i < len; i++)
		if (n[i] == n[i - 1])
			return ls_err_class(err, -EPROTO, QMP_CLASS_TWICE,
					    "'%s' has %" PRId64 " twice", f->name, n[i]);
	return 0;
}

/* Of an element that is no integer of the range. */
static const char *int_class(struct json_object *v)
{
	return json_object_is_type(v, json_type_int) ? QMP_CLASS_VALUE : QMP_CLASS_TYPE;
}

static int check_ints(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	ls_autofree int64_t *n = NULL;
	size_t len;

	if (check_array(f, v, err) < 0)
		return -EPROTO;
	len = json_object_array_length(v);
	n = calloc(len + 1, sizeof(*n));
	if (!n)
		return ls_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < len; i++) {
		struct json_object *e = json_object_array_get_idx(v, i);

		if (!as_int64(e, &n[i]) || n[i] < f->lo || n[i] > f->hi)
			return ls_err_class(err, -EPROTO, int_class(e),
					    "'%s'[%zu] should be an integer %" PRId64
					    " to %" PRId64,
					    f->name, i, f->lo, f->hi);
	}
	return check_distinct(f, n, len, err);
}

static int check_object(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	return json_object_is_type(v, json_type_object) ? 0 : wrong_type(f, v, "an object", err);
}

static int check_objects(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	if (check_array(f, v, err) < 0)
		return -EPROTO;
	for (size_t i = 0; i < json_object_array_length(v); i++)
		if (!json_object_is_type(json_object_array_get_idx(v, i), json_type_object))
			return ls_err_class(err, -EPROTO, QMP_CLASS_TYPE,
					    "'%s'[%zu] should be an object", f->name, i);
	return 0;
}

static int check_any(const struct qmp_field *f, struct json_object *v, struct ls_err *err)
{
	(void)f, (void)v, (void)err;
	return 0;
}

static const check_fn checks[] = {
	[QMP_BOOL] = check_bool, [QMP_INT] = check_int,	      [QMP_STRING] = check_string,
	[QMP_INTS] = check_ints, [QMP_OBJECT] = check_object, [QMP_OBJECTS] = check_objects,
	[QMP_ANY] = check_any,
};
_Static_assert(sizeof(checks) / sizeof(checks[0]) == QMP_TYPE_COUNT, "one per type");

/* ---- a whole object --------------------------------------------------- */

static int check_unknown(const struct qmp_field *fields, size_t n, struct json_object *obj,
			 struct ls_err *err)
{
	json_object_object_foreach (obj, key, v) {
		size_t i = 0;

		(void)v;
		while (i < n && strcmp(fields[i].name, key))
			i++;
		if (i == n)
			return ls_err_class(err, -EPROTO, QMP_CLASS_UNEXPECTED,
					    "'%.64s' is unexpected", key);
	}
	return 0;
}

int qmp_fields_check(const struct qmp_field *fields, size_t n, bool closed, struct json_object *obj,
		     struct ls_err *err)
{
	int r = 0;

	if (obj && !json_object_is_type(obj, json_type_object))
		return ls_err_class(err, -EPROTO, QMP_CLASS_TYPE, "is %s, should be an object",
				    json_type_to_name(json_object_get_type(obj)));
	for (size_t i = 0; i < n && !r; i++) {
		struct json_object *v;

		if (obj && json_object_object_get_ex(obj, fields[i].name, &v))
			r = checks[fields[i].type](&fields[i], v, err);
		else if (!fields[i].optional)
			r = ls_err_class(err, -EPROTO, QMP_CLASS_MISSING, "'%s' is missing",
					 fields[i].name);
	}
	if (!r && closed && obj)
		r = check_unknown(fields, n, obj, err);
	return r;
}

/* ---- reading ---------------------------------------------------------- */

bool qmp_get_bool(struct json_object *obj, const char *key, bool otherwise)
{
	struct json_object *v = member(obj, key);

	return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : otherwise;
}

int64_t qmp_get_int(struct json_object *obj, const char *key, int64_t otherwise)
{
	int64_t n;

	return as_int64(member(obj, key), &n) ? n : otherwise;
}

const char *qmp_get_str(struct json_object *obj, const char *key, const char *otherwise)
{
	struct json_object *v = member(obj, key);

	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : otherwise;
}

struct json_object *qmp_get_obj(struct json_object *obj, const char *key)
{
	struct json_object *v = member(obj, key);

	return json_object_is_type(v, json_type_object) ? v : NULL;
}

struct json_object *qmp_get_array(struct json_object *obj, const char *key)
{
	struct json_object *v = member(obj, key);

	return json_object_is_type(v, json_type_array) ? v : NULL;
}
