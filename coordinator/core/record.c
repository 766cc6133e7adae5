/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal record of a transaction, written; record_load.c reads it.
 *
 * DOC: the record
 *
 * Text, one "key value" a line, in a fixed order; a value goes to the end of its
 * line. It is written whole at every row entry and is all that a restarted
 * coordinator needs; what the world looks like it reads from the world.
 *
 *	lockstep-txn 2
 *	id 20261103-141502-4711
 *	op vcpus
 *	epoch 3
 *	agent 2
 *	effort BEST PARTIAL
 *	walk AT FROM GOAL DIR ROLLBACK CROSSED ENTERED
 *	items N
 *	item KIND SLOT SIZE GOAL ID BACKEND        N times; "-" stands for an empty id
 *	why ITEM STATE CODE TEXT                   for each item that something was wrong with
 *	before ROW LEVEL ...                       for each row that was entered
 *	backing TEXT                               if it is not plain memory
 *	migrate ...                                only for OP_MIGRATE
 *	reason CODE TEXT
 *	end NAME                                   "open" until it is over
 *	sum HEX                                    of all the bytes before this line
 *
 * The sum is FNV-1a: each step of it can be undone, so that two texts which differ in
 * one byte never have the same one. Half a record, or one with a flipped bit, is told
 * from a good one; what it says is checked all the same.
 */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "table.h"

/* @bad: a text that would end its own line, or a name with a space in it */
struct out {
	char *buf;
	size_t len, at;
	bool bad;
};

uint64_t record_sum(const char *buf, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (unsigned char)buf[i]) * UINT64_C(0x100000001b3);
	return sum;
}

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *fmt, ...)
{
	size_t room = o->at < o->len ? o->len - o->at : 0;
	va_list ap;

	va_start(ap, fmt);
	o->at += (size_t)vsnprintf(room ? o->buf + o->at : NULL, room, fmt, ap);
	va_end(ap);
}

/* A value of ours: "-" if there is none; without a byte of @not in it. */
static const char *value(struct out *o, const char *s, const char *stop)
{
	o->bad |= strpbrk(s, stop) != NULL || !strcmp(s, "-");
	return s[0] ? s : "-";
}

/* Words of somebody else's: QEMU may well have put a newline into them. */
static void put_words(struct out *o, const char *words)
{
	char line[LS_ERR_TEXT_BYTES];

	snprintf(line, sizeof(line), "%s", words);
	for (char *c = line; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	put(o, "%s", line);
}

static void put_items(struct out *o, const struct txn *t)
{
	put(o, "items %u\n", t->n);
	for (unsigned i = 0; i < t->n; i++) {
		const struct item *it = &t->items[i];

		put(o, "item %d %d %" PRIu64 " %" PRIu64 " %s %s\n", (int)it->kind, it->slot,
		    it->size, it->goal, value(o, it->id, " \n"), value(o, it->backend, " \n"));
	}
}

/* What was wrong with some of them. */
static void put_whys(struct out *o, const struct txn *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct item *it = &t->items[i];

		if (it->state == ITEM_IN && !it->why.code)
			continue;
		put(o, "why %u %d %d ", i, (int)it->state, it->why.code);
		put_words(o, it->why.text);
		put(o, "\n");
	}
}

static void put_before(struct out *o, const struct txn *t)
{
	for (unsigned row = 0; row < t->table->n; row++) {
		if (!(t->entered & (1u << row)))
			continue;
		put(o, "before %u", row);
		for (unsigned i = 0; i < t->n; i++)
			put(o, " %" PRIu64, txn_before(t, row)[i]);
		put(o, "\n");
	}
}

/* One at a time through put() they were a third of all that the simulation did. */
static void put_online(struct out *o, const bool *online)
{
	char hex[LS_CPUS_MAX / 4 + 1] = "";

	for (unsigned i = 0; i < LS_CPUS_MAX / 4; i++) {
		const bool *b = online + 4 * (size_t)i;

		hex[i] = "0123456789abcdef"[b[0] | b[1] << 1 | b[2] << 2 | b[3] << 3];
	}
	put(o, "online %s\n", hex);
}

static void put_migrate(struct out *o, const struct txn_migrate *m)
{
	put(o, "src %s\nsrc-agent %s\n", value(o, m->src_qmp, "\n"), value(o, m->src_agent, "\n"));
	put(o, "src-process %s\nuri %s\n", value(o, m->src_process, "\n"), value(o, m->uri, "\n"));
	put(o, "dst %s\ndst-agent %s\n", value(o, m->dst_qmp, "\n"), value(o, m->dst_agent, "\n"));
	put(o, "dst-process %s\n", value(o, m->dst_process, "\n"));
	put(o, "window %s\ncaps %u %u\n", value(o, m->window, "\n"), m->caps_before[SIDE_SRC],
	    m->caps_before[SIDE_DST]);
	put_online(o, m->online);
}

int txn_save(const struct txn *t, char *buf, size_t len)
{
	struct out o = { buf, len, 0, false };

	put(&o, RECORD_HEAD "\nid %s\nop %s\nepoch %" PRIu64 "\nagent %d\n", value(&o, t->id, "\n"),
	    txn_op_name(t->op), t->epoch, (int)t->agent);
	put(&o, "effort %d %d\n", t->best_effort, t->partial);
	put(&o, "walk %d %d %d %d %d %d %u\n", t->walk.at, t->walk.from, t->walk.goal, t->walk.dir,
	    t->walk.rollback, t->crossed, t->entered);
	put_items(&o, t);
	put_whys(&o, t);
	put_before(&o, t);
	if (t->backing[0])
		put(&o, "backing %s\n", value(&o, t->backing, "\n"));
	if (t->mig)
		put_migrate(&o, t->mig);
	put(&o, "reason %d ", t->reason.code);
	put_words(&o, t->reason.text);
	put(&o, "\nend %s\n", txn_end_name(t->end));
	if (o.at < len)
		put(&o, "sum %016" PRIx64 "\n", record_sum(buf, o.at));
	if (o.bad)
		return -EINVAL;
	return o.at < len ? (int)o.at : -ENOSPC;
}
