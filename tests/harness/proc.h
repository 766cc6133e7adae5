/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Child processes: QEMUs and lockstep commands. Each dies with the harness
 * process that started it, however that ends.
 */
#ifndef HARNESS_PROC_H
#define HARNESS_PROC_H

#include <signal.h>
#include <sys/types.h>

#include <lockstep/err.h>

#include "pump.h"

/**
 * struct argv - A command line that is being put together
 * @v: NULL-terminated, each allocated
 * @n: used
 */
struct argv {
	char *v[128];
	int n;
};

void argv_add(struct argv *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void argv_done(struct argv *a);

/**
 * struct proc - One child
 * @pid:    its id
 * @ended:  it has been reaped
 * @status: as of waitpid(), once @ended
 * @pump:   what watches it
 * @watch:  its pidfd
 */
struct proc {
	pid_t pid;
	bool ended;
	int status;
	struct pump *pump;
	struct watch watch;
};

/**
 * proc_start() - Start a program
 * @pump:     watches it from now on
 * @argv:     program and arguments
 * @env:      "NAME=VALUE" strings beside our own environment; NULL-terminated; may be NULL
 * @log:      file that gets both its outputs; appended to
 * @err:      why not
 * @ret_proc: the child
 *
 * It reads from /dev/null, inherits no descriptor, leads a process group of its
 * own, and gets SIGKILL when we die.
 *
 * Return: 0 or -errno.
 */
int proc_start(struct pump *pump, char *const argv[], char *const env[], const char *log,
	       struct ls_err *err, struct proc **ret_proc);

/* Send a signal; nothing happens if it has ended. */
void proc_signal(struct proc *p, int sig);

/* Wait for the end. Return: 0 or -ETIMEDOUT. */
int proc_wait(struct proc *p, uint64_t deadline_ms);

/* Exit status as the shell gives it: 128 + signal for a killed one. */
int proc_code(const struct proc *p);

/* Kill, reap and forget. NULL is fine. */
void proc_free(struct proc *p);

#endif
