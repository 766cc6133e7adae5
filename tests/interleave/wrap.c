/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the agent's code calls instead of the C library's threads and clock: the linker's
 * --wrap, so that the objects are the same as in the agent. A mutex and a condition are
 * a struct object in the memory that the code has for them.
 */
#include "sched.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static_assert(sizeof(struct object) <= sizeof(pthread_mutex_t), "fits");
static_assert(sizeof(struct object) <= sizeof(pthread_cond_t), "fits");

/* The owner of what was destroyed: nobody may touch it any more. */
static struct thread destroyed = { .name = "destroyed" };

static struct object *object_of(void *p)
{
	struct object *o = p;

	if (o->owner == &destroyed)
		sched_wrong("%s uses a lock that was destroyed", sched.now->name);
	return o;
}

#define HERE __builtin_return_address(0)

/* ---- mutexes --------------------------------------------------------------------- */

static void own(struct object *mutex)
{
	mutex->owner = sched.now;
	mutex->outer = sched.now->held;
	sched.now->held = mutex;
}

/* Not always in the reverse order. */
static void disown(struct object *mutex)
{
	struct object **p = &sched.now->held;

	while (*p != mutex)
		p = &(*p)->outer;
	*p = mutex->outer;
	mutex->owner = NULL;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	(void)attr;
	*(struct object *)m = (struct object){ 0 };
	return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m)
{
	struct object *o = object_of(m);

	if (o->owner)
		sched_wrong("%s destroys a lock that %s has", sched.now->name, o->owner->name);
	o->owner = &destroyed;
	return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	struct object *o = object_of(m);

	sched_do((struct op){ .kind = OP_LOCK, .on = o, .site = HERE });
	own(o);
	return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *m);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *m)
{
	struct object *o = object_of(m);

	sched_do((struct op){ .kind = OP_TRY, .on = o, .site = HERE });
	if (o->owner)
		return EBUSY;
	own(o);
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	struct object *o = object_of(m);

	if (o->owner != sched.now)
		sched_wrong("%s gives back a lock that it does not have", sched.now->name);
	disown(o);
	return 0;
}

/* ---- conditions ------------------------------------------------------------------- */

int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
	(void)attr;
	*(struct object *)c = (struct object){ 0 };
	return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *c);
int __wrap_pthread_cond_destroy(pthread_cond_t *c)
{
	const struct thread *t;

	for (t = sched.thread; t < sched.thread + sched.n; t++)
		if (t->at == object_of(c))
			sched_wrong("%s destroys a condition at which %s waits", sched.now->name,
				    t->name);
	object_of(c)->owner = &destroyed;
	return 0;
}

/* Which mutex a condition has is seen when it is used; see struct sched, @bare. */
static void use_with(struct object *cond, struct object *mutex)
{
	if (!cond->mutex)
		cond->mutex = mutex;
	if (!mutex || cond->mutex != mutex || mutex->owner != sched.now)
		sched.bare = true;
}

static int wait_at(struct op op)
{
	struct thread *t = sched.now;

	use_with(op.on, op.mutex);
	op.kind = OP_SLEEP;
	sched_do_now(op);
	disown(op.mutex);
	t->at = op.on;
	t->since = ++sched.sleeps;
	t->signaled = false;
	op.kind = OP_WAKE;
	sched_do(op);
	own(op.mutex);
	return t->late ? ETIMEDOUT : 0;
}

static int signal_at(struct object *cond, bool all, const void *site)
{
	use_with(cond, cond->mutex ? cond->mutex : sched.now->held);
	sched_do_now((struct op){ .kind = OP_SIGNAL, .on = cond, .site = site });
	sched_wake(cond, all);
	return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	return wait_at((struct op){ .on = object_of(c), .mutex = object_of(m), .site = HERE });
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				  const struct timespec *until)
{
	return wait_at(
		(struct op){ .on = object_of(c),
			     .mutex = object_of(m),
			     .timed = true,
			     .until_ns = until->tv_sec * INT64_C(1000000000) + until->tv_nsec,
			     .site = HERE });
}

int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_signal(pthread_cond_t *c)
{
	return signal_at(object_of(c), false, HERE);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
	return signal_at(object_of(c), true, HERE);
}

/* ---- threads ---------------------------------------------------------------------- */

int __wrap_pthread_create(pthread_t *ret_id, const pthread_attr_t *attr, void *(*fn)(void *arg),
			  void *arg);
int __wrap_pthread_create(pthread_t *ret_id, const pthread_attr_t *attr, void *(*fn)(void *arg),
			  void *arg)
{
	struct thread *t = sched_thread(fn, arg);

	(void)attr;
	*ret_id = (pthread_t)(t - sched.thread + 1);
	return 0;
}

int __wrap_pthread_join(pthread_t id, void **ret_result);
int __wrap_pthread_join(pthread_t id, void **ret_result)
{
	struct thread *t = sched_find(id);

	sched_do((struct op){ .kind = OP_JOIN, .thread = t, .site = HERE });
	if (ret_result)
		*ret_result = t->result;
	return 0;
}

/* The deadline is for a thread that never ends: here that is a deadlock. */
int __wrap_pthread_timedjoin_np(pthread_t id, void **ret_result, const struct timespec *until);
int __wrap_pthread_timedjoin_np(pthread_t id, void **ret_result, const struct timespec *until)
{
	(void)until;
	return __wrap_pthread_join(id, ret_result);
}

int __wrap_pthread_detach(pthread_t id);
int __wrap_pthread_detach(pthread_t id)
{
	(void)id;
	return 0;
}

pthread_t __wrap_pthread_self(void);
pthread_t __wrap_pthread_self(void)
{
	return (pthread_t)(sched.now - sched.thread + 1);
}

/* Interrupts a write in the kernel; the fake one of these cases has none that can be. */
int __wrap_pthread_kill(pthread_t id, int sig);
int __wrap_pthread_kill(pthread_t id, int sig)
{
	(void)id;
	(void)sig;
	return 0;
}

/* ---- the rest --------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	ret_now->tv_sec = sched.clock_ns / 1000000000;
	ret_now->tv_nsec = sched.clock_ns % 1000000000;
	return 0;
}

void __wrap___assert_fail(const char *what, const char *file, unsigned line, const char *fn);
void __wrap___assert_fail(const char *what, const char *file, unsigned line, const char *fn)
{
	sched_wrong("%s: assertion in %s (%s:%u): %s", sched.now->name, fn, file, line, what);
}
