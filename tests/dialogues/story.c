/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is noted of a dialogue. */
#include "dialogues.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void note(struct record *r, const char *a, const char *b)
{
	char line[96];

	snprintf(line, sizeof(line), "%.40s %.50s", a, b);
	if (r->n && !strcmp(r->line[r->n - 1], line))
		return;
	if (r->n < LINES_MAX)
		strcpy(r->line[r->n++], line);
}

const char *class_of(int code)
{
	if (!code)
		return "good";
	if (code == -EAGAIN)
		return "not yet";
	return code == -ENOTCONN || code == -EPIPE || code == -ETIMEDOUT ? "nobody" : "refused";
}

void note_tell(struct story *s, const struct action *a)
{
	if (a->tell == TELL_ROW)
		note(&s->talk, a->row, a->text);
	else if (a->tell == TELL_ROW_FAILED)
		note(&s->talk, a->row, "failed");
	else if (a->tell == TELL_ROLLBACK)
		note(&s->talk, a->row, "turns round");
}

void note_end(struct story *s, enum txn_end end, int code)
{
	note(&s->talk, txn_end_name(end), class_of(end == END_DONE ? 0 : code));
}

/*
 * Who in the guest an event comes from. Each does one thing after the other; between two of
 * them the order is chance: of the named ones QEMU holds an event back that comes within a second
 * of the last, and so a port may close after the RESET that closes it. A record has them one
 * source after the other.
 */
enum source { FIRMWARE, VIRTIO_MEM, BALLOON, PORT, MACHINE };

static enum source source_of(const char *event)
{
	static const char *const named[MACHINE] = { [VIRTIO_MEM] = "MEMORY_DEVICE_SIZE_CHANGE",
						    [BALLOON] = "BALLOON_CHANGE",
						    [PORT] = "VSERPORT_CHANGE" };

	if (strchr(event, ':'))
		return FIRMWARE;
	for (enum source i = VIRTIO_MEM; i < MACHINE; i++)
		if (!strncmp(event, named[i], strlen(named[i])))
			return i;
	return MACHINE;
}

/* Which of several devices is the first one the guest decides: "CPU 3: ..." is "CPU #1: ...". */
static void by_turn(struct record *devices, const char *event, char *ret, size_t len)
{
	const char *number = strchr(event, ' '), *colon = strchr(event, ':');
	unsigned i = 0;

	snprintf(ret, len, "%s", event);
	if (!colon || !number || number > colon)
		return;
	while (i < devices->n && strncmp(devices->line[i], event, (size_t)(colon - event + 1)) != 0)
		i++;
	if (i == devices->n && i < LINES_MAX)
		strcpy(devices->line[devices->n++], ret);
	snprintf(ret, len, "%.*s #%u%s", (int)(number - event), event, i + 1, colon);
}

void note_event(struct story *s, enum side side, const char *words)
{
	struct record *r = &s->events[side];
	enum source source = source_of(words);
	unsigned at = r->n;
	char event[sizeof(r->line[0])];

	by_turn(&s->devices[side], words, event, sizeof(event));
	while (at && source_of(r->line[at - 1]) > source)
		at--;
	if (r->n == LINES_MAX || (at && !strcmp(r->line[at - 1], event)))
		return;
	memmove(r->line[at + 1], r->line[at], (r->n++ - at) * sizeof(r->line[0]));
	strcpy(r->line[at], event);
}

bool is_time(const struct dialogue *d, struct story *s, const struct action *a)
{
	if (d->harm == HARM_NONE || s->struck || a->kind != ACT_TELL || a->tell != TELL_ROW ||
	    strcmp(a->row, d->at) != 0)
		return false;
	s->struck = true;
	return true;
}
