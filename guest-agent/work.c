/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The transaction thread and its two queues.
 */
#include "work.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <urcu.h>

#include <lockstep/cleanup.h>

#include "after.h"

struct queue {
	struct job *first, **last;
};

/**
 * struct work - The thread and its queues
 * @lock:    protects the rest
 * @more:    @todo, @stop or @ended has changed
 * @todo:    not begun
 * @ran:     to be finished by the loop
 * @jobs:    submitted and not finished
 * @event:   eventfd
 * @stop:    the thread is to end
 * @ended:   it does nothing any more but end
 */
struct work {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct queue todo;
	struct queue ran;
	unsigned jobs;
	int event;
	bool stop, ended;
	pthread_t thread;
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_put(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *queue_take(struct queue *q)
{
	struct job *job = q->first;

	if (!job)
		return NULL;
	q->first = job->next;
	if (!q->first)
		q->last = &q->first;
	return job;
}

void work_kick(struct work *w)
{
	const uint64_t one = 1;

	/* It fails only when the counter is full: then it is readable already. */
	if (write(w->event, &one, sizeof(one)) < 0)
		return;
}

static void *work_thread(void *arg)
{
	struct work *w = arg;
	struct job *job;

	rcu_register_thread();
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		job = queue_take(&w->todo);
		if (!job) {
			pthread_cond_wait(&w->more, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		queue_put(&w->ran, job);
		work_kick(w);
	}
	pthread_mutex_unlock(&w->lock);
	rcu_unregister_thread();
	pthread_mutex_lock(&w->lock);
	w->ended = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct work *work_new(void)
{
	struct work *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	after_cond_init(&w->more);
	queue_init(&w->todo);
	queue_init(&w->ran);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event >= 0 && pthread_create(&w->thread, NULL, work_thread, w) == 0)
		return w;
	if (w->event >= 0)
		close(w->event);
	free(w);
	return NULL;
}

static void finish_all(struct queue *q)
{
	struct job *job;

	while ((job = queue_take(q)))
		job->done(job);
}

/* The thread waits on @more, too, but not once it is told to stop. */
static bool stop(struct work *w, unsigned wait_ms)
{
	const struct timespec until = after_ms(wait_ms);
	int r = 0;

	ls_guard(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->more);
	while (!w->ended && !r)
		r = pthread_cond_timedwait(&w->more, &w->lock, &until);
	return w->ended;
}

int work_free(struct work *w, unsigned wait_ms)
{
	if (!stop(w, wait_ms))
		return -ETIMEDOUT;
	pthread_join(w->thread, NULL);
	finish_all(&w->ran);
	finish_all(&w->todo);
	close(w->event);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return 0;
}

void work_submit(struct work *w, struct job *job)
{
	ls_guard(&w->lock);
	queue_put(&w->todo, job);
	w->jobs++;
	pthread_cond_signal(&w->more);
}

int work_fd(const struct work *w)
{
	return w->event;
}

void work_reap(struct work *w)
{
	struct job *job;
	uint64_t count;

	if (read(w->event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	for (;;) {
		pthread_mutex_lock(&w->lock);
		job = queue_take(&w->ran);
		if (job)
			w->jobs--;
		pthread_mutex_unlock(&w->lock);
		if (!job)
			return;
		job->done(job);
	}
}

bool work_idle(struct work *w)
{
	ls_guard(&w->lock);
	return w->jobs == 0;
}
