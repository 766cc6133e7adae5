/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's records: written as the rows go, closed where a daemon died.
 */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lockstep/log.h>

#include "daemon.h"
#include "daemon_log.h"

#define QUEUE_JOBS  4096
#define QUEUE_BYTES (64u << 20) /* a record has at most TXN_RECORD_MAX */
#define LOG_PAGES   1000

/* Ended while nobody watched: not one of the engine's ends. */
#define ENDED_RECOVERED "recovered"

/**
 * struct leftover - A transaction that a daemon which died has left open
 * @text: its newest record
 */
struct leftover {
	char id[LS_TXN_BYTES], guest[LS_NAME_BYTES], op[STORE_WORD_BYTES];
	unsigned seq;
	char *text;
	struct leftover *next;
};

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Of this boot: it does not change while we run. */
static const char *boot_id(void)
{
	static char id[STORE_BOOT_BYTES];
	FILE *f = id[0] ? NULL : fopen("/proc/sys/kernel/random/boot_id", "re");

	if (f) {
		if (!fgets(id, sizeof(id), f))
			id[0] = '\0';
		id[strcspn(id, "\n")] = '\0';
		fclose(f);
	}
	return id;
}

static void put(struct daemon *d, struct store_record *r, store_done_fn done, void *arg)
{
	struct ls_err err = { 0 };

	r->boot = boot_id();
	r->boottime_ms = clock_ms(CLOCK_BOOTTIME);
	r->realtime_ms = clock_ms(CLOCK_REALTIME);
	if (store_write(d->store, r, done, arg, &err) < 0)
		done(arg, &err);
}

void journal_record(void *arg, const struct lane *l, const struct lane_record *record,
		    store_done_fn done, void *done_arg)
{
	const struct txn *t = record->t;
	struct daemon *d = arg;
	struct store_record r = {
		.txn = t->id,
		.guest = lane_guest(l)->name,
		.op = txn_op_name(t->op),
		.row = record->row,
		.seq = record->seq,
		.text = record->text,
		.ended = t->end == END_NONE ? NULL : txn_end_name(t->end),
		.keep = t->end == END_STUCK || t->end == END_UNDECIDED || t->end == END_PENDING,
		.reason = t->end == END_NONE || t->end == END_DONE ? NULL : t->reason.text,
	};

	put(d, &r, done, done_arg);
}

/* ---- what was left open -------------------------------------------------------- */

static int on_open(void *arg, const struct store_txn *t)
{
	struct daemon *d = arg;
	const struct log_about about = { LOG_INTERRUPTED, t->guest, t->id, NULL, NULL };
	struct leftover *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	memcpy(o->id, t->id, sizeof(o->id));
	memcpy(o->guest, t->guest, sizeof(o->guest));
	memcpy(o->op, t->op, sizeof(o->op));
	o->seq = t->seq;
	o->text = strdup(t->text ? t->text : "");
	o->next = d->leftovers;
	d->leftovers = o;
	log_about(LOG_WARNING, &about, "%s was interrupted", t->op);
	return o->text ? 0 : -ENOMEM;
}

void journal_done(void *arg, const struct ls_err *err)
{
	(void)arg;
	if (err->code)
		log_warning("journal: %s", err->text);
}

static const char *const left_end[] = {
	[LANE_LEFT_NOTHING] = ENDED_RECOVERED,
	[LANE_LEFT_ENDED] = ENDED_RECOVERED,
	[LANE_LEFT_PENDING] = "pending",
	[LANE_LEFT_STUCK] = "stuck",
};

static const char *const left_reason[] = {
	[LANE_LEFT_NOTHING] = "lockstepd had ended in the middle; QEMU had no record of it any "
			      "more: it was over, or QEMU was started anew",
	[LANE_LEFT_ENDED] = "lockstepd had ended in the middle: it was taken back, or finished, "
			    "from the record in QEMU",
	[LANE_LEFT_PENDING] = "lockstepd had ended in the middle; the guest was asked for a device "
			      "by then and has not answered: it may still give it",
	[LANE_LEFT_STUCK] = "lockstepd had ended in the middle, and it could neither be taken "
			    "back nor finished: lockstep txn undo, or resume, tries again",
};

static void close_leftover(struct daemon *d, const struct leftover *o, enum lane_left left)
{
	struct store_record r = {
		.txn = o->id,
		.guest = o->guest,
		.op = o->op,
		.row = "recovery",
		.seq = o->seq + 1,
		.text = o->text,
		.ended = left_end[left],
		.keep = left == LANE_LEFT_STUCK || left == LANE_LEFT_PENDING,
		.reason = left_reason[left],
	};

	put(d, &r, journal_done, NULL);
}

static void leftover_free(struct leftover *o)
{
	free(o->text);
	free(o);
}

void journal_ready(void *arg, const struct lane *l, enum lane_left left)
{
	struct daemon *d = arg;

	for (struct leftover **at = &d->leftovers; *at;) {
		struct leftover *o = *at;

		if (strcmp(o->guest, lane_guest(l)->name)) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		close_leftover(d, o, left);
		if (left == LANE_LEFT_PENDING)
			journal_unplugs_of(d, o->guest, o->text);
		leftover_free(o);
	}
}

/* ---- life ------------------------------------------------------------------------ */

static struct store_limits limits_of(const struct daemon *d)
{
	return (struct store_limits){
		.queue_jobs = QUEUE_JOBS,
		.queue_bytes = QUEUE_BYTES,
		.keep_days = d->config.keep_days,
		.answer_ms = d->config.disk_ms,
		.log_pages = LOG_PAGES,
	};
}

int journal_open(struct daemon *d, struct ls_err *err)
{
	struct store_limits limits = limits_of(d);
	int r = store_open(d->loop, d->state_dir, &limits, err, &d->store);

	if (r >= 0)
		r = store_each_open(d->store, on_open, d, err);
	if (r >= 0)
		r = journal_unplugs_read(d, err);
	return r < 0 ? r : 0;
}

void journal_set_limits(struct daemon *d)
{
	struct store_limits limits = limits_of(d);

	store_set_limits(d->store, &limits);
}

void journal_close(struct daemon *d)
{
	d->store = store_close(d->store);
	journal_unplugs_done(d);
	while (d->leftovers) {
		struct leftover *o = d->leftovers;

		d->leftovers = o->next;
		leftover_free(o);
	}
}
