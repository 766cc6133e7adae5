/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cooperative scheduler for the agent's real code: every schedule of a small case, up
 * to a number of preemptions.
 *
 * The linker gives us the code's calls of pthread_*() and clock_gettime() (wrap.c). A
 * thread is a stack of its own on the one thread of this process; it runs until it is
 * about to do something that others may notice (an operation, struct op). There somebody
 * chooses who goes on (explore.c): the same choices give the same run.
 *
 * What is between two operations is one step. So a case sees every order of locks, waits
 * and looks at the kernel; what races without a lock is for ThreadSanitizer to find.
 * Memory is sequentially consistent here. A signal wakes who has waited longest; nobody
 * wakes without one.
 *
 * Sleeping and signalling with the condition's mutex held are no choices: nobody else can
 * do anything at that condition meanwhile. The first signal without it makes them
 * choices, and the search begins again (struct sched, @bare).
 *
 * Time is virtual. A timed wait ends when nothing else can run, earliest first; or, where
 * the case wants that (sched_early()), once in a run before, which counts as a preemption.
 */
#ifndef INTERLEAVE_SCHED_H
#define INTERLEAVE_SCHED_H

#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#define SCHED_THREADS_MAX 48
#define SCHED_STEPS_MAX	  4000 /* of one run: more is a run that does not end */
#define SCHED_TEXT_BYTES  512

/**
 * struct object - What threads meet at; lies at the start of a mutex or condition
 * @owner: of a mutex
 * @outer: of a mutex: what its owner had taken before
 * @past:  everything that has happened to it, as a number: see past_after()
 * @mutex: of a condition
 */
struct object {
	struct thread *owner;
	struct object *outer;
	uint64_t past;
	struct object *mutex;
};

/**
 * enum op_kind - What a thread is about to do
 * @OP_LOCK:   waits until nobody owns @on
 * @OP_TRY:    a lock that does not wait
 * @OP_SLEEP:  give @mutex back and wait at @on
 * @OP_WAKE:   waits for a signal at @on, then for @mutex
 * @OP_SIGNAL: wake one at @on, or all
 * @OP_JOIN:   waits for the end of @thread
 * @OP_KILL:   @thread does nothing any more
 * @OP_POINT:  a step of the case's own at @on
 * @OP_UNTIL:  waits until @ready says so; its answer depends on @on
 */
enum op_kind {
	OP_NONE,
	OP_LOCK,
	OP_TRY,
	OP_SLEEP,
	OP_WAKE,
	OP_SIGNAL,
	OP_JOIN,
	OP_KILL,
	OP_POINT,
	OP_UNTIL,
	OP_KIND_COUNT
};

/**
 * struct op - One operation
 * @timed: OP_WAKE ends at @until_ns, too
 * @what:  a word for it; NULL: the kind's own
 * @site:  where in the code
 */
struct op {
	enum op_kind kind;
	struct object *on;
	struct object *mutex;
	struct thread *thread;
	bool (*ready)(void *arg);
	void *arg;
	bool timed;
	int64_t until_ns;
	const char *what;
	const void *site;
};

/**
 * struct thread - One thread
 * @turn:     where it goes on, once it has begun
 * @past:     everything that it has done, and what that depended on, as a number
 * @next:     what it is about to do
 * @parent:   who made it
 * @held:     mutex taken last
 * @at:       the condition at which it sleeps
 * @since:    when it went to sleep: the order among sleepers
 * @signaled: it was woken
 * @late:     its time was over
 * @local:    value of the word that each thread has for itself, see sched_local()
 * @stack:    kept from run to run, as what follows
 * @context:  where it begins; swapcontext() afterwards would be a system call each time
 */
struct thread {
	char name[32];
	jmp_buf turn;
	bool begun;
	void *(*fn)(void *arg);
	void *arg;
	void *result;
	uint64_t past;
	struct op next;
	struct thread *parent;
	struct object *held;
	struct object *at;
	uint64_t since;
	bool signaled;
	bool late;
	bool done;
	bool killed;
	int children;
	int local;
	void *stack;
	ucontext_t context;
};

/* One step of a run, to be shown. */
struct step {
	const struct thread *thread;
	enum op_kind kind;
	const char *what;
	const void *site;
	bool preempts;
	bool late;
};

/**
 * struct sched - The run under way
 * @thread:    [0] runs the case
 * @now:       who runs
 * @clock_ns:  virtual time
 * @open:      other threads than the first to go on may be chosen
 * @punctual:  that nothing but a deadline goes on is a mistake
 * @early:     a timed wait may end before its time
 * @word:      of sched_local()
 * @starter:   who waits for a new thread to come to its first operation
 * @bare:      a condition was used without its mutex
 * @wrong:     the first mistake; "" none
 */
struct sched {
	struct thread thread[SCHED_THREADS_MAX];
	int n;
	struct thread *now;
	ucontext_t home;
	int64_t clock_ns;
	uint64_t sleeps;
	bool open;
	bool punctual;
	bool early;
	int *word;
	struct thread *starter;
	bool bare;
	const char *next_name;
	struct step step[SCHED_STEPS_MAX];
	int n_steps;
	char wrong[SCHED_TEXT_BYTES];
};

extern struct sched sched;

/* ---- for cases ---------------------------------------------------------------- */

/**
 * struct sched_case - A case
 * @run:     in a thread of its own; makes the others and joins them
 * @expect:  NULL; or a part of what has to go wrong: the scheduler's own tests
 * @bound:   preemptions at most in `make check`
 * @longest: and in `make check-long`
 */
struct sched_case {
	const char *name;
	void (*run)(void);
	const char *expect;
	int bound;
	int longest;
};

/* The name of the thread that is made next; otherwise it is its parent's with a number. */
void sched_name(const char *name);
/* Wait for the end of these. */
void sched_join(const pthread_t *thread, int n);
/* From here on every order is tried (true); set-up and end have one order only. */
void sched_open(bool open);
/* No deadline may be needed: waiting for one is a mistake. */
void sched_punctual(void);
/* A timed wait may end early, once in a run. */
void sched_early(void);
/* A word that each thread has for itself (_Thread_local in the code). */
void sched_local(void *word);
/* A step of the case's own: orders itself with the other steps at @on. */
void sched_point(struct object *on, const char *what);
/* Wait until @ready says true; what it looks at changes in steps at @on only. */
void sched_until(struct object *on, bool (*ready)(void *arg), void *arg, const char *what);
/* This thread, and those that it has made, do not go on from where they are: SIGKILL. */
void sched_kill(pthread_t thread);
/* The rule that must hold here. */
void sched_check(bool holds, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- sched.c: for wrap.c and explore.c ------------------------------------------ */

/* Run a case once; who goes on is asked of choose(). */
void sched_run(const struct sched_case *c);
/* The running thread is about to do this; returns when it has been chosen. */
void sched_do(struct op op);
/* The same, where nothing depends on when: it goes on at once. */
void sched_do_now(struct op op);
/* A thread that has run up to its first operation. */
struct thread *sched_thread(void *(*fn)(void *arg), void *arg);
struct thread *sched_find(pthread_t id);
void sched_wake(struct object *on, bool all);
/* End the run here. */
void sched_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Whether it can be done now. */
bool op_ready(const struct thread *t);

/* ---- explore.c ------------------------------------------------------------------ */

/**
 * struct count - What a search has seen
 * @runs:    schedules run
 * @merged:  of them, those that came to where another had been, by steps that do not
 *           depend on each other in another order; from there on they are not varied
 * @longest: steps in one of them
 */
struct count {
	unsigned long runs;
	unsigned long merged;
	int longest;
};

/* Who goes on; its step is noted. For sched.c. */
struct thread *choose(void);
/* The running thread, without a choice. */
void choose_now(void);

/**
 * explore() - Run every schedule of a case with at most @bound preemptions
 * @all: also those that differ in the order of independent steps only
 *
 * Return: whether all of them were right; if not, sched has the one that was not.
 */
bool explore(const struct sched_case *c, int bound, bool all, struct count *ret_count);

/* The choices of the last run that were not the first, as text for explore_again(). */
void explore_choices(char *buf, size_t size);
/* Run one schedule. */
bool explore_again(const struct sched_case *c, const char *choices);

#endif
