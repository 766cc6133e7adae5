/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel prints when it cannot give up a CPU or memory: its own words for a refusal
 * of which the host gets no more than a number.
 */
#ifndef AGENT_KMSG_H
#define AGENT_KMSG_H

#include <lockstep/limits.h>

/**
 * struct kmsg - A reader of the kernel's log; the loop's thread alone
 * @fd:   /dev/kmsg, or -1: it may not be read
 * @txn:  for whom it has been read since kmsg_begin()
 * @says: the first lines since kmsg_begin() that matter, "; " between them; empty: none
 */
struct kmsg {
	int fd;
	char txn[LS_TXN_BYTES];
	char says[LS_WORDS_BYTES];
};

/**
 * kmsg_open() - Find the log
 *
 * Where it may not be opened, the standard input will do if it is the log: whoever starts us
 * can open it with rights that we do not have (examples/guest/lockstep-agent.service).
 */
void kmsg_open(struct kmsg *k);
void kmsg_close(struct kmsg *k);

/* @txn has taken the hotplug lock: what was printed until now is about others. */
void kmsg_begin(struct kmsg *k, const char *txn);

/**
 * kmsg_read() - Read what has been printed since, KMSG_ROUND records at most
 *
 * @txn: who has the lock
 *
 * Context: never blocks. Return: k->says; "" if it is another for whom it was begun.
 */
const char *kmsg_read(struct kmsg *k, const char *txn);

#define KMSG_ROUND 512 /* records; a flood is read in several looks */

#endif
