/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store's queue: jobs go in on the loop, are done by the store's thread, all that
 * wait at once, and are answered on the loop in the order in which they came.
 */
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "store_private.h"

#define DAY_MS 86400000ULL

/* Jobs in order; @last is valid while there is a first. */
struct jobs {
	struct job *first, *last;
};

struct store {
	pthread_mutex_t lock; /* waiting, answered, closing, ended, left */
	pthread_cond_t work;
	struct jobs waiting, answered;
	bool closing;
	bool ended; /* the thread has nothing more to do */
	pthread_cond_t over;
	bool left; /* to the thread, which ends the store: the disk has kept it for too long */

	pthread_t thread;
	struct db db; /* the thread's, while it has something to do */

	/* The loop's alone. */
	struct store_limits limits;
	unsigned queued;
	size_t queued_bytes;
	struct job *out, *last_out; /* all that are not back, oldest first */
	sd_event_source *timer;	    /* for the oldest that has not been told */
	int wake;		    /* eventfd: something has been answered */
	sd_event_source *io;
};

static void append(struct jobs *to, struct jobs *from)
{
	if (!from->first)
		return;
	if (to->first)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	*from = (struct jobs){ 0 };
}

/* ---- the thread ------------------------------------------------------------ */

/* All that wait: one group. Empty when the store is being closed. */
static struct jobs take_group(struct store *s)
{
	struct jobs group;
	ls_guard(&s->lock);

	while (!s->waiting.first && !s->closing)
		pthread_cond_wait(&s->work, &s->lock);
	group = s->waiting;
	s->waiting = (struct jobs){ 0 };
	return group;
}

static void hand_back(struct store *s, struct jobs *group)
{
	uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&s->lock);
	append(&s->answered, group);
	pthread_mutex_unlock(&s->lock);
	n = write(s->wake, &one, sizeof(one));
	(void)n; /* it fails only when it has been written 2^64 times */
}

static void work_all(struct store *s)
{
	for (;;) {
		struct jobs group = take_group(s);

		if (!group.first)
			return;
		db_run(&s->db, group.first);
		hand_back(s, &group);
		db_tidy(&s->db);
	}
}

/* ---- answers ------------------------------------------------------------------ */

static void tell(struct job *job, const struct store_txn *result, unsigned n,
		 const struct ls_err *err)
{
	if (job->told)
		return;
	job->told = true;
	if (job->done)
		job->done(job->arg, err);
	else
		job->txns(job->arg, result, n, err);
}

static void answer(struct store *s, struct job *job)
{
	s->queued--;
	s->queued_bytes -= job->bytes;
	s->out = job->next_out; /* they come back in the order in which they went */
	tell(job, job->result, job->n, &job->err);
	store_txns_free(job->result, job->n);
	sqlite3_free(job);
}

static void answer_all(struct store *s)
{
	struct jobs group = { 0 };

	pthread_mutex_lock(&s->lock);
	append(&group, &s->answered);
	pthread_mutex_unlock(&s->lock);
	while (group.first) {
		struct job *job = group.first;

		group.first = job->next;
		answer(s, job);
	}
}

static int on_wake(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)src, (void)revents, (void)n;
	answer_all(arg);
	return 0;
}

/* ---- a disk that stands still ----------------------------------------------- */

/* The thread has the job, its answer too: nothing of that is touched or read. */
static void tell_late(struct store *s, struct job *job)
{
	struct ls_err err;

	ls_err_set(&err, -ETIMEDOUT,
		   "%.150s: no answer from the disk for %u ms: it may be written, or not",
		   s->db.path, s->limits.answer_ms);
	tell(job, NULL, 0, &err);
}

static int on_timer(sd_event_source *src, uint64_t now_us, void *arg)
{
	struct store *s = arg;
	struct job *job = s->out;

	for (; job && (job->told || job->due_us <= now_us); job = job->next_out)
		tell_late(s, job);
	if (job) {
		sd_event_source_set_time(src, job->due_us);
		sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	}
	return 0;
}

/* Set already: then for an older one, and on_timer() goes on from there. */
static void expect(struct store *s, struct job *job)
{
	int enabled = SD_EVENT_OFF;

	if (s->out)
		s->last_out->next_out = job;
	else
		s->out = job;
	s->last_out = job;
	sd_event_source_get_enabled(s->timer, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	sd_event_source_set_time(s->timer, job->due_us);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static uint64_t due_us(const struct store *s)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000 +
	       s->limits.answer_ms * 1000ULL;
}

/* ---- what is asked -------------------------------------------------------------- */

/* What ended before that is too old; 0: nothing is. */
static uint64_t old_ms(const struct store *s, const struct job *job)
{
	uint64_t age_ms = s->limits.keep_days * DAY_MS, now_ms = job->record.realtime_ms;

	return job->kind == JOB_WRITE && age_ms && now_ms > age_ms ? now_ms - age_ms : 0;
}

int store_submit(struct store *s, const struct job *wanted, struct ls_err *err)
{
	struct jobs one;
	struct job *job;

	if (s->queued >= s->limits.queue_jobs || s->queued_bytes >= s->limits.queue_bytes)
		return ls_err_set(
			err, -EAGAIN,
			"%.150s: %u jobs wait for the disk already: it is too slow, or it "
			"stands still",
			s->db.path, s->queued);
	job = job_copy(wanted);
	if (!job)
		return ls_err_set(err, -ENOMEM, "%.150s: out of memory", s->db.path);
	job->old_ms = old_ms(s, job);
	s->queued++;
	s->queued_bytes += job->bytes;
	job->due_us = due_us(s);
	expect(s, job);
	one = (struct jobs){ job, job };
	pthread_mutex_lock(&s->lock);
	append(&s->waiting, &one);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* The thread sleeps: nothing was asked of it. */
int store_each_open(struct store *s, int (*fn)(void *arg, const struct store_txn *t), void *arg,
		    struct ls_err *err)
{
	return db_each_open(&s->db, fn, arg, err);
}

int store_each_pending(struct store *s, int (*fn)(void *arg, const struct store_pending *p),
		       void *arg, struct ls_err *err)
{
	return db_each_pending(&s->db, fn, arg, err);
}

/* ---- life ---------------------------------------------------------------------------- */

void store_set_limits(struct store *s, const struct store_limits *limits)
{
	s->limits = *limits;
}

static void store_free(struct store *s)
{
	sd_event_source_disable_unref(s->timer);
	sd_event_source_disable_unref(s->io);
	ls_closep(&s->wake);
	db_close(&s->db);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->over);
	pthread_mutex_destroy(&s->lock);
	sqlite3_free(s);
}

static void *work(void *arg)
{
	struct store *s = arg;
	bool left;

	work_all(s);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	left = s->left;
	pthread_cond_signal(&s->over);
	pthread_mutex_unlock(&s->lock);
	if (left) {
		answer_all(s); /* told they were: what is left is memory */
		store_free(s);
	}
	return NULL;
}

/* Signals are the loop's. */
static int start_thread(struct store *s)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, NULL, work, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static int start(struct store *s, sd_event *loop)
{
	int r;

	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		return -errno;
	r = sd_event_add_io(loop, &s->io, s->wake, EPOLLIN, on_wake, s);
	if (r >= 0)
		r = sd_event_add_time(loop, &s->timer, CLOCK_MONOTONIC, 0, 0, on_timer, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	return r < 0 ? r : start_thread(s);
}

/* Due times are of the clock that nobody sets. */
static void init_over(struct store *s)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->over, &attr);
	pthread_condattr_destroy(&attr);
}

int store_open(sd_event *loop, const char *dir, const struct store_limits *limits,
	       struct ls_err *err, struct store **ret_store)
{
	struct store *s = sqlite3_malloc64(sizeof(*s));
	int r;

	if (!s)
		return ls_err_set(err, -ENOMEM, "%.150s: out of memory", dir);
	*s = (struct store){ .limits = *limits, .wake = -1 };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	init_over(s);
	r = db_open(&s->db, dir, err);
	if (!r) {
		s->db.log_pages_max = (int)limits->log_pages;
		r = start(s, loop);
		if (r < 0)
			ls_err_set(err, r, "the journal's thread: %s", strerror(-r));
	}
	if (r < 0) {
		store_free(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

/* Return: whether the thread had ended by then. */
static bool join(struct store *s)
{
	uint64_t until_us = due_us(s);
	struct timespec ts = { (time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000 };
	bool ended;

	pthread_mutex_lock(&s->lock);
	while (!s->ended && pthread_cond_timedwait(&s->over, &s->lock, &ts) != ETIMEDOUT)
		;
	ended = s->ended;
	pthread_mutex_unlock(&s->lock);
	if (ended)
		pthread_join(s->thread, NULL);
	return ended;
}

/* Return: false if the thread has ended after all. */
static bool leave(struct store *s)
{
	ls_guard(&s->lock);

	s->left = !s->ended;
	return s->left;
}

struct store *store_close(struct store *s)
{
	pthread_t thread;

	if (!s)
		return NULL;
	thread = s->thread;
	s->limits.queue_jobs = 0; /* a last answer asks for nothing more */
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (!join(s)) {
		answer_all(s);
		for (struct job *job = s->out; job; job = job->next_out)
			tell_late(s, job);
		s->timer = sd_event_source_disable_unref(s->timer);
		s->io = sd_event_source_disable_unref(s->io);
		if (leave(s)) { /* what it frees when it ends */
			pthread_detach(thread);
			return NULL;
		}
		pthread_join(thread, NULL);
	}
	answer_all(s);
	store_free(s);
	return NULL;
}

uint64_t store_commits(const struct store *s)
{
	return s->db.commits;
}
