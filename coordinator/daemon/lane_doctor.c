/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The doctor of a lane: look, ask the agent, look again. It heals under the guest's lock,
 * so it has the guest for itself: requests wait for it, and it is refused while one runs.
 */
#include "lane_private.h"

#include <errno.h>

#include <json-c/json.h>

#include "../report/doctor.h"
#include "../hv/hv.h"

static const struct vm *now(const struct lane *l)
{
	return &run_view(l->run)->vm[SIDE_SRC];
}

static void answer(struct lane *l, const struct ls_err *err)
{
	lane_doctor_fn fn = l->doctor;

	l->doctor = NULL;
	fn(l->doctor_arg, l->findings, err);
	json_object_put(l->findings);
	l->findings = NULL;
}

static void over(struct lane *l, const struct ls_err *err)
{
	answer(l, err);
	lane_idle(l);
}

static void on_looked_again(void *arg)
{
	struct lane *l = arg;
	struct ls_err err = { 0 };

	if (run_look_error(l->run, &err) < 0)
		l->lost = true;
	else
		doctor_add_host(l->findings, now(l));
	over(l, &err);
}

static void on_findings(void *arg, struct json_object *list, const struct ls_err *err)
{
	struct lane *l = arg;

	if (err) {
		over(l, err);
		return;
	}
	doctor_add_guest(l->findings, list);
	run_look_start(l->run, on_looked_again, l);
}

static void on_looked(void *arg)
{
	struct lane *l = arg;
	struct ls_err err = { 0 };

	if (run_look_error(l->run, &err) < 0)
		l->lost = true;
	else
		doctor_check(now(l), &err);
	if (err.code)
		over(l, &err);
	else
		hv_doctor(run_hv(l->run, SIDE_SRC), l->doctor_how.fix, l->doctor_how.timeout_ms,
			  on_findings, l);
}

int lane_doctor(struct lane *l, const struct lane_doctor *how, lane_doctor_fn fn, void *arg,
		struct ls_err *err)
{
	int r = lane_check_open(l, err);

	if (r < 0)
		return r;
	if (l->state == LANE_BUSY)
		return ls_err_set(err, -EBUSY,
				  "a transaction, or a doctor, has the guest: wait for its end");
	l->state = LANE_BUSY;
	l->looking = false; /* it is replaced */
	l->doctor = fn;
	l->doctor_arg = arg;
	l->doctor_how = *how;
	l->findings = json_object_new_array();
	lane_publish(l);
	run_look_start(l->run, on_looked, l);
	return 0;
}

void lane_doctor_done(struct lane *l)
{
	struct ls_err err;

	ls_err_set(&err, -ESHUTDOWN, "lockstepd lets go of the guest");
	if (l->doctor)
		answer(l, &err);
}
