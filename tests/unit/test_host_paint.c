/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Colour: on a terminal, and nowhere else.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../coordinator/cli/paint.h"

#define TEXT "all agrees\n  cpu3  ! it does not\nend"

static char seen[512];

static void put(int fd)
{
	FILE *f = fdopen(fd, "w");

	paint(f, PAINT_GOOD);
	fputs("done ", f);
	paint(f, PAINT_PLAIN);
	paint_lines(f, TEXT);
	fclose(f);
}

/* What arrives at the other end of a terminal. */
static const char *on_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), fd;
	struct termios raw;
	size_t len = 0;
	ssize_t n;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	fd = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_int_equal(tcgetattr(fd, &raw), 0);
	cfmakeraw(&raw);
	tcsetattr(fd, TCSANOW, &raw);
	put(dup(fd));
	close(fd);
	while ((n = read(master, seen + len, sizeof(seen) - 1 - len)) > 0)
		len += (size_t)n; /* EIO: nobody has the other end any more */
	seen[len] = '\0';
	close(master);
	return seen;
}

static int setup(void **state)
{
	(void)state;
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	return 0;
}

/* What disagrees is red from its mark to the end of its line, and nothing else is. */
static void test_when_terminal_then_what_disagrees_is_seen(void **state)
{
	(void)state;
	assert_string_equal(on_terminal(), "\033[32mdone \033[0mall agrees\n  cpu3\033[31m  ! it "
					   "does not\033[0m\nend");
}

static void test_when_no_color_is_wanted_then_none(void **state)
{
	(void)state;
	setenv("NO_COLOR", "1", 1);
	assert_string_equal(on_terminal(), "done " TEXT);
	setenv("NO_COLOR", "", 1); /* as no-color.org has it: empty says nothing */
	assert_non_null(strchr(on_terminal(), '\033'));
}

static void test_when_terminal_has_no_colours_then_none(void **state)
{
	(void)state;
	setenv("TERM", "dumb", 1);
	assert_string_equal(on_terminal(), "done " TEXT);
	unsetenv("TERM");
	assert_string_equal(on_terminal(), "done " TEXT);
}

static void test_when_no_terminal_then_none(void **state)
{
	ssize_t n;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	put(fds[1]);
	n = read(fds[0], seen, sizeof(seen) - 1);
	seen[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	assert_string_equal(seen, "done " TEXT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_when_terminal_then_what_disagrees_is_seen),
		T(test_when_no_color_is_wanted_then_none),
		T(test_when_terminal_has_no_colours_then_none),
		T(test_when_no_terminal_then_none),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
