/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs of QEMU's guest agent that lockstep shares a purpose with, as QEMU's own
 * agent answers them: libvirt and QEMU's tests cannot tell the difference. They go
 * through the same device model and the same hotplug lock.
 *
 * Source: QEMU docs/interop/qemu-ga-ref; qga/commands-linux.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>
#include <qmp_serve.h>

#include "agent.h"
#include "classes.h"
#include "hook_memory.h"
#include "model.h"
#include "request.h"

#define ME "(guest-agent)"

/* clang-format off */
static const struct qmp_field vcpus_args[] = {
	{ "vcpus", QMP_OBJECTS, .count = LS_CPUS_MAX, .doc = "GuestLogicalProcessor objects" },
};
static const struct qmp_field vcpu_fields[] = {
	{ "logical-id", QMP_INT, .lo = 0, .hi = INT64_MAX, .doc = "guest CPU number" },
	{ "online", QMP_BOOL, .doc = "what it should be" },
	{ "can-offline", QMP_BOOL, .optional = true, .doc = "ignored, as QEMU does" },
};
static const struct qmp_field blocks_args[] = {
	{ "mem-blks", QMP_OBJECTS, .count = LS_BLOCKS_MAX, .doc = "GuestMemoryBlock objects" },
};
static const struct qmp_field block_fields[] = {
	{ "phys-index", QMP_INT, .lo = 0, .hi = INT64_MAX, .doc = "memory block number" },
	{ "online", QMP_BOOL, .doc = "what it should be" },
	{ "can-offline", QMP_BOOL, .optional = true, .doc = "ignored, as QEMU does" },
};
/* clang-format on */

#define N(table) (sizeof(table) / sizeof((table)[0]))

/*
 * The elements have tables of their own; a bad one refuses the whole request, with QEMU's
 * class for all of that.
 */
static int check_elements(struct json_object *list, const struct qmp_field *fields, size_t n,
			  struct ls_err *err)
{
	size_t i, len = json_object_array_length(list);
	int r;

	for (i = 0; i < len; i++) {
		r = qmp_fields_check(fields, n, true, json_object_array_get_idx(list, i), err);
		if (r < 0) {
			err->class[0] = '\0';
			return r;
		}
	}
	return 0;
}

static struct device *device_of(struct model *m, enum device_kind kind, int64_t id)
{
	return id <= INT32_MAX ? model_find(m, kind, (int)id) : NULL;
}

/* ---- ping, info ------------------------------------------------------------- */

static void op_ping(struct qmp_call *call, struct json_object *args, void *arg)
{
	(void)args;
	(void)arg;
	qmp_reply(call, NULL);
}

static void add_command(struct json_object *list, const char *name)
{
	struct json_object *o = object_with("name", json_object_new_string(name));

	json_object_object_add(o, "enabled", json_object_new_boolean(true));
	json_object_object_add(o, "success-response", json_object_new_boolean(true));
	json_object_array_add(list, o);
}

static void op_info(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct json_object *list = json_object_new_array(), *o;
	const struct qmp_verb *v;

	(void)args;
	(void)arg;
	add_command(list, "guest-sync");
	add_command(list, "guest-sync-delimited");
	for (v = ops_verbs(CLIENT_ROOT); v->name; v++)
		add_command(list, v->name);
	o = object_with("version", json_object_new_string(LOCKSTEP_VERSION));
	json_object_object_add(o, "supported_commands", list);
	qmp_reply(call, o);
}

/* ---- vcpus ------------------------------------------------------------------- */

static struct json_object *device_list(struct request *rq, enum device_kind kind, const char *id)
{
	const struct device_set *set = &rq->agent->model.set[kind];
	struct json_object *list = json_object_new_array(), *o;
	size_t i;

	for (i = 0; i < set->n; i++) {
		o = object_with(id, json_object_new_int(set->dev[i]->id));
		json_object_object_add(o, "online", json_object_new_boolean(set->dev[i]->online));
		json_object_object_add(o, "can-offline",
				       json_object_new_boolean(!set->dev[i]->fixed));
		json_object_array_add(list, o);
	}
	return list;
}

static int work_get_vcpus(struct request *rq)
{
	rq->ret = device_list(rq, DEVICE_CPU, "logical-id");
	return 0;
}

static void op_get_vcpus(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, 0, work_get_vcpus);
}

static int set_vcpu(struct agent *a, struct json_object *vcpu, struct ls_err *err)
{
	struct model *m = &a->model;
	int64_t id = qmp_get_int(vcpu, "logical-id", -1);
	bool online = qmp_get_bool(vcpu, "online", false);
	struct device *dev = device_of(m, DEVICE_CPU, id);
	int r;

	if (!dev)
		return ls_err_set(err, -ENODEV, "logical CPU #%" PRId64 " does not exist", id);
	if (!online && dev->fixed)
		return ls_err_set(err, -EPERM, "logical CPU #%" PRId64 " can't be offlined", id);
	r = online ? device_online(dev, err) : device_offline(dev, err);
	if (r >= 0)
		window_forget(&a->window, ME, dev->id);
	return r;
}

static int count_changes(struct model *m, struct json_object *list)
{
	size_t i, n = json_object_array_length(list);
	int changes = 0;

	for (i = 0; i < n; i++) {
		struct json_object *vcpu = json_object_array_get_idx(list, i);
		struct device *dev = device_of(m, DEVICE_CPU, qmp_get_int(vcpu, "logical-id", -1));

		changes += dev && dev->online != qmp_get_bool(vcpu, "online", false);
	}
	return changes;
}

/*
 * In the order given, up to the first failure. If something was done before it, the
 * number done is the answer, and the error shows at the next call.
 */
static int work_set_vcpus(struct request *rq)
{
	struct json_object *list = qmp_get_array(rq->args, "vcpus");
	size_t n = json_object_array_length(list), done = 0;
	struct model *m = &rq->agent->model;
	struct expedite *batch;
	int r = lock_begin_local(&rq->agent->lock, ME, &rq->err);

	if (r < 0)
		return r;
	batch = expedite_begin(m->expedite, count_changes(m, list));
	for (; done < n && r >= 0; done += r >= 0)
		r = set_vcpu(rq->agent, json_object_array_get_idx(list, done), &rq->err);
	expedite_end(batch);
	lock_end_local(&rq->agent->lock, ME);
	if (r < 0 && !done)
		return r;
	rq->ret = json_object_new_int64((int64_t)done);
	return 0;
}

static void op_set_vcpus(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct ls_err err = { 0 };

	if (check_elements(qmp_get_array(args, "vcpus"), vcpu_fields, N(vcpu_fields), &err) < 0)
		qmp_reply_err(call, &err);
	else
		request_start(arg, call, args, 0, work_set_vcpus);
}

/* ---- memory blocks ------------------------------------------------------------ */

static int work_get_blocks(struct request *rq)
{
	rq->ret = device_list(rq, DEVICE_MEMORY, "phys-index");
	return 0;
}

static void op_get_blocks(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, 0, work_get_blocks);
}

/* QEMU's four answers; only the last has an error code. */
static struct json_object *block_response(int64_t id, const char *response, int r)
{
	struct json_object *o = object_with("phys-index", json_object_new_int64(id));

	json_object_object_add(o, "response", json_object_new_string(response));
	if (r < 0)
		json_object_object_add(o, "error-code", json_object_new_int(-r));
	return o;
}

static struct json_object *set_block(struct model *m, struct json_object *block)
{
	int64_t id = qmp_get_int(block, "phys-index", -1);
	bool online = qmp_get_bool(block, "online", false);
	struct device *dev = device_of(m, DEVICE_MEMORY, id);
	struct hook_memory hooks;
	struct ls_err err = { 0 };
	int r;

	if (!dev)
		return block_response(id, "not-found", 0);
	dev->online_as = "online";
	r = hook_memory_begin_one(&hooks, dev, online, &err);
	if (r == 0) {
		r = online ? device_online(dev, &err) : device_offline(dev, &err);
		hook_memory_end(&hooks);
	}
	if (r < 0)
		log_info("guest-set-memory-blocks: %s", err.text);
	return r < 0 ? block_response(id, "operation-failed", r) : block_response(id, "success", 0);
}

static struct json_object *set_blocks(struct model *m, struct json_object *list)
{
	struct json_object *out = json_object_new_array();
	size_t i, n = json_object_array_length(list);

	for (i = 0; i < n; i++)
		json_object_array_add(out, set_block(m, json_object_array_get_idx(list, i)));
	return out;
}

static struct json_object *refuse_blocks(struct json_object *list)
{
	struct json_object *out = json_object_new_array();
	size_t i, n = json_object_array_length(list);

	for (i = 0; i < n; i++) {
		int64_t id = qmp_get_int(json_object_array_get_idx(list, i), "phys-index", -1);

		json_object_array_add(out, block_response(id, "operation-not-supported", 0));
	}
	return out;
}

static int work_set_blocks(struct request *rq)
{
	struct json_object *list = qmp_get_array(rq->args, "mem-blks");
	struct model *m = &rq->agent->model;
	int r;

	if (!m->block_bytes) {
		rq->ret = refuse_blocks(list);
		return 0;
	}
	r = lock_begin_local(&rq->agent->lock, ME, &rq->err);
	if (r < 0)
		return r;
	rq->ret = set_blocks(m, list);
	lock_end_local(&rq->agent->lock, ME);
	return 0;
}

static void op_set_blocks(struct qmp_call *call, struct json_object *args, void *arg)
{
	struct ls_err err = { 0 };

	if (check_elements(qmp_get_array(args, "mem-blks"), block_fields, N(block_fields), &err) <
	    0)
		qmp_reply_err(call, &err);
	else
		request_start(arg, call, args, 0, work_set_blocks);
}

static int work_block_info(struct request *rq)
{
	if (!rq->agent->model.block_bytes)
		return ls_err_set(&rq->err, -EOPNOTSUPP, "this kernel has no memory blocks");
	rq->ret = object_with("size", json_object_new_int64(rq->agent->model.block_bytes));
	return 0;
}

static void op_block_info(struct qmp_call *call, struct json_object *args, void *arg)
{
	request_start(arg, call, args, 0, work_block_info);
}

const struct qmp_verb qga_verbs[] = {
	{ "guest-ping", op_ping, NULL, 0 },
	{ "guest-info", op_info, NULL, 0 },
	{ "guest-get-vcpus", op_get_vcpus, NULL, 0 },
	{ "guest-set-vcpus", op_set_vcpus, vcpus_args, N(vcpus_args) },
	{ "guest-get-memory-blocks", op_get_blocks, NULL, 0 },
	{ "guest-set-memory-blocks", op_set_blocks, blocks_args, N(blocks_args) },
	{ "guest-get-memory-block-info", op_block_info, NULL, 0 },
};
const unsigned qga_verbs_count = N(qga_verbs);
