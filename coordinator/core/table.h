/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table of rows: plug walks it down the page, unplug walks the same table up.
 *
 * A row is data and three or four pure functions. It is done, walking towards
 * "there", when @full has reached the goal of every item; walking towards "gone",
 * when @any is no greater than the goal of any item. The two differ exactly while
 * a thing is half there, and a half-there thing is neither plugged nor gone.
 */
#ifndef CORE_TABLE_H
#define CORE_TABLE_H

#include "txn.h"
#include "vm.h"

/*
 * What a back end can be asked. Each acts on a set of items of one side, each is good
 * when there is nothing left to do (after a crash the same is asked again), and what
 * gives something back gives back only what is this transaction's own.
 */
enum verb {
	VERB_NONE,
	VERB_CLAIM, /* make the claim object, with transaction and epoch */
	VERB_UNCLAIM,
	VERB_GUEST_LOCK, /* take the agent's hotplug lock, renew it from then on */
	VERB_GUEST_UNLOCK,
	VERB_CPU_ADD,
	VERB_CPU_DEL,
	VERB_CPU_ONLINE, /* by the agent, with device_online() */
	VERB_CPU_OFFLINE,
	VERB_BACKEND_ADD,
	VERB_BACKEND_DEL,
	VERB_DIMM_ADD,
	VERB_DIMM_DEL,
	VERB_MEM_REQUEST, /* virtio-mem: requested-size = level */
	VERB_BALLOON,	  /* what is left to the guest = level */
	VERB_MEM_ONLINE,
	VERB_MEM_OFFLINE,
	VERB_WINDOW_OPEN,
	VERB_WINDOW_CLOSE,
	VERB_PARAMS_SET,
	VERB_PARAMS_RESTORE,
	VERB_MIRROR, /* give the destination the devices of the source */
	VERB_INCOMING,
	VERB_MIGRATE,
	VERB_SRC_RESUME, /* cancel what is under way, else continue the source */
	VERB_MIGRATE_CONTINUE,
	VERB_SURRENDER, /* mark the source: never continue this one */
	VERB_CONT,
	VERB_QUIT,
	VERB_COUNT
};

const char *verb_name(enum verb verb);

enum mark {
	MARK_NONE,
	MARK_HOLD,  /* taken first, again if lost, given back on every end */
	MARK_PENDS, /* going down, once asked: at the deadline the end is "pending" */
	MARK_PIVOT, /* going up: once entered there is no way back */
};

typedef uint64_t (*level_fn)(const struct txn *t, const struct view *v, unsigned item);

/**
 * typedef check_fn - Whether a row has become impossible
 * @rolling: the walk is on its way back
 *
 * Called at every look in the row, before it is judged done. Waiting longer will not
 * help where this fails: the row fails at once, with these words.
 *
 * Return: 0 or -errno with @err set.
 */
typedef int (*check_fn)(const struct txn *t, const struct view *v, bool rolling,
			struct ls_err *err);

/* Whether something is true of an item, whatever can be seen. */
typedef bool (*item_fn)(const struct txn *t, unsigned item);

/**
 * struct row - One row of a table
 * @name:     "subject:thing", unique in its table
 * @side:     whom @up and @down are sent to
 * @full:     the level that is wholly there
 * @any:      the level of which there is a trace
 * @up:       asked of the items whose @full is below their goal; may be VERB_NONE: wait
 * @down:     asked of the items whose @any is above it
 * @check:    may be NULL
 * @seen:     whether the view shows what the levels need, beyond QEMU's own word: where it
 *            does not the row waits, as for a QEMU that does not answer; NULL: always
 * @refused:  whether an item cannot be had any more: -errno with @err set; NULL: never. It
 *            counts once the verb was asked in this visit: what it looks at may be older
 * @sure_up:  the items to ask for on the way back up if they were to change, even if nothing
 *            shows: a verb whose reply was lost, or who asked for it died, may still be at
 *            work (a guest's kernel takes its time); NULL: none; @sure_down: the same downwards
 * @journalled: of a hold: nothing but our record leads to its being given back after a
 *            crash, no lease and no claim; so it is on record before it is asked for
 * @asked_first: @check counts only once the verb was asked in this visit: what it looks at
 *            (a refusal, the status of the last migration) may be older than the row
 * @limit_ms: for the row, from its first look; 0: only the transaction's
 * @poll_ms:  look again this often while nothing happens; 0: events are mostly enough
 * @mark:     see above
 * @ready:    how much of an item @up makes sense for yet (the guest must see a thing before
 *            it can bring it online), in any unit; 0: nothing; NULL: always
 * @partly:   at the limit, on the way forward, it ends there and what was reached stays:
 *            says in words how far it got; NULL: the walk turns round
 * @late:     says in words what has not come at the limit; NULL: that something has not
 * @again:    ask again when a look shows a change and the row is not done
 */
struct row {
	const char *name;
	enum side side;
	level_fn full, any;
	enum verb up, down;
	check_fn check;
	int (*refused)(const struct txn *t, const struct view *v, unsigned item,
		       struct ls_err *err);
	unsigned limit_ms, poll_ms;
	enum mark mark;
	level_fn ready;
	void (*partly)(const struct txn *t, const struct view *v, struct ls_err *err);
	void (*late)(const struct txn *t, const struct view *v, struct ls_err *err);
	bool (*seen)(const struct txn *t, const struct view *v);
	item_fn sure_up, sure_down;
	bool again;
	bool asked_first, journalled;
};

/**
 * struct table - Rows in the order in which things come into being
 * @name:  for people
 * @rows:  @n of them, those with MARK_HOLD first
 * @holds: how many of them are holds
 * @boots: what it asks of a guest a boot undoes: it waits for that, and begins again
 * @alive: whether the world still has what the table is about; may be NULL
 */
struct table {
	const char *name;
	const struct row *rows;
	unsigned n, holds;
	bool boots;
	/* Return END_NONE to go on, else how it ends, with @err set. */
	enum txn_end (*alive)(const struct txn *t, const struct view *v, struct ls_err *err);
	/* Whether going back would lose what can be had by going forward; may be NULL. */
	bool (*only_forward)(const struct txn *t, const struct view *v);
};

/* plan_vcpus.c, plan_memory.c, plan_cpu.c, plan_balloon.c, plan_migrate.c */
extern const struct table table_vcpu;
extern const struct table table_memory;
extern const struct table table_cpu;
extern const struct table table_balloon;
extern const struct table table_migrate;

/* Levels that more than one table uses. */
uint64_t level_claim_src(const struct txn *t, const struct view *v, unsigned item);
uint64_t level_claim_dst(const struct txn *t, const struct view *v, unsigned item);
uint64_t level_guest_lock(const struct txn *t, const struct view *v, unsigned item);
uint64_t level_none(const struct txn *t, const struct view *v, unsigned item);
uint64_t level_all(const struct txn *t, const struct view *v, unsigned item);
bool agent_seen(const struct txn *t, const struct view *v);
bool agent_seen_or_goes(const struct txn *t, const struct view *v, unsigned row);
bool item_every(const struct txn *t, unsigned item);
bool item_of_lockstep(const struct txn *t, unsigned item); /* a lesser agent knows no items */

/* What has a size, and was taken further by somebody else than it was to go: -ESTALE. */
int check_not_beyond(const struct txn *t, unsigned item, const char *name, uint64_t is,
		     struct ls_err *err);
enum txn_end alive_src(const struct txn *t, const struct view *v, struct ls_err *err);

/* The rows that every table but a migration's begins with. */
#define ROW_CLAIM                                                                                  \
	{                                                                                          \
		"claim", SIDE_SRC, level_claim_src, level_none, VERB_CLAIM, VERB_UNCLAIM,          \
			.limit_ms = 5000, .mark = MARK_HOLD                                        \
	}
#define ROW_GUEST_LOCK                                                                             \
	{                                                                                          \
		"guest:lock", SIDE_SRC, level_guest_lock, level_none, VERB_GUEST_LOCK,             \
			VERB_GUEST_UNLOCK, .limit_ms = 5000, .mark = MARK_HOLD                     \
	}

#endif
