/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking the CPU table, on both sides of the kick point.
 */
#include "cpuhp.h"

#include <errno.h>
#include <string.h>

#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/step.h>

#include "device.h"

#define AP_MS 2000 /* for a CPU to run its worker; a busy one needs a few ms */

/**
 * struct walk - One walk; used by the control side and the worker in turn, never at once
 * @first: the first failure
 * @out:   the kernel has not come back: it is over
 */
struct walk {
	const struct cpuhp_table *table;
	struct device *dev;
	struct ls_err *err;
	struct step s;
	int first;
	bool out;
};

/* ---- one row ------------------------------------------------------------------ */

static cpuhp_fn *callback(const struct cpuhp_step *step, const struct step *s)
{
	if (s->dir == STEP_UP)
		return s->rollback && step->undo_teardown ? step->undo_teardown : step->startup;
	return s->rollback && step->undo_startup ? step->undo_startup : step->teardown;
}

static int visit(struct walk *w, int row)
{
	const struct cpuhp_step *step = &w->table->steps[row];
	cpuhp_fn *fn = callback(step, &w->s);
	struct device *dev = w->dev;
	struct ls_err *err = w->first ? NULL : w->err;
	int r;

	if (dev->hp.fail == row && !step->cant_stop) {
		dev->hp.fail = -1;
		return ls_err_set(err, -EAGAIN, "made to fail");
	}
	r = fn ? fn(dev, err) : 0;
	if (r < 0 && step->cant_stop) {
		log_error("cpu%d %s: failed, and cannot: %s", dev->id, step->name, strerror(-r));
		return 0;
	}
	if (r == 1 && w->s.dir == STEP_UP)
		dev->hp.unverified = true;
	return r;
}

static void note_failure(struct walk *w, const struct cpuhp_step *step, int row, int code)
{
	w->first = code;
	w->dev->hp.failed_row = row;
	w->dev->hp.failed_code = code;
	ls_err_prefix(w->err, "cpu%d %s", w->dev->id, step->name);
	log_warning("cpu%d %s: failed: %s", w->dev->id, step->name, strerror(-code));
}

static void note_stuck(struct walk *w, const struct cpuhp_step *step, int code)
{
	w->dev->hp.stuck = true;
	log_error("cpu%d %s: the undo failed, too (%s); stuck here", w->dev->id, step->name,
		  strerror(-code));
	ls_err_prefix(w->err, "stuck at %s", step->name);
}

static void settle(struct walk *w, int row, int r)
{
	const struct cpuhp_step *step = &w->table->steps[row];

	if (r >= 0) {
		step_done(&w->s);
		w->dev->hp.at = w->s.at;
		return;
	}
	if (w->first)
		note_stuck(w, step, r);
	else
		note_failure(w, step, row, r);
	w->out = r == -EINPROGRESS;
	step_rollback(&w->s, false);
}

/* ---- the two sides --------------------------------------------------------------- */

static int next_row(const struct walk *w)
{
	return w->out ? -1 : step_next(&w->s);
}

/* Forward, and after a failure back, as far as this side's rows go. */
static void walk_side(struct walk *w, bool on_cpu)
{
	int row;

	while ((row = next_row(w)) >= 0 && w->table->steps[row].on_cpu == on_cpu)
		settle(w, row, visit(w, row));
}

static int walk_there(struct worker *worker, void *arg)
{
	(void)worker;
	walk_side(arg, true);
	return 0;
}

static void walk_on_cpu(struct walk *w, int row)
{
	struct workers *ws = &w->dev->model->workers;
	struct worker *worker = ws->of[w->dev->id];

	w->dev->hp.kicked_ns = ws->ops->now_ns(-1);
	if (!worker || worker_call(worker, walk_there, w, AP_MS) < 0)
		settle(w, row,
		       ls_err_set(w->first ? NULL : w->err, -ESHUTDOWN,
				  "the CPU's worker does not accept"));
}

/* A CPU that was online before the agent came has no worker yet. */
static int stand_by(const struct walk *w)
{
	const struct cpuhp_table *t = w->table;
	struct worker *worker;

	if (!w->s.at || !t->steps[w->s.at - 1].on_cpu)
		return 0;
	worker = workers_get(&w->dev->model->workers, w->dev->id);
	if (!worker)
		return ls_err_set(w->err, -EAGAIN, "cpu%d: no thread for it", w->dev->id);
	worker_unpark(worker);
	return 0;
}

static int walk_all(struct walk *w)
{
	int row;

	if (stand_by(w) < 0)
		return -EAGAIN;
	while ((row = next_row(w)) >= 0) {
		if (w->table->steps[row].on_cpu)
			walk_on_cpu(w, row);
		else
			walk_side(w, false);
	}
	return w->first;
}

int cpuhp_walk(const struct cpuhp_table *table, struct device *dev, int goal, struct ls_err *err)
{
	struct walk w = { .table = table, .dev = dev, .err = err };
	int r;

	w.s = step_to(dev->hp.at, goal);
	dev->hp.target = goal;
	dev->hp.walked = dev->hp.walking = true;
	dev->hp.stuck = false;
	if (w.s.dir == STEP_UP)
		dev->hp.unverified = false;
	r = walk_all(&w);
	dev->hp.walking = false;
	return r;
}

void cpuhp_seen(struct device *dev, bool changed)
{
	struct cpuhp_cpu *hp = &dev->hp;

	if (hp->walking || (hp->stuck && !changed))
		return;
	hp->stuck = false;
	hp->at = dev->online && dev->kernel ? dev->model->cpuhp->n : 0;
	if (!hp->at)
		hp->unverified = false;
}

/* ---- names ------------------------------------------------------------------------ */

int cpuhp_row(const struct cpuhp_table *table, const char *name)
{
	int row;

	for (row = 0; row < table->n; row++)
		if (!strcmp(table->steps[row].name, name))
			return row;
	return -1;
}

const char *cpuhp_at_name(const struct cpuhp_table *table, int at)
{
	if (at <= 0)
		return "offline";
	return at >= table->n ? "online" : table->steps[at - 1].name;
}
