/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A set of guest CPU numbers, and the kernel's way of writing one ("0-2,5").
 */
#ifndef AGENT_CPUS_H
#define AGENT_CPUS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <lockstep/limits.h>

#define CPUS_NUMBER_MAX 65535 /* in a list; no kernel numbers CPUs that high */

struct cpus {
	uint64_t bits[LS_CPUS_MAX / 64];
};

static inline bool cpus_has(const struct cpus *s, int cpu)
{
	return s->bits[cpu / 64] >> (cpu % 64) & 1;
}

static inline void cpus_add(struct cpus *s, int cpu)
{
	s->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

static inline void cpus_del(struct cpus *s, int cpu)
{
	s->bits[cpu / 64] &= ~(UINT64_C(1) << (cpu % 64));
}

static inline int cpus_count(const struct cpus *s)
{
	int i, n = 0;

	for (i = 0; i < LS_CPUS_MAX / 64; i++)
		n += __builtin_popcountll(s->bits[i]);
	return n;
}

/* The first CPU of a set from @cpu on; LS_CPUS_MAX: there is none. */
static inline int cpus_next(const struct cpus *s, int cpu)
{
	uint64_t word;

	for (; cpu < LS_CPUS_MAX; cpu = (cpu / 64 + 1) * 64) {
		word = s->bits[cpu / 64] >> (cpu % 64);
		if (word)
			return cpu + __builtin_ctzll(word);
	}
	return LS_CPUS_MAX;
}

/* Every CPU of a set, ascending. */
#define cpus_each(cpu, set)                                                                        \
	for ((cpu) = cpus_next((set), 0); (cpu) < LS_CPUS_MAX; (cpu) = cpus_next((set), (cpu) + 1))

/**
 * cpus_parse() - Read a list as in /sys/devices/system/cpu/online
 * @text:    "" is the empty set
 * @ret_set: the CPUs below LS_CPUS_MAX
 *
 * Return: how many others the list has, 0 as a rule; -EPROTO (not a list).
 */
static inline int cpus_parse(const char *text, struct cpus *ret_set)
{
	struct cpus set = { 0 };
	long lo, hi, beyond = 0;
	char *end;

	while (*text && *text != '\n') {
		lo = hi = strtol(text, &end, 10);
		if (end == text)
			return -EPROTO;
		if (*end == '-') {
			text = end + 1;
			hi = strtol(text, &end, 10);
		}
		if (end == text || hi < lo || (*end && *end != ',' && *end != '\n'))
			return -EPROTO;
		if (lo < 0 || hi > CPUS_NUMBER_MAX)
			return -EPROTO;
		for (; lo <= hi && lo < LS_CPUS_MAX; lo++)
			cpus_add(&set, (int)lo);
		beyond += hi + 1 - lo;
		text = *end == ',' ? end + 1 : end;
	}
	*ret_set = set;
	return (int)beyond;
}

#endif
