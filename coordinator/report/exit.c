/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a command ends.
 */
#include "exit.h"

#include <errno.h>

const char *exit_name(int code)
{
	switch (code) {
#define X(name, number, text)                                                                      \
	case number:                                                                               \
		return #name;
		EXIT_CODES(X)
#undef X
	default:
		return "REFUSED";
	}
}

const char *exit_text(int code)
{
	switch (code) {
#define X(name, number, text)                                                                      \
	case number:                                                                               \
		return text;
		EXIT_CODES(X)
#undef X
	default:
		return "it was killed";
	}
}

int exit_of_errno(int r)
{
	switch (-r) {
	case 0:
		return XC_OK;
	case EBUSY:
		return XC_BUSY;
	case EINVAL:
		return XC_USAGE;
	default:
		return XC_REACH;
	}
}

int exit_of_doctor(int r)
{
	return r == -EINPROGRESS ? XC_PENDING : XC_REFUSED;
}

int exit_of_end(enum txn_end end)
{
	static const int codes[] = {
		[END_NONE] = XC_STUCK,	    [END_DONE] = XC_OK,		[END_UNDONE] = XC_UNDONE,
		[END_REFUSED] = XC_REFUSED, [END_PARTIAL] = XC_PARTIAL, [END_PENDING] = XC_PENDING,
		[END_STUCK] = XC_STUCK,	    [END_UNDECIDED] = XC_STUCK, [END_LOST] = XC_LOST,
	};

	return codes[end];
}
