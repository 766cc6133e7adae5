/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work that runs on one CPU, by a thread pinned to it.
 */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

/**
 * worker_probe() - Whether a CPU runs what is sent there
 * @cpu:         guest CPU
 * @deadline_ms: from now, for a thread to run there once
 *
 * A thread that cannot be pinned (a cpuset forbids it) or does not get to run (a
 * real-time task has the CPU) proves nothing: the CPU is unverified.
 *
 * Context: blocks up to the deadline.
 * Return: 0 it runs, 1 unverified, -EIO a thread pinned there ran elsewhere.
 */
int worker_probe(int cpu, unsigned deadline_ms);

#endif
