/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ways in which agents and monitors misbehave. */
#include "fake_private.h"

#include <string.h>

#define GREETING                                                                                   \
	"{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}, "          \
	"\"package\": \"\"}, \"capabilities\": []}}\r\n"

/* clang-format off */
static const struct kind kinds[] = {
	{ "silent",   true, NULL, false, FAKE_NOTHING,  FAKE_LISTENS, "reads everything, says nothing" },
	{ "garbage",  true, NULL, false, FAKE_GARBAGE,  FAKE_LISTENS, "answers with bytes that are no JSON" },
	{ "wrong-id", true, NULL, false, FAKE_OTHER_ID, FAKE_LISTENS, "answers a sync with somebody else's id" },
	{ "slow",     true, NULL, false, FAKE_SLOW,     FAKE_LISTENS, "good answers, one byte a second" },
	{ "mute",     true, NULL, true,  FAKE_NOTHING,  FAKE_LISTENS, "syncs, then says nothing" },
	{ "huge",     true, NULL, true,  FAKE_HUGE,     FAKE_LISTENS, "syncs, then replies with 10 MiB" },
	{ "deep",     true, NULL, true,  FAKE_DEEP_ONE, FAKE_LISTENS, "syncs, then replies with 100,000 brackets" },
	{ "half",     true, NULL, true,  FAKE_HALF,     FAKE_LISTENS, "syncs, then sends the first half of a reply" },
	{ "types",    true, NULL, true,  FAKE_TYPES,    FAKE_LISTENS, "syncs, then replies with values of the wrong type" },
	{ "stranger", true, NULL, true,  FAKE_UNKNOWN,  FAKE_LISTENS, "syncs, then knows no command" },
	{ "closes",   true, NULL, false, FAKE_CLOSE,    FAKE_LISTENS, "hangs up at the first request" },
	{ "no-greeting",    false, NULL, false, FAKE_NOTHING, FAKE_LISTENS, "accepts and says nothing, as a monitor in use does" },
	{ "garbage",        false, "\x01\xfe not json }{\n", false, FAKE_NOTHING, FAKE_LISTENS, "greets with garbage" },
	{ "other-greeting", false, "RFB 003.008\n", false, FAKE_NOTHING, FAKE_LISTENS, "greets as a VNC server does" },
	{ "other-json",     false, "{\"hello\": \"world\"}\n", false, FAKE_NOTHING, FAKE_LISTENS, "greets with JSON that is not QMP's" },
	{ "mute",           false, GREETING, true, FAKE_NOTHING, FAKE_LISTENS, "negotiates, then never answers" },
	{ "closes",         false, GREETING, true, FAKE_CLOSE, FAKE_LISTENS, "negotiates, then hangs up" },
	{ "absent",         false, NULL, false, FAKE_NOTHING, FAKE_ABSENT, "there is no such socket" },
	{ "dead",           false, NULL, false, FAKE_NOTHING, FAKE_DEAD, "a socket that nobody listens on" },
	{ "forbidden",      false, NULL, false, FAKE_NOTHING, FAKE_FORBIDDEN, "a socket that nobody may use" },
	{ 0 },
};
/* clang-format on */

const struct kind *kind_find(const char *name, bool agent)
{
	for (const struct kind *k = kinds; k->name; k++)
		if (k->agent == agent && !strcmp(k->name, name))
			return k;
	return NULL;
}

void fake_list(FILE *out)
{
	for (const struct kind *k = kinds; k->name; k++)
		fprintf(out, "  %-10s %-15s %s\n", k->agent ? "fake-agent" : "fake-qmp", k->name,
			k->doc);
}
