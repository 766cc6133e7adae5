/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that take turns, and what they wait for.
 */
#undef _FORTIFY_SOURCE /* its longjmp() takes a change of stacks for a mistake */

#include "sched.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES (256 * 1024)
#define EPOCH_NS    INT64_C(1000000000000)

struct sched sched;

/* ---- threads ------------------------------------------------------------------- */

static void give_turn(struct thread *to)
{
	struct thread *from = sched.now;

	if (to == from)
		return;
	from->local = *sched.word;
	*sched.word = to->local;
	sched.now = to;
	if (_setjmp(from->turn))
		return;
	if (to->begun)
		_longjmp(to->turn, 1);
	to->begun = true;
	setcontext(&to->context);
}

static void give_back(void)
{
	struct thread *starter = sched.starter;

	sched.starter = NULL;
	give_turn(starter);
}

/* Each ends here, and somebody else goes on; after the first one nobody does. */
static void entry(void)
{
	struct thread *t = sched.now;

	t->result = t->fn(t->arg);
	t->done = true;
	if (t == sched.thread)
		setcontext(&sched.home);
	if (sched.starter)
		give_back();
	give_turn(choose());
}

static void name_thread(struct thread *t)
{
	struct thread *parent = sched.now;

	if (sched.next_name)
		snprintf(t->name, sizeof(t->name), "%s", sched.next_name);
	else
		snprintf(t->name, sizeof(t->name), "%.16s.%d", parent->name, parent->children + 1);
	sched.next_name = NULL;
}

/* Where the thread at a place in the table begins; the same in every run. */
static void make_context(struct thread *t)
{
	t->stack = malloc(STACK_BYTES);
	if (!t->stack)
		abort();
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = t->stack;
	t->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&t->context, entry, 0);
}

static struct thread *new_thread(void *(*fn)(void *arg), void *arg)
{
	struct thread *t = &sched.thread[sched.n];

	if (sched.n == SCHED_THREADS_MAX)
		sched_wrong("more than %d threads", SCHED_THREADS_MAX);
	memset(t, 0, offsetof(struct thread, stack));
	t->fn = fn;
	t->arg = arg;
	if (!t->stack)
		make_context(t);
	name_thread(t);
	sched.n++;
	return t;
}

struct thread *sched_thread(void *(*fn)(void *arg), void *arg)
{
	struct thread *t = new_thread(fn, arg), *parent = sched.now;

	t->parent = parent;
	t->past = parent->past + (uint64_t)++parent->children;
	sched.starter = parent;
	give_turn(t);
	return t;
}

/* A pthread_t is a number here; 0 is nobody. */
struct thread *sched_find(pthread_t id)
{
	return &sched.thread[id - 1];
}

void sched_do(struct op op)
{
	sched.now->next = op;
	if (sched.starter)
		give_back();
	else
		give_turn(choose());
}

void sched_do_now(struct op op)
{
	if (sched.bare || sched.starter) {
		sched_do(op);
		return;
	}
	sched.now->next = op;
	choose_now();
}

/* ---- waiting --------------------------------------------------------------------- */

bool op_ready(const struct thread *t)
{
	const struct op *op = &t->next;

	switch (op->kind) {
	case OP_LOCK:
		return !op->on->owner;
	case OP_WAKE:
		return t->signaled && !op->mutex->owner;
	case OP_JOIN:
		return op->thread->done;
	case OP_UNTIL:
		return op->ready(op->arg);
	default:
		return true;
	}
}

void sched_wake(struct object *on, bool all)
{
	struct thread *t, *first;

	do {
		first = NULL;
		for (t = sched.thread; t < sched.thread + sched.n; t++)
			if (t->at == on && !t->killed && (!first || t->since < first->since))
				first = t;
		if (first) {
			first->signaled = true;
			first->at = NULL;
		}
	} while (first && all);
}

/* ---- a run ----------------------------------------------------------------------- */

void sched_wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sched.wrong, sizeof(sched.wrong), fmt, ap);
	va_end(ap);
	setcontext(&sched.home);
	abort();
}

static void *run_case(void *arg)
{
	const struct sched_case *c = arg;
	struct thread *t;

	c->run();
	for (t = sched.thread + 1; t < sched.thread + sched.n; t++)
		if (!t->done && !t->killed)
			sched_wrong("%s is left behind", t->name);
	return NULL;
}

static void reset(void)
{
	static int nobody;

	sched.n = sched.n_steps = 0;
	sched.clock_ns = EPOCH_NS;
	sched.sleeps = 0;
	sched.open = sched.punctual = sched.early = false;
	sched.word = &nobody;
	sched.starter = NULL;
	sched.wrong[0] = '\0';
}

void sched_run(const struct sched_case *c)
{
	volatile bool begun = false; /* getcontext() returns again at the end */

	reset();
	sched_name("case");
	sched.now = new_thread(run_case, (void *)c);
	getcontext(&sched.home);
	if (begun)
		return;
	begun = sched.now->begun = true;
	setcontext(&sched.now->context);
}

/* ---- for cases --------------------------------------------------------------------- */

void sched_name(const char *name)
{
	sched.next_name = name;
}

struct threads {
	const pthread_t *id;
	int n;
};

static bool all_done(void *arg)
{
	const struct threads *all = arg;
	int i;

	for (i = 0; i < all->n; i++)
		if (!sched_find(all->id[i])->done && !sched_find(all->id[i])->killed)
			return false;
	return true;
}

void sched_join(const pthread_t *thread, int n)
{
	struct threads all = { thread, n };

	sched_until(NULL, all_done, &all, "join all");
}

void sched_open(bool open)
{
	sched.open = open;
}

void sched_punctual(void)
{
	sched.punctual = true;
}

void sched_early(void)
{
	sched.early = true;
}

void sched_local(void *word)
{
	sched.word = word;
}

void sched_point(struct object *on, const char *what)
{
	sched_do((struct op){
		.kind = OP_POINT, .on = on, .what = what, .site = __builtin_return_address(0) });
}

void sched_until(struct object *on, bool (*ready)(void *arg), void *arg, const char *what)
{
	sched_do((struct op){ .kind = OP_UNTIL,
			      .on = on,
			      .ready = ready,
			      .arg = arg,
			      .what = what,
			      .site = __builtin_return_address(0) });
}

static void kill_family(struct thread *t)
{
	struct thread *child;

	t->killed = true;
	t->at = NULL;
	for (child = t + 1; child < sched.thread + sched.n; child++)
		if (child->parent == t)
			kill_family(child);
}

void sched_kill(pthread_t thread)
{
	struct thread *t = sched_find(thread);

	sched_do((struct op){ .kind = OP_KILL, .thread = t, .site = __builtin_return_address(0) });
	kill_family(t);
}

void sched_check(bool holds, const char *fmt, ...)
{
	char text[SCHED_TEXT_BYTES];
	va_list ap;

	if (holds)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sched_wrong("%s", text);
}
