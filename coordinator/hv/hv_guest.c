/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the agent of a guest is asked for; hv_guest_read.c reads what it says of itself.
 */
#include "hv_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct json_object *args_for(const struct hv_request *rq)
{
	struct json_object *args = json_object_new_object();

	json_object_object_add(args, "txn", json_object_new_string(rq->t->id));
	return args;
}

static void add_lease(struct json_object *args, const struct hv_request *rq)
{
	json_object_object_add(args, "epoch", json_object_new_int64((int64_t)rq->t->epoch));
	json_object_object_add(args, "lease-ms", json_object_new_int(LEASE_MS));
}

/* One that comes too late to count is adopted by the next look, if it is still wanted. */
static void on_held(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct batch *b = arg;

	(void)q, (void)value;
	if (err)
		batch_fail(b, err);
	else if (b->fn)
		lease_begin(b->hv);
	batch_done(b);
}

static void take(struct hv *hv, const struct hv_request *rq, struct batch *b, bool window)
{
	struct json_object *args = args_for(rq);

	add_lease(args, rq);
	if (window)
		json_object_object_add(args, "mode", json_object_new_string(rq->t->mig->window));
	if (!b->sink)
		lease_ask(hv, rq->t->id, window ? LS_WIRE_WINDOW_RENEW : LS_WIRE_RENEW);
	batch_add_fn(b, &hv->agent, ls_wire[window ? LS_WIRE_WINDOW_OPEN : LS_WIRE_LOCK].name, args,
		     on_held);
}

/* "pending" of a close: what could not be restored; the agent goes on trying. */
static void on_closed(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct json_object *pending = qmp_get_array(value, "pending");
	struct batch *b = arg;
	struct ls_err left;

	(void)q;
	if (err) {
		batch_fail(b, err);
	} else if (pending && json_object_array_length(pending)) {
		struct json_object *first = json_object_array_get_idx(pending, 0);

		ls_err_set(&left, -EAGAIN,
			   "%zu CPUs are online that were offline before; cpu%" PRId64
			   ": %.100s; the agent retries, and \"lockstep doctor\" shows them",
			   json_object_array_length(pending), qmp_get_int(first, "id", -1),
			   qmp_get_str(first, "error", ""));
		batch_fail(b, &left);
	}
	batch_done(b);
}

static void give_back(struct hv *hv, const struct hv_request *rq, struct batch *b, bool window)
{
	if (!b->sink)
		lease_stop(hv);
	if (rq->t->agent != AGENT_LOCKSTEP || (window && !strcmp(rq->t->mig->window, "off")))
		return;
	batch_add_fn(b, &hv->agent, ls_wire[window ? LS_WIRE_WINDOW_CLOSE : LS_WIRE_UNLOCK].name,
		     args_for(rq), on_closed);
}

/* Whose result that is: a guest CPU's, or a block of the one device that was asked for. */
static void result_failed(struct part *p, int64_t id, const struct ls_err *err)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->items[i].id == id || p->items[i].id < 0) {
			batch_bad(p->b, p->items[i].item, err);
			return;
		}
	batch_fail(p->b, err);
}

/* The first result that failed is the error; the look tells which items are where. */
static void on_results(struct qmp *q, struct json_object *value, const struct ls_err *err,
		       void *arg)
{
	struct json_object *list = qmp_get_array(value, "results");
	struct part *p = arg;
	struct ls_err bad;

	(void)q;
	if (!list)
		list = qmp_get_array(value, "failed");
	if (err)
		batch_fail(p->b, err);
	for (size_t i = 0; !err && list && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		int64_t code = qmp_get_int(o, "code", 0);

		if (qmp_fields_check(ls_wire_obj_RESULT, LS_WIRE_N(ls_wire_obj_RESULT), false, o,
				     NULL) < 0 ||
		    code >= 0)
			continue;
		ls_err_set(&bad, (int)code, "in the guest: %.200s", qmp_get_str(o, "error", ""));
		result_failed(p, qmp_get_int(o, "id", -1), &bad);
	}
	batch_done(p->b);
}

static void add_cpu(struct part *p, struct json_object *list, unsigned item, int number)
{
	part_item(p, item, number);
	json_object_array_add(list, json_object_new_int(number));
}

/* Of a slot all its CPUs; or the one that the item names itself. */
static void add_item_cpus(struct part *p, struct json_object *list, const struct hv_request *rq,
			  unsigned item)
{
	const struct vm *vm = &rq->view->vm[rq->side];
	int slot = rq->t->items[item].slot;

	if (rq->t->op == OP_CPU)
		add_cpu(p, list, item, slot);
	else if (slot >= 0 && (unsigned)slot < vm->n_cpus)
		for (unsigned i = 0; i < vm->cpus[slot].present; i++)
			add_cpu(p, list, item, vm->cpus[slot].guest_cpu[i]);
}

static void cpus(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	struct json_object *args = args_for(rq), *list = json_object_new_array();
	bool up = rq->verb == VERB_CPU_ONLINE;
	struct part *p = part_new(b);

	for (unsigned i = 0; i < rq->n; i++)
		add_item_cpus(p, list, rq, rq->todo[i]);
	json_object_object_add(args, "cpus", list);
	batch_add_part(p, &hv->agent, ls_wire[up ? LS_WIRE_CPU_ONLINE : LS_WIRE_CPU_OFFLINE].name,
		       args, on_results);
}

static void memory(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	const struct vm *vm = &rq->view->vm[rq->side];
	bool up = rq->verb == VERB_MEM_ONLINE;

	for (unsigned i = 0; i < rq->n; i++) {
		const struct vm_mem *m = vm_mem_by_id(vm, rq->t->items[rq->todo[i]].id);
		struct json_object *args;
		struct part *p;

		if (!m)
			continue;
		p = part_new(b);
		part_item(p, rq->todo[i], -1);
		args = args_for(rq);
		json_object_object_add(args, "start", json_object_new_int64((int64_t)m->addr));
		json_object_object_add(args, "length", json_object_new_int64((int64_t)m->max));
		batch_add_part(p, &hv->agent,
			       ls_wire[up ? LS_WIRE_MEMORY_ONLINE : LS_WIRE_MEMORY_OFFLINE].name,
			       args, on_results);
	}
}

/* qemu-ga: bring online whatever is offline; it has no idea of slots. */
static void on_qga_list(struct qmp *q, struct json_object *value, const struct ls_err *err,
			void *arg)
{
	struct batch *b = arg;
	struct json_object *list = json_object_new_array(), *args = json_object_new_object();

	(void)q;
	for (size_t i = 0; !err && json_object_is_type(value, json_type_array) &&
			   i < json_object_array_length(value) && i < LS_CPUS_MAX;
	     i++) {
		struct json_object *o = json_object_array_get_idx(value, i), *one;

		if (qmp_get_bool(o, "online", true))
			continue;
		one = json_object_new_object();
		json_object_object_add(one, "logical-id",
				       json_object_new_int64(qmp_get_int(o, "logical-id", -1)));
		json_object_object_add(one, "online", json_object_new_boolean(true));
		json_object_array_add(list, one);
	}
	json_object_object_add(args, "vcpus", list);
	if (err)
		batch_fail(b, err);
	if (json_object_array_length(list))
		batch_add(b, &b->hv->agent, "guest-set-vcpus", json_object_get(args));
	json_object_put(args);
	batch_done(b);
}

void guest_ask(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	switch (rq->verb) {
	case VERB_GUEST_LOCK:
	case VERB_WINDOW_OPEN:
		take(hv, rq, b, rq->verb == VERB_WINDOW_OPEN);
		break;
	case VERB_GUEST_UNLOCK:
	case VERB_WINDOW_CLOSE:
		give_back(hv, rq, b, rq->verb == VERB_WINDOW_CLOSE);
		break;
	case VERB_CPU_ONLINE:
	case VERB_CPU_OFFLINE:
		if (rq->t->agent == AGENT_QGA)
			batch_add_fn(b, &hv->agent, "guest-get-vcpus", NULL, on_qga_list);
		else
			cpus(hv, rq, b);
		break;
	default:
		memory(hv, rq, b);
	}
}

/* ---- the doctor -------------------------------------------------------- */

struct visit {
	hv_value_fn fn;
	void *arg;
	bool fix;
	struct json_object *findings;
};

/* After the limit the visit is over, and its memory is gone: b->fn tells. */
static void on_findings(struct qmp *q, struct json_object *value, const struct ls_err *err,
			void *arg)
{
	struct batch *b = arg;
	struct visit *v = b->arg;
	struct ls_err bad;

	(void)q;
	if (!err && qmp_fields_check(ls_wire_rets_DOCTOR, LS_WIRE_N(ls_wire_rets_DOCTOR), false,
				     value, &bad) < 0)
		err = &bad;
	if (err)
		batch_fail(b, err);
	else if (b->fn)
		v->findings = json_object_get(qmp_get_array(value, "findings"));
	batch_done(b);
}

/* Asked to heal, and not answered: it goes on without us, or never heard. */
static void may_heal(const struct visit *v, struct ls_err *err)
{
	struct ls_err why = *err;

	if (v->fix && (why.code == -ETIMEDOUT || why.code == -EPIPE))
		ls_err_set(err, -EINPROGRESS,
			   "%.120s; the agent may still be healing: \"lockstep doctor\" shows what "
			   "is left",
			   why.text);
}

static void visit_over(void *arg, const struct ls_err *err)
{
	struct visit *v = arg;
	struct ls_err said = *err;

	may_heal(v, &said);
	v->fn(v->arg, v->findings, said.code ? &said : NULL);
	json_object_put(v->findings);
	free(v);
}

void hv_doctor(struct hv *hv, bool fix, unsigned limit_ms, hv_value_fn fn, void *arg)
{
	struct json_object *args = json_object_new_object();
	struct visit *v = calloc(1, sizeof(*v));
	struct ls_err err;
	struct batch *b;

	*v = (struct visit){ fn, arg, fix && hv->agent.is_ready, NULL };
	b = batch_new(hv, visit_over, v);
	batch_limit(b, limit_ms && limit_ms < HV_DOCTOR_MS ? limit_ms : HV_DOCTOR_MS);
	json_object_object_add(args, "fix", json_object_new_boolean(fix));
	if (!hv->agent.is_ready) {
		ls_err_set(&err, -ENOTCONN, "no lockstep-agent answers in this guest");
		batch_fail(b, &err);
	}
	batch_add_fn(b, &hv->agent, ls_wire[LS_WIRE_DOCTOR].name, args, on_findings);
	batch_done(b);
}
