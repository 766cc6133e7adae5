/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is logged goes nowhere, unless a test has a sink of its own.
 */
#include <lockstep/log.h>

__attribute__((weak)) void log_sink(int priority, const char *fmt, ...)
{
	(void)priority, (void)fmt;
}
