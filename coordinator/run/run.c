/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A run's life: its guests, their looks, and one transaction after the other in it.
 */
#include "run_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <qmp.h>

static void put_away(struct run *run)
{
	run->timer = sd_event_source_disable_unref(run->timer);
	run->end = sd_event_source_disable_unref(run->end);
	for (struct request *q = run->requests; q; q = q->next)
		q->over = true;
	engine_free(run->e);
	run->e = NULL;
	free(run->record);
	run->record = NULL;
}

/* In a turn of the loop of its own: the run may be freed, or go on with the next one. */
static int on_end(sd_event_source *s, void *arg)
{
	struct run *run = arg;

	(void)s;
	put_away(run);
	run->ended(run->ended_arg, run->t);
	return 0;
}

static int prepare(struct run *run, uint64_t deadline_ms)
{
	int r = sd_event_add_defer(run->loop, &run->end, on_end, run);

	if (r < 0)
		return r;
	sd_event_source_set_enabled(run->end, SD_EVENT_OFF);
	run->record = malloc(TXN_RECORD_MAX);
	run->e = run->record ? engine_new(run->t, qmp_now_ms(), deadline_ms) : NULL;
	return run->e ? 0 : -ENOMEM;
}

void run_set_epoch(const struct run *run, struct txn *t)
{
	const struct vm *vm = run->view.vm;

	t->epoch = 1;
	for (int side = 0; side < SIDE_COUNT; side++) {
		if (vm[side].epoch >= t->epoch)
			t->epoch = vm[side].epoch + 1;
		if (vm[side].claim_epoch >= t->epoch)
			t->epoch = vm[side].claim_epoch + 1;
	}
}

int run_start(struct run *run, struct txn *t, uint64_t deadline_ms, run_ended_fn fn, void *arg)
{
	int r;

	run->t = t;
	run->over = false;
	run->looked = NULL;
	run->ended = fn;
	run->ended_arg = arg;
	r = prepare(run, deadline_ms);
	if (r < 0) {
		put_away(run);
		return r;
	}
	if (!t->loaded)
		run_set_epoch(run, t);
	for (int side = 0; side < SIDE_COUNT; side++)
		if (run->hv[side])
			hv_expect_lease(run->hv[side], t->id);
	run_pump(run);
	return 0;
}

void run_cancel(struct run *run)
{
	run_event(run, (struct event){ .kind = EV_CANCEL });
}

static void note_end(void *arg, struct txn *t)
{
	bool *over = arg;

	(void)t;
	*over = true;
}

static int run_to_the_end(struct run *run, struct txn *t, uint64_t deadline_ms, bool undo)
{
	bool over = false;
	int r = run_start(run, t, deadline_ms, note_end, &over);

	if (r >= 0 && undo)
		run_cancel(run);
	while (!over && r >= 0)
		r = sd_event_run(run->loop, UINT64_MAX);
	if (!over)
		put_away(run);
	return r < 0 ? r : 0;
}

int run_txn(struct run *run, struct txn *t, uint64_t deadline_ms)
{
	return run_to_the_end(run, t, deadline_ms, false);
}

int run_undo(struct run *run, struct txn *t, uint64_t deadline_ms)
{
	return run_to_the_end(run, t, deadline_ms, true);
}

void run_join(struct run *run, enum side side, const struct guest *g)
{
	struct hv_listener l = run_listener(run);

	if (side == SIDE_SRC && run->hv[SIDE_SRC]) {
		run->hv[SIDE_DST] = run->hv[SIDE_SRC];
		run->view.vm[SIDE_DST] = run->view.vm[SIDE_SRC];
		memset(&run->view.vm[SIDE_SRC], 0, sizeof(struct vm));
	}
	run->hv[side] = hv_new(run->loop, g->name, g->qmp, g->agent, &l);
}

int run_look_error(const struct run *run, struct ls_err *err)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		if (!run->hv[side] || run->view.vm[side].answers)
			continue;
		if (err)
			*err = *hv_error(run->hv[side]);
		return hv_error(run->hv[side])->code ? hv_error(run->hv[side])->code : -EPIPE;
	}
	return 0;
}

int run_look(struct run *run, struct ls_err *err)
{
	int r = 0;

	run_look_sides(run, 0);
	while (run->looking && r >= 0)
		r = sd_event_run(run->loop, UINT64_MAX);
	return r < 0 ? r : run_look_error(run, err);
}

void run_look_start(struct run *run, run_looked_fn fn, void *arg)
{
	run->looked = fn;
	run->looked_arg = arg;
	run_look_sides(run, 0);
}

const struct view *run_view(const struct run *run)
{
	return &run->view;
}

struct hv *run_hv(const struct run *run, enum side side)
{
	return run->hv[side];
}

struct run *run_new(sd_event *loop, const struct guest *src, const struct guest *dst,
		    const struct run_ops *ops)
{
	struct run *run = calloc(1, sizeof(*run));
	struct hv_listener l = run_listener(run);

	if (!run)
		return NULL;
	run->loop = sd_event_ref(loop);
	if (ops)
		run->ops = *ops;
	run->hv[SIDE_SRC] = hv_new(loop, src->name, src->qmp, src->agent, &l);
	if (dst)
		run->hv[SIDE_DST] = hv_new(loop, dst->name, dst->qmp, dst->agent, &l);
	if (!run->hv[SIDE_SRC] || (dst && !run->hv[SIDE_DST])) {
		run_free(run);
		return NULL;
	}
	return run;
}

void run_free(struct run *run)
{
	if (!run)
		return;
	for (int side = 0; side < SIDE_COUNT; side++) {
		hv_free(run->hv[side]);
		vm_done(&run->view.vm[side]);
		vm_done(&run->fresh[side]);
	}
	while (run->requests)
		run_request_free(run->requests);
	put_away(run);
	sd_event_unref(run->loop);
	free(run);
}
