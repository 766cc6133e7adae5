/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens to devices: where it is heard of, and who is told.
 */
#include "news.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/log.h>
#include <qmp.h>

#include "agent.h"
#include "model.h"
#include "sysfs.h"
#include "uevent.h"
#include "work.h"

/* ---- events -------------------------------------------------------------- */

static bool joins(const struct change *last, const struct change *c)
{
	return !strcmp(last->kind, c->kind) && !strcmp(last->state, c->state) &&
	       !strcmp(last->by, c->by) && c->id >= 0 && last->id + last->count == c->id;
}

void agent_tell(void *agent, const struct change *change)
{
	struct agent *a = agent;
	struct changes *cs = &a->changes;
	struct change *last;

	pthread_mutex_lock(&cs->lock);
	last = cs->n ? &cs->item[cs->n - 1] : NULL;
	if (last && joins(last, change))
		last->count += change->count;
	else if (cs->n < AGENT_CHANGES_MAX)
		cs->item[cs->n++] = *change;
	pthread_mutex_unlock(&cs->lock);
	work_kick(a->work);
}

void agent_tell_lock(struct agent *a, const char *state)
{
	agent_tell(a, &(struct change){ "lock", -1, 1, state, "agent" });
}

/* ---- scans --------------------------------------------------------------- */

struct scan_job {
	struct job job;
	struct agent *agent;
};

/* Writes that have come back keep the lock until hooks know what became of them. */
static void let_go(struct agent *a)
{
	unsigned n = __atomic_exchange_n(&a->came_back, 0, __ATOMIC_SEQ_CST);

	while (n--)
		if (lock_unpin(&a->lock))
			agent_tell_lock(a, "free");
}

static void scan_run(struct job *job)
{
	struct agent *a = ((struct scan_job *)job)->agent;

	__atomic_store_n(&a->scan_queued, false, __ATOMIC_SEQ_CST);
	model_catch_up(&a->model);
	window_honour(&a->window);
	let_go(a);
}

static void scan_done(struct job *job)
{
	free(job);
}

void agent_scan(struct agent *a)
{
	struct scan_job *scan;

	model_set_stale(&a->model);
	if (__atomic_exchange_n(&a->scan_queued, true, __ATOMIC_SEQ_CST))
		return;
	scan = calloc(1, sizeof(*scan));
	if (!scan) {
		__atomic_store_n(&a->scan_queued, false, __ATOMIC_SEQ_CST);
		let_go(a);
		return;
	}
	scan->job = (struct job){ .run = scan_run, .done = scan_done };
	scan->agent = a;
	work_submit(a->work, &scan->job);
}

void news_uevent(struct source *src, uint32_t events)
{
	struct agent *a = src->arg;
	int r = uevent_drain(src->fd, &a->model.announced);

	(void)events;
	if (r > 0) {
		guard_mark(&a->guard);
		agent_scan(a);
		sysfs_wake(a->model.sysfs); /* the scan waits for the job under way */
	}
	if (r < 0) {
		log_error("uevents: %s; changes are seen at the next request", strerror(-r));
		loop_remove(&a->loop, src);
	}
}

/* Whose `echo 0 >online` hangs, or ends with EPERM, finds here why. */
static void log_met(struct agent *a)
{
	pid_t tid = guard_met(&a->guard);
	struct lock_view v;

	if (!tid)
		return;
	lock_look(&a->lock, qmp_now_ms(), &v);
	log_warning("guard: thread %d writes to sysfs under the hotplug lock of %s: %s", (int)tid,
		    v.held ? v.txn : "a transaction that is over",
		    a->guard.mode == GUARD_REFUSE ? "refused, try again when it is free"
						  : "it waits until it is free");
}

void news_guard(struct source *src, uint32_t events)
{
	struct agent *a = src->arg;
	uint64_t n;

	(void)events;
	if (read(src->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		agent_scan(a);
	log_met(a);
}

void news_write_begins(void *arg, const char *path, const char *value)
{
	struct lock_view lock;

	lock_look(&((struct agent *)arg)->lock, 0, &lock);
	log_debug("%llu ms: writing %s to %s, the lock is %s", (unsigned long long)qmp_now_ms(),
		  value, path, lock.held ? lock.txn : "free");
}

void news_write_out(void *arg, int change)
{
	struct agent *a = arg;

	if (change > 0) {
		lock_pin_any(&a->lock);
		return;
	}
	__atomic_add_fetch(&a->came_back, 1, __ATOMIC_SEQ_CST);
	agent_scan(a);
}
