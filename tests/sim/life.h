/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A life: one guest, and what is wanted of it, one transaction after the other, all of it
 * drawn from one seed. What every file of the simulation shares.
 *
 *	ops.c    what can be wanted, and a guest to want it of
 *	ways.c   in which way, and of what kind of agent
 *	faults.c what goes wrong, and when
 *	where.c  the rows in which it can
 *	life.c   draws and runs a life
 *	judge.c  the rules at the end of a transaction
 *	cover.c  rows x faults: how often each was there
 *	story.c  the two columns
 *	tell.c   the words above them
 *	sim.c    the program
 */
#ifndef SIM_LIFE_H
#define SIM_LIFE_H

#include "draw.h"
#include "story.h"
#include "world.h"

#define LIFE_TXNS   30 /* transactions of one life */
#define STRIKES_MAX 3  /* faults of one transaction */

/* ---- operations ------------------------------------------------------------ */

/**
 * struct wish - What one transaction is to reach
 * @count: vCPUs, of @node where that is meant; @which: CPUs or slots
 * @bytes: of memory in all; @device: of this one, which is to have @device_bytes
 */
struct wish {
	unsigned count;
	int node;
	struct numbers which;
	uint64_t bytes, device_bytes;
	char device[LS_NAME_BYTES];
};

struct life;

struct cell {
	unsigned op, row, fault;
};

/**
 * struct op - One way through one table
 * @prepare: make the guest one of which it can be wanted, and draw what
 * @wish:    plan it and begin; as plan_*()
 * @reached: whether the world is as was wanted; NULL, or what is not, in words
 * @removes: it goes down, and asks the guest for devices
 */
struct op {
	const char *name;
	const struct table *table;
	bool removes;
	void (*prepare)(struct life *l);
	int (*wish)(struct life *l, struct ls_err *err);
	const char *(*reached)(struct life *l);
};

enum {
	OP_CPUS_UP,
	OP_CPUS_DOWN,
	OP_MEM_UP,
	OP_MEM_DOWN,
	OP_ON,
	OP_OFF,
	OP_FILL,
	OP_EMPTY,
	OP_MOVE,
	OPS
};
extern const struct op ops[OPS];

/* Whether the wish is about it; of a wish by name that is what was named. */
bool op_means_cpu(const struct life *l, unsigned slot);
bool op_means_mem(const struct life *l, const struct w_mem *m);

/* ---- ways ------------------------------------------------------------------ */

/* In which way it is wanted; several at once. */
enum way {
	WAY_EFFORT, /* as far as it can be had */
	WAY_SLOTS,  /* vCPU slots by number */
	WAY_NODE,   /* of one NUMA node */
	WAY_DIMM,   /* one DIMM more, or one by name */
	WAY_DEVICE, /* a virtio-mem device by name */
	WAY_QUEUED, /* planned in the moment in which another transaction has ended */
	WAY_STALE,  /* somebody has changed what is meant since it was planned */
	WAY_OLD,    /* lockstep-agent of a release that tells less */
	WAY_LESSER, /* QEMU's own agent, or none */
	WAYS
};

const char *way_name(enum way way);

/* Whether a transaction that is wanted in this way comes through the row. */
bool way_can(enum way way, const struct op *op, unsigned row);

/* Draw them for a transaction that is to be struck in a cell; plan it and begin. */
void ways_draw(struct life *l, struct cell cell);
int ways_wish(struct life *l, struct ls_err *err);

/* ---- faults ---------------------------------------------------------------- */

/* What may come of a transaction in which something went wrong; done it may always be. */
enum {
	MAY_UNDO = 1,
	MAY_PEND = 2,
	MAY_STICK = 4,
	MAY_LOSE = 8,
	MAY_DOUBT = 16, /* undecided */
};

/* The rows of a table, and two more: its first look, and its last record. */
#define ROW_FIRST(op) ((op)->table->n)
#define ROW_LAST(op)  ((op)->table->n + 1)
#define ROWS(op)      ((op)->table->n + 2)

extern const unsigned n_faults;
const char *fault_name(unsigned fault);
const char *fault_kind(unsigned fault);
unsigned fault_may(unsigned fault);

/* What was asked for is not done, and somebody answers all the same. */
bool fault_refuses(unsigned fault);

/* NULL when the fault can strike in the row, else why it cannot. */
const char *fault_cannot(unsigned fault, const struct op *op, unsigned row);

/**
 * struct strike - A fault that waits for its moment
 * @fault: which
 * @row:   of the table; @back: on the way back
 * @skip:  moments to let pass
 * @struck: it has happened
 */
struct strike {
	unsigned fault, row, skip;
	bool back, struck;
};

/* What the engine wants done: whatever waits for it strikes. */
void faults_action(struct life *l, const struct action *a);

/* ---- coverage -------------------------------------------------------------- */

unsigned cover_cells(void);
struct cell cover_cell(unsigned number);
void cover_struck(const struct life *l, unsigned row, unsigned fault, bool back);

/* A life in a world that takes so many percent of the usual time; a look in it. */
void cover_world(unsigned pace);
void cover_looked(bool half_there);

/* One line of numbers for another process to add up; and adding it up. */
void cover_write(int fd);
void cover_add(int fd);

/* Print the tables. Return: how often the cell was struck that was struck least, @of so many. */
struct least {
	unsigned n, of;
};
struct least cover_print(void);

/* ---- a life ---------------------------------------------------------------- */

/**
 * struct life - One life
 * @plan: draws what is wanted and what goes wrong; @time: how long everything takes
 * @pace: percent of the usual time that everything takes in this world
 * @ways: bit by way
 * @owed: the transaction before this one has ended pending
 * @ends: how many transactions ended in each; [END_NONE]: refused by the planner
 */
struct life {
	uint64_t seed;
	struct draw plan, time;
	unsigned pace;
	struct world *w;
	struct story *story;
	unsigned op;
	struct wish wish;
	unsigned ways;
	struct strike strikes[STRIKES_MAX];
	unsigned n_strikes;
	bool full_disk, reset, owed;
	unsigned crashes;
	enum txn_end end;
	unsigned ends[END_COUNT];
};

static inline bool life_has(const struct life *l, enum way way)
{
	return l->ways >> way & 1;
}

/* Run the life of a seed; a broken rule ends in world_failed(). */
void life_run(struct life *l, uint64_t seed, struct story *story);

/* In words: a guest; what is wanted of it and waits for its moment, as a headline. */
void tell_guest(const struct w_qemu *q, char *buf, size_t len);
void tell_chapter(const struct life *l, unsigned number, char *buf, size_t len);

/* The rules in the moment in which a transaction ends; and once the world has settled. */
void judge_owed(struct life *l);
void judge(struct life *l);

#endif
