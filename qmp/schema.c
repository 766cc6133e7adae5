/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking query-qmp-schema what a QEMU knows.
 *
 * The schema is a flat list: {"name", "meta-type", ...}; members name their types,
 * which are other rows. A path is walked from a command's arguments through members,
 * over arrays, down to an enum's value.
 */
#include <qmp_commands.h>

#include <string.h>

#include <json-c/json.h>

#define WORD_BYTES 128
#define ARRAYS_MAX 8 /* nesting: a schema that points in a circle must end, too */

/* The row of this name, unless it is one of those that have no use in a path. */
static struct json_object *find_row(struct json_object *schema, const char *name)
{
	size_t n = json_object_array_length(schema);

	for (size_t i = 0; name && i < n && i < QMP_SCHEMA_TYPES_MAX; i++) {
		struct json_object *row = json_object_array_get_idx(schema, i);

		if (!strcmp(qmp_get_str(row, "name", ""), name))
			return row;
	}
	return NULL;
}

static bool is_meta(struct json_object *row, const char *meta)
{
	return row && !strcmp(qmp_get_str(row, "meta-type", ""), meta);
}

/* From an array to what it has in it. */
static struct json_object *element_of(struct json_object *schema, struct json_object *row)
{
	for (int i = 0; i < ARRAYS_MAX && is_meta(row, "array"); i++)
		row = find_row(schema, qmp_get_str(row, "element-type", NULL));
	return row;
}

static struct json_object *find_member(struct json_object *row, const char *name)
{
	struct json_object *list = qmp_get_array(row, "members");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *m = json_object_array_get_idx(list, i);

		if (!strcmp(qmp_get_str(m, "name", ""), name))
			return m;
	}
	return NULL;
}

static bool enum_has(struct json_object *row, const char *word)
{
	struct json_object *list = qmp_get_array(row, "values");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *v = json_object_array_get_idx(list, i);

		if (json_object_is_type(v, json_type_string) &&
		    !strcmp(json_object_get_string(v), word))
			return true;
	}
	return false;
}

/* Cut the next word off a path; false at its end, for a word too long, for a last '/'. */
static bool next_word(const char **path, char word[WORD_BYTES])
{
	size_t len = strcspn(*path, "/");

	if (!len || len >= WORD_BYTES)
		return false;
	memcpy(word, *path, len);
	word[len] = '\0';
	*path += len;
	if (**path == '/' && !*++*path)
		return false;
	return true;
}

bool qmp_schema_has(struct json_object *schema, const char *path)
{
	struct json_object *row, *member;
	char word[WORD_BYTES];

	if (!json_object_is_type(schema, json_type_array) || !next_word(&path, word))
		return false;
	row = find_row(schema, word);
	if (!is_meta(row, "command") && !is_meta(row, "event"))
		return false;
	row = find_row(schema, qmp_get_str(row, "arg-type", NULL));
	while (*path) {
		if (!next_word(&path, word))
			return false;
		row = element_of(schema, row);
		if (is_meta(row, "enum"))
			return !*path && enum_has(row, word);
		member = find_member(row, word);
		if (!member)
			return false;
		row = find_row(schema, qmp_get_str(member, "type", NULL));
	}
	return true;
}
