/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a fake says: too much, too little, too slowly, or to somebody else. */
#include "fake_private.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>

#define FAKE_HUGE_BYTES (10 * 1024 * 1024)
#define FAKE_DEEP	100000

void client_say(struct fake_client *c, const char *text, size_t len)
{
	char *out = realloc(c->out, c->len + len);

	if (!out)
		abort();
	memcpy(out + c->len, text, len);
	c->out = out;
	c->len += len;
}

/* {"return": BEGIN, n times FILL, END} */
static void client_say_long(struct fake_client *c, const char *begin, char fill, size_t n,
			    const char *end)
{
	ls_autofree char *text = malloc(n);

	if (!text)
		abort();
	memset(text, fill, n);
	client_say(c, begin, strlen(begin));
	client_say(c, text, n);
	client_say(c, end, strlen(end));
}

/* A good answer to a sync; @shift makes it somebody else's. */
void client_say_sync(struct fake_client *c, struct json_object *request, int shift)
{
	bool delimited = !strcmp(qmp_get_str(request, "execute", ""), "guest-sync-delimited");
	int64_t id = qmp_get_int(qmp_get_obj(request, "arguments"), "id", 0);
	char text[64];
	int n;

	n = snprintf(text, sizeof(text), "%s{\"return\": %lld}\n", delimited ? "\xff" : "",
		     (long long)id + shift);
	client_say(c, text, n);
}

bool request_is_sync(struct json_object *request)
{
	return !strncmp(qmp_get_str(request, "execute", ""), "guest-sync", 10);
}

static void client_say_good(struct fake_client *c, struct json_object *request)
{
	static const char good[] = "{\"return\": {}}\n";

	if (request_is_sync(request))
		client_say_sync(c, request, 0);
	else
		client_say(c, good, strlen(good));
}

void client_misbehave(struct fake_client *c, struct json_object *request)
{
	static const char garbage[] = "]} \x01\x02 what? {\"return\": 'x'}\n";
	static const char half[] = "{\"return\": {\"version\": 1, \"ag";
	static const char types[] =
		"{\"return\": {\"version\": \"one\", \"cpus\": {\"0\": [true]}, "
		"\"lock\": 7, \"window\": null, \"results\": 1e999}}\n";
	static const char unknown[] = "{\"error\": {\"class\": \"CommandNotFound\", "
				      "\"desc\": \"The command has not been found\"}}\n";

	switch (c->fake->kind->answer) {
	case FAKE_NOTHING:
	case FAKE_CLOSE:
		return;
	case FAKE_GARBAGE:
		return client_say(c, garbage, sizeof(garbage) - 1);
	case FAKE_OTHER_ID:
		return client_say_sync(c, request, 1);
	case FAKE_HUGE:
		return client_say_long(c, "{\"return\": \"", 'x', FAKE_HUGE_BYTES, "\"}\n");
	case FAKE_DEEP_ONE:
		return client_say_long(c, "{\"return\": ", '[', FAKE_DEEP, "\n");
	case FAKE_SLOW:
		return client_say_good(c, request);
	case FAKE_HALF:
		return client_say(c, half, sizeof(half) - 1);
	case FAKE_TYPES:
		return client_say(c, types, sizeof(types) - 1);
	case FAKE_UNKNOWN:
		return client_say(c, unknown, sizeof(unknown) - 1);
	}
}
