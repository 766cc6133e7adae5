/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a command ends: the numbers that scripts see, and lockstepd's clients by name.
 */
#ifndef COORDINATOR_EXIT_H
#define COORDINATOR_EXIT_H

#include "../core/txn.h"

/* Exit codes; docs/errors.md and the manual pages print the same list. X(name, code, text) */
#define EXIT_CODES(X)                                                                              \
	X(OK, 0, "done, or it was so already")                                                     \
	X(REFUSED, 1, "refused by QEMU, the guest or a planner: nothing was changed")              \
	X(USAGE, 2, "the command line, a value or guests.d is wrong: nothing was sent")            \
	X(REACH, 3, "the guest's monitor cannot be reached or is not a monitor")                   \
	X(BUSY, 4, "another lockstep, or another client of the monitor, has this guest")           \
	X(UNDONE, 5, "failed, and everything that was done has been taken back")                   \
	X(PENDING, 6, "the guest was asked for a device, or to heal, and has not answered yet")    \
	X(STUCK, 7, "neither forward nor back; what is where, and what to run, was printed")       \
	X(LOST, 8, "QEMU ended in the middle")                                                     \
	X(FINDINGS, 9, "doctor: something disagrees and was not (or could not be) healed")         \
	X(PARTIAL, 10, "a part of it was done, and stays; how far it got was printed")             \
	X(UNTOLD, 11, "it is done, but what it says could not be written")

enum exit_code {
#define X(name, code, text) XC_##name = (code),
	EXIT_CODES(X)
#undef X
};

/* Also of what is none: "REFUSED"; "it was killed". */
const char *exit_name(int code);
const char *exit_text(int code);

/* The exit code for an errno: of connecting or looking, of a doctor; and for an end. */
int exit_of_errno(int r);
int exit_of_doctor(int r);
int exit_of_end(enum txn_end end);

#endif
