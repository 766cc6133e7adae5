/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs of the host's own that are told of a new vCPU: docs/host-hooks.md.
 */
#ifndef COORDINATOR_HOOKS_H
#define COORDINATOR_HOOKS_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include <lockstep/limits.h>

#define HOOKS_DIR     "/etc/lockstep/host-hooks.d"
#define HOOKS_DIR_ENV "LOCKSTEP_HOST_HOOKS_D" /* instead of it */
#define HOOK_MS	      5000		      /* for one program */
#define HOOK_IDS      256		      /* bytes of the threads' numbers, with the NUL */

/**
 * struct hook_call - What the programs are told
 * @guest:   its name
 * @txn:     that made it
 * @slot:    of the vCPU
 * @threads: QEMU's threads for it, by number, with blanks between them
 */
struct hook_call {
	char guest[LS_NAME_BYTES], txn[LS_TXN_BYTES];
	int slot;
	char threads[HOOK_IDS];
};

struct hooks;

/* Whether there is any program to be told. */
bool hooks_any(void);

/**
 * hooks_tell() - Run them all, one after the other
 * @loop: never blocked
 * @call: copied
 * @fn:   called once, later, from the loop
 *
 * What one of them answers changes nothing: a status other than 0, its first line on
 * standard error, and that it took too long are warnings in the log.
 *
 * Return: for hooks_free(), which kills the one that runs; NULL out of memory.
 */
struct hooks *hooks_tell(sd_event *loop, const struct hook_call *call, void (*fn)(void *arg),
			 void *arg);
void hooks_free(struct hooks *h);

#endif
