/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A queue of bytes in one piece of memory: append at the end, take from the front.
 * It has no limit of its own; who feeds it from outside sets one.
 */
#ifndef QMP_BUF_H
#define QMP_BUF_H

#include <stddef.h>

/**
 * struct buf - Bytes from @start to @end of @mem
 * @mem:   NULL while it is empty
 * @start: offset of the first byte that is still wanted
 * @end:   offset behind the last one
 * @size:  allocated bytes
 *
 * All zero is a valid empty buffer.
 */
struct buf {
	char *mem;
	size_t start, end, size;
};

static inline char *buf_head(const struct buf *b)
{
	return b->mem + b->start;
}

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

/* Room for @len bytes at the end; NULL when out of memory. Then buf_added(), also of 0. */
char *buf_reserve(struct buf *b, size_t len);
void buf_added(struct buf *b, size_t len);

/* Append a copy: 0 or -ENOMEM. */
int buf_append(struct buf *b, const void *bytes, size_t len);

/* Drop bytes from the front; without any left the memory is given back. */
void buf_take(struct buf *b, size_t len);
void buf_done(struct buf *b);

#endif
