/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read an expected end from a line, and compare it with what happened. */
#include "outcome.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool outcome_begins(const struct args *a)
{
	static const char *const words[] = { "fails", "says", "within" };
	struct args look = *a;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (args_take(&look, words[i]))
			return true;
	return false;
}

static int outcome_texts(struct args *a, struct outcome *o)
{
	do {
		if (o->n == OUTCOME_TEXTS_MAX)
			return args_fail(a, "too many texts");
		if (args_text(a, "a text", &o->texts[o->n]) < 0)
			return -EINVAL;
		o->n++;
	} while (args_more(a) && !outcome_begins(a));
	return 0;
}

static int outcome_code(struct args *a, int *ret_code)
{
	*ret_code = OUTCOME_ANY;
	if (args_take(a, "any"))
		return 0;
	*ret_code = OUTCOME_EITHER;
	if (args_take(a, "or-not"))
		return 0;
	return args_number(a, "an exit code, any, or or-not", ret_code);
}

int outcome_read(struct args *a, unsigned otherwise_ms, struct outcome *ret_outcome)
{
	struct outcome *o = ret_outcome;
	int r = 0;

	*o = (struct outcome){ 0 };
	if (args_take(a, "fails"))
		r = outcome_code(a, &o->code);
	if (r == 0 && args_take(a, "says"))
		r = outcome_texts(a, o);
	if (r == 0)
		r = args_within(a, otherwise_ms, &o->within_ms);
	if (r == 0)
		r = args_end(a);
	if (r < 0)
		outcome_done(o);
	return r;
}

void outcome_done(struct outcome *o)
{
	while (o->n > 0)
		free(o->texts[--o->n]);
}

int outcome_check(struct args *a, const struct outcome *o, int code, const char *output)
{
	a->at = 1;
	if (o->code == OUTCOME_ANY && code == 0)
		return args_fail(a, "this should have failed; it said: %s", output);
	if (o->code >= 0 && code != o->code)
		return args_fail(a, "exit code %d expected, %d came; it said: %s", o->code, code,
				 output);
	for (int i = 0; i < o->n; i++)
		if (!strstr(output, o->texts[i]))
			return args_fail(a, "\"%s\" is not in what it said: %s", o->texts[i],
					 output);
	return 0;
}
