/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Field tables: every type against every value, ranges, counts, names in errors.
 */
#include "qmp_fixture.h"

#include <inttypes.h>

/* One value of each kind that JSON has, and what may be wrong with the odd ones. */
static const char *const values[] = {
	"true",
	"0",
	"5",
	"-5",
	"1.0",
	"1e2",
	"\"\"",
	"\"abc\"",
	"\"a\\u0000b\"",
	"[]",
	"[1,2]",
	"[1,1]",
	"[1,\"2\"]",
	"[{}]",
	"[{},1]",
	"{}",
	"null",
	"9223372036854775807",
	"9223372036854775808",
	"[9223372036854775808]",
	"[1.0]",
};

/* Which of them a field { lo = 0, hi = 100, count = 4 } of each type takes. */
static const struct {
	enum qmp_type type;
	const char *takes;
} types[] = {
	{ QMP_BOOL, " true " },	    { QMP_INT, " 0 5 " },   { QMP_STRING, " \"\" \"abc\" " },
	{ QMP_INTS, " [] [1,2] " }, { QMP_OBJECT, " {} " }, { QMP_OBJECTS, " [] [{}] " },
	{ QMP_ANY, NULL },
};

static bool takes(size_t type, const char *value)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", value);
	return !types[type].takes || strstr(types[type].takes, word);
}

static int check(const struct qmp_field *f, const char *value, struct ls_err *err)
{
	struct json_object *obj;
	char text[128];
	int r;

	snprintf(text, sizeof(text), "{\"field\": %s}", value);
	obj = object(text);
	r = qmp_fields_check(f, 1, true, obj, err);
	json_object_put(obj);
	return r;
}

/* Every type against every kind of value; a refusal names the field. */
static void test_when_a_value_is_of_another_type_then_the_field_is_named(void **state)
{
	(void)state;
	_Static_assert(COUNT(types) == QMP_TYPE_COUNT, "one row per type");
	for (size_t t = 0; t < COUNT(types); t++)
		for (size_t v = 0; v < COUNT(values); v++) {
			struct qmp_field f = { "field", types[t].type, false, 0, 100, 4, "" };
			struct ls_err err = { 0 };
			int r = check(&f, values[v], &err);

			if ((r == 0) != takes(t, values[v]))
				fail_msg("type %zu, value %s: %d %s", t, values[v], r, err.text);
			assert_true(r == 0 || (r == -EPROTO && strstr(err.text, "'field'")));
		}
}

/* The ends of a range are inside of it, one beyond is not. */
static void test_when_a_value_is_at_its_limit_then_one_more_is_refused(void **state)
{
	static const struct {
		enum qmp_type type;
		const char *fits, *over;
	} rows[] = {
		{ QMP_INT, "2", "1" },
		{ QMP_INT, "4", "5" },
		{ QMP_STRING, "\"ab\"", "\"a\"" },
		{ QMP_STRING, "\"abcd\"", "\"abcde\"" },
		{ QMP_INTS, "[2,3,4]", "[1]" },
		{ QMP_INTS, "[]", "[2,5]" },
		{ QMP_INTS, "[4,3,2]", "[2,3,4,2]" },
		{ QMP_OBJECTS, "[{},{},{}]", "[{},{},{},{}]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct qmp_field f = { "field", rows[i].type, false, 2, 4, 3, "" };

		assert_int_equal(check(&f, rows[i].fits, NULL), 0);
		assert_int_equal(check(&f, rows[i].over, NULL), -EPROTO);
	}
}

/* INT64_MAX is one, and what json-c would cut down to it is not. */
static void test_when_an_integer_is_beyond_int64_then_it_is_not_cut(void **state)
{
	struct qmp_field f = { "field", QMP_INT, false, 0, INT64_MAX, 0, "" };
	struct json_object *obj =
		object("{\"a\": 9223372036854775808, \"b\": 9223372036854775807}");

	(void)state;
	assert_int_equal(check(&f, "9223372036854775807", NULL), 0);
	assert_int_equal(check(&f, "9223372036854775808", NULL), -EPROTO);
	assert_int_equal(qmp_get_int(obj, "a", -7), -7);
	assert_int_equal(qmp_get_int(obj, "b", -7), INT64_MAX);
	json_object_put(obj);
}

/* Missing, unknown and optional members; no object at all. */
static void test_when_members_are_missing_or_unknown_then_the_table_decides(void **state)
{
	static const struct qmp_field f[] = {
		{ "must", QMP_INT, false, 0, 9, 0, "" },
		{ "may", QMP_INT, true, 0, 9, 0, "" },
	};
	static const struct {
		const char *obj;
		int closed, open;
		const char *names;
	} rows[] = {
		{ "{\"must\": 1}", 0, 0, "" },
		{ "{\"must\": 1, \"may\": 2}", 0, 0, "" },
		{ "{\"may\": 2}", -EPROTO, -EPROTO, "'must' is missing" },
		{ "{\"must\": 1, \"may\": null}", -EPROTO, -EPROTO, "'may' is null" },
		{ "{\"must\": 1, \"more\": 2}", -EPROTO, 0, "'more' is unexpected" },
		{ "{}", -EPROTO, -EPROTO, "'must' is missing" },
		{ "[1]", -EPROTO, -EPROTO, "should be an object" },
		{ "null", -EPROTO, -EPROTO, "'must' is missing" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct json_object *obj = object(rows[i].obj);
		struct ls_err err = { 0 };

		assert_int_equal(qmp_fields_check(f, 2, false, obj, &err), rows[i].open);
		assert_int_equal(qmp_fields_check(f, 2, true, obj, &err), rows[i].closed);
		assert_non_null(strstr(err.text, rows[i].names));
		json_object_put(obj);
	}
	assert_int_equal(qmp_fields_check(NULL, 0, true, NULL, NULL), 0);
}

/* Reading gives what is there, and the default for anything else. */
static void test_when_a_member_has_another_type_then_the_default_is_read(void **state)
{
	struct json_object *obj =
		object("{\"b\": true, \"i\": 3, \"s\": \"x\", \"o\": {}, \"a\": [], "
		       "\"n\": null, \"d\": 1.5}");
	static const char *const keys[] = { "b", "i", "s", "o", "a", "n", "d", "none" };

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		const char *k = keys[i];

		assert_int_equal(qmp_get_bool(obj, k, false), *k == 'b');
		assert_int_equal(qmp_get_int(obj, k, -1), *k == 'i' ? 3 : -1);
		assert_string_equal(qmp_get_str(obj, k, "-"), *k == 's' ? "x" : "-");
		assert_int_equal(qmp_get_obj(obj, k) != NULL, *k == 'o');
		assert_int_equal(qmp_get_array(obj, k) != NULL, *k == 'a');
		assert_int_equal(qmp_get_int(NULL, k, -1), -1);
	}
	json_object_put(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_when_a_value_is_of_another_type_then_the_field_is_named),
		test(test_when_a_value_is_at_its_limit_then_one_more_is_refused),
		test(test_when_an_integer_is_beyond_int64_then_it_is_not_cut),
		test(test_when_members_are_missing_or_unknown_then_the_table_decides),
		test(test_when_a_member_has_another_type_then_the_default_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
