/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The world's time: what happens next, and how it begins and ends.
 */
#include "world.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 40000 /* of one transaction: more is a loop; a lazy guest looks every 8 ms */
#define TIME_MAX  1800000
#define STILL_MS  50 /* between two looks at whether a guest goes on */

void world_say(struct world *w, const char *fmt, ...)
{
	size_t left = sizeof(w->trace) - w->trace_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->trace + w->trace_len, left, fmt, ap);
	va_end(ap);
	w->trace_len += (size_t)n < left ? (size_t)n : left - 1;
	if (w->seams && w->trace[w->trace_len - 1] == '\n') {
		w->trace[w->trace_len - 1] = '\0';
		w->seams->said(w, true, w->trace);
		w->trace_len = 0;
	}
}

void world_happens(struct world *w, const char *fmt, ...)
{
	char line[200];
	va_list ap;

	if (!w->seams)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	w->seams->said(w, false, line);
}

void world_says(struct world *w, enum side side, const char *fmt, ...)
{
	char event[80];
	va_list ap;

	if (!w->seams || !w->seams->event)
		return;
	va_start(ap, fmt);
	vsnprintf(event, sizeof(event), fmt, ap);
	va_end(ap);
	w->seams->event(w, side, event);
}

void world_fail(const struct world *w, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	world_failed(w, why);
}

void world_record(const struct world *w, struct txn **ret_txn)
{
	struct ls_err err = { 0 };

	if (txn_load(w->disk, &err, ret_txn) < 0)
		world_fail(w, "the disk has no good record: %s", err.text);
}

/* ---- time -------------------------------------------------------------- */

void world_later(struct world *w, uint64_t in_ms, struct later l)
{
	assert(w->n_later < W_LATER);
	if (w->seams && !l.exact)
		in_ms = w->seams->ms(w, in_ms);
	l.at_ms = w->now_ms + in_ms;
	l.number = ++w->number;
	w->later[w->n_later++] = l;
}

static unsigned earliest(const struct world *w)
{
	unsigned best = 0;

	for (unsigned i = 1; i < w->n_later; i++) {
		const struct later *a = &w->later[i], *b = &w->later[best];

		if (a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->number < b->number))
			best = i;
	}
	return best;
}

void world_forget(struct world *w, bool line_only)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_later; i++)
		if (!w->later[i].coordinator || (line_only && !w->later[i].line))
			w->later[n++] = w->later[i];
	w->n_later = n;
}

/* ---- running ------------------------------------------------------------ */

void world_bury(struct world *w)
{
	world_forget(w, false);
	engine_free(w->e);
	txn_free(w->t);
	w->e = NULL;
	w->t = NULL;
	w->timer_ms = 0;
}

enum side world_guest_side(const struct world *w)
{
	const struct w_qemu *dst = &w->qemu[SIDE_DST];
	bool there = dst->run == VM_RUNNING ||
		     (w->qemu[SIDE_SRC].run == VM_GONE && dst->mig == MIG_COMPLETED);

	return there ? SIDE_DST : SIDE_SRC;
}

/* Return: false while the guest stands still: it goes on with this later. */
static bool guest_can(struct world *w, struct later *l)
{
	if (!l->guest)
		return true;
	l->side = world_guest_side(w);
	if (w->qemu[l->side].run == VM_RUNNING)
		return true;
	l->exact = true;
	if (w->qemu[l->side].run != VM_GONE)
		world_later(w, STILL_MS, *l);
	return false;
}

/* One entry of the queue, or the timer, whichever comes first. Return: false when none. */
static bool step(struct world *w, uint64_t until_ms)
{
	unsigned i = earliest(w);
	bool timer = w->e && w->timer_ms && (!w->n_later || w->timer_ms < w->later[i].at_ms);
	struct later l;

	if (!timer && (!w->n_later || w->later[i].at_ms > until_ms))
		return false;
	if (timer) {
		w->now_ms = w->timer_ms > w->now_ms ? w->timer_ms : w->now_ms;
		w->timer_ms = 0;
		world_event(w, (struct event){ .kind = EV_TIMER });
	} else {
		l = w->later[i];
		w->later[i] = w->later[--w->n_later];
		w->now_ms = l.at_ms > w->now_ms ? l.at_ms : w->now_ms; /* a clock may have jumped */
		if (guest_can(w, &l))
			l.fn(w, &l);
	}
	world_check(w);
	return true;
}

enum txn_end world_run(struct world *w)
{
	uint64_t began_ms = w->now_ms;
	enum txn_end end;

	w->steps = 0;
	while (!w->over && !w->dead) {
		if (!step(w, UINT64_MAX))
			world_fail(w, "it waits for ever");
		if (++w->steps > STEPS_MAX || w->now_ms > began_ms + TIME_MAX)
			world_fail(w, "it does not end: %u steps, %llu ms", w->steps,
				   (unsigned long long)(w->now_ms - began_ms));
	}
	end = w->over ? w->t->end : END_NONE;
	w->code = end == END_DONE || end == END_NONE ? 0 : w->t->reason.code;
	world_bury(w);
	return end;
}

void world_wait(struct world *w, uint64_t ms)
{
	uint64_t until_ms = w->now_ms + ms;

	while (step(w, until_ms))
		;
	w->now_ms = until_ms > w->now_ms ? until_ms : w->now_ms;
}

static void begin(struct world *w, struct txn *t)
{
	w->t = t;
	w->over = w->dead = false;
	w->actions = w->asks = w->writes = 0;
	w->e = engine_new(t, w->now_ms, w->deadline_ms);
	assert(w->e);
	world_forget_view(&w->old);
	for (int side = 0; w->seams && side < SIDE_COUNT; side++)
		world_look(w, (enum side)side, &w->old.vm[side]);
	world_drain(w);
}

void world_begin(struct world *w, struct txn *t)
{
	memcpy(w->before, w->qemu, sizeof(w->before));
	begin(w, t);
}

bool world_restart(struct world *w, bool take_back)
{
	struct txn *t;

	w->crash_at = w->cancel_at = w->lose_at = w->fail_write = w->fault_at = 0;
	if (!w->disk[0])
		return false;
	world_record(w, &t);
	world_say(w, "another takes over%s\n", take_back ? ", and takes it back" : "");
	begin(w, t);
	if (take_back)
		world_event(w, (struct event){ .kind = EV_CANCEL });
	return true;
}

/* ---- life --------------------------------------------------------------- */

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct w_qemu *q;

	assert(w);
	w->now_ms = 1000;
	w->agent = AGENT_LOCKSTEP;
	q = &w->qemu[SIDE_SRC];
	*q = (struct w_qemu){
		.run = VM_RUNNING, .agent_up = true, .balloon = W_BOOT, .balloon_goal = W_BOOT
	};
	for (unsigned i = 0; i < 2; i++)
		q->cpus[i] = (struct w_cpu){ .plugged = true,
					     .present = true,
					     .device = true,
					     .kernel = true,
					     .fixed = i == 0 };
	q->mems[0] = (struct w_mem){ .exists = true,
				     .plugged = true,
				     .kind = VM_VIRTIO_MEM,
				     .slot = -1,
				     .id = "vm0",
				     .backend = "vm0-mem",
				     .max = 1024 * W_MIB };
	return w;
}

void world_free(struct world *w)
{
	world_bury(w);
	world_forget_view(&w->view);
	world_forget_view(&w->old);
	free(w);
}

void world_has_cpu(struct world *w, unsigned slot)
{
	struct w_cpu *c = &w->qemu[SIDE_SRC].cpus[slot];

	*c = (struct w_cpu){ .plugged = true, .present = true, .device = true, .kernel = true };
	snprintf(c->id, sizeof(c->id), "ls-old-%u", slot);
}

void world_has_dimm(struct world *w, const char *id, uint64_t size)
{
	struct w_qemu *q = &w->qemu[SIDE_SRC];
	unsigned i = 0;

	while (q->mems[i].exists)
		i++;
	q->mems[i] = (struct w_mem){ .exists = true,
				     .plugged = true,
				     .kind = VM_DIMM,
				     .slot = (int)i - 1,
				     .size = size,
				     .requested = size,
				     .max = size,
				     .present = size,
				     .online = size };
	snprintf(q->mems[i].id, LS_NAME_BYTES, "%s", id);
	snprintf(q->mems[i].backend, LS_NAME_BYTES, "%.50s-mem", id);
}

void world_has_virtio_mem(struct world *w, uint64_t size)
{
	struct w_mem *m = &w->qemu[SIDE_SRC].mems[0];

	m->size = m->requested = m->present = m->online = size;
}

void world_has_destination(struct world *w)
{
	struct w_qemu *q = &w->qemu[SIDE_DST];

	*q = (struct w_qemu){ .run = VM_INMIGRATE };
	for (unsigned i = 0; i < 2; i++)
		q->cpus[i].plugged = true;
	q->mems[0] = w->qemu[SIDE_SRC].mems[0];
	q->mems[0].size = q->mems[0].requested = q->mems[0].present = q->mems[0].online = 0;
}
