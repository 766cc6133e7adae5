/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The strict scanner: RFC 8259 as a table of states, one function for each.
 *
 * DOC: why a scanner in front of a parser
 *
 * json-c accepts much that is not JSON (single quotes, NaN, raw newlines inside
 * strings), parses only whole texts, and has no limits on tokens. A peer is not
 * trusted; and a stream must be cut into values before anything can be parsed. One
 * pass does both: each byte is looked at exactly once, whatever the chunking, so a
 * peer that sends byte by byte costs no more than one that does not.
 *
 * Invariant: scan_run() leaves nothing but this struct behind; two runs over any
 * split of the same bytes end in the same struct.
 */
#include "scan.h"

#include <limits.h>
#include <string.h>

#define SENTINEL	  0xFF
#define DOUBLE_DIGITS_MAX 300	 /* below: fits a double whatever the digits are */
#define EXPONENT_MAX	  100000 /* larger ones count as this */

/* What a state says of one byte. */
enum verdict { NEXT, AGAIN, DONE, DONE_BEFORE, RESET, BAD, BIG };

typedef enum verdict (*scan_fn)(struct scan *s, unsigned char c);

static enum verdict bad(struct scan *s, const char *why)
{
	s->why = why;
	return BAD;
}

static enum verdict big(struct scan *s, const char *why)
{
	s->why = why;
	return BIG;
}

static enum verdict to(struct scan *s, enum scan_state state)
{
	s->state = state;
	return NEXT;
}

static bool is_space(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* ---- containers ------------------------------------------------------- */

static bool in_object(const struct scan *s)
{
	unsigned i = s->depth - 1;

	return s->object[i / 64] >> (i % 64) & 1;
}

/* The byte that was just used ended a value. */
static enum verdict value_done(struct scan *s)
{
	if (!s->depth)
		return DONE;
	return to(s, SCAN_AFTER_VALUE);
}

static enum verdict open_container(struct scan *s, bool object)
{
	uint64_t bit = 1ULL << (s->depth % 64);

	if (s->depth >= s->max.depth)
		return big(s, "nested too deeply");
	if (object)
		s->object[s->depth / 64] |= bit;
	else
		s->object[s->depth / 64] &= ~bit;
	s->depth++;
	return to(s, object ? SCAN_FIRST_KEY : SCAN_FIRST_VALUE);
}

static enum verdict close_container(struct scan *s, bool object)
{
	if (in_object(s) != object)
		return bad(s, "a closing bracket of the wrong kind");
	if (++s->tokens > s->max.tokens)
		return big(s, "too many values");
	s->depth--;
	return value_done(s);
}

/* ---- values ----------------------------------------------------------- */

static enum verdict open_string(struct scan *s, bool key)
{
	s->key = key;
	return to(s, SCAN_STRING);
}

static enum verdict open_number(struct scan *s, unsigned char c)
{
	s->negative = c == '-';
	s->wide = s->shrinks = false;
	s->magnitude = s->negative ? 0 : c - '0';
	s->digits = !s->negative;
	s->exponent = 0;
	return to(s, c == '-' ? SCAN_MINUS : c == '0' ? SCAN_ZERO : SCAN_DIGITS);
}

static enum verdict open_word(struct scan *s, const char *rest)
{
	s->word = rest;
	return to(s, SCAN_WORD);
}

static enum verdict open_value(struct scan *s, unsigned char c)
{
	if (++s->tokens > s->max.tokens)
		return big(s, "too many values");
	if (c == '-' || is_digit(c))
		return open_number(s, c);
	switch (c) {
	case '{':
	case '[':
		return open_container(s, c == '{');
	case '"':
		return open_string(s, false);
	case 't':
		return open_word(s, "rue");
	case 'f':
		return open_word(s, "alse");
	case 'n':
		return open_word(s, "ull");
	default:
		return bad(s, "no JSON value starts so");
	}
}

static enum verdict open_key(struct scan *s, unsigned char c)
{
	if (c != '"')
		return bad(s, "a member's name must be a string");
	if (++s->tokens > s->max.tokens)
		return big(s, "too many values");
	return open_string(s, true);
}

static enum verdict at_idle(struct scan *s, unsigned char c)
{
	return open_value(s, c);
}

static enum verdict at_want_value(struct scan *s, unsigned char c)
{
	return is_space(c) ? NEXT : open_value(s, c);
}

static enum verdict at_first_value(struct scan *s, unsigned char c)
{
	return c == ']' ? close_container(s, false) : at_want_value(s, c);
}

static enum verdict at_want_key(struct scan *s, unsigned char c)
{
	return is_space(c) ? NEXT : open_key(s, c);
}

static enum verdict at_first_key(struct scan *s, unsigned char c)
{
	return c == '}' ? close_container(s, true) : at_want_key(s, c);
}

static enum verdict at_want_colon(struct scan *s, unsigned char c)
{
	if (is_space(c))
		return NEXT;
	return c == ':' ? to(s, SCAN_WANT_VALUE) : bad(s, "no colon after a member's name");
}

static enum verdict at_after_value(struct scan *s, unsigned char c)
{
	if (is_space(c))
		return NEXT;
	if (c == ',')
		return to(s, in_object(s) ? SCAN_WANT_KEY : SCAN_WANT_VALUE);
	if (c == '}' || c == ']')
		return close_container(s, c == '}');
	return bad(s, "neither a comma nor a closing bracket after a value");
}

static enum verdict at_word(struct scan *s, unsigned char c)
{
	if (c != (unsigned char)*s->word)
		return bad(s, "a word other than true, false, null");
	return *++s->word ? NEXT : value_done(s);
}

/* ---- strings ---------------------------------------------------------- */

/* First bytes of characters of several bytes, and what may follow (RFC 3629). */
static const struct {
	unsigned char first, last, more, lo, hi;
} utf8_rows[] = {
	{ 0xC2, 0xDF, 1, 0x80, 0xBF }, { 0xE0, 0xE0, 2, 0xA0, 0xBF }, { 0xE1, 0xEC, 2, 0x80, 0xBF },
	{ 0xED, 0xED, 2, 0x80, 0x9F }, { 0xEE, 0xEF, 2, 0x80, 0xBF }, { 0xF0, 0xF0, 3, 0x90, 0xBF },
	{ 0xF1, 0xF3, 3, 0x80, 0xBF }, { 0xF4, 0xF4, 3, 0x80, 0x8F },
};

static enum verdict open_utf8(struct scan *s, unsigned char c)
{
	for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(utf8_rows[0]); i++) {
		if (c < utf8_rows[i].first || c > utf8_rows[i].last)
			continue;
		s->more = utf8_rows[i].more;
		s->lo = utf8_rows[i].lo;
		s->hi = utf8_rows[i].hi;
		return to(s, SCAN_UTF8);
	}
	return bad(s, "not UTF-8");
}

static enum verdict at_utf8(struct scan *s, unsigned char c)
{
	if (c < s->lo || c > s->hi)
		return bad(s, "not UTF-8");
	s->lo = 0x80;
	s->hi = 0xBF;
	return --s->more ? NEXT : to(s, SCAN_STRING);
}

static enum verdict at_string(struct scan *s, unsigned char c)
{
	if (c == '"')
		return s->key ? to(s, SCAN_WANT_COLON) : value_done(s);
	if (c == '\\')
		return to(s, SCAN_ESCAPE);
	if (c < 0x20)
		return bad(s, "a control byte inside a string");
	return c < 0x80 ? NEXT : open_utf8(s, c);
}

static enum verdict open_hex(struct scan *s, bool low)
{
	s->hex = s->hex_digits = 0;
	s->low = low;
	return to(s, SCAN_HEX);
}

static enum verdict at_escape(struct scan *s, unsigned char c)
{
	if (c == 'u')
		return open_hex(s, false);
	if (c && strchr("\"\\/bfnrt", c))
		return to(s, SCAN_STRING);
	return bad(s, "an escape that JSON does not know");
}

static enum verdict hex_done(struct scan *s)
{
	bool is_low = s->hex >= 0xDC00 && s->hex <= 0xDFFF;

	if (is_low != s->low)
		return bad(s, "half of a surrogate pair");
	if (s->hex >= 0xD800 && s->hex <= 0xDBFF)
		return to(s, SCAN_LOW_ESCAPE);
	return to(s, SCAN_STRING);
}

static enum verdict at_hex(struct scan *s, unsigned char c)
{
	unsigned digit;

	if (is_digit(c))
		digit = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		digit = (c | 0x20) - 'a' + 10;
	else
		return bad(s, "four hex digits must follow \\u");
	s->hex = s->hex << 4 | digit;
	return ++s->hex_digits < 4 ? NEXT : hex_done(s);
}

static enum verdict at_low_escape(struct scan *s, unsigned char c)
{
	return c == '\\' ? to(s, SCAN_LOW_U) : bad(s, "half of a surrogate pair");
}

static enum verdict at_low_u(struct scan *s, unsigned char c)
{
	return c == 'u' ? open_hex(s, true) : bad(s, "half of a surrogate pair");
}

/* ---- numbers ---------------------------------------------------------- */

/* The byte @c is the first behind a number, and is not used yet. */
static enum verdict number_ends(struct scan *s, unsigned char c)
{
	if (!s->depth && !is_space(c) && c != SENTINEL)
		return bad(s, "a number runs into something else");
	s->state = SCAN_AFTER_VALUE;
	return s->depth ? AGAIN : DONE_BEFORE;
}

static enum verdict real_ends(struct scan *s, unsigned char c)
{
	unsigned exponent = s->shrinks ? 0 : s->exponent;

	if (s->digits + exponent >= DOUBLE_DIGITS_MAX)
		s->huge = true;
	return number_ends(s, c);
}

static enum verdict integer_ends(struct scan *s, unsigned char c)
{
	if (s->wide || (s->negative && s->magnitude > (uint64_t)INT64_MAX + 1))
		return bad(s, "an integer that does not fit 64 bits");
	return number_ends(s, c);
}

static enum verdict integer_goes_on(struct scan *s, unsigned char c)
{
	if (c == '.')
		return to(s, SCAN_POINT);
	if (c == 'e' || c == 'E')
		return to(s, SCAN_EXPONENT);
	return integer_ends(s, c);
}

static enum verdict at_minus(struct scan *s, unsigned char c)
{
	if (!is_digit(c))
		return bad(s, "a minus sign without a digit");
	s->magnitude = c - '0';
	s->digits = 1;
	return to(s, c == '0' ? SCAN_ZERO : SCAN_DIGITS);
}

static enum verdict at_zero(struct scan *s, unsigned char c)
{
	if (is_digit(c))
		return bad(s, "a number with a leading zero");
	return integer_goes_on(s, c);
}

static enum verdict at_digits(struct scan *s, unsigned char c)
{
	uint64_t next;

	if (!is_digit(c))
		return integer_goes_on(s, c);
	if (__builtin_mul_overflow(s->magnitude, 10, &next) ||
	    __builtin_add_overflow(next, c - '0', &next))
		s->wide = true;
	s->magnitude = next;
	s->digits++;
	return NEXT;
}

static enum verdict at_point(struct scan *s, unsigned char c)
{
	return is_digit(c) ? to(s, SCAN_FRACTION) : bad(s, "no digit after the point");
}

static enum verdict at_fraction(struct scan *s, unsigned char c)
{
	if (is_digit(c))
		return NEXT;
	return c == 'e' || c == 'E' ? to(s, SCAN_EXPONENT) : real_ends(s, c);
}

static enum verdict at_exponent_sign(struct scan *s, unsigned char c)
{
	if (!is_digit(c))
		return bad(s, "no digit in the exponent");
	s->exponent = c - '0';
	return to(s, SCAN_EXPONENT_DIGITS);
}

static enum verdict at_exponent(struct scan *s, unsigned char c)
{
	if (c != '+' && c != '-')
		return at_exponent_sign(s, c);
	s->shrinks = c == '-';
	return to(s, SCAN_EXPONENT_SIGN);
}

static enum verdict at_exponent_digits(struct scan *s, unsigned char c)
{
	if (!is_digit(c))
		return real_ends(s, c);
	if (s->exponent < EXPONENT_MAX)
		s->exponent = s->exponent * 10 + (c - '0');
	return NEXT;
}

/* ---- the table and its loop ------------------------------------------- */

/* clang-format off */
static const scan_fn scan_table[] = {
	[SCAN_IDLE]		= at_idle,
	[SCAN_WANT_VALUE]	= at_want_value,
	[SCAN_FIRST_VALUE]	= at_first_value,
	[SCAN_WANT_KEY]		= at_want_key,
	[SCAN_FIRST_KEY]	= at_first_key,
	[SCAN_WANT_COLON]	= at_want_colon,
	[SCAN_AFTER_VALUE]	= at_after_value,
	[SCAN_STRING]		= at_string,
	[SCAN_UTF8]		= at_utf8,
	[SCAN_ESCAPE]		= at_escape,
	[SCAN_HEX]		= at_hex,
	[SCAN_LOW_ESCAPE]	= at_low_escape,
	[SCAN_LOW_U]		= at_low_u,
	[SCAN_MINUS]		= at_minus,
	[SCAN_ZERO]		= at_zero,
	[SCAN_DIGITS]		= at_digits,
	[SCAN_POINT]		= at_point,
	[SCAN_FRACTION]		= at_fraction,
	[SCAN_EXPONENT]		= at_exponent,
	[SCAN_EXPONENT_SIGN]	= at_exponent_sign,
	[SCAN_EXPONENT_DIGITS]	= at_exponent_digits,
	[SCAN_WORD]		= at_word,
};
/* clang-format on */
_Static_assert(sizeof(scan_table) / sizeof(scan_table[0]) == SCAN_STATE_COUNT, "one per state");

static bool in_string(const struct scan *s)
{
	return s->state >= SCAN_STRING && s->state <= SCAN_LOW_U;
}

/* One byte; a number that it ends has the state behind the number look at it, too. */
static enum verdict scan_byte(struct scan *s, unsigned char c)
{
	enum verdict v = scan_table[s->state](s, c);

	return v == AGAIN ? scan_table[s->state](s, c) : v;
}

static enum verdict scan_counted(struct scan *s, unsigned char c)
{
	bool number = s->state >= SCAN_MINUS && s->state <= SCAN_EXPONENT_DIGITS;

	if (c == SENTINEL && !in_string(s) && !(number && !s->depth))
		return RESET;
	if (s->bytes >= s->max.bytes && !(number && !s->depth && is_space(c)))
		return big(s, "a message of too many bytes");
	s->bytes++;
	return scan_byte(s, c);
}

/* Bytes of a string that need no thought, or blanks between values. */
static size_t scan_dull(struct scan *s, const char *bytes, size_t len)
{
	size_t i = 0;

	if (s->state == SCAN_IDLE) {
		while (i < len && is_space(bytes[i]))
			i++;
		return i;
	}
	if (s->state != SCAN_STRING)
		return 0;
	if (len > s->max.bytes - s->bytes)
		len = s->max.bytes - s->bytes;
	for (; i < len; i++) {
		unsigned char c = bytes[i];

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			break;
	}
	s->bytes += i;
	return i;
}

enum scan_result scan_run(struct scan *s, const char *bytes, size_t len, size_t *ret_used)
{
	static const enum scan_result results[] = {
		[DONE] = SCAN_VALUE, [DONE_BEFORE] = SCAN_VALUE, [RESET] = SCAN_SENTINEL,
		[BAD] = SCAN_BAD,    [BIG] = SCAN_BIG,
	};
	enum verdict v;
	size_t i = 0;

	for (;;) {
		i += scan_dull(s, bytes + i, len - i);
		*ret_used = i;
		if (i == len)
			return SCAN_MORE;
		v = scan_counted(s, bytes[i]);
		if (v != NEXT)
			break;
		i++;
	}
	if (v == DONE || v == RESET)
		*ret_used = i + 1;
	return results[v];
}

enum scan_result scan_end(struct scan *s)
{
	size_t used;

	if (s->depth || s->state < SCAN_MINUS || s->state > SCAN_EXPONENT_DIGITS)
		return SCAN_MORE;
	return scan_run(s, "\n", 1, &used);
}

static size_t or_default(size_t wanted, size_t otherwise, size_t most)
{
	if (!wanted)
		return otherwise;
	return wanted < most ? wanted : most;
}

void scan_init(struct scan *s, const struct qmp_limits *limits)
{
	static const struct qmp_limits none;
	const struct qmp_limits *l = limits ? limits : &none;

	memset(s, 0, sizeof(*s));
	s->max.bytes = or_default(l->bytes, QMP_VALUE_BYTES_MAX, INT_MAX / 2);
	s->max.depth = or_default(l->depth, QMP_DEPTH_MAX, SCAN_DEPTH_MAX);
	s->max.tokens = or_default(l->tokens, QMP_TOKENS_MAX, INT_MAX);
	scan_reset(s);
}

void scan_reset(struct scan *s)
{
	s->state = SCAN_IDLE;
	s->depth = s->tokens = 0;
	s->bytes = 0;
	s->huge = false;
	s->why = NULL;
}
