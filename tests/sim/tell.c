/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest, a wish and what is going to go wrong, in words for a story.
 */
#include "life.h"

#include "../../coordinator/core/table.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
	char *buf;
	size_t len, at;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->at, t->len - t->at, fmt, ap);
	va_end(ap);
	t->at += (size_t)n < t->len - t->at ? (size_t)n : t->len - t->at - 1;
}

static unsigned mib(uint64_t bytes)
{
	return (unsigned)(bytes / W_MIB);
}

/* "vCPUs 0 1 2(offline); 512 MiB; vm0 256 of 1024 MiB; ls-old-0 384 MiB" */
void tell_guest(const struct w_qemu *q, char *buf, size_t len)
{
	struct text t = { buf, len, 0 };

	put(&t, "vCPUs");
	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &q->cpus[i];

		if (c->plugged)
			put(&t, " %u%s", i,
			    c->removing	  ? "(asked for)"
			    : !c->present ? "(not known)"
			    : !c->device  ? "(offline)"
					  : "");
	}
	put(&t, "; %u MiB", mib(q->balloon));
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &q->mems[i];

		if (!m->exists)
			continue;
		put(&t, "; %s %u", m->id, mib(m->size));
		if (m->kind == VM_VIRTIO_MEM)
			put(&t, " of %u", mib(m->max));
		put(&t, " MiB");
		if (!m->plugged || m->removing || m->online < m->size)
			put(&t, "(%s)",
			    !m->plugged	  ? "backend only"
			    : m->removing ? "asked for"
					  : "not all online");
	}
}

static void put_which(struct text *t, const struct numbers *which)
{
	unsigned i;

	numbers_each(i, which) put(t, " %u", i);
}

static void put_wish(struct text *t, const struct life *l)
{
	const struct wish *wish = &l->wish;

	put(t, "%s", ops[l->op].name);
	if (life_has(l, WAY_SLOTS) || l->op == OP_ON || l->op == OP_OFF)
		put_which(t, &wish->which);
	else if (life_has(l, WAY_NODE))
		put(t, " to %u on node %d", wish->count, wish->node);
	else if (l->op == OP_CPUS_UP || l->op == OP_CPUS_DOWN)
		put(t, " to %u", wish->count);
	else if (life_has(l, WAY_DIMM) || life_has(l, WAY_DEVICE))
		put(t, ": %s %u MiB", wish->device[0] ? wish->device : "a new DIMM of",
		    mib(wish->device_bytes));
	else if (l->op != OP_MOVE)
		put(t, " to %u MiB", mib(wish->bytes));
	for (unsigned way = 0; way < WAYS; way++)
		if (way != WAY_LESSER && life_has(l, (enum way)way))
			put(t, ", %s", way_name((enum way)way));
	if (life_has(l, WAY_LESSER))
		put(t, ", %s", l->w->agent == AGENT_QGA ? "qemu-ga" : "no agent");
}

static void put_strike(struct text *t, const struct life *l, const struct strike *s)
{
	const struct table *table = ops[l->op].table;

	put(t, "%s at %s%s", fault_name(s->fault),
	    s->row < table->n	 ? table->rows[s->row].name
	    : s->row == table->n ? "(first look)"
				 : "(last record)",
	    s->back ? " on the way back" : "");
}

void tell_chapter(const struct life *l, unsigned number, char *buf, size_t len)
{
	struct text t = { buf, len, 0 };
	char guest[256];

	tell_guest(&l->w->qemu[SIDE_SRC], guest, sizeof(guest));
	put(&t, "\n==== seed %llu, transaction %u: ", (unsigned long long)l->seed, number);
	put_wish(&t, l);
	put(&t, "\n     the guest: %s\n     waits for its moment: ", guest);
	for (unsigned i = 0; i < l->n_strikes; i++) {
		put(&t, i ? "; " : "");
		put_strike(&t, l, &l->strikes[i]);
	}
	put(&t, "\n    seconds  %-48s| the world", "the coordinator");
}
