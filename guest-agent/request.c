/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Admitting a request, working on it, answering it.
 */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <lockstep/log.h>
#include <qmp.h>

#include "hooks.h"
#include "model.h"
#include "view.h"

static void run(struct job *job)
{
	struct request *rq = (struct request *)job;
	uint64_t since = qmp_now_ms();

	rq->err = (struct ls_err){ 0 };
	hooks_set_txn(rq->agent->hooks, rq->txn);
	rq->result = model_scan(&rq->agent->model, &rq->err);
	if (rq->result >= 0 || rq->blind)
		rq->result = rq->work(rq);
	view_publish(&rq->agent->model);
	log_debug("%s %s: %d, %llu ms", rq->call ? qmp_call_name(rq->call) : "expiry", rq->txn,
		  rq->result, (unsigned long long)(qmp_now_ms() - since));
}

static void answer(struct request *rq)
{
	if (!rq->call) {
		json_object_put(rq->ret);
	} else if (rq->result < 0) {
		json_object_put(rq->ret);
		qmp_reply_err(rq->call, &rq->err);
	} else {
		qmp_reply(rq->call, rq->ret);
	}
}

static void done(struct job *job)
{
	struct request *rq = (struct request *)job;

	if (rq->pinned && lock_unpin(&rq->agent->lock))
		agent_tell_lock(rq->agent, "free");
	answer(rq);
	rq->agent->finished = true;
	free(rq);
}

/* Return: 0, or the error has been told. */
static int admit(struct request *rq, bool pin)
{
	if (pin && lock_pin(&rq->agent->lock, rq->txn, &rq->err) < 0) {
		qmp_reply_err(rq->call, &rq->err);
		return -ENOLCK;
	}
	rq->pinned = pin;
	return 0;
}

int request_start(struct agent *a, struct qmp_call *call, struct json_object *args, unsigned how,
		  int (*work)(struct request *rq))
{
	struct request *rq = calloc(1, sizeof(*rq));

	if (!rq) {
		if (call)
			qmp_reply_error(call, "GenericError", "out of memory");
		return -ENOMEM;
	}
	rq->job = (struct job){ .run = run, .done = done };
	rq->agent = a;
	rq->call = call;
	rq->args = args;
	rq->flag = how & REQUEST_FLAG;
	rq->blind = how & REQUEST_BLIND;
	rq->work = work;
	rq->result = ls_err_set(&rq->err, -ESHUTDOWN, "the agent is ending");
	snprintf(rq->txn, sizeof(rq->txn), "%s", qmp_get_str(args, "txn", ""));
	if (admit(rq, how & REQUEST_PIN) == 0)
		work_submit(a->work, &rq->job);
	else
		free(rq);
	return 0;
}

struct json_object *result_object(int id, int code, const struct ls_err *err)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "id", json_object_new_int(id));
	json_object_object_add(o, "code", json_object_new_int(code));
	if (code < 0)
		json_object_object_add(o, "error", json_object_new_string(err->text));
	return o;
}
