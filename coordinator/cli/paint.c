/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Colour.
 */
#include "paint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK "  ! "

static bool wanted(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(f)) && !(no && no[0]) && term && term[0] && strcmp(term, "dumb");
}

void paint(FILE *f, enum paint how)
{
	static const char *const codes[PAINT_COUNT] = {
		[PAINT_PLAIN] = "\033[0m",
		[PAINT_GOOD] = "\033[32m",
		[PAINT_BAD] = "\033[31m",
	};

	if (wanted(f))
		fputs(codes[how], f);
}

static void paint_line(FILE *f, const char *line, size_t len)
{
	const char *mark = memmem(line, len, MARK, strlen(MARK));
	size_t plain = mark ? (size_t)(mark - line) : len;

	fwrite(line, 1, plain, f);
	if (!mark)
		return;
	paint(f, PAINT_BAD);
	fwrite(mark, 1, len - plain, f);
	paint(f, PAINT_PLAIN);
}

void paint_lines(FILE *f, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		paint_line(f, text, len);
		text += len;
		if (*text)
			putc(*text++, f);
	}
}
