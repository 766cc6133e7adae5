/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The byte queue behind the framer and the two send buffers.
 */
#include "buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 4096
#define BUF_KEEP_BYTES	65536 /* an empty buffer larger than this is given back */

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

void buf_added(struct buf *b, size_t len)
{
	b->end += len;
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
	if (b->start < b->end)
		return;
	b->start = b->end = 0;
	if (b->size > BUF_KEEP_BYTES)
		buf_done(b);
}

void buf_done(struct buf *b)
{
	free(b->mem);
	*b = (struct buf){ 0 };
}
