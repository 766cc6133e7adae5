/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it costs to read under the agent's memory hotplug lock, beside the bare RCU
 * read section that it is made of and the pthread_rwlock that it is there instead of.
 *
 * One reader on every CPU that we may use, all at once: a lock for readers is about
 * what they do to each other. Rounds of the three alternate; the median of the rounds
 * counts. "alone" is the same with one reader.
 */
#include "../../guest-agent/memlock.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define READS	    2000000
#define ROUNDS	    31
#define THREADS_MAX 64
#define RCU_TARGET  1.25
#define RW_TARGET   0.15

static struct memlock lock;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;

#define section() __asm__ volatile("" ::: "memory")

static void bare_rcu(void)
{
	for (long i = 0; i < READS; i++) {
		rcu_read_lock();
		section();
		rcu_read_unlock();
	}
}

static void reader_lock(void)
{
	enum lock_level before;

	for (long i = 0; i < READS; i++) {
		if (memlock_read(&lock, 0, &before) < 0)
			abort();
		section();
		memlock_read_end(&lock, before);
	}
}

static void rw_lock(void)
{
	for (long i = 0; i < READS; i++) {
		pthread_rwlock_rdlock(&rwlock);
		section();
		pthread_rwlock_unlock(&rwlock);
	}
}

enum { BARE, OURS, RWLOCK, KINDS };
static void (*const reader[KINDS])(void) = { bare_rcu, reader_lock, rw_lock };
static const char *const name[KINDS] = { "bare rcu_read_lock", "memlock_read",
					 "pthread_rwlock_rdlock" };

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* One reader: its own nanoseconds a read. */
struct thread {
	pthread_t id;
	int cpu;
	int kind;
	double ns;
};

static void *run(void *arg)
{
	struct thread *t = arg;
	cpu_set_t set;
	double from;

	CPU_ZERO(&set);
	CPU_SET(t->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	rcu_register_thread();
	pthread_barrier_wait(&barrier);
	from = now_ns();
	reader[t->kind]();
	t->ns = (now_ns() - from) / READS;
	pthread_barrier_wait(&barrier);
	rcu_unregister_thread();
	return NULL;
}

static double round_ns(int kind, const int *cpus, int n)
{
	struct thread t[THREADS_MAX];
	double sum = 0;

	pthread_barrier_init(&barrier, NULL, (unsigned)n);
	for (int i = 0; i < n; i++) {
		t[i] = (struct thread){ .cpu = cpus[i], .kind = kind };
		if (pthread_create(&t[i].id, NULL, run, &t[i]))
			abort();
	}
	for (int i = 0; i < n; i++) {
		pthread_join(t[i].id, NULL);
		sum += t[i].ns;
	}
	pthread_barrier_destroy(&barrier);
	return sum / n;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const int *cpus, int n, double *ret_median)
{
	static double ns[KINDS][ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		for (int kind = 0; kind < KINDS; kind++)
			ns[kind][i] = round_ns(kind, cpus, n);
	for (int kind = 0; kind < KINDS; kind++) {
		qsort(ns[kind], ROUNDS, sizeof(double), compare);
		ret_median[kind] = ns[kind][ROUNDS / 2];
	}
}

/* A row informs: one that is missed is said to be, and fails nothing. */
static void row(const char *what, double ours, double other, double target)
{
	double ratio = ours / other;

	printf("  %-33s %8.3f      (target %.2f: %s)\n", what, ratio, target,
	       ratio <= target ? "met" : "missed");
}

static int usable_cpus(int *ret_cpus)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < THREADS_MAX; cpu++)
		if (CPU_ISSET(cpu, &set))
			ret_cpus[n++] = cpu;
	return n;
}

int main(void)
{
	double all[KINDS], alone[KINDS];
	int cpus[THREADS_MAX], n = usable_cpus(cpus);

	if (n < 2) {
		printf("bench_agent_lock: skipped: readers need two CPUs to meet\n");
		return 0;
	}
	memlock_init(&lock);
	measure(cpus, n, all);
	measure(cpus, 1, alone);
	printf("reader lock of the agent, %d readers at once, ns a read\n", n);
	for (int kind = 0; kind < KINDS; kind++)
		printf("  %-33s %8.2f      (alone %.2f)\n", name[kind], all[kind], alone[kind]);
	row("memlock_read/bare rcu_read_lock", all[OURS], all[BARE], RCU_TARGET);
	row("memlock_read/pthread_rwlock", all[OURS], all[RWLOCK], RW_TARGET);
	printf("  %-33s %8.3f      (nobody to contend with)\n", "the same, alone",
	       alone[OURS] / alone[RWLOCK]);
	memlock_done(&lock);
	return 0;
}
