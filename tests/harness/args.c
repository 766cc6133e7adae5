/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read the words of a line one after the other. */
#include "args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>

/* The column just behind the line's last word, for what is missing there. */
static int args_end_column(const struct line *l)
{
	return (int)strcspn(l->text, "\r") + 1;
}

static int args_vfail(struct args *a, int column, const char *fmt, va_list ap)
{
	struct run *r = a->run;
	int n;

	if (*r->failure)
		return -EINVAL;
	n = snprintf(r->failure, sizeof(r->failure), "%s:%d:%d: ", r->scenario->path,
		     a->line->number, column);
	if (n < (int)sizeof(r->failure))
		vsnprintf(r->failure + n, sizeof(r->failure) - n, fmt, ap);
	return -EINVAL;
}

int args_fail(struct args *a, const char *fmt, ...)
{
	int word = a->at > 0 ? a->at - 1 : 0;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = args_vfail(a, a->line->words[word].column, fmt, ap);
	va_end(ap);
	return r;
}

static int args_missing(struct args *a, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = args_vfail(a, args_end_column(a->line), fmt, ap);
	va_end(ap);
	return r;
}

bool args_more(const struct args *a)
{
	return a->at < a->line->n;
}

bool args_take(struct args *a, const char *keyword)
{
	const struct word *w;

	if (!args_more(a))
		return false;
	w = &a->line->words[a->at];
	if (w->quoted || strcmp(w->text, keyword) != 0)
		return false;
	a->at++;
	return true;
}

int args_word(struct args *a, const char *what, const struct word **ret_word)
{
	if (!args_more(a))
		return args_missing(a, "%s is missing here", what);
	*ret_word = &a->line->words[a->at++];
	return 0;
}

/* The first id of a transaction in what was said last: HEX.HEX, of more than any time or size. */
static const char *args_txn(struct args *a)
{
	struct run *r = a->run;
	const char *at = r->said ? r->said : "";

	while (*at) {
		size_t n = strspn(at, "0123456789abcdef."), time = strspn(at, "0123456789abcdef");

		if (time > 9 && n > time && n < sizeof(r->txn)) {
			snprintf(r->txn, sizeof(r->txn), "%.*s", (int)n, at);
			return r->txn;
		}
		at += n ? n : 1;
	}
	return r->dry ? "TXN" : NULL;
}

/* What "@g1.qmp" stands for; NULL if it stands for nothing. */
static const char *args_meaning(struct args *a, const char *name, size_t len)
{
	struct run *r = a->run;
	const char *dot = memchr(name, '.', len);
	char guest[LS_NAME_BYTES];
	struct guest *g;

	if (len == 3 && !strncmp(name, "tmp", 3))
		return r->lab.dir;
	if (len == 3 && !strncmp(name, "txn", 3))
		return args_txn(a);
	if (!dot)
		return NULL;
	snprintf(guest, sizeof(guest), "%.*s", (int)(dot - name), name);
	g = run_guest(r, guest);
	len -= (size_t)(dot + 1 - name);
	if (g && len == 3 && !strncmp(dot + 1, "qmp", len))
		return g->paths.qmp;
	if (g && len == 4 && !strncmp(dot + 1, "peer", len))
		return g->paths.peer;
	if (g && len == 5 && !strncmp(dot + 1, "agent", len))
		return g->paths.agent;
	return NULL;
}

static size_t args_name_len(const char *at)
{
	return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
}

int args_text(struct args *a, const char *what, char **ret_text)
{
	const struct word *w;
	size_t len;
	FILE *out;
	int r = args_word(a, what, &w);

	if (r < 0)
		return r;
	*ret_text = NULL;
	out = open_memstream(ret_text, &len);
	if (!out)
		return args_fail(a, "out of memory");
	for (const char *at = w->text; *at && r == 0;) {
		size_t n = *at == '@' ? args_name_len(at + 1) : 0;
		const char *meaning = n ? args_meaning(a, at + 1, n) : NULL;

		if (n && !meaning)
			r = args_fail(a, "nothing is called \"%.*s\"", (int)n + 1, at);
		else if (meaning)
			fputs(meaning, out);
		else
			fputc(*at, out);
		at += n ? n + 1 : 1;
	}
	fclose(out);
	if (r < 0) {
		free(*ret_text);
		*ret_text = NULL;
	}
	return r;
}

int args_guest(struct args *a, struct guest **ret_guest)
{
	const struct word *w;

	if (args_word(a, "a guest's name", &w) < 0)
		return -EINVAL;
	*ret_guest = run_guest(a->run, w->text);
	return *ret_guest ? 0 : args_fail(a, "there is no guest called \"%s\"", w->text);
}

int args_job(struct args *a, struct job **ret_job)
{
	const struct word *w;

	if (args_word(a, "the name of a background command", &w) < 0)
		return -EINVAL;
	*ret_job = run_job(a->run, w->text);
	return *ret_job ? 0
			: args_fail(a, "no command called \"%s\" is in the background", w->text);
}

int args_number(struct args *a, const char *what, int *ret_number)
{
	const struct word *w;
	char *end;
	long n;

	if (args_word(a, what, &w) < 0)
		return -EINVAL;
	n = strtol(w->text, &end, 10);
	if (end == w->text || *end || n < -1000000000 || n > 1000000000)
		return args_fail(a, "\"%s\" is not %s", w->text, what);
	*ret_number = (int)n;
	return 0;
}

int args_new_name(struct args *a, const char **ret_name)
{
	const struct word *w;

	if (args_word(a, "a new name", &w) < 0)
		return -EINVAL;
	if (!*w->text || strchr(w->text, '.') || args_name_len(w->text) != strlen(w->text) ||
	    strlen(w->text) >= LS_NAME_BYTES)
		return args_fail(a, "\"%s\" is not a name", w->text);
	if (run_guest(a->run, w->text) || run_job(a->run, w->text))
		return args_fail(a, "\"%s\" is in use already", w->text);
	*ret_name = w->text;
	return 0;
}

int args_time(struct args *a, unsigned *ret_ms)
{
	const struct word *w;
	double s;
	char *end;

	if (args_word(a, "a time, such as 5s", &w) < 0)
		return -EINVAL;
	s = strtod(w->text, &end);
	if (end == w->text || strcmp(end, "s") != 0 || !(s > 0 && s <= 600))
		return args_fail(a, "\"%s\" is not a time of up to 600s", w->text);
	*ret_ms = (unsigned)(s * 1000);
	return 0;
}

int args_within(struct args *a, unsigned otherwise_ms, unsigned *ret_ms)
{
	*ret_ms = otherwise_ms;
	return args_take(a, "within") ? args_time(a, ret_ms) : 0;
}

int args_end(struct args *a)
{
	if (!args_more(a))
		return 0;
	a->at++;
	return args_fail(a, "\"%s\" is too much here", a->line->words[a->at - 1].text);
}
