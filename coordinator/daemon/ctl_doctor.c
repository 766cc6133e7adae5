/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb "doctor": the lane compares QEMU and guest; then the journal says what of this
 * guest somebody has still to decide. The call outlives its client.
 */
#include "ctl_private.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "../core/txn.h"
#include "../report/doctor.h"
#include "../report/exit.h"
#include "../store/store.h"
#include "daemon.h"
#include "daemon_log.h"
#include "lane.h"

#define STUCK_MAX 20 /* of one guest; txn list has all */

/**
 * struct visit - A doctor's call that is out
 * @call:  NULL: nobody waits, the log has it
 * @guest: by name: its lane may be gone when the journal has answered
 */
struct visit {
	struct qmp_call *call;
	struct daemon *d;
	char guest[LS_NAME_BYTES];
	struct json_object *findings;
};

static void answer(struct visit *v)
{
	const struct log_about about = { .message = LOG_ENDED, .guest = v->guest };

	if (v->call) {
		qmp_reply(v->call, v->findings);
	} else {
		log_about(LOG_INFO, &about, "doctor: %zu findings",
			  json_object_array_length(v->findings));
		json_object_put(v->findings);
	}
	free(v);
}

static void on_stuck(void *arg, const struct store_txn *txns, unsigned n, const struct ls_err *err)
{
	struct visit *v = arg;
	char text[2 * LS_ERR_TEXT_BYTES];

	if (err->code) {
		snprintf(text, sizeof(text), "the journal was not read: %s", err->text);
		doctor_add(v->findings, "journal", text);
	}
	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text),
			 "transaction %s (%s) is stuck: %s; lockstep txn resume %s, lockstep txn "
			 "undo %s, or if it is settled lockstep txn forget %s",
			 txns[i].id, txns[i].op, txns[i].reason, txns[i].id, txns[i].id,
			 txns[i].id);
		doctor_add(v->findings, "journal", text);
	}
	answer(v);
}

static void fail(struct visit *v, const struct ls_err *err)
{
	const struct log_about about = { .message = LOG_ENDED, .guest = v->guest, .err = err };

	if (v->call)
		qmp_reply_error(v->call, exit_name(exit_of_doctor(err->code)), "%s", err->text);
	else
		log_about(LOG_WARNING, &about, "doctor: %s", err->text);
	free(v);
}

static void on_findings(void *arg, struct json_object *findings, const struct ls_err *err)
{
	struct visit *v = arg;
	const struct store_filter stuck = {
		.guest = v->guest,
		.ended = txn_end_name(END_STUCK),
		.limit = STUCK_MAX,
	};
	struct ls_err why;

	if (err->code) {
		fail(v, err);
		return;
	}
	v->findings = json_object_get(findings);
	if (store_list(v->d->store, &stuck, on_stuck, v, &why) < 0)
		on_stuck(v, NULL, 0, &why);
}

void do_doctor(struct qmp_call *call, struct json_object *args, struct daemon *d)
{
	const struct lane_doctor how = { qmp_get_bool(args, "fix", false),
					 (unsigned)qmp_get_int(args, "timeout-ms", 0) };
	bool alone = qmp_get_bool(args, "no-wait", false);
	struct lane *l = ctl_lane(call, args, d);
	struct visit *v;
	struct ls_err err;
	int r;

	if (!l)
		return;
	v = calloc(1, sizeof(*v));
	*v = (struct visit){ .call = alone ? NULL : call, .d = d };
	snprintf(v->guest, sizeof(v->guest), "%s", lane_guest(l)->name);
	r = lane_doctor(l, &how, on_findings, v, &err);
	if (r < 0) {
		ctl_fail(call, r, &err);
		free(v);
	} else if (alone) {
		qmp_reply(call, NULL);
	}
}
