/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of cases.
 */
#include "cases.h"

#include <stddef.h>

/* With as many preemptions as some seconds are enough for, and some minutes. */
const struct sched_case cases[] = {
	{ "sched-lost-update", case_lost_update, "lost", 3, 3 },
	{ "sched-deadlock", case_deadlock, "deadlock", 3, 3 },
	{ "sched-lost-wakeup", case_lost_wakeup, "deadlock", 3, 3 },
	{ "sched-late", case_late, "late", 3, 3 },
	{ "sched-by-turns", case_by_turns, "three", 3, 3 },
	{ "worker-park", case_worker_park, NULL, 3, 3 },
	{ "worker-call", case_worker_call, NULL, 3, 3 },
	{ "worker-meet", case_worker_meet, NULL, 0, 1 },
	{ "worker-meet-late", case_worker_meet_late, NULL, 2, 3 },
	{ "worker-meet-park", case_worker_meet_park, NULL, 2, 3 },
	{ "lock", case_lock, NULL, 3, 3 },
	{ "window-hold", case_window_hold, NULL, 3, 3 },
	{ "window-watch", case_window_watch, NULL, 3, 3 },
	{ "window-users", case_window_users, NULL, 3, 3 },
	{ "window-lease", case_window_lease, NULL, 3, 3 },
	{ "window-restart", case_window_restart, NULL, 3, 3 },
	{ NULL, NULL, NULL, 0, 0 },
};
