/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text that may come from a guest.
 */
#include "words.h"

/* Bytes of the character at @p; 0 if it is one that must not reach a terminal. */
static int printable(const unsigned char *p)
{
	int n = *p < 0x80		  ? 1
		: *p >= 0xc2 && *p < 0xe0 ? 2
		: *p >= 0xe0 && *p < 0xf0 ? 3
		: *p >= 0xf0 && *p < 0xf5 ? 4
					  : 0;

	if (n == 1 && (*p < 0x20 || *p == 0x7f))
		return 0;
	if (n == 2 && *p == 0xc2 && p[1] < 0xa0)
		return 0; /* C1: among them the 8-bit form of ESC [ */
	for (int i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void words_put(FILE *f, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		int n = printable(p);

		if (n)
			fwrite(p, 1, (size_t)n, f);
		else
			fprintf(f, "\\x%02x", *p);
		p += n ? n : 1;
	}
}
