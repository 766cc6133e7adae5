/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Print a table of the coordinator's for its manual pages: name, value and text, separated
 * by tabs, a row a line.
 */
#include <stdio.h>
#include <string.h>

#include "../coordinator/daemon/config.h"
#include "../coordinator/daemon/daemon_log.h"

/* As one writes it: the largest unit that divides it. */
static const char *value(char *buf, size_t len, enum config_unit unit, unsigned n)
{
	if (unit == CONFIG_COUNT)
		snprintf(buf, len, "%u", n);
	else if (n && n % 60000 == 0)
		snprintf(buf, len, "%umin", n / 60000);
	else if (n % 1000 == 0)
		snprintf(buf, len, "%us", n / 1000);
	else
		snprintf(buf, len, "%ums", n);
	return buf;
}

static void print_limit(const char *key, enum config_unit unit, const unsigned n[3],
			const char *help)
{
	char otherwise[16], least[16], most[16];

	printf("%s\t%s\t%s (%s to %s).\n", key, value(otherwise, sizeof(otherwise), unit, n[0]),
	       help, value(least, sizeof(least), unit, n[1]),
	       value(most, sizeof(most), unit, n[2]));
}

static void print_limits(void)
{
#define X(field, key, unit, otherwise, lo, hi, help)                                               \
	print_limit(key, CONFIG_##unit, (const unsigned[]){ otherwise, lo, hi }, help);
	CONFIG_LIMITS(X)
#undef X
}

static void print_classes(void)
{
#define X(name, key, text) printf("%s\t\t%s.\n", key, text);
	ACCESS_CLASSES(X)
#undef X
}

static void print_messages(void)
{
#define X(name, id, when) printf("%s\t\t%s.\n", id, when);
	LOG_MESSAGES(X)
#undef X
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} tables[] = {
		{ "limits", print_limits },
		{ "classes", print_classes },
		{ "messages", print_messages },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!strcmp(argv[1], tables[i].name)) {
			tables[i].print();
			return 0;
		}
	fprintf(stderr, "usage: print_tables limits|classes|messages\n");
	return 2;
}
