/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a command is expected to end: "fails 2 says "text" within 5s".
 */
#ifndef HARNESS_OUTCOME_H
#define HARNESS_OUTCOME_H

#include "args.h"

#define OUTCOME_TEXTS_MAX 8
#define OUTCOME_ANY	  (-1)
#define OUTCOME_EITHER	  (-2)

/**
 * struct outcome - The end that a line expects
 * @code:      exit status; OUTCOME_ANY: any but 0; OUTCOME_EITHER: any at all
 * @texts:     each must be in the output; allocated
 * @n:         of @texts
 * @within_ms: the command's time
 */
struct outcome {
	int code;
	char *texts[OUTCOME_TEXTS_MAX];
	int n;
	unsigned within_ms;
};

/* Whether the next word begins an outcome. */
bool outcome_begins(const struct args *a);

/* Read "[fails CODE|any|or-not] [says TEXT ...] [within Ns]" up to the line's end. */
int outcome_read(struct args *a, unsigned otherwise_ms, struct outcome *ret_outcome);
void outcome_done(struct outcome *o);

/* Hold what happened against it. Return: 0 or -EINVAL with args_fail(). */
int outcome_check(struct args *a, const struct outcome *o, int code, const char *output);

#endif
