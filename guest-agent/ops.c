/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep's verbs. The wire's table says which there are and what their arguments
 * look like; libqmp has checked those before a function here is called.
 *
 * What only looks or only touches the lock is answered at once, by the loop. What
 * touches devices goes to the transaction thread as a request.
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
#include "cpus.h"
#include "doctor.h"
#include "hook_memory.h"
#include "memory.h"
#include "model.h"
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

static void tell_lock(struct agent *a, const char *state)
{
	agent_tell(a, &(struct change){ "lock", -1, 1, state, "agent" });
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
	if (r == 0)
		tell_lock(a, "held");
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
		tell_lock(a, "free");
	qmp_reply(call, already(r));
}

/* ---- CPUs -------------------------------------------------------------------- */

static struct cpus cpus_of(struct json_object *args)
{
	struct json_object *list = qmp_get_array(args, "cpus");
	size_t i, n = json_object_array_length(list);
	struct cpus set = { 0 };

	for (i = 0; i < n; i++)
		cpus_add(&set, json_object_get_int(json_object_array_get_idx(list, i)));
	return set;
}

/* Refused as a whole, before anything changes: a request that cannot have been meant. */
static int check_cpus(struct model *m, const struct cpus *set, bool online, struct ls_err *err)
{
	int cpu, left = 0;
	size_t i;

	cpus_each(cpu, set)
	{
		const struct device *dev = model_find(m, DEVICE_CPU, cpu);

		if (!dev)
			return class_set(err, -ENODEV, LS_CLASS_NO_DEVICE,
					 "this guest has no cpu%d; nothing was changed", cpu);
		if (!online && dev->fixed)
			return class_set(err, -EPERM, LS_CLASS_CPU_FIXED,
					 "cpu%d can never go offline; nothing was changed", cpu);
	}
	for (i = 0; i < m->set[DEVICE_CPU].n; i++)
		if (m->set[DEVICE_CPU].dev[i]->kernel)
			left += !cpus_has(set, m->set[DEVICE_CPU].dev[i]->id);
	if (!online && !left)
		return class_set(err, -EBUSY, LS_CLASS_LAST_CPU,
				 "no CPU would be left running; nothing was changed");
	return 0;
}

static struct json_object *change_cpu(struct request *rq, int cpu, bool online)
{
	struct device *dev = model_find(&rq->agent->model, DEVICE_CPU, cpu);
	struct ls_err err = { 0 };
	int r;

	if (!dev)
		r = ls_err_set(&err, -ENODEV, "cpu%d is gone", cpu);
	else
		r = online ? device_online(dev, &err) : device_offline(dev, &err);
	if (r >= 0)
		window_forget(&rq->agent->window, rq->txn, cpu);
	return result_object(cpu, r, &err);
}

static struct json_object *in_order_asked(struct json_object *args, struct json_object **result)
{
	struct json_object *list = qmp_get_array(args, "cpus"), *out = json_object_new_array();
	size_t i, n = json_object_array_length(list);

	for (i = 0; i < n; i++)
		json_object_array_add(
			out, result[json_object_get_int(json_object_array_get_idx(list, i))]);
	return out;
}

static int count_changes(struct model *m, const struct cpus *set, bool online)
{
	int cpu, n = 0;

	cpus_each(cpu, set) n += model_find(m, DEVICE_CPU, cpu)->online != online;
	return n;
}

/* Up from the lowest number, down from the highest. */
static int work_cpus(struct request *rq)
{
	struct model *m = &rq->agent->model;
	struct cpus set = cpus_of(rq->args);
	struct json_object *result[LS_CPUS_MAX];
	struct expedite *batch;
	int r = check_cpus(m, &set, rq->flag, &rq->err), i, cpu;

	if (r < 0)
		return r;
	batch = expedite_begin(m->expedite, count_changes(m, &set, rq->flag));
	for (i = 0; i < LS_CPUS_MAX; i++) {
		cpu = rq->flag ? i : LS_CPUS_MAX - 1 - i;
		if (!cpus_has(&set, cpu))
			continue;
		result[cpu] = change_cpu(rq, cpu, rq->flag);
		model_catch_up(&rq->agent->model);
	}
	expedite_end(batch);
	rq->ret = object_with("results", in_order_asked(rq->args, result));
	return 0;
}

static void op_cpu_online(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, REQUEST_PIN | REQUEST_FLAG, work_cpus);
}

static void op_cpu_offline(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, REQUEST_PIN, work_cpus);
}

/* ---- memory ------------------------------------------------------------------- */

static void memory_failed(void *arg, const struct device *dev, int code, const struct ls_err *err)
{
	json_object_array_add(arg, result_object(dev->id, code, err));
}

static int work_memory(struct request *rq)
{
	const char *value =
		rq->flag ? memory_zone_value(qmp_get_str(rq->args, "zone", NULL)) : NULL;
	int64_t start = qmp_get_int(rq->args, "start", 0);
	int64_t length = qmp_get_int(rq->args, "length", 0);
	struct model *m = &rq->agent->model;
	struct hook_memory hooks;
	struct json_object *failed;
	struct memory_result result;
	int r = hook_memory_begin(&hooks, m, start, length, rq->flag, &rq->err);

	if (r < 0)
		return r;
	failed = json_object_new_array();
	result = (struct memory_result){ .failed = memory_failed, .arg = failed };
	memory_range(m, start, length, value, &result);
	hook_memory_end(&hooks);
	if (!result.present) {
		json_object_put(failed);
		return class_set(&rq->err, -ENODEV, LS_CLASS_NO_DEVICE,
				 "no memory block lies wholly inside that range");
	}
	rq->ret = object_with("present", json_object_new_int64(result.present));
	json_object_object_add(rq->ret, "online", json_object_new_int64(result.online));
	json_object_object_add(rq->ret, "changed", json_object_new_int64(result.changed));
	json_object_object_add(rq->ret, "failed", failed);
	return 0;
}

static void op_memory_online(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *zone = qmp_get_str(args, "zone", NULL);

	if (!memory_zone_value(zone))
		qmp_reply_error(call, "GenericError", "zone '%s' is not movable, kernel or auto",
				zone);
	else
		request_start(arg, call, args, REQUEST_PIN | REQUEST_FLAG, work_memory);
}

static void op_memory_offline(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, REQUEST_PIN, work_memory);
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
	return ls_err_set(err, -EINVAL, "the CPU table has no row '%s', but %s", name, rows);
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

	if (!peer || serve_from_host(qmp_peer_data(peer)))
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
	[LS_WIRE_CPU_ONLINE] = op_cpu_online,
	[LS_WIRE_CPU_OFFLINE] = op_cpu_offline,
	[LS_WIRE_MEMORY_ONLINE] = op_memory_online,
	[LS_WIRE_MEMORY_OFFLINE] = op_memory_offline,
	[LS_WIRE_WINDOW_OPEN] = op_window_open,
	[LS_WIRE_WINDOW_RENEW] = op_window_renew,
	[LS_WIRE_WINDOW_CLOSE] = op_window_close,
	[LS_WIRE_DOCTOR] = op_doctor,
	[LS_WIRE_FAIL] = op_fail,
};
static_assert(sizeof(handlers) / sizeof(handlers[0]) == LS_WIRE_COMMAND_COUNT, "a handler each");

#define QGA_VERBS_MAX 16

const struct qmp_verb *ops_verbs(void)
{
	static struct qmp_verb verbs[LS_WIRE_COMMAND_COUNT + QGA_VERBS_MAX + 1];
	unsigned i;

	assert(qga_verbs_count <= QGA_VERBS_MAX);
	for (i = 0; i < LS_WIRE_COMMAND_COUNT; i++)
		verbs[i] = (struct qmp_verb){ ls_wire[i].name, handlers[i], ls_wire[i].args,
					      ls_wire[i].n_args };
	memcpy(verbs + i, qga_verbs, qga_verbs_count * sizeof(*verbs));
	return verbs;
}
