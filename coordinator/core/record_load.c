/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A transaction from its journal record, whose form stands in record.c. A record may come
 * from a damaged disk: every number is checked, nothing is assumed.
 */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#define ITEMS_MAX (LS_CPUS_MAX + LS_MEM_DEVICES_MAX)

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
	snprintf(line, sizeof(line), "\nsum %016" PRIx64 "\n", record_sum(record, len));
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
