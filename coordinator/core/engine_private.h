/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the five files of the engine share; nobody else includes it.
 *
 *	engine.c  actions out, events in
 *	visit.c   one row against one view
 *	boot.c    the guest begins anew
 *	hold.c    holds: taken first, noticed when lost, given back
 *	effort.c  items that cannot be had: dropped, or all is taken back
 *	end.c     failure, turning round, every way to end
 */
#ifndef CORE_ENGINE_PRIVATE_H
#define CORE_ENGINE_PRIVATE_H

#include "engine.h"

#define ACTIONS_MAX	32
#define RETRY_MAX	5     /* of a row beyond a pivot; of a hold that gets lost */
#define RETRY_MS	500   /* between two tries */
#define HOLD_AGAIN_MS	1000  /* before that of a hold on the way back, then twice as long */
#define POLL_MS		2000  /* of a row without a rhythm of its own: a hint may get lost */
#define SILENT_POLL_MS	250   /* while a side does not answer */
#define SILENT_MAX_MS	30000 /* of silence in a row without a limit of its own */
#define ROLLBACK_ROW_MS 60000 /* a row without a limit of its own, on the way back */
#define RELEASE_MS	6000  /* for giving back one hold */
#define RELEASE_POLL_MS 1000  /* between two tries of that, while nobody hears */
#define REBOOTS_MAX	5     /* of the guest, in one transaction, that it begins again for */
#define BOOT_POLL_MS	1000  /* while it boots */
#define LOSSES_MAX	10    /* of connections, while asking for one row */
#define BLIND_MAX	100   /* looks in a row that came to nothing */

enum phase {
	PH_LOOK,    /* a look is out; its answer is judged */
	PH_WRITE,   /* a record is out */
	PH_ASK,	    /* a verb is out */
	PH_WAIT,    /* nothing is out: for a hint, a poll, or the limit */
	PH_RELEASE, /* giving back a hold */
	PH_CLOSE,   /* the last record is out */
	PH_OVER,
};

/**
 * struct visit - The visit of one row
 * @row:       index in the table; -1: no visit has begun
 * @hold:      it is one of the holds, not part of the walk
 * @dir:       up: towards there; down: towards gone
 * @first:     it was entered by this visit; @entered_was: txn->entered before that
 * @recorded:  its record is written
 * @asked:     its verb was asked, on connections that still stand
 * @replied:   the reply's error, code 0 if it was good
 * @named:     how many items the reply's error was about; 0: it named none
 * @seen:      sum of the levels when it was asked, to notice a change
 * @since_ms:  when it began; @limit_ms: when it has failed; 0 never
 * @unseen:    who did not answer the last look, and the row needs that; NULL: nobody
 * @silent_ms: since when that is known; 0: it does
 * @again_ms:  not to be asked before
 * @losses:    how often it was asked and the connection then lost
 * @late:      the limit has passed: the look under way is the last
 */
struct visit {
	int row;
	bool hold;
	enum step_dir dir;
	bool first, recorded, asked;
	unsigned entered_was;
	struct ls_err replied;
	unsigned named;
	uint64_t seen;
	const char *unseen;
	uint64_t since_ms, limit_ms, silent_ms, again_ms;
	unsigned losses;
	bool late;
};

/**
 * struct engine - A walk under way
 * @number:    of the last look, write or ask: what answers an older one is dropped
 * @hinted:    something has happened since the last look began
 * @cancelled: somebody asked for it, and no look has been judged since
 * @accepted:  the requester knows
 * @heard_ms:  when the last look came in which whom its row needs had answered
 * @blind:     looks in a row that came to nothing
 * @retries:   see RETRY_MAX
 * @held:      bit per hold: taken, not seen to be lost
 * @touched:   bit per hold: may be held, must be given back
 * @waived:    bit per hold: cannot be had, the walk goes on without it
 * @boots:     as seen last; @boots_known: it was seen; @reboots: how often it changed
 * @boot_until_ms: how long a guest that boots is waited for; 0: it does not
 * @releasing: the visit is that of a hold which is being given back
 * @guest_gone: the QEMU that had the guest has ended: nothing there to give back to
 * @passed:    bit per row of a removal that was found done: the first record that is
 *             written enters these rows, too, so that a rollback looks after them
 * @sum:       of the levels of the row in the last view
 * @undone:    items of the row that are not where they should be
 * @todo:      those of them that can be asked for now; @level: what each should reach
 * @failed:    by item: what the last reply said was wrong with it
 */
struct engine {
	struct txn *t;
	enum phase phase;
	uint32_t number;
	bool hinted, cancelled, accepted;
	unsigned blind, retries;
	uint64_t now_ms, deadline_ms, heard_ms;
	struct visit visit;
	unsigned held, touched, waived, passed;
	unsigned boots, reboots;
	bool boots_known;
	uint64_t boot_until_ms;
	bool releasing, guest_gone;
	uint64_t sum;
	unsigned undone;
	unsigned *todo;
	unsigned n_todo;
	uint64_t *level;
	struct ls_err *failed;
	struct action queue[ACTIONS_MAX];
	unsigned head, tail;
};

static inline const struct row *row_at(const struct engine *e, int row)
{
	return &e->t->table->rows[row];
}

static inline bool row_entered(const struct engine *e, int row)
{
	return e->t->entered & (1u << row);
}

/* ---- engine.c: actions ------------------------------------------------ */

void act_look(struct engine *e);
void act_write(struct engine *e, enum phase phase);
void act_ask(struct engine *e, enum phase phase, const struct row *r, enum verb verb);
void act_tell(struct engine *e, enum tell tell, const char *row, const char *text);
void act_end(struct engine *e);

/* Wake up at the row's limit, or @poll_ms from now where that is sooner and not 0. */
void act_timer(struct engine *e, uint64_t poll_ms);

/* ---- visit.c ---------------------------------------------------------- */

void visit_begin(struct engine *e, int row, bool hold);

/* A view has come: go as far as it goes. */
void visit_judge(struct engine *e, const struct view *v);

/* The record is written: ask, or look again if the view has gone stale meanwhile. */
void visit_written(struct engine *e);

/* Wait for a hint, the limit, or the poll; look at once if there was a hint already. */
void visit_wait(struct engine *e, uint64_t poll_ms);

/* ---- boot.c ----------------------------------------------------------- */

/* Return: false while the guest boots: the next look goes on. */
bool boot_check(struct engine *e, const struct view *v);

/* ---- hold.c ----------------------------------------------------------- */

/* The hold to take next, -1 when none is wanting. */
int hold_wanting(const struct engine *e);
void hold_taken(struct engine *e, int row);
void hold_waived(struct engine *e, int row);

/* What was done without was needed after all: try it again. Return: false: often enough. */
bool hold_again(struct engine *e);

/* Return: false when a loss has ended the transaction. */
bool hold_check(struct engine *e, const struct view *v);

/* Give back what may be held, last first; then write the last record. */
void hold_release(struct engine *e);

/* Whether an error says that nobody heard, rather than that somebody said no. */
bool hold_nobody(const struct ls_err *err);

/* That was answered: again in a moment if nobody could be reached, else the next one. */
void hold_released(struct engine *e, const struct ls_err *err);

/* ---- effort.c: true when that has ended the judging of this view ------- */

/* An item of the row was refused; *ret_more: there is more to judge all the same. */
bool effort_refused(struct engine *e, const struct view *v, bool *ret_more);

/* The verb failed for some items; the row's time is over for those that are not done. */
bool effort_failed(struct engine *e, const struct view *v);
bool effort_late(struct engine *e, const struct view *v, const struct ls_err *why);

/* It ends there: those that were asked for and have not come stay pending. */
void effort_left_pending(struct engine *e, const struct view *v);

/* All rows are visited: back for what was dropped, if anything was. */
bool effort_turn(struct engine *e);
enum txn_end effort_end(const struct txn *t, enum txn_end end);

/* ---- end.c: these return true when judging goes on with the same view -- */

/* All rows are visited. Return: true when there is a way back to go. */
bool end_reached(struct engine *e);

/* What the transaction is about no longer exists. */
void end_finish(struct engine *e, enum txn_end end, const struct ls_err *err);

/* The row says no: it is impossible, or was refused. */
bool end_row_failed(struct engine *e, const struct ls_err *err);

/* Behind our own, which may be cut for it: the words of the guest's kernel, if it had any. */
void end_add_words(const struct txn *t, struct ls_err *err);

/* The row's time is over. */
bool end_row_late(struct engine *e, const struct view *v);

/* The same, of one that may end there: @err says what was reached. */
bool end_partly(struct engine *e, const struct ls_err *err);

/* A hold cannot be had. */
bool end_hold_failed(struct engine *e, int row, const struct ls_err *err);
void end_never_back(struct engine *e); /* a cancel is dropped, a rollback turns round again */
bool end_cancel(struct engine *e);

/* No look has come back for too long. */
void end_blind(struct engine *e);

#endif
