/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs: where they are in sysfs, and the bus functions of the device model.
 */
#ifndef AGENT_CPU_H
#define AGENT_CPU_H

#include "device.h"

struct cpus;
struct sysfs;

#define CPU_DIR "devices/system/cpu"
/* For the log and the doctor; of what cpu_present() returns, and LS_CPUS_MAX. */
#define CPUS_BEYOND                                                                                \
	"this guest has %d CPUs beyond the %d that lockstep knows: they are not shown and not "    \
	"changed; give it no more"

extern const struct device_bus cpu_bus;

/**
 * cpu_meet() - Prove that CPUs run: their workers meet and compare clocks
 * @set: CPUs that are online; none is fine
 *
 * Context: transaction thread; blocks, at most a few seconds.
 * Return:  0 proved, 1 unverified (a worker could not be tied to its CPU), -ETIMEDOUT
 *          (one does not run), -EIO (one runs elsewhere, or its clock is behind), -EAGAIN.
 */
int cpu_meet(struct model *m, const struct cpus *set, struct ls_err *err);

/* Read both views of a CPU again: the bus's look, for the rows of the table, too. */
int cpu_look(struct device *dev, struct ls_err *err);

/**
 * cpu_restart() - Bring a CPU up that the driver core already has online
 * @dev: CPU; its lock is held
 * @err: says what to do where it cannot be done
 *
 * For the doctor alone, and only where offline-then-online cannot do it: the kernel takes no
 * CPU offline while it counts one, so that with two of them the dead one could not be
 * healed. Its file goes around the driver core, which is right here: nothing is to change
 * there.
 *
 * Context: transaction thread.
 * Return:  0, -EBUSY (a CPU that came after the boot has no such file), or what the kernel
 *          said.
 */
int cpu_restart(struct device *dev, struct ls_err *err);

/**
 * cpu_mask() - The kernel's mask of running CPUs
 *
 * Context: any thread. The kernel takes no lock to print it, so that even the loop
 *          may read it.
 * Return: how many run beyond LS_CPUS_MAX, 0 as a rule; or -errno.
 */
int cpu_mask(struct sysfs *s, struct cpus *ret_mask);
/* The same for the CPUs that there are: on a pSeries nothing is announced when one goes. */
int cpu_present(struct sysfs *s, struct cpus *ret_mask);

#endif
