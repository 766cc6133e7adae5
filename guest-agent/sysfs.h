/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place that reads and writes sysfs.
 *
 * A write may not come back: taking a CPU offline can sit in D state, and a memory
 * block can loop in the kernel until a signal comes. So every write has a thread
 * of its own and a deadline. At the deadline a write that may be interrupted gets
 * a signal; one that is still in the kernel after that is *out*: the caller gets
 * -EINPROGRESS and goes on, and the rest of the agent is told when it comes back.
 *
 * The kernel below is a pair of functions, so that tests bring their own.
 */
#ifndef AGENT_SYSFS_H
#define AGENT_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

struct ls_err;

#define SYSFS_PATH_BYTES 128  /* of a path below the root */
#define SYSFS_FILE_BYTES 8192 /* read from one file at most: a CPU list of 1024 is less */
#define SYSFS_KEPT_MAX	 512  /* files kept open; each costs the kernel a page */

/**
 * struct sysfs_ops - A kernel
 * @read:  fill @buf with at most @size bytes; the length or -errno
 * @write: may block for ever; 0 or -errno
 * @list:  call @fn with each name in a directory; 0 or -errno
 * @keep:  open a file that is read again and again: a descriptor or -errno; may be NULL
 *
 * Paths are relative to the root of sysfs. @write runs in any thread.
 */
struct sysfs_ops {
	int (*read)(void *ctx, const char *path, char *buf, size_t size);
	int (*write)(void *ctx, const char *path, const char *value);
	int (*list)(void *ctx, const char *dir, void (*fn)(void *arg, const char *name), void *arg);
	int (*keep)(void *ctx, const char *path);
};

/* Files; the context is the path of the root. */
extern const struct sysfs_ops sysfs_real_ops;

struct sysfs;

/**
 * sysfs_new() - The files below a directory
 * @root: "/sys", or a directory that looks like it; borrowed for the object's life
 *
 * Return: NULL when out of memory.
 */
struct sysfs *sysfs_new(const char *root);
struct sysfs *sysfs_new_ops(const struct sysfs_ops *ops, void *ctx);
/* Writes that are out keep what they need; NULL is fine. */
void sysfs_free(struct sysfs *s);

/**
 * sysfs_on_out() - Who is told when a write goes out (+1) and comes back (-1)
 * @fn: called from any thread
 */
void sysfs_on_out(struct sysfs *s, void (*fn)(void *arg, int change), void *arg);

/**
 * sysfs_on_write() - Who is told of every write before the kernel is
 * @fn: called in the write's own thread
 */
void sysfs_on_write(struct sysfs *s, void (*fn)(void *arg, const char *path, const char *value),
		    void *arg);

/* Whole file as a string without its last newline: 0 or -errno (-EMSGSIZE too long). */
int sysfs_read_str(struct sysfs *s, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A file that holds one number, decimal or (@base 16) hexadecimal. */
int sysfs_read_num(struct sysfs *s, int base, long long *ret_num, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A file's first bytes as they are: the number read, or -errno. */
int sysfs_read_raw(struct sysfs *s, void *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * struct sysfs_kept - A file that every scan reads; its owner's memory
 * @fd: -1: not open
 *
 * Opening a file that the guard has marked waits for the guard's thread, our own opens,
 * too; reading it again does not. SYSFS_KEPT_MAX of them, and no more than half of what
 * the process may open, are kept; the others are opened each time.
 */
struct sysfs_kept {
	int fd;
};

/* As sysfs_read_str(), of the file that @kept stands for. */
int sysfs_read_kept(struct sysfs *s, struct sysfs_kept *kept, char *buf, size_t size,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The file is not needed any more. */
void sysfs_drop(struct sysfs *s, struct sysfs_kept *kept);

int sysfs_list(struct sysfs *s, const char *dir, void (*fn)(void *arg, const char *name),
	       void *arg);

/**
 * struct sysfs_how - How long a write may take
 * @deadline_ms: from now
 * @interrupt:   at the deadline a signal ends it (memory); otherwise it is left (CPU)
 * @meanwhile:   called in the waiting thread after each sysfs_wake(); may be NULL
 */
struct sysfs_how {
	unsigned deadline_ms;
	bool interrupt;
	void (*meanwhile)(void *arg);
	void *meanwhile_arg;
};

/**
 * sysfs_write_str() - Write one value and wait for the kernel, within bounds
 * @s:     sysfs
 * @how:   bounds; borrowed
 * @value: e.g. "1"; borrowed
 * @err:   names the file, the value and what the kernel said
 * @fmt:   the path
 *
 * Context: not the loop's thread: it blocks.
 * Return:  0, -errno of the write, -EINPROGRESS (it is out).
 */
int sysfs_write_str(struct sysfs *s, const struct sysfs_how *how, const char *value,
		    struct ls_err *err, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Who waits for the kernel has something to do meanwhile. Any thread, not from a callback. */
void sysfs_wake(struct sysfs *s);

/* Whether a write to this file is out. */
bool sysfs_is_out(struct sysfs *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether a write to any file below a directory is out. */
bool sysfs_any_out(struct sysfs *s, const char *below);

/* How many writes are out. */
unsigned sysfs_outs(struct sysfs *s);

#endif
