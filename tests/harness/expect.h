/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "expect": something that is to become true, and who is asked for it.
 */
#ifndef HARNESS_EXPECT_H
#define HARNESS_EXPECT_H

#include "args.h"

#define VIEW_VALUE_BYTES 1024

/* How two values of a view are compared. */
enum view_kind {
	VIEW_TEXT, /* as it stands */
	VIEW_LIST, /* "0-2,5": the same set of numbers */
	VIEW_SIZE, /* "2G": the same size */
};

/**
 * struct view - One property of a guest as one observer sees it
 * @property: word of the scenario
 * @by:       observer: "console", "agent", "qemu"
 * @thing:    what stands between property and value ("cpu1"), with its article;
 *            NULL: nothing does
 * @kind:     how to compare
 * @read:     get it; gets @shell, the thing, and room for the value
 * @shell:    for the console: a command; %d is the thing's number
 * @doc:      one sentence
 */
struct view {
	const char *property;
	const char *by;
	const char *thing;
	enum view_kind kind;
	int (*read)(struct guest *g, const struct view *v, const char *thing, char *ret_value,
		    struct ls_err *err);
	const char *shell;
	const char *doc;
};

/* All views; ends with an empty row. */
extern const struct view views[];

const struct view *view_find(const char *property, const char *by);

int verb_expect(struct args *a);

#endif
