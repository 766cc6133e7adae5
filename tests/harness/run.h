/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One scenario being carried out: the guests, background commands, triggers and
 * fakes that its lines have made, and what was said last.
 *
 * Every line is gone through twice: first "dry", where each verb only reads its
 * words (so that a mistake in the last line is found before anything starts),
 * then for real.
 */
#ifndef HARNESS_RUN_H
#define HARNESS_RUN_H

#include <stdbool.h>

#include "lab.h"
#include "scenario.h"

struct fake;

#define RUN_GUESTS_MAX	  8
#define RUN_JOBS_MAX	  16
#define RUN_TRIGGERS_MAX  16
#define RUN_FAKES_MAX	  8
#define RUN_VECTORS_MAX	  8
#define RUN_FAILURE_BYTES 4096

#define RUN_EXPECT_MS  20000 /* an expectation, unless its line says "within" */
#define RUN_COMMAND_MS 60000 /* a lockstep command */

/**
 * struct job - A lockstep command in the background
 * @name:   as in the scenario
 * @proc:   NULL in a dry run
 * @output: file with what it prints
 */
struct job {
	char name[LS_NAME_BYTES];
	struct proc *proc;
	char output[LS_PATH_BYTES];
};

/**
 * struct trigger - "at": a line that waits for something to happen in a QEMU
 * @guest:  whose
 * @event:  name of the QMP event
 * @status: value of its member "status"; "" for any
 * @line:   line of the scenario
 * @at:     word of the line where the action begins
 * @fired:  it has happened
 */
struct trigger {
	struct guest *guest;
	char event[LS_NAME_BYTES], status[LS_NAME_BYTES];
	const struct line *line;
	int at;
	bool fired;
};

/**
 * struct vector - A guest's state vector at one time
 * @name: as in the scenario
 * @text: one line for each CPU, and the memory; allocated
 */
struct vector {
	char name[LS_NAME_BYTES];
	char *text;
};

/**
 * struct run - The state of a scenario
 * @lab:      where its guests run
 * @scenario: what is carried out
 * @line:     the line now
 * @next:     index of the line after it
 * @loop:     index of the first line of the loop that runs; 0: none does
 * @loop_until_ms: when its last round has begun
 * @dry:      only read the words
 * @demo:     narrate
 * @report:   gets what is worth telling beside the result; -1 nobody does
 * @begin_ms: when it began
 * @guests:   NULL-terminated
 * @jobs:     background commands
 * @triggers: armed
 * @fakes:    servers that the harness plays
 * @vectors:  remembered
 * @said:     what the last command printed; allocated
 * @refused_us: when a guest refused a device last, by QEMU's clock; 0 never
 * @txn:      that "@txn" stood for last
 * @outputs:  number of output files made so far
 * @failure:  the first failure, "PATH:LINE:COLUMN: text"; "" while there is none
 * @skip:     it is none: this machine cannot do what the line asks
 */
struct run {
	struct lab lab;
	const struct scenario *scenario;
	const struct line *line;
	int next;
	int loop;
	uint64_t loop_until_ms;
	bool dry;
	bool demo;
	int report;
	uint64_t begin_ms;
	struct guest *guests[RUN_GUESTS_MAX + 1];
	struct job jobs[RUN_JOBS_MAX];
	int n_jobs;
	struct trigger triggers[RUN_TRIGGERS_MAX];
	int n_triggers;
	struct fake *fakes[RUN_FAKES_MAX];
	int n_fakes;
	struct vector vectors[RUN_VECTORS_MAX];
	int n_vectors;
	char *said;
	uint64_t refused_us;
	char txn[LS_TXN_BYTES];
	int outputs;
	char failure[RUN_FAILURE_BYTES];
	bool skip;
};

/**
 * struct args - The words of a line that a verb has not read yet
 * @run:  state
 * @line: the line
 * @at:   next word
 */
struct args {
	struct run *run;
	const struct line *line;
	int at;
};

/**
 * struct verb - A word that a line may begin with
 * @name:  the word
 * @fn:    reads its words, and unless the run is dry does what they say; 0 or
 *         -errno with args_fail() called
 * @usage: what follows the word
 * @doc:   one sentence
 */
struct verb {
	const char *name;
	int (*fn)(struct args *a);
	const char *usage;
	const char *doc;
};

/* All verbs; ends with an empty row. */
extern const struct verb verbs[];

/* The verb of that name, or NULL. */
const struct verb *verb_find(const char *name);

/**
 * run_check() - Go through a scenario dry
 *
 * Return: 0 or -EINVAL with @err as PATH:LINE:COLUMN: text.
 */
int run_check(const struct scenario *s, struct ls_err *err);

/**
 * run_scenario() - Carry a scenario out
 * @s:      scenario
 * @dir:    empty directory
 * @build:  build directory
 * @demo:   narrate on stdout
 * @report: gets the failure, if any
 *
 * Return: enum super_end.
 */
int run_scenario(const struct scenario *s, const char *dir, const char *build, bool demo,
		 int report);

/* Do the words from @at on as a line of their own. Return: 0 or -errno. */
int run_words(struct run *r, const struct line *line, int at);

/* The guest or job of that name, or NULL. */
struct guest *run_guest(struct run *r, const char *name);
struct job *run_job(struct run *r, const char *name);

/* Replace what was said last; @text is consumed. */
void run_say(struct run *r, char *text);

/* Read a whole file as text, at most CONSOLE_TEXT_BYTES of it; allocated, never NULL. */
char *run_read_file(const char *path);

/* QEMU's events of every guest come here. */
/* refusal.c: QEMU's _OST events, and how soon lockstep told of the last one. */
void refusal_note(struct run *r, const struct qmp_event *event);
int expect_refusal(struct args *a);

void run_event(const struct qmp_event *event, void *guest);

#endif
