/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The byte queue behind the framer and the two send buffers.
 */
#include "buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 4096

/* Moving down is only worth it when at least half of the memory becomes free. */
static void buf_move_down(struct buf *b)
{
	if (!b->start || b->start < buf_len(b))
		return;
	memcpy(b->mem, b->mem + b->start, buf_len(b));
	b->end -= b->start;
	b->start = 0;
}

static int buf_grow(struct buf *b, size_t need)
{
	size_t size = b->size ? b->size : BUF_FIRST_BYTES;
	char *mem;

	while (size < need)
		size *= 2;
	mem = realloc(b->mem, size);
	if (!mem)
		return -ENOMEM;
	b->mem = mem;
	b->size = size;
	return 0;
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (b->size - b->end < len)
		buf_move_down(b);
	if (b->size - b->end < len && buf_grow(b, b->end + len) < 0)
		return NULL;
	return b->mem + b->end;
}

/* An empty one is given back: of thousands of connections nearly all are silent. */
static void give_back(struct buf *b)
{
	if (b->start == b->end)
		buf_done(b);
}

void buf_added(struct buf *b, size_t len)
{
	b->end += len;
	give_back(b);
}

int buf_append(struct buf *b, const void *bytes, size_t len)
{
	char *room = buf_reserve(b, len);

	if (!room)
		return -ENOMEM;
	memcpy(room, bytes, len);
	buf_added(b, len);
	return 0;
}

void buf_take(struct buf *b, size_t len)
{
	b->start += len;
	give_back(b);
}

void buf_done(struct buf *b)
{
	free(b->mem);
	*b = (struct buf){ 0 };
}
