/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A life: one guest, and what is wanted of it, one transaction after the other, all of it
 * drawn from one seed. What every file of the simulation shares.
 *
 *	ops.c    what can be wanted, and a guest to want it of
 *	faults.c what goes wrong, and when
 *	where.c  the rows in which it can
 *	life.c   draws and runs a life
 *	judge.c  the rules at the end of a transaction
 *	cover.c  rows x faults: how often each was there
 *	story.c  the two columns
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
 * @count: vCPUs; @bytes: of memory; @which: CPUs
 */
struct wish {
	unsigned count;
	struct numbers which;
	uint64_t bytes;
};

struct life;

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

struct cell {
	unsigned op, row, fault;
};

unsigned cover_cells(void);
struct cell cover_cell(unsigned number);
void cover_struck(unsigned op, unsigned row, unsigned fault, bool back);

/* One line of numbers for another process to add up; and adding it up. */
void cover_write(int fd);
void cover_add(int fd);

/* Print the table. Return: the least of all cells. */
unsigned cover_print(void);

/* ---- a life ---------------------------------------------------------------- */

/**
 * struct life - One life
 * @plan: draws what is wanted and what goes wrong; @time: how long everything takes
 * @pace: percent of the usual time that everything takes in this world
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
	struct strike strikes[STRIKES_MAX];
	unsigned n_strikes;
	bool full_disk, reset;
	unsigned crashes;
	enum txn_end end;
	unsigned ends[END_COUNT];
};

/* Run the life of a seed; a broken rule ends in world_failed(). */
void life_run(struct life *l, uint64_t seed, struct story *story);

/* The rules at the end of a transaction, once the world has settled. */
void judge(struct life *l);

#endif
