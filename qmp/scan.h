/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The strict scanner: finds where a JSON value ends, byte by byte, and refuses
 * what RFC 8259 forbids before json-c gets to see it. docs/json.md lists what was
 * decided where the RFC leaves a choice.
 */
#ifndef QMP_SCAN_H
#define QMP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <qmp.h>

#define SCAN_DEPTH_MAX 1024 /* no limit of a user may be deeper: one bit each */

/**
 * enum scan_result - What came of the bytes
 * @SCAN_MORE:     all used; no value is complete
 * @SCAN_VALUE:    a value ends before the first byte that was not used
 * @SCAN_SENTINEL: the last byte used was 0xFF outside a string
 * @SCAN_BAD:      the first byte not used is not JSON; see scan->why
 * @SCAN_BIG:      ... it breaks a limit; see scan->why
 */
enum scan_result { SCAN_MORE, SCAN_VALUE, SCAN_SENTINEL, SCAN_BAD, SCAN_BIG };

enum scan_state {
	SCAN_IDLE,	    /* between values */
	SCAN_WANT_VALUE,    /* after ':' or a ',' of an array */
	SCAN_FIRST_VALUE,   /* after '[': or ']' */
	SCAN_WANT_KEY,	    /* after a ',' of an object */
	SCAN_FIRST_KEY,	    /* after '{': or '}' */
	SCAN_WANT_COLON,    /* after a key */
	SCAN_AFTER_VALUE,   /* inside a container: ',' or its end */
	SCAN_STRING,	    /* inside quotes */
	SCAN_UTF8,	    /* ... inside a character of several bytes */
	SCAN_ESCAPE,	    /* ... after a backslash */
	SCAN_HEX,	    /* ... after \u */
	SCAN_LOW_ESCAPE,    /* ... after a high surrogate: '\' */
	SCAN_LOW_U,	    /* ... and 'u' */
	SCAN_MINUS,	    /* a number: after '-' */
	SCAN_ZERO,	    /* ... after its leading zero */
	SCAN_DIGITS,	    /* ... before point and exponent */
	SCAN_POINT,	    /* ... right after the point */
	SCAN_FRACTION,	    /* ... digits after the point */
	SCAN_EXPONENT,	    /* ... right after 'e' */
	SCAN_EXPONENT_SIGN, /* ... after its sign */
	SCAN_EXPONENT_DIGITS,
	SCAN_WORD, /* true, false, null */
	SCAN_STATE_COUNT
};

/**
 * struct scan - Where the scanner stands in a stream
 * @max:       limits, none of them 0
 * @state:     see above
 * @depth:     containers open
 * @tokens:    values, keys and brackets of this value so far
 * @bytes:     of this value so far
 * @key:       the string being scanned is a member's name
 * @why:       after SCAN_BAD or SCAN_BIG: a constant sentence
 * @word:      the letters of true, false or null that must still come
 * @more:      UTF-8: bytes that must still come
 * @lo:        UTF-8: least value of the next one
 * @hi:        UTF-8: greatest value of the next one
 * @hex:       \u: value so far
 * @hex_digits: \u: digits so far
 * @low:       \u: it must be a low surrogate
 * @negative:  number: starts with '-'
 * @wide:      number: its digits do not fit 64 bits
 * @magnitude: number: its digits before point and exponent
 * @digits:    number: how many
 * @exponent:  number: its exponent, cut at a large value; negative ones count as 0
 * @shrinks:   number: the exponent is negative
 * @huge:      some number of this value may not fit a double
 * @object:    one bit for each open container: 1 is an object
 */
struct scan {
	struct qmp_limits max;
	enum scan_state state;
	unsigned depth, tokens;
	size_t bytes;
	bool key;
	const char *why;
	const char *word;
	unsigned more;
	unsigned char lo, hi;
	unsigned hex, hex_digits;
	bool low;
	bool negative, wide;
	uint64_t magnitude;
	unsigned digits, exponent;
	bool shrinks;
	bool huge;
	uint64_t object[SCAN_DEPTH_MAX / 64];
};

/* @limits: NULL or a field of 0 means the default. */
void scan_init(struct scan *s, const struct qmp_limits *limits);

/* Back to the start of a value; the limits stay. */
void scan_reset(struct scan *s);

/**
 * scan_run() - Look at bytes that were not looked at before
 * @s:        scanner
 * @bytes:    the next bytes of the stream
 * @len:      how many
 * @ret_used: how many belong to the result
 *
 * After anything but SCAN_MORE the caller resets the scanner.
 */
enum scan_result scan_run(struct scan *s, const char *bytes, size_t len, size_t *ret_used);

/* The text is over: SCAN_VALUE if that ends a number, else SCAN_MORE. */
enum scan_result scan_end(struct scan *s);

#endif
