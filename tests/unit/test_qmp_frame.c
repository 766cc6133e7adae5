/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scanner and the framer: what is JSON and what is not, in any chunking.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <qmp.h>

#include "qmp_texts.h"

#define OUTCOMES_MAX 16
#define VALUE_BYTES  1024

/**
 * struct outcomes - What came out of a framer
 * @code:  return values of qmp_framer_next(), without the zeros
 * @value: the last value, printed
 */
struct outcomes {
	int code[OUTCOMES_MAX];
	unsigned n;
	char value[VALUE_BYTES];
};

static void print_value(struct json_object *v, char text[VALUE_BYTES])
{
	snprintf(text, VALUE_BYTES, "%s",
		 json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN));
}

static void drain(struct qmp_framer *f, struct outcomes *o)
{
	struct json_object *v = NULL;
	struct ls_err err = { 0 };
	int r;

	while ((r = qmp_framer_next(f, &err, &v)) != 0) {
		assert_true(o->n < OUTCOMES_MAX);
		assert_true(r > 0 || (err.code == r && err.text[0]));
		o->code[o->n++] = r;
		if (r == 1)
			print_value(v, o->value);
		json_object_put(v);
		v = NULL;
	}
}

static void feed(struct qmp_framer *f, const char *bytes, size_t len, struct outcomes *o)
{
	assert_int_equal(qmp_framer_feed(f, bytes, len), 0);
	drain(f, o);
}

static void feed_str(struct qmp_framer *f, const char *bytes, struct outcomes *o)
{
	feed(f, bytes, strlen(bytes), o);
}

/* The bytes in two parts, then a newline, which ends a number and any damage. */
static void run_split(const struct text *t, size_t at, struct outcomes *o)
{
	struct qmp_framer *f = qmp_framer_new(NULL);

	memset(o, 0, sizeof(*o));
	feed(f, t->bytes, at, o);
	feed(f, t->bytes + at, t->len - at, o);
	feed(f, "\n", 1, o);
	qmp_framer_free(f);
}

static bool one_value(const struct outcomes *o)
{
	return o->n == 1 && o->code[0] == 1;
}

static unsigned count_kind(enum text_kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < TEXTS_COUNT; i++)
		n += texts[i].kind == kind;
	return n;
}

/* Every text is taken or refused by qmp_parse() as its row says. */
static void test_when_a_text_is_parsed_then_the_verdict_is_the_table_s(void **state)
{
	(void)state;
	for (size_t i = 0; i < TEXTS_COUNT; i++) {
		struct json_object *v = NULL;
		struct ls_err err = { 0 };
		int r = qmp_parse(texts[i].bytes, texts[i].len, NULL, &err, &v);

		json_object_put(v);
		if ((r == 0) != texts[i].accepted)
			fail_msg("%s: %s", texts[i].name, r ? err.text : "was accepted");
		assert_true(r == 0 || err.code == r);
	}
	print_message("# texts: %u well-formed accepted, %u malformed refused, %u defined by us\n",
		      count_kind(WELL_FORMED), count_kind(MALFORMED), count_kind(DEFINED_BY_US));
}

/* A text cut in two anywhere gives what it gives in one piece. */
static void test_when_a_text_is_split_anywhere_then_the_verdict_is_the_same(void **state)
{
	struct outcomes whole, split;
	unsigned splits = 0;

	(void)state;
	for (size_t i = 0; i < TEXTS_COUNT; i++) {
		run_split(&texts[i], texts[i].len, &whole);
		if (one_value(&whole) != texts[i].accepted)
			fail_msg("%s: framed as %u outcomes", texts[i].name, whole.n);
		for (size_t at = 0; at < texts[i].len; at++, splits++) {
			run_split(&texts[i], at, &split);
			if (memcmp(&whole, &split, sizeof(whole)))
				fail_msg("%s: differs when cut at %zu", texts[i].name, at);
		}
	}
	print_message("# splits tried: %u\n", splits);
}

/* The framer's value is the one that qmp_parse() gives. */
static void test_when_a_text_is_framed_then_its_value_is_the_parsed_one(void **state)
{
	char parsed[VALUE_BYTES];
	struct outcomes o;

	(void)state;
	for (size_t i = 0; i < TEXTS_COUNT; i++) {
		struct json_object *v = NULL;

		if (!texts[i].accepted)
			continue;
		assert_int_equal(qmp_parse(texts[i].bytes, texts[i].len, NULL, NULL, &v), 0);
		print_value(v, parsed);
		json_object_put(v);
		run_split(&texts[i], texts[i].len / 2, &o);
		assert_string_equal(parsed, o.value);
	}
}

/* Byte by byte, all texts that are accepted in one stream: as many values come out. */
static void test_when_values_follow_each_other_byte_by_byte_then_all_come(void **state)
{
	struct qmp_framer *f = qmp_framer_new(NULL);
	unsigned expected = 0, got = 0;

	(void)state;
	for (size_t i = 0; i < TEXTS_COUNT; i++) {
		struct outcomes o = { 0 };

		if (!texts[i].accepted)
			continue;
		for (size_t at = 0; at < texts[i].len; at++)
			feed(f, texts[i].bytes + at, 1, &o);
		feed_str(f, "\n", &o);
		expected++;
		got += one_value(&o);
	}
	qmp_framer_free(f);
	assert_int_equal(got, expected);
}

/* What json-c makes of the values that are easy to get wrong. */
static void test_when_a_value_is_special_then_it_arrives_unchanged(void **state)
{
	static const char *const same[][2] = {
		{ "18446744073709551615", "18446744073709551615" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "\"a\\u0000b\"", "\"a\\u0000b\"" },
		{ "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
		{ "{\"a\":1,\"a\":2}", "{\"a\":2}" },
		{ "null", "null" },
	};
	char text[VALUE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct json_object *v = NULL;

		assert_int_equal(qmp_parse(same[i][0], strlen(same[i][0]), NULL, NULL, &v), 0);
		print_value(v, text);
		json_object_put(v);
		assert_string_equal(text, same[i][1]);
	}
}

/* Messages that share a line, or have none, are told apart. */
static void test_when_values_share_a_line_then_each_is_found(void **state)
{
	struct qmp_framer *f = qmp_framer_new(NULL);
	struct outcomes o = { 0 };

	(void)state;
	feed_str(f, "{\"a\":1}{\"b\":2}[]\"s\"", &o);
	assert_int_equal(o.n, 4);
	assert_string_equal(o.value, "\"s\"");
	qmp_framer_free(f);
}

/* 0xFF throws away what was begun, and is told. */
static void test_when_a_sentinel_comes_then_the_framer_starts_again(void **state)
{
	struct qmp_framer *f = qmp_framer_new(NULL);
	struct outcomes o = { 0 };

	(void)state;
	feed_str(f, "{\"half\": [1, \xFF{\"return\": 5}", &o);
	assert_int_equal(o.n, 2);
	assert_int_equal(o.code[0], 2);
	assert_int_equal(o.code[1], 1);
	assert_string_equal(o.value, "{\"return\":5}");
	qmp_framer_free(f);
}

/* Half a string before the sentinel: an error, the sentinel, and the session goes on. */
static void test_when_a_sentinel_comes_inside_a_string_then_nothing_behind_it_is_lost(void **state)
{
	struct qmp_framer *f = qmp_framer_new(NULL);
	struct outcomes o = { 0 };

	(void)state;
	feed_str(f, "{\"half\": \"str\xFF{\"return\": 5}\n", &o);
	assert_int_equal(o.n, 3);
	assert_int_equal(o.code[0], -EPROTO);
	assert_int_equal(o.code[1], 2);
	assert_int_equal(o.code[2], 1);
	qmp_framer_free(f);
}

/*
 * A half line that ends within a string shows its damage by the very byte that ends it:
 * the newline, or the 0xFF of the next client's sync. What follows must not be lost.
 */
static void test_when_damage_ends_where_it_shows_then_the_rest_is_read(void **state)
{
	static const char *const halves[] = { "{\"execute\": \"gue\n{\"id\": 7}\n",
					      "{\"execute\": \"gue\xFF{\"id\": 7}\n" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct qmp_framer *f = qmp_framer_new(NULL);
		struct json_object *o = NULL;
		int r;

		assert_int_equal(qmp_framer_feed(f, halves[i], strlen(halves[i])), 0);
		assert_int_equal(qmp_framer_next(f, NULL, &o), -EPROTO);
		while ((r = qmp_framer_next(f, NULL, &o)) == 2)
			;
		assert_int_equal(r, 1);
		assert_int_equal(qmp_get_int(o, "id", 0), 7);
		json_object_put(o);
		qmp_framer_free(f);
	}
}

/* After damage everything up to the end of its line is dropped, once, and no more. */
static void test_when_a_line_is_damaged_then_the_next_one_is_read(void **state)
{
	struct qmp_framer *f = qmp_framer_new(NULL);
	struct outcomes o = { 0 };

	(void)state;
	feed_str(f, "{'a': 1} {\"b\": 2} x y z\n{\"c\": 3}", &o);
	assert_int_equal(o.n, 2);
	assert_int_equal(o.code[0], -EPROTO);
	assert_int_equal(o.code[1], 1);
	assert_string_equal(o.value, "{\"c\":3}");
	qmp_framer_free(f);
}

/* One byte, level or value over a limit is refused; exactly the limit is not. */
static void test_when_a_value_meets_a_limit_then_one_more_is_refused(void **state)
{
	static const struct {
		struct qmp_limits limits;
		const char *fits, *over;
	} rows[] = {
		{ { .bytes = 10 }, "[1,2,3,45]", "[1,2,3,456]" },
		{ { .bytes = 10 }, "\"12345678\"", "\"123456789\"" },
		{ { .bytes = 4 }, "1234", "12345" },
		{ { .depth = 2 }, "[{}]", "[{\"a\":[]}]" },
		{ { .depth = 1 }, "{}", "[[]]" },
		{ { .tokens = 4 }, "[1,2]", "[1,2,3]" },
		{ { .tokens = 4 }, "{\"a\":1}", "{\"a\":{}}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_object *v = NULL;
		struct ls_err err = { 0 };

		assert_int_equal(
			qmp_parse(rows[i].fits, strlen(rows[i].fits), &rows[i].limits, &err, &v),
			0);
		json_object_put(v);
		assert_int_equal(
			qmp_parse(rows[i].over, strlen(rows[i].over), &rows[i].limits, &err, &v),
			-EMSGSIZE);
		assert_int_equal(err.code, -EMSGSIZE);
	}
}

/* A message without an end is refused at its limit, its rest costs no memory, and the next line
 * counts. */
static void test_when_a_message_never_ends_then_it_is_dropped_at_the_limit(void **state)
{
	const struct qmp_limits limits = { .bytes = 1000 };
	struct qmp_framer *f = qmp_framer_new(&limits);
	struct outcomes o = { 0 };
	char dull[512];

	(void)state;
	memset(dull, 'x', sizeof(dull));
	feed_str(f, "\"", &o);
	for (int i = 0; i < 10000; i++)
		feed(f, dull, sizeof(dull), &o);
	feed_str(f, "\"\n[1]", &o);
	assert_int_equal(o.n, 2);
	assert_int_equal(o.code[0], -EMSGSIZE);
	assert_int_equal(o.code[1], 1);
	qmp_framer_free(f);
}

/* Feeding without fetching comes to an end, too. */
static void test_when_nobody_fetches_then_feeding_is_refused(void **state)
{
	const struct qmp_limits limits = { .bytes = 1000 };
	struct qmp_framer *f = qmp_framer_new(&limits);
	int i, r = 0;

	(void)state;
	for (i = 0; i < 1000 && !r; i++)
		r = qmp_framer_feed(f, "[1,2,3,4]\n", 10);
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(i, 100, 103);
	qmp_framer_free(f);
}

/* A JSON null is a value, although it is a NULL pointer. */
static void test_when_null_comes_then_it_counts_as_a_value(void **state)
{
	struct qmp_framer *f = qmp_framer_new(NULL);
	struct json_object *v = (void *)&f;

	(void)state;
	assert_int_equal(qmp_framer_feed(f, "null", 4), 0);
	assert_int_equal(qmp_framer_next(f, NULL, &v), 1);
	assert_null(v);
	qmp_framer_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_a_text_is_parsed_then_the_verdict_is_the_table_s),
		cmocka_unit_test(test_when_a_text_is_split_anywhere_then_the_verdict_is_the_same),
		cmocka_unit_test(test_when_a_text_is_framed_then_its_value_is_the_parsed_one),
		cmocka_unit_test(test_when_values_follow_each_other_byte_by_byte_then_all_come),
		cmocka_unit_test(test_when_a_value_is_special_then_it_arrives_unchanged),
		cmocka_unit_test(test_when_values_share_a_line_then_each_is_found),
		cmocka_unit_test(test_when_a_sentinel_comes_then_the_framer_starts_again),
		cmocka_unit_test(
			test_when_a_sentinel_comes_inside_a_string_then_nothing_behind_it_is_lost),
		cmocka_unit_test(test_when_damage_ends_where_it_shows_then_the_rest_is_read),
		cmocka_unit_test(test_when_a_line_is_damaged_then_the_next_one_is_read),
		cmocka_unit_test(test_when_a_value_meets_a_limit_then_one_more_is_refused),
		cmocka_unit_test(test_when_a_message_never_ends_then_it_is_dropped_at_the_limit),
		cmocka_unit_test(test_when_nobody_fetches_then_feeding_is_refused),
		cmocka_unit_test(test_when_null_comes_then_it_counts_as_a_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
