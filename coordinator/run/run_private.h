/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the parts of a run: run_actions.c carries out what the engine wants and tells it
 * what has happened; run.c has a run's life, and a transaction's in it.
 */
#ifndef COORDINATOR_RUN_PRIVATE_H
#define COORDINATOR_RUN_PRIVATE_H

#include "../hv/hv.h"
#include "run.h"

/*
 * An ask or a write that is out, with its own number: an answer that comes late is the
 * answer to this, whatever is out by then.
 */
struct request {
	struct run *run;
	uint32_t number;
	unsigned pending; /* answers: a record goes to more than one QEMU */
	bool over;	  /* and so is the transaction that it was for */
	struct ls_err err;
	struct item_err *bad;
	unsigned n_bad;
	struct request *next;
};

struct run {
	sd_event *loop;
	struct run_ops ops;
	struct hv *hv[SIDE_COUNT];
	struct view view;
	struct vm fresh[SIDE_COUNT]; /* of the look that is out */
	unsigned looking;	     /* sides that have not answered it */
	uint32_t look;
	struct txn *t;
	struct engine *e;
	struct request *requests;
	sd_event_source *timer, *end;
	bool over, pumping;
	char *record;
	run_ended_fn ended;
	run_looked_fn looked;
	void *ended_arg, *looked_arg;
};

/* It has happened: the engine takes it, and what it wants then is done. */
void run_event(struct run *run, struct event ev);

/* Do all that the engine wants now. */
void run_pump(struct run *run);

/* A look at both sides begins; @number: the engine's, 0: of nobody's. */
void run_look_sides(struct run *run, uint32_t number);

/* What a guest's connections tell. */
struct hv_listener run_listener(struct run *run);

void run_request_free(struct request *q);

#endif
