/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A transaction: what was asked, which rows have been entered, how it ended; and
 * its form in the journal.
 *
 * Levels. A table works on a set of items (vCPU slots, memory devices, a guest).
 * Each item has a level: 0 or 1 for what is there or not, bytes for what grows and
 * shrinks. Sets of devices are the special case in which all levels are 0 or 1.
 */
#ifndef CORE_TXN_H
#define CORE_TXN_H

#include <stdbool.h>
#include <stdint.h>

#include <lockstep/err.h>
#include <lockstep/limits.h>
#include <lockstep/step.h>

#include "backing.h"
#include "vm.h"

#define TXN_ROWS_MAX   16
#define TXN_RECORD_MAX (256 * 1024) /* bytes of a journal record */

/* "Nothing of it is to be undone": the level before a row that was never entered. */
#define LEVEL_ALL UINT64_MAX

enum txn_op { OP_VCPUS, OP_MEMORY, OP_CPU, OP_BALLOON, OP_MIGRATE, OP_COUNT };

/**
 * enum txn_end - How a transaction can end; every one ends in one of these
 * @END_NONE:      not yet
 * @END_DONE:      the whole vector agrees with what was asked
 * @END_UNDONE:    failed, and all that it did was taken back
 * @END_REFUSED:   nothing was changed
 * @END_PARTIAL:   a part of it was done, and stays
 * @END_PENDING:   the guest was asked for a device and has neither given nor refused it
 * @END_STUCK:     neither forward nor back; says what is where and what to run
 * @END_UNDECIDED: it cannot be proven which side may run; left paused
 * @END_LOST:      QEMU died in the middle
 */
enum txn_end {
	END_NONE,
	END_DONE,
	END_UNDONE,
	END_REFUSED,
	END_PARTIAL,
	END_PENDING,
	END_STUCK,
	END_UNDECIDED,
	END_LOST,
	END_COUNT
};

const char *txn_op_name(enum txn_op op);
const char *txn_end_name(enum txn_end end);

/**
 * enum item_state - Whether an item is still part of what is being done
 * @ITEM_IN:      it is
 * @ITEM_DROPPED: it cannot be had; taken back at the end
 * @ITEM_PENDING: the guest was asked for it and has not answered; left as it is
 */
enum item_state { ITEM_IN, ITEM_DROPPED, ITEM_PENDING, ITEM_STATES };

/**
 * struct item - One thing that a table works on
 * @kind:    for memory
 * @slot:    vCPU slot; DIMM slot; of OP_CPU the guest's number of the CPU; -1 none
 * @id:      device id in QEMU: what is there already, or what we will give it
 * @backend: id of the memory backend
 * @size:    of the backend, bytes
 * @goal:    level that was asked for
 * @state:   see above; other than ITEM_IN only with best effort
 * @why:     what was wrong with it; code 0: nothing so far
 */
struct item {
	enum vm_mem_kind kind;
	int slot;
	char id[LS_NAME_BYTES];
	char backend[LS_NAME_BYTES];
	uint64_t size;
	uint64_t goal;
	enum item_state state;
	struct ls_err why;
};

/**
 * struct txn_migrate - What only a migration needs to remember
 * @src_qmp:     the source's monitor, @src_agent its agent's channel (may be empty),
 *               @src_process the process behind it ("BOOT:NAMESPACE:PID:START"; may be empty):
 *               what a coordinator needs that finds this record at the destination
 * @uri:         where the destination listens; unix:, tcp: or fd: only
 * @dst_qmp:     the destination's monitor
 * @dst_process: as @src_process
 * @dst_agent:   the guest's agent as seen from the destination; may be empty
 * @window:      force, hold or off
 * @caps_before: capabilities that were on, each side
 * @online:      bit per slot: device online before the window, for the proof after it
 */
struct txn_migrate {
	char src_qmp[256];
	char src_agent[256];
	char src_process[128];
	char dst_process[128];
	char uri[256];
	char dst_qmp[256];
	char dst_agent[256];
	char window[8];
	unsigned caps_before[SIDE_COUNT];
	bool online[LS_CPUS_MAX];
};

struct table;

/**
 * struct txn - One transaction
 * @id:       unique; also the prefix of the ids that it gives in QEMU
 * @epoch:    of the claim under which it runs
 * @op:       decides @table
 * @agent:    what the guest offered when it was planned: without AGENT_LOCKSTEP there is
 *            no lock and no window, with AGENT_NONE nothing at all of the guest's
 * @items:    @n of them
 * @before:   level of each item of each row when the row was first entered
 * @entered:  bit per row
 * @holds:    walk over the rows with MARK_HOLD
 * @walk:     walk over the others; its direction is what was asked: up plugs
 * @best_effort: what cannot be had is dropped, the rest is done
 * @partial:  the walk has reached its end, and goes back for what was dropped only
 * @crossed:  a pivot has been entered: only forward now
 * @loaded:   from a record: its holds may still be held
 * @end:      END_NONE until the outcome is known; holds may still be held then
 * @reason:   in words, for every end but END_DONE
 * @guest_says: the guest's kernel's own words for a refusal; empty: none; not on record
 * @backing:  of OP_MEMORY: what a DIMM that it makes is made of; empty: plain memory
 * @mig:      NULL unless OP_MIGRATE
 */
struct txn {
	char id[LS_TXN_BYTES];
	uint64_t epoch;
	enum txn_op op;
	enum vm_agent agent;
	const struct table *table;
	struct item *items;
	unsigned n;
	uint64_t *before;
	unsigned entered;
	struct step holds, walk;
	bool best_effort, partial, crossed, loaded;
	enum txn_end end;
	struct ls_err reason;
	char guest_says[LS_WORDS_BYTES];
	char backing[BACKING_TEXT_BYTES];
	struct txn_migrate *mig;
};

/**
 * txn_new() - A transaction that has done nothing yet
 * @op: which table
 * @id: copied; at most LS_TXN_BYTES - 1 bytes
 * @n:  items; the caller fills them in
 * @up: plug, add, grow; false: unplug, remove, shrink
 *
 * Return: NULL when out of memory.
 */
struct txn *txn_new(enum txn_op op, const char *id, unsigned n, bool up);
void txn_free(struct txn *t);

static inline uint64_t *txn_before(const struct txn *t, unsigned row)
{
	return t->before + (size_t)row * t->n;
}

/* "cpu3", "slot 3", "dimm0": an item for people. */
#define ITEM_NAME_BYTES (LS_NAME_BYTES + 8)
void txn_item_name(const struct txn *t, unsigned item, char ret_name[ITEM_NAME_BYTES]);

/**
 * txn_item_result() - What became of an item of a transaction that has ended
 *
 * Return: "done", "partial", "refused" (its why says the reason), "pending", "taken back",
 *         "not tried", "stuck", "lost".
 */
const char *txn_item_result(const struct txn *t, unsigned item);

/* Whether its end is what the guest itself says, too; else it is QEMU's word alone. */
bool txn_guest_seen(const struct txn *t);

/**
 * txn_reopen() - Take up a transaction that has ended short of its goal
 * @t:    loaded; stuck, or pending, or given up in the middle
 * @undo: it is to be taken back (the engine is told to cancel it, besides); else it walks
 *        from the start again: what is there already is passed
 *
 * Its holds were given back and its epoch is old: it is begun like a new one.
 *
 * Return: 0; -EPERM: beyond a pivot nothing is taken back; -EALREADY: it is over.
 */
int txn_reopen(struct txn *t, bool undo, struct ls_err *err);

/**
 * txn_save() - The journal record: everything needed to go on after a crash
 * @t:   transaction
 * @buf: receives lines of "key value"
 * @len: its size
 *
 * Return: bytes written without the final NUL, or -ENOSPC.
 */
int txn_save(const struct txn *t, char *buf, size_t len);

/**
 * txn_load() - A transaction from its record
 *
 * Return: 0, -EPROTO (not a record of this version, or damaged), -ENOMEM.
 */
int txn_load(const char *record, struct ls_err *err, struct txn **ret_txn);

#endif
