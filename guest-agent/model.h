/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sets of devices: found by scanning sysfs, never by a timer. A scan runs at
 * start, when a uevent says so, when uevents were lost, and before each
 * transaction.
 */
#ifndef AGENT_MODEL_H
#define AGENT_MODEL_H

#include "device.h"

/**
 * model_init() - An empty model
 * @m:     caller's memory; the fields with defaults may be changed afterwards
 * @sysfs: the kernel; borrowed
 * @lock:  the hotplug lock; borrowed
 */
void model_init(struct model *m, struct sysfs *sysfs, struct hotplug_lock *lock);
void model_done(struct model *m);

/**
 * model_scan() - Make the sets agree with sysfs, and publish the result
 *
 * Devices that appeared, went, or changed since the last look are told as foreign
 * changes: our own were told when they were made.
 *
 * Return: 0 or -errno (sysfs cannot be read, or no memory).
 */
int model_scan(struct model *m, struct ls_err *err);

/* Somebody else has changed something: the next model_catch_up() is to scan. Any thread. */
void model_set_stale(struct model *m);

/**
 * model_catch_up() - Scan if what is known is stale
 *
 * For whoever changes one CPU after the other: what others do meanwhile is told after
 * each of them, not only when all are done. Devices that have gone are released.
 */
void model_catch_up(struct model *m);

/**
 * model_look_meanwhile() - Tell what others have done to the other CPUs
 * @model: the struct model
 *
 * For the transaction thread while the kernel keeps it waiting for one device
 * (struct sysfs_how), for as long as that takes.
 */
void model_look_meanwhile(void *model);

/* A device by the guest's number; NULL if there is none. */
struct device *model_find(struct model *m, enum device_kind kind, int id);

#endif
