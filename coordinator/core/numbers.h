/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A set of small numbers: the slots or the guest CPUs that somebody named. Each once, in
 * rising order, however they were given.
 */
#ifndef CORE_NUMBERS_H
#define CORE_NUMBERS_H

#include <stdbool.h>

#include <lockstep/limits.h>

/**
 * struct numbers - Numbers below LS_CPUS_MAX
 * @n:   how many
 * @has: each
 */
struct numbers {
	unsigned n;
	bool has[LS_CPUS_MAX];
};

static inline void numbers_add(struct numbers *s, unsigned number)
{
	s->n += !s->has[number];
	s->has[number] = true;
}

/* The first of the set from @i on; LS_CPUS_MAX if there is none. */
static inline unsigned numbers_next(const struct numbers *s, unsigned i)
{
	while (i < LS_CPUS_MAX && !s->has[i])
		i++;
	return i;
}

#define numbers_each(i, s)                                                                         \
	for ((i) = numbers_next((s), 0); (i) < LS_CPUS_MAX; (i) = numbers_next((s), (i) + 1))

#endif
