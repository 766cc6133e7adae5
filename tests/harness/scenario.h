/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scenario file as words: one action or expectation a line.
 *
 *	# what this line is for
 *	lockstep vcpus g1 4
 *	console g1 "echo 0 > /sys/devices/system/cpu/cpu3/online"
 *	qmp g1 device_del {"id": "cpu3"}
 *
 * A word is anything without blanks, a text in double quotes (\" \\ \n inside), or
 * a JSON object in braces. A # at the beginning of a word begins a comment.
 */
#ifndef HARNESS_SCENARIO_H
#define HARNESS_SCENARIO_H

#include <stdbool.h>

#include <lockstep/err.h>

#define SCENARIO_BYTES_MAX (256 * 1024)
#define SCENARIO_WORDS_MAX 64 /* in a line */

/**
 * struct word - One word of a line
 * @text:   without its quotes
 * @column: where it begins, from 1
 * @quoted: it stood in quotes: never a keyword
 */
struct word {
	char *text;
	int column;
	bool quoted;
};

/**
 * struct line - One line that says something
 * @number: from 1
 * @text:   as written, without the newline
 * @words:  at least one
 * @n:      of @words
 */
struct line {
	int number;
	char *text;
	struct word *words;
	int n;
};

/**
 * struct scenario - A whole file
 * @path:  as given
 * @name:  last part of @path without ".scn"
 * @title: the first comment of the file: what this is about; "" if none
 * @lines: those that say something
 * @n:     of @lines
 */
struct scenario {
	char *path;
	char *name;
	char *title;
	struct line *lines;
	int n;
};

/**
 * scenario_load() - Read and split a file
 * @path:         file
 * @err:          begins with PATH:LINE:COLUMN
 * @ret_scenario: for scenario_free()
 *
 * Return: 0 or -errno.
 */
int scenario_load(const char *path, struct ls_err *err, struct scenario **ret_scenario);
void scenario_free(struct scenario *s);

#endif
