/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All cases; what each shows stands above its function.
 */
#ifndef INTERLEAVE_CASES_H
#define INTERLEAVE_CASES_H

#include "sched.h"

/* Ends with one that has no name. */
extern const struct sched_case cases[];

/* ---- case_sched.c: the scheduler finds what there is ---------------------------- */
void case_lost_update(void);
void case_deadlock(void);
void case_lost_wakeup(void);
void case_late(void);
void case_by_turns(void);

/* ---- case_worker.c --------------------------------------------------------------- */
void case_worker_park(void);
void case_worker_call(void);
void case_worker_meet(void);
void case_worker_meet_late(void);
void case_worker_meet_park(void);

/* ---- case_lock.c ----------------------------------------------------------------- */
void case_lock(void);

/* ---- case_window.c --------------------------------------------------------------- */
void case_window_hold(void);
void case_window_watch(void);
void case_window_users(void);
void case_window_lease(void);
void case_window_restart(void);

#endif
