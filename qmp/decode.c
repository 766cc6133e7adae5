/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replies into structs, by table.
 */
#include "decode.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

static bool is_number(struct json_object *v)
{
	return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
}

static int check_double(const struct decode_row *row, struct json_object *obj, struct ls_err *err)
{
	struct json_object *v;

	if (row->into != INTO_DOUBLE || !json_object_object_get_ex(obj, row->field.name, &v) ||
	    is_number(v))
		return 0;
	return ls_err_set(err, -EPROTO, "'%s' is %s, should be a number", row->field.name,
			  v ? json_type_to_name(json_object_get_type(v)) : "null");
}

static void store_cut(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	for (; *to; to++)
		if ((unsigned char)*to < ' ' || *to == 0x7F)
			*to = ' ';
}

static void store(const struct decode_row *row, struct json_object *v, void *to)
{
	switch (row->into) {
	case INTO_BOOL:
		*(bool *)to = json_object_get_boolean(v);
		break;
	case INTO_INT64:
		*(int64_t *)to = json_object_get_int64(v);
		break;
	case INTO_TEXT:
	case INTO_CUT:
		store_cut(to, row->size, json_object_get_string(v));
		break;
	case INTO_JSON:
		*(struct json_object **)to = json_object_get(v);
		break;
	case INTO_DOUBLE:
		*(double *)to = json_object_get_double(v);
		break;
	}
}

int decode_object(const struct decode_row *rows, size_t n, struct json_object *obj,
		  struct ls_err *err, void *to)
{
	struct json_object *v;
	int r = 0;

	if (!obj)
		return ls_err_set(err, -EPROTO, "is null, should be an object");
	for (size_t i = 0; i < n && !r; i++) {
		r = qmp_fields_check(&rows[i].field, 1, false, obj, err);
		if (!r)
			r = check_double(&rows[i], obj, err);
	}
	for (size_t i = 0; i < n && !r; i++)
		if (json_object_object_get_ex(obj, rows[i].field.name, &v))
			store(&rows[i], v, (char *)to + rows[i].offset);
	return r;
}

int decode_list(struct json_object *value, const char *what, size_t max, size_t size, decode_fn fn,
		struct ls_err *err, void **ret, size_t *ret_n)
{
	size_t n;
	int r = 0;

	*ret = NULL;
	*ret_n = 0;
	if (!json_object_is_type(value, json_type_array))
		return ls_err_set(err, -EPROTO, "%s: the reply is no array", what);
	n = json_object_array_length(value);
	if (n > max)
		return ls_err_set(err, -EPROTO, "%s: %zu elements, should be at most %zu", what, n,
				  max);
	*ret = calloc(n + 1, size);
	if (!*ret)
		return ls_err_set(err, -ENOMEM, "%s: out of memory", what);
	for (size_t i = 0; i < n && !r; i++) {
		r = fn(json_object_array_get_idx(value, i), err, (char *)*ret + i * size);
		if (r < 0)
			ls_err_prefix(err, "%s[%zu]", what, i);
		else
			(*ret_n)++;
	}
	return r;
}
