/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replies into structs, by table: a row says what a member must be and where it goes.
 */
#ifndef QMP_DECODE_H
#define QMP_DECODE_H

#include <stddef.h>

#include <qmp.h>

enum decode_into {
	INTO_BOOL,
	INTO_INT64,
	INTO_TEXT,   /* a char array; too long is an error */
	INTO_CUT,    /* a char array; made one line and cut to fit: for people */
	INTO_JSON,   /* struct json_object *, an own reference */
	INTO_DOUBLE, /* an integer does, too */
};

/**
 * struct decode_row - One member of a reply and its place
 * @field:  what it must be
 * @into:   how it is stored
 * @offset: where in the struct
 * @size:   of the place
 *
 * The place of an optional member that is absent is left alone.
 */
struct decode_row {
	struct qmp_field field;
	enum decode_into into;
	size_t offset, size;
};

#define DECODE_PLACE(s, m) offsetof(struct s, m), sizeof(((struct s *)0)->m)
#define DECODE_BOOL(s, m, key, opt)                                                                \
	{                                                                                          \
		{ key, QMP_BOOL, opt, 0, 0, 0, NULL }, INTO_BOOL, DECODE_PLACE(s, m)               \
	}
#define DECODE_INT(s, m, key, opt, least)                                                          \
	{                                                                                          \
		{ key, QMP_INT, opt, least, INT64_MAX, 0, NULL }, INTO_INT64, DECODE_PLACE(s, m)   \
	}
#define DECODE_TEXT(s, m, key, opt)                                                                \
	{                                                                                          \
		{ key, QMP_STRING, opt, 0, sizeof(((struct s *)0)->m) - 1, 0, NULL }, INTO_TEXT,   \
			DECODE_PLACE(s, m)                                                         \
	}
#define DECODE_CUT(s, m, key, opt)                                                                 \
	{                                                                                          \
		{ key, QMP_STRING, opt, 0, INT64_MAX, 0, NULL }, INTO_CUT, DECODE_PLACE(s, m)      \
	}
#define DECODE_OBJECT(s, m, key, opt)                                                              \
	{                                                                                          \
		{ key, QMP_OBJECT, opt, 0, 0, 0, NULL }, INTO_JSON, DECODE_PLACE(s, m)             \
	}
#define DECODE_DOUBLE(s, m, key, opt)                                                              \
	{                                                                                          \
		{ key, QMP_ANY, opt, 0, 0, 0, NULL }, INTO_DOUBLE, DECODE_PLACE(s, m)              \
	}

#define DECODE_N(rows) (sizeof(rows) / sizeof((rows)[0]))

/* One object into the struct at @to: 0 or -EPROTO. Stores nothing unless all is right. */
int decode_object(const struct decode_row *rows, size_t n, struct json_object *obj,
		  struct ls_err *err, void *to);

/* Gets one element of a list into zeroed memory: 0 or -errno. */
typedef int (*decode_fn)(struct json_object *element, struct ls_err *err, void *to);

/**
 * decode_list() - A whole list into a new array
 * @value:        the reply
 * @what:         the command, for the error
 * @max:          elements at most
 * @size:         of one
 * @fn:           for each
 * @ret:          the array, to be freed; never NULL on success
 * @ret_n:        its length; on failure: how many were decoded, with @ret set to them
 *                or NULL, for the caller to clean up
 */
int decode_list(struct json_object *value, const char *what, size_t max, size_t size, decode_fn fn,
		struct ls_err *err, void **ret, size_t *ret_n);

#endif
