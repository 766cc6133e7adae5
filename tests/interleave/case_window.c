/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The migration window over a kernel with two CPUs, of which cpu1 is offline: a host that
 * opens, renews and closes, leases that run out, two users, and an agent that is killed.
 *
 * What the agent's loop does is done by each thread itself; what belongs to the transaction
 * thread is done with @turn held, one after the other. The guard is its rule
 * (guard_judge()) at a gate: whether the lock is held is told there as to the guard.
 *
 * At the end of every schedule, no window being open:
 *
 *	driver core and kernel agree about every CPU			(I1)
 *	each write of the agent was under the lock, pinned, and with the
 *	device's lock							(I2)
 *	cpu1 is as its users asked for, and offline if nobody did	(I3)
 *	the lock is free
 */
#include "cases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/err.h>

#include "../../guest-agent/guard_rule.h"
#include "../../guest-agent/model.h"
#include "../unit/fake_sysfs.h"

#define CPU1	 "devices/system/cpu/cpu1/online"
#define FIRST_MS 1000 /* the first lease */

/**
 * struct world - What the threads share
 * @turn:     the transaction thread: who has it works
 * @gate:     orders what follows
 * @mode:     of the guard
 * @engaged:  the lock is held
 * @times:    how often it was taken or given back
 * @touched:  cpu1 was written to while it was held
 * @closing:  the window's end has begun
 * @wanted:   what the users asked for last
 * @passing:  a user has opened the file and not written yet
 * @unclear:  one asked while the lock was on its way to somebody else
 * @agent:    who is killed
 */
static struct world {
	struct guest g;
	struct sysfs_ops ops;
	pthread_mutex_t turn;
	struct object gate;
	enum guard_mode mode;
	bool engaged;
	int times;
	bool touched;
	bool closing;
	bool wanted;
	bool passing;
	bool unclear;
	pthread_t agent;
} s;

/* ---- around the agent ------------------------------------------------------------- */

static bool watching(void)
{
	return s.mode == GUARD_WATCH;
}

static int watched_write(void *ctx, const char *path, const char *value)
{
	struct device *dev = guest_cpu(&s.g, 1);

	sched_check(s.g.lock.held && s.g.lock.pins, "the agent writes without the lock");
	sched_check(((struct object *)&dev->lock)->owner, "the device's lock is free");
	return fake_ops.write(ctx, path, value);
}

static void on_change(void *arg, bool held)
{
	(void)arg;
	sched_point(&s.gate, held ? "lock taken" : "lock free");
	s.engaged = held;
	s.times++;
	s.unclear |= s.passing;
}

/* What only somebody can spoil who writes at the same time: no guard, or passed by it. */
static void must_hold(bool holds, const char *what, int code)
{
	sched_point(&s.gate, "ends");
	sched_check(holds || watching() || s.unclear, "%s: %s", what, strerror(-code));
}

static struct cpus intents(void *arg)
{
	struct cpus set = { 0 };

	(void)arg;
	sched_point(&s.gate, "intents");
	if (s.touched)
		cpus_add(&set, 1);
	s.touched = false;
	return set;
}

static void start_agent(void)
{
	s.ops = fake_ops;
	s.ops.write = watched_write;
	s.g.sysfs = sysfs_new_ops(&s.ops, &s.g.kernel);
	s.g.model.sysfs = s.g.sysfs;
	lock_on_change(&s.g.lock, on_change, NULL);
	s.g.window.intents = watching() ? intents : NULL;
}

static void start(enum guard_mode mode)
{
	memset(&s, 0, sizeof(s));
	sched_local(&lock_level_now);
	pthread_mutex_init(&s.turn, NULL);
	s.mode = mode;
	guest_init(&s.g, 2, 1, 0);
	sysfs_free(s.g.sysfs);
	start_agent();
}

static void run(const char *const *name, void *(*const *fn)(void *), int n)
{
	pthread_t t[4];
	int i;

	for (i = 0; i < n; i++) {
		sched_name(name[i]);
		pthread_create(&t[i], NULL, fn[i], NULL);
		if (!i)
			s.agent = t[0];
	}
	sched_open(true);
	sched_join(t, n);
	sched_open(false);
}

/* What must be true when all is over. */
static void check_end(void)
{
	const struct fake_cpu *cpu = &s.g.kernel.cpu[1];
	struct window_view v;

	window_look(&s.g.window, 0, &v);
	sched_check(v.state == WINDOW_CLOSED, "the window is %s", window_state_name(v.state));
	sched_check(!s.g.lock.held, "%s has the lock for ever", s.g.lock.txn);
	sched_check(cpu->device == cpu->kernel, "cpu1: driver core %d, kernel %d", cpu->device,
		    cpu->kernel);
	guest_scan(&s.g);
	sched_check(guest_cpu(&s.g, 1)->online == cpu->device, "the agent sees cpu1 otherwise");
	sched_check(s.unclear || cpu->device == s.wanted, "cpu1 is %d, and was to be %d",
		    cpu->device, s.wanted);
}

/* ---- the host's requests ------------------------------------------------------------ */

static void on_failed(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	(void)cpu;
	must_hold(false, err->text, code);
}

static int open_window(const char *txn)
{
	struct window_result result = { .failed = on_failed };
	int r = window_admit(&s.g.window, txn, 1, FIRST_MS, WINDOW_FORCE, 0, NULL);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s.turn);
	guest_scan(&s.g);
	r = window_open(&s.g.window, txn, r == 1, &result, NULL);
	pthread_mutex_unlock(&s.turn);
	return r;
}

static int close_window(const char *txn)
{
	struct window_result result = { .failed = on_failed };
	int r;

	pthread_mutex_lock(&s.turn);
	guest_scan(&s.g);
	if (watching()) {
		sched_point(&s.gate, "closes");
		s.closing = true;
	}
	r = window_close(&s.g.window, txn, &result, NULL);
	pthread_mutex_unlock(&s.turn);
	return r;
}

static void end(void)
{
	if (s.g.window.state == WINDOW_PENDING)
		close_window("m1");
	check_end();
	guest_done(&s.g);
}

/* What was spoilt is pending, and the next close has nobody in its way. */
static void *open_and_close(void *arg)
{
	int r = open_window("m1");

	must_hold(r == 0 || r == -EBUSY, "open", r);
	if (r < 0)
		return arg;
	sched_check(close_window("m1") == 0, "the window was closed already");
	return arg;
}

/* ---- users ---------------------------------------------------------------------------- */

static bool may_pass(void *arg)
{
	const struct guard_open open = { .writes = true };

	(void)arg;
	return guard_judge(s.mode, s.engaged, &open) == GUARD_ALLOW;
}

/* As `echo VALUE >cpu1/online`: an open that may wait, a write, and the news of it. */
static void echo(bool value)
{
	bool held;

	sched_until(&s.gate, may_pass, NULL, "opens");
	s.passing = true;
	held = s.engaged;
	fake_user(&s.g.kernel, CPU1, value ? "1" : "0");
	sched_point(&s.gate, "has written");
	s.touched |= s.engaged;
	s.passing = false;
	s.wanted = value;
	s.unclear |= held && s.closing;
}

static void *user_up(void *arg)
{
	echo(true);
	return arg;
}

static void *user_down_up(void *arg)
{
	echo(false);
	echo(true);
	return arg;
}

/* The guest's root, by the agent's own command: a transaction like those of the host. */
static void *local_up(void *arg)
{
	int r = lock_take(&s.g.lock, "t1", 1, FIRST_MS, 0, NULL);

	if (r < 0)
		return arg;
	sched_check(lock_pin(&s.g.lock, "t1", NULL) == 0, "the lock went");
	pthread_mutex_lock(&s.turn);
	guest_scan(&s.g);
	r = device_online(guest_cpu(&s.g, 1), NULL);
	must_hold(r >= 0, "cpu1 does not come", r);
	s.wanted = true;
	pthread_mutex_unlock(&s.turn);
	lock_unpin(&s.g.lock);
	lock_release(&s.g.lock, "t1", NULL);
	return arg;
}

/* ---- cases ------------------------------------------------------------------------------ */

static const char *const host_users[] = { "host", "user", "local" };

/* The guard holds writers: what they write happens, and lasts. */
void case_window_hold(void)
{
	void *(*const fn[])(void *) = { open_and_close, user_up };

	start(GUARD_HOLD);
	run(host_users, fn, 2);
	end();
}

/* The guard watches: what is written before the window's end is honoured by it. */
void case_window_watch(void)
{
	void *(*const fn[])(void *) = { open_and_close, user_down_up };

	start(GUARD_WATCH);
	run(host_users, fn, 2);
	end();
}

/* Two users: one writes to the kernel, one asks the agent. */
void case_window_users(void)
{
	void *(*const fn[])(void *) = { open_and_close, user_up, local_up };

	start(GUARD_HOLD);
	run(host_users, fn, 3);
	end();
}

/* A renew that was taken is a window that stays open. */
static void *renew_and_close(void *arg)
{
	int r = window_renew(&s.g.window, "m1", 5 * FIRST_MS, FIRST_MS - 1, NULL);
	bool open = close_window("m1") == 0;

	sched_check(r == 0 || r == -ENOLCK, "renew ends with %d", r);
	sched_check(r < 0 || open, "renewed, and the end of the lease has closed the window");
	return arg;
}

static void *lease_ends(void *arg)
{
	if (window_expire(&s.g.window, FIRST_MS))
		close_window(NULL);
	return arg;
}

/* The end of a lease, and the renew that comes just then. */
void case_window_lease(void)
{
	static const char *const name[] = { "host", "lease" };
	void *(*const fn[])(void *) = { renew_and_close, lease_ends };

	start(GUARD_HOLD);
	sched_check(open_window("m1") == 0, "no window");
	run(name, fn, 2);
	end();
}

/* ---- the agent is killed -------------------------------------------------------------------- */

/* In memory: it is written some times in every schedule. */
static char state_dir[] = "/dev/shm/lockstep-interleave-XXXXXX";

static void remove_dir(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/state.json", state_dir);
	unlink(path);
	rmdir(state_dir);
}

static void empty_dir(void)
{
	char path[64];

	if (strstr(state_dir, "XXXXXX")) {
		if (!mkdtemp(state_dir))
			abort();
		atexit(remove_dir);
	}
	snprintf(path, sizeof(path), "%s/state.json", state_dir);
	unlink(path);
}

/* All that the next agent has is the kernel and the record. */
static void *kill_and_restart(void *arg)
{
	struct guest *g = &s.g;
	struct window_view v;
	bool was_free;

	sched_kill(s.agent);
	was_free = s.times == 2;
	sched_point(&s.gate, "lets all go");
	s.times += s.engaged;
	s.engaged = false;
	pthread_mutex_init(&s.turn, NULL);
	lock_init(&g->lock, 0);
	model_init(&g->model, g->sysfs, &g->lock);
	g->model.workers.ops = &fake_machine;
	window_init(&g->window, &g->model, &g->lock, &g->persist);
	start_agent();
	guest_scan(g);
	window_load(&g->window, 0);
	window_look(&g->window, 0, &v);
	sched_check(!was_free || v.state == WINDOW_CLOSED,
		    "the lock was free, and the record of the window is %s",
		    window_state_name(v.state));
	if (window_expire(&g->window, LS_LEASE_FIRST_MAX_MS))
		close_window(NULL);
	return arg;
}

/* Killed at any point, and started again: the window ends as if nothing had been. */
void case_window_restart(void)
{
	static const char *const name[] = { "agent", "killer" };
	void *(*const fn[])(void *) = { open_and_close, kill_and_restart };

	start(GUARD_HOLD);
	empty_dir();
	persist_init(&s.g.persist, state_dir, NULL);
	run(name, fn, 2);
	end();
}
