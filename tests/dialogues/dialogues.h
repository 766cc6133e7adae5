/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DOC: Are the fakes true? One dialogue is held with a real QEMU, guest and agent, and with
 * the world of the unit tests and the simulation, which begins as the real guest is seen. What
 * has to be the same on both sides:
 *
 * - the rows that the engine visits, in their order, the class of each error, and the end;
 * - the events of each QEMU, in their order.
 *
 * dialogues.c  which one, and the comparison
 * list.c       what is said in each
 * story.c      what is noted of one side
 * real.c       the real side; peer.c: what it has besides lockstep's own connections
 * fake.c       the other one
 */
#ifndef TESTS_DIALOGUES_H
#define TESTS_DIALOGUES_H

#include "../../coordinator/core/table.h"
#include "../../coordinator/run/wish.h"
#include "../sim/world.h"

#define ASKS_MAX  6
#define LINES_MAX 96

/* What befalls the two in the middle. */
enum harm {
	HARM_NONE,
	HARM_CANCEL,	 /* somebody thinks better of it */
	HARM_RESET,	 /* the guest is reset */
	HARM_AGENT_DIES, /* its agent is killed, and started again */
	HARM_DST_DIES,	 /* the destination's QEMU is killed */
};

/**
 * struct dialogue - One dialogue with one guest
 * @guests: settings of `harness up`; NULL: GUESTS
 * @first:  makes the guest one of which @wish can be wanted; value 0: it is one
 * @wish:   what is wanted
 * @moves:  instead of @wish: the guest to the other one of @guests
 * @console: said to the guest's console before; the fake has @mood and @lazy (see struct
 *          world) and @mute, its agent does not answer, instead
 * @later:  said to the console when it is over; the fake waits
 * @harm:   befalls both when the row @at begins, or asks
 * @limit_s: of the transaction; 0 none
 * @rival:  what somebody else has taken before: VERB_CLAIM, VERB_GUEST_LOCK; 0 nothing
 * @asks:   ask for these one by one, of the first device, instead of running it
 */
struct dialogue {
	const char *name;
	const char *guests;
	struct wish first, wish;
	bool moves;
	const char *console, *later;
	enum w_mood mood;
	uint64_t lazy;
	bool mute;
	const char *at;
	enum harm harm;
	unsigned limit_s;
	enum verb rival;
	enum verb asks[ASKS_MAX];
};

extern const struct dialogue dialogues[];
extern const unsigned n_dialogues;

/* 2 of 8 vCPUs, 512 MiB, 4 DIMM slots, and: */
#define GUESTS "vmem=1G balloon"

/* What was said, a line each; the same line twice in a row is one. */
struct record {
	char line[LINES_MAX][96];
	unsigned n;
};

/**
 * struct story - What one side made of it
 * @talk:   the engine's rows
 * @events: of each QEMU; @devices: that they are about, in the order in which they came up
 * @heard:  how many events there were when that many of the asks had been asked
 * @struck: the harm has been done
 */
struct story {
	struct record talk, events[SIDE_COUNT], devices[SIDE_COUNT];
	unsigned heard[ASKS_MAX];
	bool struck;
};

void note(struct record *r, const char *a, const char *b);
void note_tell(struct story *s, const struct action *a);
void note_end(struct story *s, enum txn_end end, int code);
void note_event(struct story *s, enum side side, const char *words);

/* All that the engine makes of an error. */
const char *class_of(int code);

/* Whether this is the moment for the dialogue's harm; once. */
bool is_time(const struct dialogue *d, struct story *s, const struct action *a);

/* The fake side, from beginning to end; @seen: of the real guests before it. */
void fake_hold(const struct dialogue *d, const struct view *seen, struct story *s);

/**
 * real_prepare() - The guests of LAB, as `harness up` wrote it, up to the wish
 * @harness: the program
 *
 * Return: NULL with @err.
 */
struct real *real_prepare(const struct dialogue *d, const char *harness, const char *lab,
			  struct story *s, struct ls_err *err);
const struct view *real_seen(const struct real *real);

/* The wish, and what comes of it. @fake: so many events are waited for. */
void real_hold(struct real *real, const struct story *fake);
void real_free(struct real *real);

#endif
