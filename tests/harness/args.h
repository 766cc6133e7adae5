/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a verb reads its words. Each of these either takes a word or fails with
 * its line and column.
 */
#ifndef HARNESS_ARGS_H
#define HARNESS_ARGS_H

#include "run.h"

/* Take the next word if it is this one, unquoted. */
bool args_take(struct args *a, const char *keyword);

/* Whether a word is left. */
bool args_more(const struct args *a);

/**
 * args_word() - The next word
 * @a:        words
 * @what:     what it should be, with its article ("a guest's name")
 * @ret_word: borrowed
 *
 * Return: 0 or -EINVAL.
 */
int args_word(struct args *a, const char *what, const struct word **ret_word);

/* The next word with every @NAME.THING in it replaced; allocated. Return: 0 or -EINVAL. */
int args_text(struct args *a, const char *what, char **ret_text);

/* The next word as a guest that has been started, or as a job. */
int args_guest(struct args *a, struct guest **ret_guest);
int args_job(struct args *a, struct job **ret_job);

/* The next word as a whole number. */
int args_number(struct args *a, const char *what, int *ret_number);

/* A new name: letters, digits, '-' and '_'. */
int args_new_name(struct args *a, const char **ret_name);

/* A time such as "5s". */
int args_time(struct args *a, unsigned *ret_ms);

/* "within 5s" if it is there; @otherwise if not. Return: 0 or -EINVAL. */
int args_within(struct args *a, unsigned otherwise_ms, unsigned *ret_ms);

/* Nothing may be left. Return: 0 or -EINVAL. */
int args_end(struct args *a);

/**
 * args_fail() - Say what is wrong with the word that was read last
 *
 * Only the first failure of a run is kept. Return: -EINVAL.
 */
int args_fail(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
