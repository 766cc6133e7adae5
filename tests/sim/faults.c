/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What goes wrong, when, and what may come of it.
 *
 * A fault waits for its moment: the engine asks, writes or looks in the row that was
 * drawn, or does anything at all there. Then it strikes, once. What a single fault may
 * lead to is its row below: one that may lead to nothing must leave no trace in the end.
 */
#include "life.h"
#include "where.h"

#include "../../coordinator/core/table.h"

#include <string.h>

/* ---- what strikes ---------------------------------------------------------- */

static enum side a_side(struct life *l)
{
	bool two = l->op == OP_MOVE && draw_chance(&l->plan, 50);

	return two ? SIDE_DST : SIDE_SRC;
}

static void crash(struct life *l)
{
	l->w->crash_now = true;
	l->w->keep = false;
}

static void crash_kept(struct life *l)
{
	l->w->crash_now = l->w->keep = true;
}

#define REPLY(name, what)                                                                          \
	static void name(struct life *l)                                                           \
	{                                                                                          \
		l->w->reply_now = what;                                                            \
	}

REPLY(reply_lost, REPLY_LOST)
REPLY(reply_late, REPLY_LATE)
REPLY(reply_error, REPLY_ERROR)
REPLY(reply_bad, REPLY_FALSE_ERROR)
REPLY(reply_good, REPLY_FALSE_OK)
REPLY(request_lost, REPLY_DROPPED)
REPLY(reply_twice, REPLY_TWICE)

static void look_late(struct life *l)
{
	l->w->look_ms = draw_between(&l->plan, 200, 3000);
}

static void look_lost(struct life *l)
{
	world_lose(l->w, draw_below(&l->plan, 4));
}

static void look_stale(struct life *l)
{
	world_shows_old(l->w, draw_below(&l->plan, 8));
}

static void write_fails(struct life *l)
{
	l->w->write_now = true;
}

static void disk_full(struct life *l)
{
	l->w->write_now = l->full_disk = true;
}

static void hints_lost(struct life *l)
{
	l->w->no_hints = true;
}

static void hints_late(struct life *l)
{
	l->w->hint_ms = draw_between(&l->plan, 100, 5000);
}

static void hints_many(struct life *l)
{
	for (unsigned i = 0; i < 20; i++)
		world_changed(l->w);
}

static void cancel(struct life *l)
{
	world_cancel(l->w, draw_below(&l->plan, 12));
}

static void connections(struct life *l)
{
	world_lose(l->w, draw_below(&l->plan, 20));
}

static void qemu_silent(struct life *l)
{
	enum side side = a_side(l);

	l->w->silent_from[side] = l->w->now_ms;
	l->w->silent_until[side] = l->w->now_ms + draw_between(&l->plan, 500, 4000);
	world_happens(l->w, "the %s QEMU is silent for a while", side ? "destination" : "source");
}

static void qemu_dies(struct life *l)
{
	world_kill(l->w, SIDE_SRC);
}

static void dst_dies(struct life *l)
{
	world_kill(l->w, SIDE_DST);
}

static void reset(struct life *l)
{
	l->reset = true;
	world_reset(l->w, draw_between(&l->plan, 500, 20000));
}

static void agent_restarts(struct life *l)
{
	world_agent_away(l->w, draw_between(&l->plan, 20, 1500));
}

static void agent_away(struct life *l)
{
	world_agent_away(l->w, draw_between(&l->plan, 5000, 60000));
}

static void loses_hold(struct life *l)
{
	world_loses_hold(l->w, draw_below(&l->plan, 3));
}

static void rival(struct life *l)
{
	world_rival(l->w, draw_below(&l->plan, 2), draw_between(&l->plan, 500, 20000));
}

static void user(struct life *l)
{
	unsigned slot = 1 + draw_below(&l->plan, W_CPUS - 1);

	world_user_writes(l->w, slot, draw_chance(&l->plan, 50));
}

static void clock_jumps(struct life *l)
{
	world_clock_jumps(l->w, draw_between(&l->plan, 60000, 600000));
}

static void mood(struct life *l, enum w_mood m)
{
	static const char *const words[] = { "gives", "refuses", "is silent", "is slow" };

	l->w->mood = m;
	world_happens(l->w, "asked for a device, the guest %s", words[m]);
}

static void refuses(struct life *l)
{
	mood(l, GUEST_REFUSES);
}

static void silent(struct life *l)
{
	mood(l, GUEST_SILENT);
}

static void slow(struct life *l)
{
	mood(l, GUEST_LATE);
}

/* Of several devices it gives some. */
static void gives_some(struct life *l)
{
	struct w_qemu *q = &l->w->qemu[SIDE_SRC];

	for (unsigned i = 0; i < W_CPUS; i++)
		q->cpus[i].mood = (enum w_mood)draw_below(&l->plan, 4);
	for (unsigned i = 0; i < W_MEMS; i++)
		q->mems[i].mood = (enum w_mood)draw_below(&l->plan, 4);
	world_happens(l->w, "of the devices that it is asked for, the guest gives some");
}

/* Its virtio-mem or balloon driver stops where it is. */
static void lazy(struct life *l)
{
	struct w_qemu *q = &l->w->qemu[SIDE_SRC];
	uint64_t size = l->op == OP_FILL ? q->balloon : q->mems[0].size;

	l->w->lazy = size ? size : 1;
	world_happens(l->w, "the guest takes no more memory, and gives none");
}

static void broken(struct life *l)
{
	l->w->broken = draw_below(&l->plan, 256);
	world_happens(l->w, "some CPUs do not come online: mask %#x", l->w->broken);
}

static void migration_fails(struct life *l)
{
	world_migration_fails(l->w);
}

static void continued(struct life *l)
{
	world_source_continued(l->w);
}

/* ---- all of them ------------------------------------------------------------ */

typedef const char *(*cannot_fn)(const struct op *op, unsigned row);

enum moment { AT_ASK, AT_WRITE, AT_LOOK, AT_ANY };

/**
 * struct fault - One of them
 * @kind:   what it is one of, for the sums
 * @at:     its moment; @cannot: why it cannot strike in a row
 * @strike: does it; @may: what it may lead to
 */
struct fault {
	const char *name;
	const char *kind;
	enum moment at;
	cannot_fn cannot;
	void (*strike)(struct life *l);
	unsigned may;
};

#define UNDO (MAY_UNDO | MAY_PEND)

#define DELAY	"messages delayed"
#define LOSS	"messages lost, mostly with their connection"
#define ORDER	"overtaken: an older look or event comes later"
#define TWICE	"replies and events twice, or many times"
#define LIE	"replies that are not true"
#define REFUSAL "refused, by QEMU or by the guest"
#define SILENCE "QEMU or guest silent"
#define PART	"partial success"
#define AGENT	"agent restarted or away"
#define RESET	"guest reset in the middle"
#define DEATH	"QEMU dead, or the migration failed"
#define CRASH	"coordinator dead; what was not synced lost or kept"
#define DISK	"record not written"
#define CLOCK	"clock jumps"
#define OTHERS	"users, rivals, cancelled"

/* clang-format off */
static const struct fault faults[] = {
	{ "reply lost",        LOSS,    AT_ASK,   where_asked,      reply_lost,      0 },
	{ "reply late",        DELAY,   AT_ASK,   where_asked,      reply_late,      UNDO },
	{ "reply error",       REFUSAL, AT_ASK,   where_asked,      reply_error,     UNDO },
	{ "reply lies bad",    LIE,     AT_ASK,   where_asked,      reply_bad,       UNDO },
	{ "reply lies good",   LIE,     AT_ASK,   where_asked,      reply_good,      UNDO },
	{ "request lost",      LOSS,    AT_ASK,   where_asked,      request_lost,    0 },
	{ "reply twice",       TWICE,   AT_ASK,   where_asked,      reply_twice,     0 },
	{ "look late",         DELAY,   AT_LOOK,  where_looked,     look_late,       0 },
	{ "look lost",         LOSS,    AT_LOOK,  where_looked,     look_lost,       0 },
	{ "look stale",        ORDER,   AT_LOOK,  where_looked,     look_stale,      0 },
	{ "write fails",       DISK,    AT_WRITE, where_written,    write_fails,     UNDO },
	{ "disk full",         DISK,    AT_WRITE, where_written,    disk_full,       UNDO },
	{ "crash, lost",       CRASH,   AT_WRITE, where_written,    crash,           UNDO },
	{ "crash, kept",       CRASH,   AT_WRITE, where_written,    crash_kept,      UNDO },
	{ "crash, asked",      CRASH,   AT_ASK,   where_asked,      crash,           UNDO },
	{ "crash, looking",    CRASH,   AT_LOOK,  where_looked,     crash,           UNDO },
	{ "hints lost",        LOSS,    AT_ANY,   anywhere,         hints_lost,      0 },
	{ "hints late",        ORDER,   AT_ANY,   anywhere,         hints_late,      0 },
	{ "hints many",        TWICE,   AT_ANY,   anywhere,         hints_many,      0 },
	{ "cancel",            OTHERS,  AT_ANY,   anywhere,         cancel,          UNDO },
	{ "connection lost",   LOSS,    AT_ANY,   anywhere,         connections,     0 },
	{ "QEMU silent",       SILENCE, AT_ANY,   anywhere,         qemu_silent,     UNDO },
	{ "QEMU dies",         DEATH,   AT_ANY,   anywhere,         qemu_dies,       MAY_UNDO | MAY_LOSE | MAY_DOUBT },
	{ "destination dies",  DEATH,   AT_ANY,   in_a_move,        dst_dies,        MAY_UNDO | MAY_DOUBT },
	{ "guest reset",       RESET,   AT_ANY,   anywhere,         reset,           UNDO },
	{ "agent restarts",    AGENT,   AT_ANY,   anywhere,         agent_restarts,  UNDO },
	{ "agent away",        AGENT,   AT_ANY,   anywhere,         agent_away,      UNDO },
	{ "hold taken away",   OTHERS,  AT_ANY,   before_end,       loses_hold,      MAY_UNDO },
	{ "rival",             OTHERS,  AT_ANY,   anywhere,         rival,           UNDO },
	{ "user writes",       OTHERS,  AT_ANY,   anywhere,         user,            0 },
	{ "clock jumps",       CLOCK,   AT_ANY,   anywhere,         clock_jumps,     UNDO },
	{ "guest refuses",     REFUSAL, AT_ANY,   asks_for_devices, refuses,         MAY_UNDO },
	{ "guest silent",      SILENCE, AT_ANY,   asks_for_devices, silent,          MAY_PEND },
	{ "guest slow",        DELAY,   AT_ANY,   asks_for_devices, slow,            MAY_PEND },
	{ "guest gives some",  PART,    AT_ANY,   asks_for_devices, gives_some,      UNDO | MAY_STICK },
	{ "guest lazy",        PART,    AT_ANY,   asks_for_memory,  lazy,            MAY_UNDO | MAY_STICK },
	{ "CPUs broken",       PART,    AT_ANY,   brings_online,    broken,          UNDO | MAY_STICK },
	{ "migration fails",   DEATH,   AT_ANY,   in_a_move,        migration_fails, MAY_UNDO },
	{ "source continued",  OTHERS,  AT_ANY,   in_a_move,        continued,       MAY_UNDO | MAY_STICK },
};
/* clang-format on */

const unsigned n_faults = sizeof(faults) / sizeof(faults[0]);

const char *fault_name(unsigned fault)
{
	return faults[fault].name;
}

bool fault_refuses(unsigned fault)
{
	return faults[fault].strike == reply_error || faults[fault].strike == reply_good;
}

const char *fault_kind(unsigned fault)
{
	return faults[fault].kind;
}

unsigned fault_may(unsigned fault)
{
	return faults[fault].may;
}

const char *fault_cannot(unsigned fault, const struct op *op, unsigned row)
{
	return faults[fault].cannot(op, row);
}

static bool is_moment(enum moment at, const struct action *a)
{
	switch (at) {
	case AT_ASK:
		return a->kind == ACT_ASK;
	case AT_WRITE:
		return a->kind == ACT_WRITE;
	case AT_LOOK:
		return a->kind == ACT_LOOK;
	default:
		return a->kind != ACT_END && a->kind != ACT_TELL;
	}
}

static unsigned row_now(struct life *l)
{
	const struct op *op = &ops[l->op];
	const struct row *r = engine_row(l->w->e);

	if (r)
		return (unsigned)(r - op->table->rows);
	return l->w->t->end == END_NONE ? ROW_FIRST(op) : ROW_LAST(op);
}

/* Something of it is on its way. */
static bool is_half_there(const struct w_qemu *q)
{
	bool half = q->balloon != q->balloon_goal;

	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &q->cpus[i];

		half |= c->plugged != c->present || c->removing || c->busy ||
			c->device != c->kernel;
	}
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &q->mems[i];

		half |= m->exists != m->plugged || m->removing || m->size != m->requested ||
			m->present != m->size || m->online != m->size;
	}
	return half;
}

void faults_action(struct life *l, const struct action *a)
{
	unsigned row = row_now(l);

	l->w->write_now |= l->full_disk;
	if (a->kind == ACT_LOOK)
		cover_looked(is_half_there(&l->w->qemu[SIDE_SRC]));
	for (unsigned i = 0; i < l->n_strikes; i++) {
		struct strike *s = &l->strikes[i];

		if (s->struck || s->row != row || s->back != l->w->t->walk.rollback ||
		    !is_moment(faults[s->fault].at, a) || s->skip-- > 0)
			continue;
		s->struck = true;
		world_happens(l->w, "* %s", faults[s->fault].name);
		cover_struck(l, row, s->fault, s->back);
		faults[s->fault].strike(l);
	}
}
