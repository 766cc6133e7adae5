/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cut a scenario file into lines and words. */
#include "scenario.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

/**
 * struct reader - Where the cutting stands
 * @path: for messages
 * @from: first byte of the line
 * @at:   next byte
 * @line: number of the line
 * @err:  caller's
 */
struct reader {
	const char *path;
	const char *from;
	const char *at;
	int line;
	struct ls_err *err;
};

static int reader_column(const struct reader *r)
{
	return (int)(r->at - r->from) + 1;
}

static int reader_fail(const struct reader *r, const char *what)
{
	return ls_err_set(r->err, -EINVAL, "%s:%d:%d: %s", r->path, r->line, reader_column(r),
			  what);
}

static bool reader_end(const struct reader *r)
{
	return *r->at == '\0' || *r->at == '\n';
}

static int reader_escape(struct reader *r, char *ret_c)
{
	r->at++;
	switch (*r->at) {
	case 'n':
		*ret_c = '\n';
		return 0;
	case '"':
	case '\\':
		*ret_c = *r->at;
		return 0;
	default:
		return reader_fail(r, "after a backslash only n, \" or another one is possible");
	}
}

/* From one quote to the next. */
static int reader_quoted(struct reader *r, char *to)
{
	struct reader open = *r;

	for (r->at++; *r->at != '"'; r->at++) {
		if (reader_end(r))
			return reader_fail(&open, "this quote is not closed");
		if (*r->at != '\\')
			*to++ = *r->at;
		else if (reader_escape(r, to++) < 0)
			return -EINVAL;
	}
	r->at++;
	*to = '\0';
	return 0;
}

/* From one brace to the one that closes it; braces in JSON strings do not count. */
static int reader_braces(struct reader *r, char *to)
{
	struct reader open = *r;
	bool string = false;
	int depth = 0;

	do {
		if (reader_end(r))
			return reader_fail(&open, "this brace is not closed");
		if (string && *r->at == '\\')
			*to++ = *r->at++;
		else if (*r->at == '"')
			string = !string;
		else if (!string)
			depth += *r->at == '{' ? 1 : *r->at == '}' ? -1 : 0;
		if (reader_end(r))
			return reader_fail(&open, "this brace is not closed");
		*to++ = *r->at++;
	} while (depth > 0);
	*to = '\0';
	return 0;
}

static int reader_bare(struct reader *r, char *to)
{
	while (!reader_end(r) && !isspace((unsigned char)*r->at)) {
		if (*r->at == '"')
			return reader_fail(r, "a quote in the middle of a word");
		*to++ = *r->at++;
	}
	*to = '\0';
	return 0;
}

static int reader_word(struct reader *r, struct word *w)
{
	size_t most = strcspn(r->at, "\n") + 1;

	w->column = reader_column(r);
	w->quoted = *r->at == '"';
	w->text = malloc(most);
	if (!w->text)
		return -ENOMEM;
	if (w->quoted)
		return reader_quoted(r, w->text);
	return *r->at == '{' ? reader_braces(r, w->text) : reader_bare(r, w->text);
}

/* The words of one line; none for an empty line or a comment. */
static int reader_words(struct reader *r, struct word *words, int *ret_n)
{
	*ret_n = 0;
	for (;;) {
		while (!reader_end(r) && isspace((unsigned char)*r->at))
			r->at++;
		if (reader_end(r) || *r->at == '#')
			return 0;
		if (*ret_n == SCENARIO_WORDS_MAX)
			return reader_fail(r, "too many words in a line");
		if (reader_word(r, &words[(*ret_n)++]) < 0)
			return -EINVAL;
		if (!reader_end(r) && !isspace((unsigned char)*r->at))
			return reader_fail(r, "a blank is missing here");
	}
}

static int scenario_add(struct scenario *s, const struct reader *r, const struct word *words, int n)
{
	struct line *lines = realloc(s->lines, (s->n + 1) * sizeof(*lines));
	struct line *l;

	if (!lines)
		return -ENOMEM;
	s->lines = lines;
	l = &lines[s->n++];
	*l = (struct line){ .number = r->line };
	l->text = strndup(r->from, strcspn(r->from, "\n"));
	l->words = malloc(n * sizeof(*words));
	if (!l->text || !l->words)
		return -ENOMEM;
	memcpy(l->words, words, n * sizeof(*words));
	l->n = n;
	return 0;
}

static void scenario_comment(struct scenario *s, const char *line)
{
	const char *at = line + strspn(line, "# \t");

	if (*line == '#' && !*s->title && strncmp(at, "SPDX", 4) != 0 && *at != '\n') {
		free(s->title);
		s->title = strndup(at, strcspn(at, "\n"));
	}
}

static int scenario_cut(struct scenario *s, const char *text, struct ls_err *err)
{
	struct reader r = { .path = s->path, .at = text, .from = text, .line = 1, .err = err };
	struct word words[SCENARIO_WORDS_MAX] = { 0 };
	int n, done;

	while (*r.at) {
		r.from = r.at;
		scenario_comment(s, r.at);
		done = reader_words(&r, words, &n);
		if (done == 0 && n > 0)
			done = scenario_add(s, &r, words, n);
		if (done < 0) {
			for (int i = 0; i < n; i++)
				free(words[i].text);
			return done;
		}
		r.at = r.from + strcspn(r.from, "\n");
		r.at += *r.at == '\n';
		r.line++;
	}
	return 0;
}

static int scenario_read(const char *path, char **ret_text, struct ls_err *err)
{
	ls_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ls_autofree char *text = malloc(SCENARIO_BYTES_MAX + 1);
	ssize_t n;

	if (fd < 0 || !text)
		return ls_err_set(err, -errno, "%s: %s", path, strerror(errno));
	n = read(fd, text, SCENARIO_BYTES_MAX + 1);
	if (n < 0)
		return ls_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (n > SCENARIO_BYTES_MAX)
		return ls_err_set(err, -EFBIG, "%s: longer than a scenario may be", path);
	text[n] = '\0';
	*ret_text = ls_steal_ptr(&text);
	return 0;
}

int scenario_load(const char *path, struct ls_err *err, struct scenario **ret_scenario)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	ls_autofree char *text = NULL;
	struct scenario *s;
	int r = scenario_read(path, &text, err);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->path = strdup(path);
	s->name = strndup(base, strcspn(base, "."));
	s->title = strdup("");
	r = s->path && s->name && s->title ? scenario_cut(s, text, err) : -ENOMEM;
	if (r < 0) {
		scenario_free(s);
		return r;
	}
	*ret_scenario = s;
	return 0;
}

void scenario_free(struct scenario *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n; i++) {
		for (int k = 0; k < s->lines[i].n; k++)
			free(s->lines[i].words[k].text);
		free(s->lines[i].words);
		free(s->lines[i].text);
	}
	free(s->lines);
	free(s->path);
	free(s->name);
	free(s->title);
	free(s);
}
