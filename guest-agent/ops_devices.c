/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs that change devices: a transaction of the host has the hotplug lock, and asks
 * for CPUs by number and for memory by address.
 */
#include "ops.h"

#include <errno.h>

#include <json-c/json.h>
#include <lockstep/err.h>
#include <lockstep/wire.h>
#include <qmp_serve.h>

#include "agent.h"
#include "classes.h"
#include "cpus.h"
#include "hook_memory.h"
#include "memory.h"
#include "model.h"
#include "request.h"

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

void ops_cpu_online(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, REQUEST_PIN | REQUEST_FLAG, work_cpus);
}

void ops_cpu_offline(struct qmp_call *call, struct json_object *args, void *arg)
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
	int r = rq->flag ? 0 : memory_check_removable(m, start, length, &rq->err);

	if (r == 0)
		r = hook_memory_begin(&hooks, m, start, length, rq->flag, &rq->err);
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

void ops_memory_online(struct qmp_call *call, struct json_object *args, void *arg)
{
	const char *zone = qmp_get_str(args, "zone", NULL);

	if (!memory_zone_value(zone))
		qmp_reply_error(call, LS_CLASS_ARG_VALUE,
				"zone '%s' is not movable, kernel or auto", zone);
	else
		request_start(arg, call, args, REQUEST_PIN | REQUEST_FLAG, work_memory);
}

void ops_memory_offline(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, REQUEST_PIN, work_memory);
}
