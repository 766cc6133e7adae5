/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's control socket: QMP, so that any QMP client can talk to it.
 *
 *	<- {"QMP": {...}}                                -> {"execute": "qmp_capabilities"}
 *	-> {"execute": "vcpus", "arguments": {"guest": "vm1", "count": 4}}
 *	<- {"event": "LOCKSTEP_TXN", "data": {"event": "row", ...}}
 *	<- {"return": {"txn": "19a..."}}                 it is on record
 *	<- {"event": "LOCKSTEP_TXN", "data": {"event": "end", "end": "done", ...}}
 *	<- {"event": "LOCKSTEP_TXN", "data": {"event": "now", "text": ..., "vm": {...}}}
 *
 * Who asks for a change gets the events of that change; who subscribes gets all.
 */
#ifndef COORDINATOR_CTL_H
#define COORDINATOR_CTL_H

#include "daemon.h"

#define CTL_EVENT    "LOCKSTEP_TXN"
#define CTL_TXNS     50 /* in an answer, unless it is asked for more */
#define CTL_TXNS_MAX 1000

/*
 * Verbs. X(name, its fields' name, class, act, what it does); @act: DO(function), or
 * WISH(kind), which is asked of the guest's lane.
 */
#define CTL_VERBS(X)                                                                               \
	X("list", list, READ, DO(list), "the guests, each with its state")                         \
	X("status", status, READ, DO(status),                                                      \
	  "all that was seen last of a guest; never waits for it")                                 \
	X("subscribe", subscribe, READ, DO(subscribe),                                             \
	  "from now on the events of every transaction")                                           \
	X("txn-list", txn_list, READ, DO(txn_list), "transactions on record, newest change first") \
	X("txn-show", txn_show, READ, DO(txn_show), "one of them, with its rows")                  \
	X("txn-resume", txn_resume, HOTPLUG, DO(txn_resume),                                       \
	  "go on with one that is stuck or pending")                                               \
	X("txn-undo", txn_undo, HOTPLUG, DO(txn_undo), "take one back that is stuck or pending")   \
	X("txn-forget", txn_forget, ADMIN, DO(txn_forget), "delete one that has ended")            \
	X("vcpus", vcpus, HOTPLUG, WISH(VCPUS), "set the number of vCPUs")                         \
	X("vcpus-plug", vcpus_plug, HOTPLUG, WISH(PLUG), "plug the vCPU slots that are named")     \
	X("vcpus-unplug", vcpus_unplug, HOTPLUG, WISH(UNPLUG),                                     \
	  "unplug the vCPU slots that are named")                                                  \
	X("memory", memory, HOTPLUG, WISH(MEMORY), "set the size of the memory")                   \
	X("cpu-online", cpu_online, HOTPLUG, WISH(CPU_ONLINE), "bring guest CPUs online")          \
	X("cpu-offline", cpu_offline, HOTPLUG, WISH(CPU_OFFLINE),                                  \
	  "take guest CPUs offline, without unplugging")                                           \
	X("dimm-add", dimm_add, HOTPLUG, WISH(DIMM_ADD), "add one DIMM")                           \
	X("dimm-remove", dimm_remove, HOTPLUG, WISH(DIMM_REMOVE), "remove one DIMM")               \
	X("memory-resize", memory_resize, HOTPLUG, WISH(MEMORY_RESIZE),                            \
	  "set the size of one virtio-mem device")                                                 \
	X("balloon", balloon, HOTPLUG, WISH(BALLOON), "leave the guest so much of its memory")     \
	X("cancel", cancel, HOTPLUG, DO(cancel),                                                   \
	  "take a transaction back; without txn the one that runs")                                \
	X("doctor", doctor, HOTPLUG, DO(doctor),                                                   \
	  "what disagrees in a guest; with fix it is healed")                                      \
	X("add", add, ADMIN, DO(add), "a guest, kept over restarts")                               \
	X("remove", remove, ADMIN, DO(remove), "let go of a guest")                                \
	X("reload", reload, ADMIN, DO(reload), "read configuration and guests.d again")

/**
 * ctl_new() - Serve the socket
 * @fds: listening, @n of them, from systemd; ownership passes
 * @path: made here if there are none
 *
 * Return: 0; -EADDRINUSE with who serves it; -errno.
 */
int ctl_new(struct daemon *d, const int *fds, unsigned n, const char *path, struct ls_err *err);
void ctl_free(struct ctl *c);

/* A guest is ready, or away, or is not here any more: who added it is told. */
void ctl_arrived(struct ctl *c, const struct lane *l, bool removed);

/* A lane_ops.event; @arg is the daemon. */
void ctl_event(void *arg, const struct lane *l, const struct lane_job *j, struct json_object *o);

#endif
