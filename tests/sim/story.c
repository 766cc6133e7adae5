/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two columns, and their hash.
 */
#include "story.h"

#include <stdio.h>
#include <string.h>

#define LINE_BYTES 512

/* FNV-1a. */
static void hash(struct story *s, const char *line)
{
	for (; *line; line++)
		s->hash = (s->hash ^ (unsigned char)*line) * 0x100000001b3;
}

/* What is too long for what is kept is only hashed, and shown. */
static void add(struct story *s, const char *line)
{
	size_t n = strlen(line);

	hash(s, line);
	if (s->show)
		fputs(line, stdout);
	if (s->len + n >= sizeof(s->kept))
		return;
	memcpy(s->kept + s->len, line, n + 1);
	s->len += n;
}

void story_begin(struct story *s, bool show)
{
	s->hash = 0xcbf29ce484222325;
	s->show = show;
	s->len = 0;
	s->kept[0] = '\0';
}

void story_chapter(struct story *s, const char *text)
{
	s->len = 0;
	add(s, text);
	add(s, "\n");
}

void story_said(struct story *s, uint64_t now_ms, bool coordinator, const char *text)
{
	char line[LINE_BYTES];
	unsigned long long sec = now_ms / 1000, ms = now_ms % 1000;

	if (coordinator)
		snprintf(line, sizeof(line), "%7llu.%03llu  %.400s\n", sec, ms, text);
	else
		snprintf(line, sizeof(line), "%7llu.%03llu  %-48s| %.300s\n", sec, ms, "", text);
	add(s, line);
}
