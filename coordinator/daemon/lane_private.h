/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of a lane share: lane.c has its requests, lane_life.c its claim and
 * its connection, lane_unplug.c what is pending, lane_doctor.c
 * the doctor.
 */
#ifndef COORDINATOR_LANE_PRIVATE_H
#define COORDINATOR_LANE_PRIVATE_H

#include "board.h"
#include "../hv/claim.h"
#include "../core/txn.h"
#include "lane.h"
#include "metrics.h"
#include "../run/run.h"

/**
 * struct job - A request in the queue, or the one that runs
 * @txn:       NULL before it is planned; @seq: records of it
 * @undo:      it was loaded, to be taken back
 * @on_record: whoever asks for it later finds it
 * @cancelled: before that
 * @since_ms:  when it began: its time counts from here; @awaits: the agent, and it was said
 */
struct job {
	struct lane_job job;
	struct txn *txn;
	bool undo, on_record, cancelled, awaits;
	uint64_t since_ms;
	unsigned seq;
	struct job *next;
};

/**
 * struct receipt - A record that is on its way to the disk
 * @lane: NULL when its run has been freed: then nobody is told
 */
struct receipt {
	struct lane *lane;
	void (*done)(void *done_arg, const struct ls_err *err);
	void *arg;
	struct receipt *next;
};

/**
 * struct lane - See lane.h
 * @why:      LANE_AWAY: why, and what to do
 * @known:    what readers see of it: lane_publish()
 * @claim:    held while there is a connection
 * @run:      NULL before the first attempt and while a recovery runs
 * @seen_ms:  when the last view was
 * @running:  of LANE_BUSY; @queue: in order, @queued of them
 * @lost:     the monitor went while it was busy
 * @looking:  a look of the lane's own is out
 * @hinted:   something has happened since it began, or since a request did
 * @closed:   takes no more requests; @left: what was found since it was last ready
 * @doctor:   is at work, for @doctor_arg, as @doctor_how says; @findings so far
 * @unplugs:  pending, @n_unplugs of them
 * @retry_ms: until the next attempt
 * @retry, @kick: timer; a turn of the loop
 * @child:    the recovery, its pid @child_pid
 */
struct lane {
	sd_event *loop;
	struct guest guest;
	const struct lane_limits *limits;
	struct lane_ops ops;
	enum lane_state state;
	struct ls_err why;
	struct board_guest *known;
	struct claim *claim;
	struct run *run;
	uint64_t seen_ms;
	struct job *running, *queue;
	unsigned queued;
	bool lost, looking, hinted, closed;
	enum lane_left left;
	struct receipt *receipts;
	lane_doctor_fn doctor;
	void *doctor_arg;
	struct lane_doctor doctor_how;
	struct json_object *findings;
	struct lane_unplug *unplugs;
	unsigned n_unplugs;
	unsigned retry_ms;
	sd_event_source *retry, *kick, *child;
	pid_t child_pid;
};

/* lane.c */
void lane_tell(void *arg, const struct txn *t, const struct action *a);
void lane_record(void *arg, const struct txn *t, const char *row, const char *text,
		 void (*done)(void *done_arg, const struct ls_err *err), void *done_arg);
void lane_emit(struct lane *l, struct json_object *o); /* of what runs; consumed */
void lane_look(struct lane *l);			       /* and then begin what runs */
void lane_run_free(struct lane *l); /* and nobody is told of what is being written */
void lane_publish(struct lane *l);  /* something that readers see has changed */
void lane_kick(struct lane *l);	    /* look whether the next request can begin */
void lane_refuse_all(struct lane *l, int code, const struct ls_err *err);
void lane_jobs_done(struct lane *l);
int lane_check_open(const struct lane *l, struct ls_err *err); /* for one request more */
void lane_idle(struct lane *l); /* nothing runs any more: the next one, or away */

/* lane_life.c */
void lane_lost_now(struct lane *l);
void lane_refresh(struct lane *l); /* look again, soon; or when what looks now is over */
void lane_refresh_if_hinted(struct lane *l);

/* The agent is to answer before a wish is planned: true if there is another look for it. */
bool lane_awaits_agent(struct lane *l);

/* lane_doctor.c */
void lane_doctor_done(struct lane *l);

/* lane_unplug.c; each after a look */
bool lane_unplugs_expect(struct lane *l); /* of a new connection; true: look once more */
void lane_unplugs_ended(struct lane *l, const struct txn *t);
void lane_unplugs_seen(struct lane *l);
struct json_object *lane_unplugs_json(const struct lane *l);

#endif
