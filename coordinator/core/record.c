/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal record of a transaction.
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
#include "txn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#define RECORD_HEAD "lockstep-txn 2"
#define ITEMS_MAX   (LS_CPUS_MAX + LS_MEM_DEVICES_MAX)

/* ---- writing ---------------------------------------------------------- */

/* @bad: a text that would end its own line, or a name with a space in it */
struct out {
	char *buf;
	size_t len, at;
	bool bad;
};

static uint64_t sum_of(const char *buf, size_t len)
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
		put(&o, "sum %016" PRIx64 "\n", sum_of(buf, o.at));
	if (o.bad)
		return -EINVAL;
	return o.at < len ? (int)o.at : -ENOSPC;
}

/* ---- reading ---------------------------------------------------------- */

/* A record may come from a damaged disk: every number is checked, nothing is assumed. */
struct in {
	const char *at;
	bool bad;
};

static void expect(struct in *in, const char *word)
{
	size_t n = strlen(word);

	in->bad |= strncmp(in->at, word, n) != 0;
	if (!in->bad)
		in->at += n;
}

static uint64_t number(struct in *in, uint64_t max)
{
	char *end;
	uint64_t v;

	while (!in->bad && *in->at == ' ')
		in->at++;
	if (in->bad || *in->at < '0' || *in->at > '9') {
		in->bad = true;
		return 0;
	}
	errno = 0;
	v = strtoull(in->at, &end, 10);
	in->bad |= errno || v > max;
	in->at = end;
	return in->bad ? 0 : v;
}

static int integer(struct in *in, int lo, int hi)
{
	bool minus = !in->bad && in->at[0] == ' ' && in->at[1] == '-';
	int v;

	if (minus)
		in->at += 2;
	v = (int)number(in, INT32_MAX);
	v = minus ? -v : v;
	in->bad |= v < lo || v > hi;
	return v;
}

/* Up to a byte of @stop, which is not consumed; "-" is the empty string. */
static void text(struct in *in, const char *stop, char *ret_buf, size_t len)
{
	size_t n;

	if (!in->bad && *in->at == ' ')
		in->at++;
	n = in->bad ? 0 : strcspn(in->at, stop);
	in->bad |= n >= len;
	if (in->bad)
		return;
	if (n == 1 && *in->at == '-')
		ret_buf[0] = '\0';
	else
		snprintf(ret_buf, len, "%.*s", (int)n, in->at);
	in->at += n;
}

static unsigned op_word(struct in *in)
{
	char buf[16] = "";
	unsigned op = 0;

	text(in, "\n", buf, sizeof(buf));
	while (op < OP_COUNT && strcmp(buf, txn_op_name((enum txn_op)op)))
		op++;
	in->bad |= op == OP_COUNT;
	return op;
}

static unsigned end_word(struct in *in)
{
	char buf[16] = "";
	unsigned end = 0;

	text(in, "\n", buf, sizeof(buf));
	while (end < END_COUNT && strcmp(buf, txn_end_name((enum txn_end)end)))
		end++;
	in->bad |= end == END_COUNT;
	return end;
}

static struct step get_step(struct in *in)
{
	struct step s = { 0 };

	s.at = integer(in, 0, TXN_ROWS_MAX);
	s.from = integer(in, 0, TXN_ROWS_MAX);
	s.goal = integer(in, 0, TXN_ROWS_MAX);
	s.dir = (enum step_dir)integer(in, STEP_DOWN, STEP_UP);
	s.rollback = number(in, 1);
	return s;
}

/* A walk over the rows of the table that gets to its goal, and bits of rows that there are. */
static bool sound(const struct txn *t)
{
	int lo = (int)t->table->holds, hi = (int)t->table->n;
	unsigned rows = (1u << hi) - (1u << lo);
	const struct step *s = &t->walk;

	return (s->from == lo || s->from == hi) && (s->goal == lo || s->goal == hi) &&
	       s->at >= lo && s->at <= hi && s->rollback == (s->from == s->goal) &&
	       (s->at == s->goal || s->dir == (s->goal > s->at ? STEP_UP : STEP_DOWN)) &&
	       !(t->entered & ~rows) && !(t->crossed && s->rollback) &&
	       (!t->partial || (t->best_effort && s->rollback));
}

static struct txn *get_head(struct in *in)
{
	struct txn head = { 0 }, *t;
	unsigned n, op;

	expect(in, RECORD_HEAD "\nid");
	text(in, "\n", head.id, sizeof(head.id));
	expect(in, "\nop");
	op = op_word(in);
	expect(in, "\nepoch");
	head.epoch = number(in, INT64_MAX);
	expect(in, "\nagent");
	head.agent = (enum vm_agent)number(in, AGENT_LOCKSTEP);
	expect(in, "\neffort");
	head.best_effort = number(in, 1);
	head.partial = number(in, 1);
	expect(in, "\nwalk");
	head.walk = get_step(in);
	head.crossed = number(in, 1);
	head.entered = (unsigned)number(in, (1u << TXN_ROWS_MAX) - 1);
	expect(in, "\nitems");
	n = (unsigned)number(in, ITEMS_MAX);
	in->bad |= n == 0;
	t = in->bad ? NULL : txn_new((enum txn_op)op, head.id, n, true);
	if (!t)
		return NULL;
	t->epoch = head.epoch;
	t->agent = head.agent;
	t->walk = head.walk;
	t->best_effort = head.best_effort;
	t->partial = head.partial;
	t->crossed = head.crossed;
	t->entered = head.entered;
	t->loaded = true;
	in->bad |= !sound(t);
	return t;
}

static void get_items(struct in *in, struct txn *t)
{
	for (unsigned i = 0; i < t->n && !in->bad; i++) {
		struct item *it = &t->items[i];

		expect(in, "\nitem");
		it->kind = (enum vm_mem_kind)integer(in, VM_DIMM, VM_VIRTIO_MEM);
		it->slot =
			integer(in, t->op == OP_VCPUS || t->op == OP_CPU ? 0 : -1, LS_CPUS_MAX - 1);
		it->size = number(in, UINT64_MAX);
		it->goal = number(in, UINT64_MAX);
		text(in, " ", it->id, sizeof(it->id));
		text(in, "\n", it->backend, sizeof(it->backend));
	}
}

static void get_whys(struct in *in, struct txn *t)
{
	while (!in->bad && !strncmp(in->at, "\nwhy ", 5)) {
		unsigned i;

		expect(in, "\nwhy");
		i = (unsigned)number(in, t->n - 1);
		t->items[i].state = (enum item_state)number(in, ITEM_STATES - 1);
		t->items[i].why.code = integer(in, -4095, 0);
		text(in, "\n", t->items[i].why.text, sizeof(t->items[i].why.text));
	}
}

static void get_before(struct in *in, struct txn *t)
{
	for (unsigned row = 0; row < t->table->n; row++) {
		if (!(t->entered & (1u << row)))
			continue;
		expect(in, "\nbefore");
		in->bad |= number(in, TXN_ROWS_MAX) != row;
		for (unsigned i = 0; i < t->n; i++)
			txn_before(t, row)[i] = number(in, UINT64_MAX);
	}
}

/* What is on record goes to QEMU: it is held against the same list as a request. */
static void get_backing(struct in *in, struct txn *t)
{
	struct backing b;

	if (in->bad || strncmp(in->at, "\nbacking ", strlen("\nbacking ")))
		return;
	expect(in, "\nbacking");
	text(in, "\n", t->backing, sizeof(t->backing));
	in->bad |= t->op != OP_MEMORY || backing_parse(t->backing, NULL, &b) < 0;
}

static void get_online(struct in *in, bool *online)
{
	char hex[LS_CPUS_MAX / 4 + 1] = "";

	expect(in, "\nonline");
	text(in, "\n", hex, sizeof(hex));
	in->bad |= strspn(hex, "0123456789abcdef") != LS_CPUS_MAX / 4;
	for (unsigned i = 0; !in->bad && i < LS_CPUS_MAX; i++) {
		char c = hex[i / 4];

		online[i] = (c <= '9' ? c - '0' : c - 'a' + 10) >> (i % 4) & 1;
	}
}

static void get_migrate(struct in *in, struct txn_migrate *m)
{
	expect(in, "\nsrc");
	text(in, "\n", m->src_qmp, sizeof(m->src_qmp));
	expect(in, "\nsrc-agent");
	text(in, "\n", m->src_agent, sizeof(m->src_agent));
	expect(in, "\nsrc-process");
	text(in, "\n", m->src_process, sizeof(m->src_process));
	expect(in, "\nuri");
	text(in, "\n", m->uri, sizeof(m->uri));
	expect(in, "\ndst");
	text(in, "\n", m->dst_qmp, sizeof(m->dst_qmp));
	expect(in, "\ndst-agent");
	text(in, "\n", m->dst_agent, sizeof(m->dst_agent));
	expect(in, "\ndst-process");
	text(in, "\n", m->dst_process, sizeof(m->dst_process));
	expect(in, "\nwindow");
	text(in, "\n", m->window, sizeof(m->window));
	expect(in, "\ncaps");
	m->caps_before[SIDE_SRC] = (unsigned)number(in, CAP_OURS);
	m->caps_before[SIDE_DST] = (unsigned)number(in, CAP_OURS);
	get_online(in, m->online);
}

/* The sum, and nothing behind it. */
static void get_sum(struct in *in, const char *record)
{
	size_t len = (size_t)(in->at - record) + 1; /* with the newline before it */
	char line[24];

	if (in->bad)
		return;
	snprintf(line, sizeof(line), "\nsum %016" PRIx64 "\n", sum_of(record, len));
	in->bad |= strcmp(in->at, line) != 0;
}

static void get_all(struct in *in, const char *record, struct txn *t)
{
	get_items(in, t);
	get_whys(in, t);
	get_before(in, t);
	get_backing(in, t);
	if (t->mig)
		get_migrate(in, t->mig);
	expect(in, "\nreason");
	t->reason.code = integer(in, -4095, 0);
	text(in, "\n", t->reason.text, sizeof(t->reason.text));
	expect(in, "\nend");
	t->end = (enum txn_end)end_word(in);
	get_sum(in, record);
}

int txn_load(const char *record, struct ls_err *err, struct txn **ret_txn)
{
	struct in in = { record, false };
	struct txn *t = get_head(&in);

	if (t)
		get_all(&in, record, t);
	if (!t || in.bad) {
		txn_free(t);
		return ls_err_set(err, -EPROTO,
				  "the journal record is damaged or of another "
				  "version, at byte %zu",
				  (size_t)(in.at - record));
	}
	*ret_txn = t;
	return 0;
}
