/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is said in a dialogue.
 */
#ifndef TESTS_DIALOGUES_H
#define TESTS_DIALOGUES_H

#include "../../coordinator/core/table.h"
#include "../../coordinator/run/wish.h"

/**
 * struct dialogue - One dialogue with one guest
 * @first:  makes the guest one of which @wish can be wanted; value 0: it is one
 * @wish:   what is wanted
 * @cancel: row in which somebody thinks better of it; NULL: nobody does
 * @rival:  what somebody else has taken before: VERB_CLAIM, VERB_GUEST_LOCK; 0 nothing
 * @asks:   ask for these one by one, of the first device, instead of running it
 */
struct dialogue {
	const char *name;
	struct wish first, wish;
	const char *cancel;
	enum verb rival;
	enum verb asks[6];
};

extern const struct dialogue dialogues[];
extern const unsigned n_dialogues;

#endif
