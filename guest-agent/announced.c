/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting the kernel's announcements against what was seen.
 */
#include "announced.h"

void announced_add(struct announced *a, int cpu)
{
	unsigned *n = cpu < 0 ? &a->lost : &a->n[cpu];

	__atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
}

void announced_before(const struct announced *a, struct announced_cpu *c, int cpu)
{
	c->now = __atomic_load_n(&a->n[cpu], __ATOMIC_SEQ_CST);
}

void announced_after(struct announced_cpu *c, bool changed)
{
	c->n += changed;
}

void announced_begin(const struct announced *a, struct announced_cpu *c)
{
	c->n = c->now;
	c->lost = __atomic_load_n(&a->lost, __ATOMIC_SEQ_CST);
}

bool announced_unseen(const struct announced *a, struct announced_cpu *c)
{
	if (c->lost != __atomic_load_n(&a->lost, __ATOMIC_SEQ_CST))
		announced_begin(a, c);
	if ((int)(c->now - c->n) < 2)
		return false;
	c->n += 2;
	return true;
}
