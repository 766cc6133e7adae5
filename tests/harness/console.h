/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's serial console: the second, independent pair of eyes. Speaks to
 * tests/lab/console in the guest; nothing of lockstep is involved.
 */
#ifndef HARNESS_CONSOLE_H
#define HARNESS_CONSOLE_H

#include <lockstep/err.h>

#include "pump.h"

#define CONSOLE_TEXT_BYTES (64 * 1024) /* kept of what the guest says in one answer */

struct console;

/**
 * console_open() - Connect to the socket of a guest's serial port
 * @pump:        reads it from now on, so that the guest never waits for us
 * @path:        unix socket
 * @err:         why not
 * @ret_console: connected; whether somebody answers there is not known yet
 *
 * Return: 0 or -errno.
 */
int console_open(struct pump *pump, const char *path, struct ls_err *err,
		 struct console **ret_console);
void console_close(struct console *c);

/* Wait for the guest's console program to come up. Return: 0 or -ETIMEDOUT. */
int console_await_boot(struct console *c, uint64_t deadline_ms, struct ls_err *err);

/**
 * console_run() - Run a shell command in the guest
 * @c:           console
 * @command:     one line
 * @deadline_ms: CLOCK_MONOTONIC; the command itself is not stopped then
 * @err:         why there is no answer
 * @ret_output:  what it printed, without the last newline; allocated
 *
 * Context: one at a time; a second one queues up in the guest.
 * Return:  the exit status (0 .. 255), -ETIMEDOUT, -EPIPE.
 */
int console_run(struct console *c, const char *command, uint64_t deadline_ms, struct ls_err *err,
		char **ret_output);

#endif
