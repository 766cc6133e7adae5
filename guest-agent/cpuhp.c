/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking the CPU table.
 */
#include "cpuhp.h"

#include <errno.h>
#include <string.h>

#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/step.h>

#include "device.h"

static int call_row(const struct cpuhp_step *row, struct device *dev, enum step_dir dir,
		    struct ls_err *err)
{
	int (*fn)(struct device * dev, struct ls_err * err) = row->teardown;

	if (dir == STEP_UP)
		fn = row->startup;
	return fn ? fn(dev, err) : 0;
}

static int visit(const struct cpuhp_table *table, struct device *dev, int row, enum step_dir dir,
		 struct ls_err *err)
{
	const struct cpuhp_step *step = &table->steps[row];
	int r;

	if (dev->hp.fail == row && !step->cant_stop) {
		dev->hp.fail = -1;
		return ls_err_set(err, -EAGAIN, "made to fail");
	}
	r = call_row(step, dev, dir, err);
	if (r < 0 && step->cant_stop) {
		log_error("cpu%d %s: failed, and cannot: %s", dev->id, step->name, strerror(-r));
		return 0;
	}
	if (r == 1 && dir == STEP_UP)
		dev->hp.unverified = true;
	return r;
}

static void note_failure(struct device *dev, const struct cpuhp_step *step, int row, int code,
			 struct ls_err *err)
{
	dev->hp.failed_row = row;
	dev->hp.failed_code = code;
	ls_err_prefix(err, "cpu%d %s", dev->id, step->name);
	log_warning("cpu%d %s: failed: %s", dev->id, step->name, strerror(-code));
}

static void note_stuck(struct device *dev, const struct cpuhp_step *step, int code,
		       struct ls_err *err)
{
	dev->hp.stuck = true;
	log_error("cpu%d %s: the undo failed, too (%s); stuck here", dev->id, step->name,
		  strerror(-code));
	ls_err_prefix(err, "stuck at %s", step->name);
}

int cpuhp_walk(const struct cpuhp_table *table, struct device *dev, int goal, struct ls_err *err)
{
	struct step s = step_to(dev->hp.at, goal);
	int row, r, first = 0;

	dev->hp.stuck = false;
	if (s.dir == STEP_UP)
		dev->hp.unverified = false;
	while ((row = step_next(&s)) >= 0) {
		r = visit(table, dev, row, s.dir, first ? NULL : err);
		if (r >= 0) {
			step_done(&s);
			continue;
		}
		if (first)
			note_stuck(dev, &table->steps[row], r, err);
		else
			note_failure(dev, &table->steps[row], row, first = r, err);
		if (r == -EINPROGRESS)
			break;
		step_rollback(&s, false);
	}
	dev->hp.at = s.at;
	return first;
}
