/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep's verbs. The wire's table says which there are and what their arguments
 * look like; libqmp has checked those before a function here is called.
 *
 * What only looks or only touches the lock is answered at once, by the loop. What
 * touches devices goes to the transaction thread as a request; those that change CPUs
 * and memory are in ops_devices.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>
#include <qmp_serve.h>

#include "agent.h"
#include "classes.h"
#include "doctor.h"
#include "model.h"
#include "ops.h"
#include "request.h"
#include "status.h"

#define EXPIRE_AGAIN_MS 1000 /* until there is memory for the close */

static const char *txn_of(struct json_object *args)
{
	return qmp_get_str(args, "txn", "");
}

static uint64_t uint_of(struct json_object *args, const char *key)
{
	return (uint64_t)qmp_get_int(args, key, 0);
}

static struct json_object *already(bool was)
{
	return object_with("already", json_object_new_boolean(was));
}

/* ---- at once ---------------------------------------------------------------- */

static void op_status(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args;
	qmp_reply(call, status_object(arg));
}

static void op_subscribe(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct qmp_peer *peer = qmp_call_peer(call);

	(void)args;
	if (peer)
		serve_subscribe(arg, qmp_peer_data(peer));
	qmp_reply(call, NULL);
}

static void op_lock(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct agent *a = arg;
	struct ls_err err = { 0 };
	int r = lock_take(&a->lock, txn_of(args), uint_of(args, "epoch"), uint_of(args, "lease-ms"),
			  qmp_now_ms(), &err);

	if (r != -ESTALE)
		window_save(&a->window); /* the epoch */
	if (r < 0) {
		qmp_reply_err(call, &err);
		return;
	}
	if (r == 0) {
		kmsg_begin(&a->kmsg, txn_of(args));
		agent_tell_lock(a, "held");
	}
	qmp_reply(call, already(r));
}

static void op_renew(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct agent *a = arg;
	struct ls_err err = { 0 };

	if (lock_renew(&a->lock, txn_of(args), uint_of(args, "lease-ms"), qmp_now_ms(), &err) < 0)
		qmp_reply_err(call, &err);
	else
		qmp_reply(call, NULL);
}

static void op_unlock(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct agent *a = arg;
	struct ls_err err = { 0 };
	int r = lock_release(&a->lock, txn_of(args), &err);

	if (r < 0) {
		qmp_reply_err(call, &err);
		return;
	}
	if (r == 0)
		agent_tell_lock(a, "free");
	qmp_reply(call, already(r));
}

/* ---- window -------------------------------------------------------------------- */

static void cpu_failed(void *arg, int cpu, int code, const struct ls_err *err)
{
	json_object_array_add(arg, result_object(cpu, code, err));
}

static int work_window_open(struct request *rq)
{
	struct json_object *left_out = json_object_new_array();
	struct window_result result = { .failed = cpu_failed, .arg = left_out };
	int r = window_open(&rq->agent->window, rq->txn, rq->flag, &result, &rq->err);

	if (r < 0) {
		json_object_put(left_out);
		return r;
	}
	rq->ret = already(rq->flag);
	json_object_object_add(rq->ret, "forced", cpus_array(&result.done));
	json_object_object_add(rq->ret, "left-out", left_out);
	return 0;
}

static void op_window_open(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct agent *a = arg;
	struct ls_err err = { 0 };
	enum window_mode mode;
	int r = window_mode_parse(qmp_get_str(args, "mode", ""), &mode, &err);

	if (r == 0)
		r = window_admit(&a->window, txn_of(args), uint_of(args, "epoch"),
				 uint_of(args, "lease-ms"), mode, qmp_now_ms(), &err);
	if (r < 0)
		qmp_reply_err(call, &err);
	else
		request_start(a, call, args, r == 1 ? REQUEST_FLAG : 0, work_window_open);
}

static void op_window_renew(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct agent *a = arg;
	struct ls_err err = { 0 };

	if (window_renew(&a->window, txn_of(args), uint_of(args, "lease-ms"), qmp_now_ms(), &err) <
	    0)
		qmp_reply_err(call, &err);
	else
		qmp_reply(call, NULL);
}

static int work_window_close(struct request *rq)
{
	struct json_object *pending = json_object_new_array();
	struct window_result result = { .failed = cpu_failed, .arg = pending };
	int r = window_close(&rq->agent->window, rq->call ? rq->txn : NULL, &result, &rq->err);

	if (r < 0) {
		json_object_put(pending);
		return r;
	}
	rq->ret = already(r == 1);
	json_object_object_add(rq->ret, "restored", cpus_array(&result.done));
	json_object_object_add(rq->ret, "pending", pending);
	return 0;
}

static void op_window_close(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, REQUEST_BLIND, work_window_close);
}

void ops_close_expired(struct agent *a)
{
	if (request_start(a, NULL, NULL, REQUEST_BLIND, work_window_close) < 0)
		window_expire_again(&a->window, qmp_now_ms() + EXPIRE_AGAIN_MS);
}

/* ---- doctor --------------------------------------------------------------------- */

static void add_finding(void *arg, const struct finding *f)
{
	struct json_object *o = object_with("kind", json_object_new_string(f->kind));

	json_object_object_add(o, "id", json_object_new_int(f->id));
	json_object_object_add(o, "text", json_object_new_string(f->text));
	json_object_object_add(o, "healed", json_object_new_boolean(f->healed));
	json_object_array_add(arg, o);
}

static int work_doctor(struct request *rq)
{
	struct agent *a = rq->agent;
	struct json_object *findings = json_object_new_array();
	const struct doctor d = {
		.model = &a->model,
		.lock = &a->lock,
		.window = &a->window,
		.fix = qmp_get_bool(rq->args, "fix", false),
		.report = add_finding,
		.arg = findings,
	};
	int r = doctor_run(&d, &rq->err);

	rq->ret = object_with("findings", findings);
	return r;
}

static void op_doctor(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, 0, work_doctor);
}

/* ---- tests -------------------------------------------------------------------------- */

static int refuse_row(const struct cpuhp_table *table, const char *name, struct ls_err *err)
{
	char rows[160] = "";
	size_t len = 0;
	int i;

	for (i = 0; i < table->n && len < sizeof(rows); i++)
		len += (size_t)snprintf(rows + len, sizeof(rows) - len, "%s%s", i ? ", " : "",
					table->steps[i].name);
	return class_set(err, -EINVAL, LS_CLASS_ARG_VALUE, "the CPU table has no row '%s', but %s",
			 name, rows);
}

static int work_fail(struct request *rq)
{
	struct model *m = &rq->agent->model;
	const char *name = qmp_get_str(rq->args, "row", "");
	int cpu = (int)qmp_get_int(rq->args, "cpu", 0), row = cpuhp_row(m->cpuhp, name);
	struct device *dev = model_find(m, DEVICE_CPU, cpu);

	if (!dev)
		return class_set(&rq->err, -ENODEV, LS_CLASS_NO_DEVICE, "this guest has no cpu%d",
				 cpu);
	if (row < 0)
		return refuse_row(m->cpuhp, name, &rq->err);
	dev->hp.fail = row;
	log_warning("cpu%d %s: its next visit is to fail", cpu, name);
	return 0;
}

/* A switch for tests in the guest; a host has no business with it. */
static void op_fail(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct qmp_peer *peer = qmp_call_peer(call);

	if (!peer || serve_kind(qmp_peer_data(peer)) != CLIENT_ROOT)
		qmp_reply_error(call, "GenericError", "lockstep-fail is for the guest itself");
	else
		request_start(arg, call, args, 0, work_fail);
}

/* ---- the table ------------------------------------------------------------------- */

static const qmp_verb_fn handlers[] = {
	[LS_WIRE_STATUS] = op_status,
	[LS_WIRE_SUBSCRIBE] = op_subscribe,
	[LS_WIRE_LOCK] = op_lock,
	[LS_WIRE_RENEW] = op_renew,
	[LS_WIRE_UNLOCK] = op_unlock,
	[LS_WIRE_CPU_ONLINE] = ops_cpu_online,
	[LS_WIRE_CPU_OFFLINE] = ops_cpu_offline,
	[LS_WIRE_MEMORY_ONLINE] = ops_memory_online,
	[LS_WIRE_MEMORY_OFFLINE] = ops_memory_offline,
	[LS_WIRE_WINDOW_OPEN] = op_window_open,
	[LS_WIRE_WINDOW_RENEW] = op_window_renew,
	[LS_WIRE_WINDOW_CLOSE] = op_window_close,
	[LS_WIRE_DOCTOR] = op_doctor,
	[LS_WIRE_FAIL] = op_fail,
};
static_assert(sizeof(handlers) / sizeof(handlers[0]) == LS_WIRE_COMMAND_COUNT, "a handler each");

#define QGA_VERBS_MAX 16
#define VERBS_MAX     (LS_WIRE_COMMAND_COUNT + QGA_VERBS_MAX)

static void all_verbs(struct qmp_verb verbs[VERBS_MAX + 1])
{
	unsigned i;

	assert(qga_verbs_count <= QGA_VERBS_MAX);
	for (i = 0; i < LS_WIRE_COMMAND_COUNT; i++)
		verbs[i] = (struct qmp_verb){ ls_wire[i].name, handlers[i], ls_wire[i].args,
					      ls_wire[i].n_args };
	memcpy(verbs + i, qga_verbs, qga_verbs_count * sizeof(*verbs));
}

/* ---- those who may only look ------------------------------------------------------ */

/* Whatever is not named here is for root: a new verb is, until somebody thinks about it. */
static const char *const looks[] = {
	"lockstep-status",
	"lockstep-subscribe",
	"guest-ping",
	"guest-info",
	"guest-get-vcpus",
	"guest-get-memory-blocks",
	"guest-get-memory-block-info",
};

static void op_refused(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args;
	(void)arg;
	qmp_reply_error(call, "GenericError", "%s: only root may; nothing was changed",
			qmp_call_name(call));
}

static void op_doctor_look(struct qmp_call *call, struct json_object *args, void *arg)
{
	(qmp_get_bool(args, "fix", false) ? op_refused : op_doctor)(call, args, arg);
}

static qmp_verb_fn as_member(const struct qmp_verb *v)
{
	size_t i;

	for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		if (!strcmp(v->name, looks[i]))
			return v->fn;
	return v->fn == op_doctor ? op_doctor_look : op_refused;
}

const struct qmp_verb *ops_verbs(enum client_kind kind)
{
	static struct qmp_verb all[VERBS_MAX + 1], member[VERBS_MAX + 1];
	struct qmp_verb *v;

	all_verbs(all);
	all_verbs(member);
	for (v = member; v->name; v++)
		v->fn = as_member(v);
	return kind == CLIENT_MEMBER ? member : all;
}

bool ops_classed(const char *name)
{
	return strncmp(name, "guest-", 6) != 0;
}
