/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which slot of the host a guest CPU sits in: the host never guesses by number.
 */
#ifndef AGENT_CPU_SLOT_H
#define AGENT_CPU_SLOT_H

struct sysfs;

/**
 * cpu_slot() - The host's slot of a CPU
 * @s:   the kernel
 * @cpu: the guest's number for it
 *
 * Several CPUs may have one slot: the threads of a core.
 *
 * Return: x86: QEMU's index of the slot; pSeries: the core's number; -1 unknown.
 */
int cpu_slot(struct sysfs *s, int cpu);

#endif
