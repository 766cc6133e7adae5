/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one error type: a number for programs, a sentence for people.
 */
#ifndef LOCKSTEP_ERR_H
#define LOCKSTEP_ERR_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LS_ERR_CLASS_BYTES 40
#define LS_ERR_TEXT_BYTES  256

/**
 * struct ls_err - What went wrong, set where the fact is known
 * @code:  negative errno; 0 while nothing has gone wrong
 * @class: the peer's QMP error class ("GenericError"), or "" if the error is ours
 * @text:  one line without a final full stop; says what happened, to what, and
 *         where it can be known, what to do next
 *
 * Lives on the caller's stack; nothing in it is ever released. Every function
 * that takes one accepts NULL. It is set on failure only.
 */
struct ls_err {
	int code;
	char class[LS_ERR_CLASS_BYTES];
	char text[LS_ERR_TEXT_BYTES];
};

/**
 * ls_err_vset() - Fill in an error from a va_list
 * @err:  may be NULL
 * @code: negative errno
 * @fmt:  the sentence
 * @ap:   its arguments
 *
 * Return: @code, so that a caller can return it at once.
 */
__attribute__((format(printf, 3, 0))) static inline int ls_err_vset(struct ls_err *err, int code,
								    const char *fmt, va_list ap)
{
	if (!err)
		return code;
	err->code = code;
	err->class[0] = '\0';
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	return code;
}

/**
 * ls_err_set() - Fill in an error of our own
 * @err:  may be NULL
 * @code: negative errno
 * @fmt:  the sentence
 *
 * Return: @code.
 */
__attribute__((format(printf, 3, 4))) static inline int ls_err_set(struct ls_err *err, int code,
								   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ls_err_vset(err, code, fmt, ap);
	va_end(ap);
	return code;
}

/**
 * ls_err_class() - ls_err_set() with a class
 * @err:   may be NULL
 * @code:  negative errno
 * @class: NULL: none
 * @fmt:   the sentence
 *
 * Return: @code.
 */
__attribute__((format(printf, 4, 5))) static inline int
ls_err_class(struct ls_err *err, int code, const char *class, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ls_err_vset(err, code, fmt, ap);
	va_end(ap);
	if (err && class)
		snprintf(err->class, sizeof(err->class), "%s", class);
	return code;
}

#ifdef __clang_analyzer__
/* The analyzer does not follow variadic functions: tell it which code comes back. */
#define ls_err_set(err, code, ...) ((void)(ls_err_set)(err, code, __VA_ARGS__), (code))
#endif

/* Add to the text what fits. */
static inline void ls_err_append_(struct ls_err *err, const char *more)
{
	size_t n = strlen(err->text), len = strlen(more), room = sizeof(err->text) - 1 - n;

	if (len > room)
		len = room;
	memcpy(err->text + n, more, len);
	err->text[n + len] = '\0';
}

/**
 * ls_err_prefix() - Say on the way up what was being tried
 * @err: an error that is set; may be NULL
 * @fmt: goes in front of the text, followed by ": "
 *
 * A text that becomes too long loses its end: the front names the subject.
 */
__attribute__((format(printf, 2, 3))) static inline void ls_err_prefix(struct ls_err *err,
								       const char *fmt, ...)
{
	char was[LS_ERR_TEXT_BYTES];
	va_list ap;

	if (!err)
		return;
	memcpy(was, err->text, sizeof(was));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	ls_err_append_(err, ": ");
	ls_err_append_(err, was);
}

#endif
