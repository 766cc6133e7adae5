/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing sysfs, in a thread of its own with a deadline.
 */
#include "sysfs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/log.h>

#include "after.h"
#include "sysfs_private.h"

#define WRITER_STACK_BYTES (256 * 1024)
#define INTERRUPT_EVERY_MS 100 /* a signal may come before the write has begun */
#define INTERRUPT_TIMES	   10
#define VALUE_BYTES	   32
#define WRITER_SIGNAL	   SIGUSR1

/**
 * struct sysfs_write - One write, shared by its thread and the one that waits
 * @s:        owner
 * @next:     in @s->out
 * @done:     @finished has become true
 * @thread:   runs it
 * @finished: the kernel has returned
 * @left:     nobody waits any more: the thread releases this
 * @result:   0 or -errno
 */
struct sysfs_write {
	struct sysfs *s;
	struct sysfs_write *next;
	pthread_cond_t done;
	pthread_t thread;
	bool finished;
	bool left;
	int result;
	char path[SYSFS_PATH_BYTES];
	char value[VALUE_BYTES];
};

static void on_signal(int sig)
{
	(void)sig; /* its whole effect is EINTR */
}

void sysfs_write_init(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(WRITER_SIGNAL, &sa, NULL);
}

static void unlink_out_locked(struct sysfs *s, struct sysfs_write *w)
{
	struct sysfs_write **p = &s->out;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	s->outs--;
}

static void write_free(struct sysfs_write *w)
{
	pthread_cond_destroy(&w->done);
	free(w);
}

/* The kernel has come back from a write that nobody waits for any more. */
static void come_back_locked(struct sysfs_write *w)
{
	struct sysfs *s = w->s;
	void (*fn)(void *arg, int change) = s->on_out;
	void *arg = s->on_out_arg;

	log_info("%s: the kernel is back from writing %s: %s", w->path, w->value,
		 w->result ? strerror(-w->result) : "done");
	unlink_out_locked(s, w);
	pthread_detach(pthread_self());
	write_free(w);
	if (fn)
		fn(arg, -1);
	sysfs_put_locked(s);
}

static void tell_write(const struct sysfs_write *w)
{
	struct sysfs *s = w->s;

	ls_guard(&s->lock);
	if (s->on_write)
		s->on_write(s->on_write_arg, w->path, w->value);
}

static void *write_thread(void *arg)
{
	struct sysfs_write *w = arg;
	struct sysfs *s = w->s;
	sigset_t wakes;
	int r;

	sigemptyset(&wakes);
	sigaddset(&wakes, WRITER_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &wakes, NULL); /* whatever our parent has blocked */
	tell_write(w);
	r = s->ops->write(s->ctx, w->path, w->value);
	pthread_mutex_lock(&s->lock);
	w->result = r;
	w->finished = true;
	if (w->left) {
		come_back_locked(w);
		return NULL;
	}
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void do_meanwhile_locked(struct sysfs *s, const struct sysfs_how *how)
{
	s->woken = false;
	pthread_mutex_unlock(&s->lock);
	how->meanwhile(how->meanwhile_arg);
	pthread_mutex_lock(&s->lock);
}

static void wait_locked(struct sysfs_write *w, const struct sysfs_how *how, unsigned ms)
{
	struct timespec until = after_ms(ms);
	struct sysfs *s = w->s;

	s->waited = how->meanwhile ? w : NULL;
	while (!w->finished) {
		if (how->meanwhile && s->woken)
			do_meanwhile_locked(s, how);
		else if (pthread_cond_timedwait(&w->done, &s->lock, &until) == ETIMEDOUT)
			break;
	}
	s->waited = NULL;
}

void sysfs_wake(struct sysfs *s)
{
	ls_guard(&s->lock);
	s->woken = true;
	if (s->waited)
		pthread_cond_signal(&s->waited->done);
}

static int leave_locked(struct sysfs_write *w, unsigned deadline_ms, struct ls_err *err)
{
	struct sysfs *s = w->s;

	w->left = true;
	w->next = s->out;
	s->out = w;
	s->outs++;
	s->refs++;
	if (s->on_out)
		s->on_out(s->on_out_arg, 1);
	ls_err_set(err, -EINPROGRESS, "%s: still in the kernel %u ms after writing %s", w->path,
		   deadline_ms, w->value);
	pthread_mutex_unlock(&s->lock);
	return -EINPROGRESS;
}

static int wait_for_kernel(struct sysfs_write *w, const struct sysfs_how *how, struct ls_err *err)
{
	struct sysfs *s = w->s;
	int r, i;

	pthread_mutex_lock(&s->lock);
	wait_locked(w, how, how->deadline_ms);
	for (i = 0; how->interrupt && !w->finished && i < INTERRUPT_TIMES; i++) {
		pthread_kill(w->thread, WRITER_SIGNAL);
		wait_locked(w, how, INTERRUPT_EVERY_MS);
	}
	if (!w->finished)
		return leave_locked(w, how->deadline_ms, err);
	pthread_mutex_unlock(&s->lock);
	pthread_join(w->thread, NULL);
	r = w->result;
	if (r < 0)
		ls_err_set(err, r, "%s: writing %s: %s", w->path, w->value, strerror(-r));
	write_free(w);
	return r;
}

static struct sysfs_write *write_new(struct sysfs *s, const char *value)
{
	struct sysfs_write *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->s = s;
	snprintf(w->value, sizeof(w->value), "%s", value);
	after_cond_init(&w->done);
	return w;
}

static int write_start(struct sysfs_write *w)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WRITER_STACK_BYTES);
	r = pthread_create(&w->thread, &attr, write_thread, w);
	pthread_attr_destroy(&attr);
	return -r;
}

int sysfs_write_str(struct sysfs *s, const struct sysfs_how *how, const char *value,
		    struct ls_err *err, const char *fmt, ...)
{
	struct sysfs_write *w = write_new(s, value);
	va_list ap;
	int r;

	if (!w)
		return ls_err_set(err, -ENOMEM, "out of memory");
	va_start(ap, fmt);
	vsnprintf(w->path, sizeof(w->path), fmt, ap);
	va_end(ap);
	r = write_start(w);
	if (r < 0) {
		ls_err_set(err, r, "%s: no thread to write %s: %s", w->path, value, strerror(-r));
		write_free(w);
		return r;
	}
	return wait_for_kernel(w, how, err);
}

bool sysfs_is_out(struct sysfs *s, const char *fmt, ...)
{
	char path[SYSFS_PATH_BYTES];
	struct sysfs_write *w;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	ls_guard(&s->lock);
	for (w = s->out; w; w = w->next)
		if (!strcmp(w->path, path))
			return true;
	return false;
}

bool sysfs_any_out(struct sysfs *s, const char *below)
{
	struct sysfs_write *w;

	ls_guard(&s->lock);
	for (w = s->out; w; w = w->next)
		if (!strncmp(w->path, below, strlen(below)))
			return true;
	return false;
}

unsigned sysfs_outs(struct sysfs *s)
{
	ls_guard(&s->lock);
	return s->outs;
}
