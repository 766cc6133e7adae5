/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A request's way from the loop to the transaction thread and back.
 */
#ifndef AGENT_REQUEST_H
#define AGENT_REQUEST_H

#include <stdbool.h>

#include <json-c/json.h>
#include <lockstep/err.h>
#include <lockstep/limits.h>
#include <qmp_serve.h>

#include "agent.h"
#include "work.h"

/**
 * struct request - One verb that works on devices
 * @job:    its place in the queue
 * @agent:  owner
 * @call:   to be answered; NULL: nobody asked
 * @args:   borrowed from @call
 * @txn:    who asks; "" for verbs without a transaction
 * @work:   in the transaction thread, after a scan: 0 or -errno with @err set
 * @ret:    what @work wants to be returned; consumed by the reply
 * @err:    why it failed
 * @result: what @work returned
 * @flag:   between admission and work, as the verb likes
 * @blind:  worked on even if the devices cannot be read
 * @pinned: the lock is kept for this request
 */
struct request {
	struct job job;
	struct agent *agent;
	struct qmp_call *call;
	struct json_object *args;
	char txn[LS_TXN_BYTES];
	int (*work)(struct request *rq);
	struct json_object *ret;
	struct ls_err err;
	int result;
	bool flag;
	bool blind;
	bool pinned;
};

/**
 * enum request_how - How a request is to be treated
 * @REQUEST_PIN:   its transaction must hold the lock, and keeps it meanwhile
 * @REQUEST_BLIND: it must be worked on whatever happens: a window has to close
 * @REQUEST_FLAG:  what @flag is to be
 */
enum request_how { REQUEST_PIN = 1, REQUEST_BLIND = 2, REQUEST_FLAG = 4 };

/**
 * request_start() - Send a request on its way
 * @a:    agent
 * @call: answered when @work has run, or at once if it cannot be
 * @args: of the call
 * @how:  REQUEST_* together
 * @work: see above
 *
 * Return: 0; -ENOMEM, for a request that nobody waits for.
 */
int request_start(struct agent *a, struct qmp_call *call, struct json_object *args, unsigned how,
		  int (*work)(struct request *rq));

/* A RESULT object of the wire. */
struct json_object *result_object(int id, int code, const struct ls_err *err);

/* {"results": ...} and the like without a line for each. */
static inline struct json_object *object_with(const char *key, struct json_object *value)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, key, value);
	return o;
}

#endif
