/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the real side of a dialogue has besides lockstep's own connections: each QEMU's second
 * monitor, which hears its events, and the guest's console. Of both is made what befalls
 * the guest.
 */
#ifndef TESTS_DIALOGUES_PEER_H
#define TESTS_DIALOGUES_PEER_H

#include "../../coordinator/hv/conn.h"
#include "dialogues.h"

/**
 * struct peer - One second monitor
 * @on:    whose events they are: noted in *@into while that is not NULL
 * @heard: how many events there were, noted or not
 */
struct peer {
	struct conn conn;
	char address[LS_PATH_BYTES];
	enum side on;
	struct story **into;
	unsigned heard;
};

/* Of guest @name in @lab. Return: 0 or -errno. */
int peer_start(struct peer *p, sd_event *loop, const char *lab, const char *name, enum side on,
	       struct story **into, struct ls_err *err);
void peer_stop(struct peer *p);

/* The guest is reset; its QEMU is killed. */
void peer_reset(struct peer *p);
void peer_kill(struct peer *p);

/* A shell command in guest g1 of @lab, by `harness console`. Return: 0; -EIO it failed. */
int guest_console(const char *harness, const char *lab, const char *command, struct ls_err *err);

#endif
