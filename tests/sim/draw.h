/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chance, from a seed: the same draws in the same order, on every machine.
 */
#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include <stdbool.h>
#include <stdint.h>

/* Fixed increment generator of G. L. Steele and others, 2014 ("splitmix64"). */
struct draw {
	uint64_t state;
};

static inline uint64_t draw_bits(struct draw *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* 0 to @n - 1; @n is small, what the remainder favours does not show. */
static inline unsigned draw_below(struct draw *d, unsigned n)
{
	return n ? (unsigned)(draw_bits(d) % n) : 0;
}

static inline uint64_t draw_between(struct draw *d, uint64_t lo, uint64_t hi)
{
	return lo + draw_bits(d) % (hi - lo + 1);
}

static inline bool draw_chance(struct draw *d, unsigned percent)
{
	return draw_below(d, 100) < percent;
}

#endif
