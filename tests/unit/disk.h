/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk under SQLite that fails when it is told to, stands still, and remembers what
 * was written to it: a VFS over the real one. Memory of the store fails in the same way.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stddef.h>

enum disk_call { DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_OPEN, DISK_MALLOC, DISK_CALLS };
extern const char *const disk_call_name[DISK_CALLS];

/* Before SQLite is used for the first time. */
void disk_init(void);

/* The @nth call of that kind fails (from 1), and with @stays all later ones; 0: none. */
void disk_fail(enum disk_call call, unsigned nth, bool stays);

/* Whether a call has failed since disk_fail(). */
bool disk_failed(void);

/* The next sync does not return before disk_release(). */
void disk_hold(void);
void disk_await_held(void);
void disk_release(void);

/* Syncs of the write-ahead log so far. */
unsigned disk_log_syncs(void);

enum disk_file { DISK_MAIN, DISK_LOG, DISK_FILES };
enum disk_op_kind { OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_SYNC_FAILED, OP_NOTE };

/* What has happened to a file, or, OP_NOTE, what the test has put in between. */
struct disk_op {
	enum disk_op_kind kind;
	enum disk_file file;
	long at; /* offset, size, or the note */
	size_t len;
	unsigned char *data;
};

void disk_record(bool on);
void disk_note(long what);
const struct disk_op *disk_ops(size_t *ret_n);

#endif
