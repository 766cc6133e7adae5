/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The poll loop on epoll and timerfd.
 */
#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void timer_ready(struct source *src, uint32_t events)
{
	struct loop *l = src->arg;
	uint64_t times;

	(void)events;
	if (read(src->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		l->on_timer(l->timer_arg);
}

int loop_init(struct loop *l, void (*on_timer)(void *arg), void *arg)
{
	int r;

	*l = (struct loop){ .timer = -1, .on_timer = on_timer, .timer_arg = arg };
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return -errno;
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->timer_source = (struct source){ l->timer, timer_ready, l, EPOLLIN };
	r = l->timer < 0 ? -errno : loop_add(l, &l->timer_source);
	if (r < 0)
		loop_done(l);
	return r;
}

void loop_done(struct loop *l)
{
	if (l->timer >= 0)
		close(l->timer);
	if (l->epoll >= 0)
		close(l->epoll);
	l->timer = l->epoll = -1;
}

static int control(struct loop *l, int op, struct source *src)
{
	struct epoll_event ev = { .events = src->events, .data.ptr = src };

	return epoll_ctl(l->epoll, op, src->fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, struct source *src)
{
	return control(l, EPOLL_CTL_ADD, src);
}

void loop_change(struct loop *l, struct source *src, uint32_t events)
{
	if (src->events == events && !(events & EPOLLET))
		return;
	src->events = events;
	control(l, EPOLL_CTL_MOD, src);
}

void loop_remove(struct loop *l, struct source *src)
{
	control(l, EPOLL_CTL_DEL, src);
}

void loop_wake_at(struct loop *l, uint64_t at_ms)
{
	struct itimerspec at = { .it_value = { (time_t)(at_ms / 1000),
					       (long)(at_ms % 1000) * 1000000 } };

	timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

int loop_run(struct loop *l, void (*after)(void *arg), void *arg)
{
	struct epoll_event ev;
	struct source *src;
	int n;

	while (!__atomic_load_n(&l->stop, __ATOMIC_SEQ_CST)) {
		n = epoll_wait(l->epoll, &ev, 1, -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			src = ev.data.ptr;
			src->fn(src, ev.events);
		}
		if (after)
			after(arg);
	}
	return 0;
}
