/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What somebody asks of a guest, wherever it came from: a command line or a request to
 * the daemon. A wish and one look make a transaction.
 */
#ifndef COORDINATOR_WISH_H
#define COORDINATOR_WISH_H

#include "../core/plan.h"

struct json_object;

enum wish_kind {
	WISH_VCPUS,
	WISH_PLUG,
	WISH_UNPLUG,
	WISH_MEMORY,
	WISH_CPU_ONLINE,
	WISH_CPU_OFFLINE,
	WISH_DIMM_ADD,
	WISH_DIMM_REMOVE,
	WISH_MEMORY_RESIZE,
	WISH_BALLOON,
	WISH_COUNT
};

/**
 * struct wish - One request
 * @kind:   what it is about
 * @value:  vCPUs, or bytes, that the guest or the device has afterwards
 * @node:   WISH_VCPUS: on this NUMA node; NODE_ANY: wherever
 * @which:  what is named instead: slots or guest CPUs
 * @device: of one memory device: its id
 * @backing: of a new DIMM: see core/backing.h
 * @best_effort: what cannot be had is dropped, the rest is done
 * @dry_run: only tell what would be done
 */
struct wish {
	enum wish_kind kind;
	uint64_t value;
	int node;
	struct numbers which;
	char device[LS_NAME_BYTES];
	char backing[BACKING_TEXT_BYTES];
	bool best_effort, dry_run;
};

#define WISH_TEXT_BYTES 112

/* "vcpus 4", "cpu-offline 3,5": for those who find the guest taken, for lists and logs. */
void wish_text(const struct wish *w, char *buf, size_t len);

#define WISH_AGENT_MS 20000 /* for the agent of a guest that is not known to boot */
#define WISH_AGAIN_MS 500   /* between two looks for it */

/**
 * wish_waits_ms() - How long the guest's agent is to be waited for, before anything is planned
 * @timeout_ms: that the user gave, 0 none
 *
 * Nobody would know what the guest makes of a change while its agent is silent: it boots,
 * its agent is not started yet, is stopped, or hangs. A guest without a channel to one has
 * none, and a balloon needs none.
 *
 * Return: from the first look on; 0 when there is nothing to wait for.
 */
unsigned wish_waits_ms(const struct wish *w, const struct vm *vm, unsigned timeout_ms);

/**
 * wish_plan() - From a wish and one look to what is to be done
 * @vm: the guest as it is
 * @id: of the transaction
 *
 * Return: 0; 1 it is so already, *ret_txn is NULL; -EPERM the guest does not run here;
 *         -EBUSY its agent is silent; else as plan_vcpus().
 */
int wish_plan(const struct wish *w, const struct vm *vm, const char *id, struct ls_err *err,
	      struct txn **ret_txn);

/**
 * wish_allowed() - Whether what a wish names on the host may be used
 * @folders: where files may be, as for backing_allowed()
 *
 * Return: 0, -EINVAL, -EPERM.
 */
int wish_allowed(const struct wish *w, const char *folders, struct ls_err *err);

/* A new transaction's id: unique on this host. */
void wish_txn_id(char *ret_id, size_t len);

/* Whether a planner's refusal means that the request itself was wrong, not the guest. */
bool wish_is_wrong(int r);

/**
 * wish_from_json(), wish_to_json() - A wish as the arguments of the daemon's verb
 * @args: already held against the verb's table of fields
 */
void wish_from_json(enum wish_kind kind, struct json_object *args, struct wish *ret_wish);
void wish_to_json(const struct wish *w, struct json_object *args);

/* What a transaction is about, when nobody knows the wish any more. */
enum wish_kind wish_kind_of(enum txn_op op);

/* Whether it is about vCPUs, by count, slot or number; else it is about memory. */
bool wish_is_of_cpus(enum wish_kind kind);

/* The daemon's verb: "vcpus", "memory". */
const char *wish_verb(enum wish_kind kind);

/**
 * wish_numbers() - "3", "3,5", "2-4,7": added to a set
 *
 * Return: 0; -EINVAL, and the set is of no use.
 */
int wish_numbers(const char *text, struct ls_err *err, struct numbers *set);

#endif
