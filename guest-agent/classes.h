/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An error that already knows the class it has on the wire.
 */
#ifndef AGENT_CLASSES_H
#define AGENT_CLASSES_H

#include <stdarg.h>

#include <lockstep/err.h>

/**
 * class_set() - ls_err_set() with one of the classes of LS_WIRE_ERRORS
 * @err:   may be NULL
 * @code:  negative errno
 * @class: LS_CLASS_...; NULL for QEMU's GenericError
 * @fmt:   the sentence
 *
 * Return: @code.
 */
__attribute__((format(printf, 4, 5))) static inline int
class_set(struct ls_err *err, int code, const char *class, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ls_err_vset(err, code, fmt, ap);
	va_end(ap);
	if (err && class)
		snprintf(err->class, sizeof(err->class), "%s", class);
	return code;
}

#endif
