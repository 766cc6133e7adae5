/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Supervised work: whatever a job starts, and the directory it works in, is gone
 * when the job is over, also when the job or the harness itself was killed.
 *
 *	harness ── supervisor ── job ── QEMUs, lockstep, what they start
 *
 * The supervisor does nothing but wait. It is the reaper of everything below it,
 * detached programs too, and gets a signal when the harness dies. If it is killed
 * itself, the kernel ends the job and the job's QEMUs (PR_SET_PDEATHSIG), and the
 * next run of the harness removes the directory (super_sweep()).
 */
#ifndef HARNESS_SUPER_H
#define HARNESS_SUPER_H

#include <sys/types.h>

#include <lockstep/err.h>

/* Exit status of a job, as the test runners of this world have it. */
enum super_end { SUPER_PASSED = 0, SUPER_FAILED = 1, SUPER_SKIPPED = 77 };

/**
 * super_job_fn - Work to be supervised; runs in a process of its own
 * @dir:    empty temporary directory, a short path
 * @report: descriptor for what is to be told; the harness reads it to its end
 * @arg:    as given
 *
 * Return: enum super_end.
 */
typedef int (*super_job_fn)(const char *dir, int report, void *arg);

/**
 * struct super - One supervised job
 * @pid:    the supervisor
 * @report: to be read until its end, then super_wait()
 */
struct super {
	pid_t pid;
	int report;
};

/**
 * super_start() - Start a job
 * @fn:        the work
 * @arg:       for @fn
 * @keep:      directory that gets the job's files if it fails; NULL keeps none
 * @err:       why not
 * @ret_super: filled in
 */
int super_start(super_job_fn fn, void *arg, const char *keep, struct ls_err *err,
		struct super *ret_super);

/* End a job early: everything is cleaned up as always. */
void super_stop(struct super *s);

/* Wait until all is cleaned up. Return: enum super_end. */
int super_wait(struct super *s);

/* Remove what killed supervisors could not. */
void super_sweep(void);

#endif
