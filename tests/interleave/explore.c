/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who goes on, in every way that there is: a search in depth, by running the case again
 * with another last choice.
 *
 * DOC: schedules that are the same
 *
 * Steps at different objects do not depend on each other: their order does not matter to
 * anybody. So what a thread has done, and what that depended on, is kept as a number, its
 * past, made of its own past and that of the object it meets (past_after()). Two runs in
 * which all threads have the same past are in the same state. Where a choice leads to a
 * state from which the search has gone on before, with as few preemptions or fewer and
 * the same thread running, there is nothing new behind it.
 *
 * That is what the case and the code have to keep for it: what is shared is touched in
 * steps at the object that protects it. `--all` does without.
 */
#include "sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct option - One way to go on
 * @late: the thread's time is over
 * @cost: preemptions so far, with this one
 * @key:  the state behind it
 */
struct option {
	struct thread *thread;
	bool late;
	int cost;
	uint64_t key;
};

/* A moment at which there was a choice; what was chosen before a run and in it. */
struct choice {
	int n;
	int chosen;
	struct option option[SCHED_THREADS_MAX];
};

/* States from which the search has gone on, and the fewest preemptions to get there. */
struct seen {
	uint64_t *key;
	uint8_t *cost;
	size_t room;
	size_t n;
};

/**
 * struct search - The search under way
 * @path: choices of this run
 * @n:    choices that are set before the run
 * @at:   choices made in the run
 * @cost: preemptions in the run
 * @late: a wait has ended early in the run
 * @cut:  this run is not varied from here on
 */
static struct search {
	struct choice path[SCHED_STEPS_MAX];
	int n;
	int at;
	int cost;
	int bound;
	bool all;
	bool late;
	bool cut;
	struct seen seen;
} search;

/* ---- pasts ------------------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ (b + UINT64_C(0x9e3779b97f4a7c15) + (a << 6) + (a >> 2))) *
	    UINT64_C(0xbf58476d1ce4e5b9);
	return a ^ (a >> 29);
}

static uint64_t everybody(void)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < sched.n; i++)
		sum += mix(sched.thread[i].past, sched.thread[i].killed);
	return sum;
}

/* The past of a thread that does what it is about to do. */
static uint64_t past_after(const struct thread *t)
{
	const struct op *op = &t->next;
	uint64_t past = mix(t->past, op->kind);

	if (op->on)
		past = mix(past, op->on->past);
	if (op->mutex)
		past = mix(past, op->mutex->past);
	return op->thread ? mix(past, op->thread->past) : past;
}

/* Time is everybody's: when it goes on, all have seen that. */
static uint64_t late_key(const struct thread *t)
{
	return mix(everybody(), mix(t->past, OP_KIND_COUNT));
}

static uint64_t key_after(const struct option *o)
{
	uint64_t past;

	if (o->late)
		return late_key(o->thread);
	past = past_after(o->thread);
	return mix(everybody() - mix(o->thread->past, 0) + mix(past, 0), past);
}

static void pass_time(struct thread *t)
{
	uint64_t key = late_key(t);
	int i;

	for (i = 0; i < sched.n; i++)
		sched.thread[i].past = mix(sched.thread[i].past, key);
	if (t->next.until_ns > sched.clock_ns)
		sched.clock_ns = t->next.until_ns;
	t->at = NULL;
}

static void note_past(struct thread *t)
{
	struct op *op = &t->next;

	t->past = past_after(t);
	if (op->on)
		op->on->past = t->past;
	if (op->mutex)
		op->mutex->past = t->past;
}

/* ---- states seen --------------------------------------------------------------------- */

static size_t seen_slot(const struct seen *s, uint64_t key)
{
	size_t i = key & (s->room - 1);

	while (s->cost[i] && s->key[i] != key)
		i = (i + 1) & (s->room - 1);
	return i;
}

static void seen_grow(struct seen *s)
{
	struct seen was = *s;
	size_t i, at;

	s->room = was.room ? was.room * 2 : 1 << 16;
	s->key = calloc(s->room, sizeof(*s->key));
	s->cost = calloc(s->room, sizeof(*s->cost));
	if (!s->key || !s->cost)
		abort();
	for (i = 0; i < was.room; i++) {
		if (!was.cost[i])
			continue;
		at = seen_slot(s, was.key[i]);
		s->key[at] = was.key[i];
		s->cost[at] = was.cost[i];
	}
	free(was.key);
	free(was.cost);
}

/* Whether there is something new behind it; then the search goes there. */
static bool is_new(const struct option *o)
{
	struct seen *s = &search.seen;
	size_t at;

	if (o->cost > search.bound)
		return false;
	if (search.all)
		return true;
	if (s->n * 2 >= s->room)
		seen_grow(s);
	at = seen_slot(s, o->key);
	if (s->cost[at] && s->cost[at] <= o->cost + 1)
		return false;
	s->n += !s->cost[at];
	s->key[at] = o->key;
	s->cost[at] = (uint8_t)(o->cost + 1);
	return true;
}

static void seen_free(struct seen *s)
{
	free(s->key);
	free(s->cost);
	*s = (struct seen){ 0 };
}

/* ---- options --------------------------------------------------------------------------- */

static bool can_be_late(const struct thread *t)
{
	const struct op *op = &t->next;

	return op->kind == OP_WAKE && op->timed && !t->signaled && !op->mutex->owner;
}

static void add_option(struct choice *c, struct thread *t, bool late, bool preempts)
{
	struct option *o = &c->option[c->n++];

	*o = (struct option){ t, late, search.cost + preempts, 0 };
	o->key = key_after(o);
}

/* The running thread first: to let it go on is no preemption. */
static int ready_options(struct choice *c)
{
	struct thread *now = sched.now, *t;
	bool goes_on = !now->done && !now->killed && op_ready(now);
	int i, ready = 0;

	for (i = 0; i < sched.n; i++) {
		t = &sched.thread[(now - sched.thread + i) % sched.n];
		if (t->done || t->killed || !op_ready(t))
			continue;
		add_option(c, t, false, goes_on && t != now);
		ready++;
	}
	return ready;
}

static void late_options(struct choice *c)
{
	struct thread *t;

	for (t = sched.thread; t < sched.thread + sched.n; t++)
		if (!t->done && !t->killed && can_be_late(t))
			add_option(c, t, true, true);
}

/* Nobody can go on: time does. */
static void only_late_option(struct choice *c)
{
	struct thread *t, *first = NULL;

	for (t = sched.thread; t < sched.thread + sched.n; t++)
		if (!t->done && !t->killed && can_be_late(t) &&
		    (!first || t->next.until_ns < first->next.until_ns))
			first = t;
	if (!first)
		sched_wrong("deadlock: nobody can go on");
	if (sched.punctual && sched.open)
		sched_wrong("%s: only its deadline ends this wait", first->name);
	add_option(c, first, true, false);
}

static void all_options(struct choice *c)
{
	c->n = c->chosen = 0;
	if (!ready_options(c))
		only_late_option(c);
	else if (sched.open && sched.early && !search.late)
		late_options(c);
}

/* ---- choosing ---------------------------------------------------------------------------- */

static bool next_new(struct choice *c, int from)
{
	for (c->chosen = from; c->chosen < c->n; c->chosen++)
		if (is_new(&c->option[c->chosen]))
			return true;
	return false;
}

/* One that was made before has to be there again: else the case is not repeatable. */
static void repeat(struct choice *c, const struct choice *now)
{
	const struct option *was = &c->option[c->chosen];

	if (c->n && (c->n != now->n || was->key != now->option[c->chosen].key))
		sched_wrong("not repeatable: the same choices led elsewhere");
	if (c->chosen >= now->n)
		sched_wrong("there is no such choice");
	memcpy(c->option, now->option, (size_t)now->n * sizeof(*now->option));
	c->n = now->n;
}

static const struct option *decide(const struct choice *now)
{
	struct choice *c;

	if (!sched.open || search.cut || now->n == 1)
		return &now->option[0];
	c = &search.path[search.at++];
	if (search.at <= search.n) {
		repeat(c, now);
		return &c->option[c->chosen];
	}
	memcpy(c->option, now->option, (size_t)now->n * sizeof(*now->option));
	c->n = now->n;
	search.n = search.at;
	if (next_new(c, 0))
		return &c->option[c->chosen];
	search.n = --search.at;
	search.cut = true;
	return &now->option[0];
}

static void note_step(const struct option *o)
{
	const struct op *op = &o->thread->next;

	if (sched.n_steps == SCHED_STEPS_MAX)
		sched_wrong("%d steps, and no end", SCHED_STEPS_MAX);
	sched.step[sched.n_steps++] = (struct step){
		.thread = o->thread,
		.kind = op->kind,
		.what = op->what,
		.site = op->site,
		.preempts = o->cost > search.cost,
		.late = o->late,
	};
}

struct thread *choose(void)
{
	static struct choice now;
	const struct option *o;

	all_options(&now);
	o = decide(&now);
	note_step(o);
	search.late |= o->late && o->cost > search.cost;
	search.cost = o->cost;
	o->thread->late = o->late;
	if (o->late)
		pass_time(o->thread);
	note_past(o->thread);
	return o->thread;
}

void choose_now(void)
{
	const struct option o = { .thread = sched.now, .cost = search.cost };

	note_step(&o);
	note_past(sched.now);
}

/* ---- the search ----------------------------------------------------------------------------- */

static void run_once(const struct sched_case *c, struct count *count)
{
	search.at = search.cost = 0;
	search.late = search.cut = false;
	sched_run(c);
	count->runs++;
	count->merged += search.cut;
	if (sched.n_steps > count->longest)
		count->longest = sched.n_steps;
}

/* The last choice that can be made in another way. */
static bool another(void)
{
	struct choice *c;

	while (search.n) {
		c = &search.path[search.n - 1];
		if (next_new(c, c->chosen + 1))
			return true;
		search.n--;
	}
	return false;
}

static void search_all(const struct sched_case *c, struct count *count)
{
	bool bare = sched.bare;

	search.n = 0;
	do {
		run_once(c, count);
	} while (!sched.wrong[0] && sched.bare == bare && another());
	seen_free(&search.seen);
}

bool explore(const struct sched_case *c, int bound, bool all, struct count *ret_count)
{
	bool bare;

	*ret_count = (struct count){ 0 };
	search.bound = bound;
	search.all = all;
	do {
		bare = sched.bare;
		search_all(c, ret_count);
	} while (!sched.wrong[0] && sched.bare != bare);
	return !sched.wrong[0];
}

void explore_choices(char *buf, size_t size)
{
	size_t len = 0;
	int i;

	buf[0] = '\0';
	for (i = 0; i < search.at && len < size; i++)
		if (search.path[i].chosen)
			len += (size_t)snprintf(buf + len, size - len, "%s%d=%d", len ? "," : "", i,
						search.path[i].chosen);
}

bool explore_again(const struct sched_case *c, const char *choices)
{
	struct count count = { 0 };
	int at, chosen, len;

	memset(search.path, 0, sizeof(search.path));
	search.n = SCHED_STEPS_MAX;
	while (sscanf(choices, "%d=%d%n", &at, &chosen, &len) == 2 && at >= 0 && chosen >= 0 &&
	       at < SCHED_STEPS_MAX) {
		search.path[at].chosen = chosen;
		choices += len + (choices[len] == ',');
	}
	run_once(c, &count);
	return !sched.wrong[0];
}
