/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guard decides, and from what: no threads, no descriptors, no memory of
 * its own. Nothing here takes a lock or allocates: it runs while somebody waits.
 */
#ifndef AGENT_GUARD_RULE_H
#define AGENT_GUARD_RULE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * enum guard_mode - What happens to somebody else's write while the lock is held
 * @GUARD_OFF:      nothing; nothing is marked either
 * @GUARD_ADVISORY: nothing: this kernel has no fanotify permission events, or we may
 *                  not use them
 * @GUARD_WATCH:    it passes, and is remembered as what the user wishes
 * @GUARD_REFUSE:   EPERM at once
 * @GUARD_HOLD:     it waits, and really happens afterwards
 */
enum guard_mode {
	GUARD_OFF,
	GUARD_ADVISORY,
	GUARD_WATCH,
	GUARD_REFUSE,
	GUARD_HOLD,
	GUARD_MODE_COUNT
};

const char *guard_mode_name(enum guard_mode mode);
/* A mode that can be asked for (not "advisory"): 0 or -EINVAL. */
int guard_mode_parse(const char *name, enum guard_mode *ret_mode);

enum guard_verdict { GUARD_ALLOW, GUARD_DENY, GUARD_WAIT };

/**
 * struct guard_open - One open of a marked file
 * @own:    by a thread of the agent itself
 * @hook:   by a child of the agent: a hook program, which runs under the lock
 * @writes: for writing, or not known
 */
struct guard_open {
	bool own;
	bool hook;
	bool writes;
};

/**
 * guard_judge() - What to answer
 * @mode:    in force
 * @engaged: somebody holds the hotplug lock
 *
 * A hook's own write is refused in every mode: the transaction waits for the hook, so
 * a hook that waited for the transaction's end would wait for ever.
 */
enum guard_verdict guard_judge(enum guard_mode mode, bool engaged, const struct guard_open *open);

/**
 * guard_parse_syscall() - Whether the text of /proc/TID/syscall is an open for writing
 *
 * Only what is known to read counts as a reader: openat2 keeps its flags behind a
 * pointer, io_uring opens from a thread of the kernel's, a 32-bit program has other
 * numbers.
 *
 * Return: 1 it is, or it cannot be known; 0 it reads; -EAGAIN: the thread is not
 *         asleep yet.
 */
int guard_parse_syscall(const char *text);

/* The parent's id in the text of /proc/TID/stat; 0: none. */
pid_t guard_parse_parent(const char *text);

/* N if @path ends with "/cpuN/online", else -1. */
int guard_parse_cpu(const char *path);

/* ---- of a thread that is being held: guard_opener.c ------------------------- */

/* Whether it opens for writing: true also when that cannot be known. */
bool opener_writes(pid_t tid);
/* Whether it is a thread of this process. */
bool opener_is_own(pid_t tid);
/* Whether its process descends from @ancestor. */
bool opener_is_child(pid_t tid, pid_t ancestor);

#endif
