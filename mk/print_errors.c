/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Print docs/errors.md (`make docs`): exit codes from coordinator/cli/cli.h, ends of a
 * transaction from coordinator/core/txn.h, error classes from include/lockstep/wire.h.
 */
#include <stdio.h>

#include <lockstep/wire.h>

#include "../coordinator/cli/cli.h"

static const char head[] =
	"<!-- Printed by mk/print_errors.c from the sources' own tables: `make docs`. -->\n"
	"# Errors\n"
	"\n"
	"An error is one line on standard error: what was being done, to what, what happened, and\n"
	"where it can be known, what to do next. With `--json` it is an object with the members\n"
	"`event` (\"error\"), `error` (the text), `errno` and `exit` (the exit code). Nothing is\n"
	"printed twice, and what QEMU or the guest\n"
	"said is quoted, with control characters made visible.\n"
	"\n"
	"Refused means refused before anything was sent: values are checked against what QEMU and\n"
	"the guest say they have, and the values that would work are named.\n"
	"\n"
	"## Exit codes of `lockstep`\n"
	"\n"
	"| code | meaning | what to do |\n"
	"|---|---|---|\n";

/* What a person does next; an exit code without advice does not compile. */
#define ADVICE_OK      "Nothing."
#define ADVICE_REFUSED "Read the reason: it names who refused and why."
#define ADVICE_USAGE   "Correct it; `lockstep COMMAND --help` says what is meant."
#define ADVICE_REACH                                                                               \
	"See that QEMU runs and that the path is its monitor (`-qmp "                              \
	"unix:PATH,server=on,wait=off`)."
#define ADVICE_BUSY   "Wait, or end the one that is named: a monitor has one client at a time."
#define ADVICE_UNDONE "The state is as before. Remove the cause and try again."
#define ADVICE_PENDING                                                                             \
	"`lockstep status`, or `lockstep doctor`, shows it; it ends when the guest answers. A "    \
	"migration waits for that."
#define ADVICE_STUCK	"Run what was printed. `lockstep status` shows what is where."
#define ADVICE_LOST	"The guest is gone; QEMU's log says why."
#define ADVICE_PARTIAL	"Read how far it got; ask again for the rest, or for what it was before."
#define ADVICE_UNTOLD	"See why standard output takes no more; `lockstep status` shows what is."
#define ADVICE_FINDINGS "`lockstep doctor GUEST --fix`, or what the finding names."

static void print_exit_codes(void)
{
#define PRINT_(name, code, text) printf("| %d | %s | %s |\n", code, text, ADVICE_##name);
	EXIT_CODES(PRINT_)
#undef PRINT_
}

static void print_ends(void)
{
	static const char *const meaning[END_COUNT] = {
		[END_DONE] = "Every view of every device agrees with what was asked.",
		[END_UNDONE] = "It failed, and all that it did was taken back.",
		[END_REFUSED] = "Nothing was changed.",
		[END_PARTIAL] = "A part of it was done, and stays. The reason says how far it got.",
		[END_PENDING] = "The guest was asked for a device and has neither given nor "
				"refused it. The device is offline in the guest.",
		[END_STUCK] = "Neither forward nor back. The locks were given back.",
		[END_UNDECIDED] = "It cannot be proven which side of a migration may run; the "
				  "guest is left paused.",
		[END_LOST] = "QEMU ended in the middle; the guest is gone.",
	};

	printf("\n## How a transaction ends\n\n"
	       "Every transaction that was accepted ends in one of these, also after a crash.\n\n"
	       "| end | meaning |\n|---|---|\n");
	for (int end = END_NONE + 1; end < END_COUNT; end++)
		printf("| %s | %s |\n", txn_end_name((enum txn_end)end), meaning[end]);
}

static void print_classes(void)
{
	printf("\n## Error classes of the agent\n\n"
	       "What the agent refuses for a reason of its own carries a class; see\n"
	       "[protocol.md](protocol.md). An unknown command is `CommandNotFound`; everything "
	       "else, and every\n"
	       "bad argument of QEMU's own commands, is `GenericError`.\n\n"
	       "| class | when |\n|---|---|\n");
#define PRINT_(id, class, doc) printf("| `%s` | %s |\n", class, doc);
	LS_WIRE_ERRORS(PRINT_)
#undef PRINT_
}

static const char library[] =
	"\n## Errors of libqmp\n"
	"\n"
	"Every function that can fail returns 0 or a negative errno and fills in a `struct "
	"ls_err`:\n"
	"the same number, the peer's error class if the peer refused, and one sentence.\n"
	"\n"
	"| errno | from | meaning |\n"
	"|---|---|---|\n"
	"| `-ENOENT`, `-EACCES`, `-ECONNREFUSED` | opening | from the socket |\n"
	"| `-EBUSY` | opening | connected, and nobody spoke until the deadline: another client has "
	"the monitor |\n"
	"| `-EPROTO` | opening, any call | the peer does not speak this dialect, or sent what is "
	"not JSON |\n"
	"| `-EMSGSIZE` | parsing | larger, deeper or more than the limits allow |\n"
	"| `-EPIPE` | any call | the peer is gone |\n"
	"| `-ETIMEDOUT` | blocking calls | no answer by the deadline; when it comes it is dropped "
	"|\n"
	"| `-EREMOTEIO` | commands | the peer refused; class and sentence are its own |\n"
	"| `-ENOBUFS` | commands | too many requests without an answer, or the peer does not read "
	"|\n"
	"| `-ENOTCONN` | submitting | the session is not ready yet |\n"
	"| `-EINVAL` | any call | an address, name or argument that cannot be sent |\n";

int main(void)
{
	fputs(head, stdout);
	print_exit_codes();
	print_ends();
	print_classes();
	fputs(library, stdout);
	return 0;
}
