/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another lockstepd holds what this one needs. One that was killed a moment ago holds
 * it still: the kernel closes a process's files one after the other, so its clients
 * know that it is gone, and start the next one, before its lock and socket are free.
 */
#ifndef COORDINATOR_RIVAL_H
#define COORDINATOR_RIVAL_H

#include <stdbool.h>

#define RIVAL_MS 1000 /* until a killed process has let go of its files */

/**
 * rival_ends() - Wait for a process that may be on its way out
 * @pid: its number; 0, one of another namespace, or our own never ends
 *
 * Return: true when it has ended, and holds nothing; false after RIVAL_MS.
 */
bool rival_ends(int pid);

#endif
