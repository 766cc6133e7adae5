/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest opened for one command.
 */
#ifndef COORDINATOR_SESSION_H
#define COORDINATOR_SESSION_H

#include "../hv/claim.h"
#include "cli.h"

/**
 * struct session - A guest that a command works on
 * @claim, @other_claim: that no other lockstep of this host works on it, or on @other
 * @at:    recovery: which side of an interrupted migration it is
 * @other: the other side
 * @since_ms: open; --timeout counts from here
 * @moved: recovery: the guest is at @other now, and this QEMU has ended
 */
struct session {
	struct cli *cli;
	sd_event *loop;
	struct claim *claim, *other_claim;
	struct run *run;
	enum side at;
	struct guest other;
	uint64_t since_ms;
	bool moved;
};

/**
 * session_open() - Open a guest: connect and look
 * @what:   for those who find it taken, e.g. "vcpus 4"; NULL: only look
 * @dst:    the destination of a migration, or NULL
 * @ops:    how the transaction is reported
 *
 * With @what, the guest is claimed and what an interrupted command left is recovered.
 *
 * Return: an exit code; the error was printed.
 */
int session_open(struct session *s, struct cli *cli, const char *what, const struct guest *dst,
		 const struct run_ops *ops);
void session_close(struct session *s);

/* Look again. Return: an exit code; the error was printed. */
int session_look(struct session *s);

/* By --timeout; 0: as long as the rows allow. */
uint64_t session_deadline(const struct session *s);

/* Run to the end, print how it ended; returns an exit code. */
int session_run(struct session *s, struct txn *t);

/* @what of a command that wants nothing but the recovery. */
#define SESSION_RECOVER "recover"

/* recover.c: called by session_open(). Return: an exit code. */
int session_recover(struct session *s);

#endif
