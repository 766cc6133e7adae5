/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The poll loop: descriptors and the functions that want to know about them, and
 * one timer.
 */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct source - A descriptor in the loop
 * @fd:     not owned
 * @fn:     gets EPOLLIN, EPOLLHUP, ...; may remove and release its source
 * @arg:    for @fn
 * @events: what is asked for now
 */
struct source {
	int fd;
	void (*fn)(struct source *src, uint32_t events);
	void *arg;
	uint32_t events;
};

/**
 * struct loop - The loop
 * @epoll: descriptor
 * @timer: a timerfd, in the loop like any other
 * @stop:  loop_run() is to return
 */
struct loop {
	int epoll;
	int timer;
	bool stop;
	struct source timer_source;
	void (*on_timer)(void *arg);
	void *timer_arg;
};

/* 0 or -errno. @on_timer is called when the time given to loop_wake_at() has come. */
int loop_init(struct loop *l, void (*on_timer)(void *arg), void *arg);
void loop_done(struct loop *l);

/* Watch @src->fd for @src->events: 0 or -errno. */
int loop_add(struct loop *l, struct source *src);
/* Ask for other events; with EPOLLET also: look once more at what is there now. */
void loop_change(struct loop *l, struct source *src, uint32_t events);
void loop_remove(struct loop *l, struct source *src);

/* Call the timer's function at this time of CLOCK_MONOTONIC; 0 never. */
void loop_wake_at(struct loop *l, uint64_t at_ms);

/**
 * loop_run() - Until @l->stop
 * @after: called after each round of events; may be NULL
 *
 * One event per round: a source may release another that had an event, too.
 * Return: 0, or -errno of epoll.
 */
int loop_run(struct loop *l, void (*after)(void *arg), void *arg);

#endif
