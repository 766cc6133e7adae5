/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The framer: cuts a stream of bytes into whole JSON values and parses them.
 *
 * The scanner says where a value ends and that it is JSON; json-c then builds the
 * object. So an error of json-c can only be a lack of memory. After damage the
 * framer skips up to the next newline or sentinel, both of which a peer may use to
 * find its place again.
 */
#include "frame.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "buf.h"
#include "scan.h"

#define SENTINEL 0xFF

/**
 * struct qmp_framer - Bytes not handed out yet, and how far they were looked at
 * @in:          the bytes; the first one begins a value, or blanks before it
 * @seen:        bytes of @in that @scan has used
 * @scan:        the scanner
 * @tok:         json-c's parser, reused
 * @skipping:    after damage: drop up to a newline or sentinel
 * @value_bytes: length of the last value
 */
struct qmp_framer {
	struct buf in;
	size_t seen;
	struct scan scan;
	struct json_tokener *tok;
	bool skipping;
	size_t value_bytes;
};

/* json-c turns 1e999 into infinity, which cannot be said in JSON. */
static bool all_finite(struct json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_double:
		return isfinite(json_object_get_double(v));
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(v); i++)
			if (!all_finite(json_object_array_get_idx(v, i)))
				return false;
		return true;
	case json_type_object: {
		json_object_object_foreach (v, key, member) {
			(void)key;
			if (!all_finite(member))
				return false;
		}
		return true;
	}
	default:
		return true;
	}
}

/* Text that the scanner has accepted becomes an object. */
static int parse_scanned(struct json_tokener *tok, const struct scan *scan, const char *text,
			 size_t len, struct ls_err *err, struct json_object **ret_value)
{
	struct json_object *v;

	json_tokener_reset(tok);
	v = json_tokener_parse_ex(tok, text, len);
	if (json_tokener_get_error(tok) == json_tokener_continue)
		v = json_tokener_parse_ex(tok, "", 1); /* a number's end is a byte behind it */
	if (json_tokener_get_error(tok) != json_tokener_success)
		return ls_err_set(err, -ENOMEM, "out of memory while parsing JSON (%s)",
				  json_tokener_error_desc(json_tokener_get_error(tok)));
	if (scan->huge && !all_finite(v)) {
		json_object_put(v);
		return ls_err_set(err, -EPROTO, "not JSON we can hold: a number beyond a double");
	}
	*ret_value = v;
	return 0;
}

static int scan_error(const struct scan *scan, enum scan_result r, struct ls_err *err)
{
	if (r == SCAN_BIG)
		return ls_err_set(
			err, -EMSGSIZE, "byte %zu: %s (limits: %zu bytes, depth %u, %u values)",
			scan->bytes, scan->why, scan->max.bytes, scan->max.depth, scan->max.tokens);
	return ls_err_set(err, -EPROTO, "not JSON: byte %zu: %s", scan->bytes, scan->why);
}

static struct json_tokener *tokener_new(const struct scan *scan)
{
	return json_tokener_new_ex(scan->max.depth + 2); /* json-c counts scalars, too */
}

struct qmp_framer *qmp_framer_new(const struct qmp_limits *limits)
{
	struct qmp_framer *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	scan_init(&f->scan, limits);
	f->tok = tokener_new(&f->scan);
	if (!f->tok) {
		free(f);
		return NULL;
	}
	return f;
}

void qmp_framer_free(struct qmp_framer *f)
{
	if (!f)
		return;
	json_tokener_free(f->tok);
	buf_done(&f->in);
	free(f);
}

static void framer_take(struct qmp_framer *f, size_t len)
{
	buf_take(&f->in, len);
	f->seen = 0;
	scan_reset(&f->scan);
}

static bool ends_damage(char c)
{
	return c == '\n' || (unsigned char)c == SENTINEL;
}

/* After damage: drop bytes; true when the end of the damage was found. */
static bool framer_skip(struct qmp_framer *f)
{
	const char *head = buf_head(&f->in);
	size_t len = buf_len(&f->in), i = 0;

	while (i < len && !ends_damage(head[i]))
		i++;
	f->skipping = i == len;
	framer_take(f, i);
	return !f->skipping;
}

char *framer_reserve(struct qmp_framer *f, size_t len)
{
	if (f->skipping && buf_len(&f->in))
		framer_skip(f);
	return buf_reserve(&f->in, len);
}

void framer_added(struct qmp_framer *f, size_t len)
{
	buf_added(&f->in, len);
}

size_t framer_value_bytes(const struct qmp_framer *f)
{
	return f->value_bytes;
}

bool framer_has_unseen(const struct qmp_framer *f)
{
	return buf_len(&f->in) > f->seen;
}

int qmp_framer_feed(struct qmp_framer *f, const void *buf, size_t len)
{
	char *room;

	if (!len)
		return 0;
	if (framer_has_unseen(f) && buf_len(&f->in) > f->scan.max.bytes)
		return -ENOBUFS;
	room = framer_reserve(f, len);
	if (!room)
		return -ENOMEM;
	memcpy(room, buf, len);
	framer_added(f, len);
	return 0;
}

static int framer_value(struct qmp_framer *f, struct ls_err *err, struct json_object **ret_value)
{
	int r = parse_scanned(f->tok, &f->scan, buf_head(&f->in), f->seen, err, ret_value);

	f->value_bytes = f->scan.bytes;
	framer_take(f, f->seen);
	return r < 0 ? r : 1;
}

int qmp_framer_next(struct qmp_framer *f, struct ls_err *err, struct json_object **ret_value)
{
	enum scan_result r;
	size_t used;

	if (f->skipping && !framer_skip(f))
		return 0;
	if (!framer_has_unseen(f))
		return 0;
	r = scan_run(&f->scan, buf_head(&f->in) + f->seen, buf_len(&f->in) - f->seen, &used);
	f->seen += used;
	switch (r) {
	case SCAN_VALUE:
		return framer_value(f, err, ret_value);
	case SCAN_SENTINEL:
		framer_take(f, f->seen);
		*ret_value = NULL;
		return 2;
	case SCAN_BAD:
	case SCAN_BIG:
		scan_error(&f->scan, r, err);
		framer_take(f, f->seen); /* without the byte that showed it: it may be its end */
		f->skipping = true;
		return r == SCAN_BIG ? -EMSGSIZE : -EPROTO;
	case SCAN_MORE:
		if (f->scan.state == SCAN_IDLE)
			framer_take(f, f->seen);
		return 0;
	}
	return 0;
}

/* Exactly one value, and nothing but blanks around it. */
static int scan_one(struct scan *scan, const char *text, size_t len, struct ls_err *err)
{
	enum scan_result r;
	size_t used;

	r = scan_run(scan, text, len, &used);
	if (r == SCAN_MORE)
		r = scan_end(scan);
	if (r == SCAN_MORE)
		return ls_err_set(err, -EPROTO, "not JSON: it ends too early, after %zu bytes",
				  len);
	if (r == SCAN_SENTINEL)
		return ls_err_set(err, -EPROTO, "not JSON: byte %zu: a byte 0xFF", used - 1);
	if (r != SCAN_VALUE)
		return scan_error(scan, r, err);
	for (; used < len; used++)
		if (!strchr(" \t\r\n", text[used]) || !text[used])
			return ls_err_set(err, -EPROTO, "not JSON: byte %zu: more after the value",
					  used);
	return 0;
}

int qmp_parse(const char *text, size_t len, const struct qmp_limits *limits, struct ls_err *err,
	      struct json_object **ret_value)
{
	struct json_tokener *tok;
	struct scan scan;
	int r;

	scan_init(&scan, limits);
	r = scan_one(&scan, text, len, err);
	if (r < 0)
		return r;
	tok = tokener_new(&scan);
	if (!tok)
		return ls_err_set(err, -ENOMEM, "out of memory while parsing JSON");
	r = parse_scanned(tok, &scan, text, len, err, ret_value);
	json_tokener_free(tok);
	return r;
}
