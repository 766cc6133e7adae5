/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep-status: the guest's truth, from the published snapshot.
 */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

struct agent;
struct cpus;
struct json_object;

/**
 * status_object() - The reply of lockstep-status
 *
 * Takes none of the hotplug locks and waits for nobody. While no transaction runs,
 * the "kernel" field of the CPUs is read now, because a CPU can be taken down behind
 * the driver core's back, and no uevent tells of that; a difference from the
 * snapshot is also a reason to scan.
 *
 * Context: the loop's thread, registered with RCU.
 */
struct json_object *status_object(struct agent *a);

/* [n, ...] */
struct json_object *cpus_array(const struct cpus *set);

#endif
