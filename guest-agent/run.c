/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One agent from start to end.
 */
#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <urcu.h>

#include <lockstep/cleanup.h>
#include <lockstep/log.h>
#include <qmp.h>

#include "auto_online.h"
#include "cpu.h"
#include "cpus.h"
#include "hooks.h"
#include "local.h"
#include "model.h"
#include "news.h"
#include "sysfs.h"
#include "uevent.h"
#include "work.h"

#define STOP_WAIT_MS 2000 /* for the job under way when the agent is to end */
#define STOP_HOOK_MS 1000 /* of it for hooks that are told what came of the job */

/* ---- time ---------------------------------------------------------------- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a + b;
	return a < b ? a : b;
}

static void arm(struct agent *a)
{
	uint64_t lease = sooner(lock_deadline_ms(&a->lock), window_deadline_ms(&a->window));

	loop_wake_at(&a->loop, sooner(lease, expedite_deadline_ms(&a->expedite)));
}

/* Set by the transaction thread: the loop is to learn of its time limit. */
static void expedited(void *arg)
{
	work_kick(((struct agent *)arg)->work);
}

/*
 * A lease may have run out. A renew that has arrived already counts, however late we
 * were in reading it: a guest that stood still for its migration wakes up with its
 * lease long over and the renew in its receive queue.
 */
void agent_expire(void *agent)
{
	struct agent *a = agent;

	serve_drain(a);
	if (lock_expire(&a->lock, qmp_now_ms())) {
		log_warning("lock: its lease has run out");
		agent_tell_lock(a, "free");
	}
	if (window_expire(&a->window, qmp_now_ms()))
		ops_close_expired(a);
	expedite_expire(&a->expedite, qmp_now_ms());
}

/* ---- the loop -------------------------------------------------------------- */

static void work_ready(struct source *src, uint32_t events)
{
	(void)events;
	work_reap(((struct agent *)src->arg)->work);
}

static void signal_ready(struct source *src, uint32_t events)
{
	struct agent *a = src->arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(src->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	log_info("signal %u: ending", info.ssi_signo);
	a->loop.stop = true;
}

static void after_round(void *arg)
{
	struct agent *a = arg;

	if (a->finished) {
		a->finished = false;
		serve_refresh(a);
	}
	serve_changes(a);
	arm(a);
}

int agent_run(struct agent *a)
{
	int r;

	rcu_register_thread();
	arm(a);
	r = loop_run(&a->loop, after_round, a);
	rcu_unregister_thread();
	return r;
}

void agent_stop(struct agent *a)
{
	__atomic_store_n(&a->loop.stop, true, __ATOMIC_SEQ_CST);
	work_kick(a->work);
}

/* ---- start and end ----------------------------------------------------------- */

static void add_source(struct agent *a, struct source *src, int fd,
		       void (*fn)(struct source *src, uint32_t events))
{
	*src = (struct source){ fd, fn, a, EPOLLIN };
	loop_add(&a->loop, src);
}

static void open_signals(struct agent *a)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		add_source(a, &a->signal_source, fd, signal_ready);
}

static void open_uevents(struct agent *a)
{
	int fd = uevent_open();

	if (fd >= 0)
		add_source(a, &a->uevent_source, fd, news_uevent);
	else
		log_warning("uevents: %s; changes are seen at the next request", strerror(-fd));
}

/* Before the scan: what is written after it is noticed. */
static void start_guard(struct agent *a, const struct agent_options *opt)
{
	int r = guard_start(&a->guard, opt->guard, opt->sysfs_root, opt->guard_bound_ms);

	if (r < 0)
		log_warning("guard: advisory only, nobody is kept from sysfs: %s", strerror(-r));
	else if (opt->guard != GUARD_OFF)
		add_source(a, &a->guard_source, a->guard.news, news_guard);
}

static void init_parts(struct agent *a, const struct agent_options *opt, struct sysfs *sysfs)
{
	pthread_mutex_init(&a->changes.lock, NULL);
	a->sysfs = sysfs;
	a->signal_source.fd = a->uevent_source.fd = -1;
	kmsg_open(&a->kmsg);
	persist_init(&a->persist, opt->state_dir, NULL);
	lock_init(&a->lock, 0);
	model_init(&a->model, sysfs, &a->lock);
	a->hooks = a->model.hooks = opt->hooks_dir ? hooks_new(opt->hooks_dir, opt->hook_ms) : NULL;
	window_init(&a->window, &a->model, &a->lock, &a->persist);
	expedite_init(&a->expedite, sysfs, opt->expedite);
	a->expedite.on_set = expedited;
	a->expedite.on_set_arg = a;
	a->model.expedite = &a->expedite;
	a->model.tell = agent_tell;
	a->model.tell_arg = a;
	sysfs_on_out(sysfs, news_write_out, a);
	sysfs_on_write(sysfs, news_write_begins, a);
	guard_init(&a->guard);
	lock_on_change(&a->lock, guard_engage, &a->guard);
	a->window.intents = guard_intents;
	a->window.intents_arg = &a->guard;
}

/* Whatever the options say now: the agent that was killed may have had others. */
static void restore_expedited(struct sysfs *sysfs)
{
	struct ls_err err = { 0 };
	int r = expedite_restore(sysfs, &err);

	if (r < 0)
		log_error("rcu: an agent that was killed has left it expedited: %s", err.text);
	else if (r == 0)
		log_warning("rcu: an agent that was killed had left it expedited: put back");
}

/* Before the scan, which finds memory that has come already: that stays as it is. */
static void make_movable(struct sysfs *sysfs)
{
	struct ls_err err = { 0 };
	int r = auto_online_movable(sysfs, &err);

	if (r < 0)
		log_warning("memory: what the kernel brings online cannot be given back: %s",
			    err.text);
	else if (r == 0)
		log_info("memory: the kernel brings it online by itself: from now on as movable");
}

/* Looking needs nobody's leave; who could do no more than that is told at once. */
static void check_rights(const char *sysfs_root)
{
	char path[LS_PATH_BYTES];

	if (!sysfs_root)
		return;
	snprintf(path, sizeof(path), "%s/devices/system/cpu/uevent", sysfs_root);
	if (access(path, W_OK) < 0 && errno != ENOENT)
		log_warning("%s: %s: devices can be looked at, not changed: run as root, with %s "
			    "writable",
			    path, strerror(errno), sysfs_root);
}

/* Who misses them in the host's table finds here why. */
static void check_beyond(struct sysfs *sysfs)
{
	struct cpus present;
	int n = cpu_present(sysfs, &present);

	if (n > 0)
		log_warning(CPUS_BEYOND, n, LS_CPUS_MAX);
}

/* First of all: two agents on one state directory would be two hotplug locks and one record. */
static int open_local(struct agent *a, const struct agent_options *opt, struct ls_err *err)
{
	struct ls_err local = { 0 };
	int r = opt->local ? local_open(a, opt->state_dir, opt->local_gid, &local) : 0;

	if (r == -EADDRINUSE)
		return ls_err_set(err, r, "%s", local.text);
	if (r < 0)
		log_warning("%s; commands in the guest find no agent, the host does", local.text);
	return 0;
}

static int start(struct agent *a, const struct agent_options *opt, struct ls_err *err)
{
	int r = loop_init(&a->loop, agent_expire, a);

	if (r < 0)
		return ls_err_set(err, r, "no poll loop: %s", strerror(-r));
	r = open_local(a, opt, err);
	if (r < 0)
		return r;
	check_rights(opt->sysfs_root);
	restore_expedited(a->sysfs); /* of an agent that was killed: there is no other now */
	if (!opt->auto_online_keep)
		make_movable(a->sysfs);
	a->work = work_new();
	if (!a->work)
		return ls_err_set(err, -ENOMEM, "no transaction thread");
	add_source(a, &a->work_source, work_fd(a->work), work_ready);
	open_uevents(a); /* before the scan: what changes after it is told */
	start_guard(a, opt);
	if (opt->signals)
		open_signals(a);
	r = model_scan(&a->model, err);
	if (r < 0)
		return r;
	check_beyond(a->sysfs);
	window_load(&a->window, qmp_now_ms());
	window_compare(&a->window);
	return serve_open(a, opt, err);
}

int agent_init(struct agent *a, const struct agent_options *opt, struct sysfs *sysfs,
	       struct ls_err *err)
{
	int r;

	memset(a, 0, sizeof(*a));
	a->loop.epoll = a->loop.timer = -1;
	init_parts(a, opt, sysfs);
	r = start(a, opt, err);
	if (r < 0)
		agent_done(a);
	return r;
}

int agent_done(struct agent *a)
{
	expedite_stop(&a->expedite); /* before a job is waited for that may not end */
	local_close(a);
	serve_close(a);
	hooks_stop(a->hooks, qmp_now_ms() + STOP_HOOK_MS);
	/* A write that comes back from here on must not ask for a scan. */
	sysfs_on_out(a->sysfs, NULL, NULL);
	sysfs_on_write(a->sysfs, NULL, NULL);
	if (a->work && work_free(a->work, STOP_WAIT_MS) < 0)
		return -ETIMEDOUT;
	guard_stop(&a->guard); /* a job may give the lock back and tell it */
	if (a->signal_source.fd >= 0)
		close(a->signal_source.fd);
	if (a->uevent_source.fd >= 0)
		close(a->uevent_source.fd);
	kmsg_close(&a->kmsg);
	loop_done(&a->loop);
	window_done(&a->window);
	model_done(&a->model);
	hooks_free(a->hooks);
	expedite_done(&a->expedite);
	lock_done(&a->lock);
	pthread_mutex_destroy(&a->changes.lock);
	return 0;
}
