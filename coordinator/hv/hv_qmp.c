/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs that QEMU answers, as QMP commands.
 *
 * What goes to a QEMU comes from here and from the QEMU itself that it goes to: types
 * and properties of vCPUs from its own list, never from another's.
 */
#include "hv_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void cpu_add(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	for (unsigned i = 0; i < rq->n; i++) {
		const struct item *it = &rq->t->items[rq->todo[i]];

		if (it->slot < 0 || (unsigned)it->slot >= hv->n_slots)
			continue;
		batch_add_item(b, &hv->monitor, "device_add",
			       qmp_args_device_add(hv->slots[it->slot].type, it->id,
						   hv->slots[it->slot].props),
			       rq->todo[i]);
	}
}

/* What it is that was asked for: a slot, or an entry of hv->unplugs. */
static bool *asked(struct hv *hv, int64_t id)
{
	if (id >= 0)
		return id < hv->n_slots ? &hv->slots[id].asked : NULL;
	return -1 - id < hv->n_unplugs ? &hv->unplugs[-1 - id].asked : NULL;
}

/* QEMU has not even passed it on; unless somebody did before, and it is under way. */
static void on_del(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct part *p = arg;
	bool *flag = asked(p->b->hv, p->items[0].id);

	(void)q, (void)value;
	if (err && err->code == -EREMOTEIO && !strstr(err->text, "in the process of unplug")) {
		if (flag)
			*flag = false;
		mark_remove(p->b->hv, p->mark);
	}
	if (err)
		batch_bad(p->b, p->items[0].item, err);
	batch_done(p->b);
}

static void device_del(struct hv *hv, const struct hv_request *rq, struct batch *b, unsigned item,
		       int64_t id)
{
	const struct item *it = &rq->t->items[item];
	struct part *p = part_new(b);

	part_item(p, item, id);
	mark_name(p->mark, it->id, it->backend);
	mark_set(b, p->mark, rq->t->id);
	batch_add_part(p, &hv->monitor, "device_del", qmp_args_id(it->id), on_del);
}

static void cpu_del(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	for (unsigned i = 0; i < rq->n; i++) {
		const struct item *it = &rq->t->items[rq->todo[i]];

		if (it->slot < 0 || (unsigned)it->slot >= hv->n_slots)
			continue;
		if (!b->sink) {
			hv->slots[it->slot].asked = true;
			hv->slots[it->slot].refused = false;
		}
		device_del(hv, rq, b, rq->todo[i], it->slot);
	}
}

static struct json_object *dimm_props(const char *backend, int slot, uint64_t addr)
{
	struct json_object *props = json_object_new_object();

	json_object_object_add(props, "memdev", json_object_new_string(backend));
	json_object_object_add(props, "slot", json_object_new_int(slot));
	if (addr)
		json_object_object_add(props, "addr", json_object_new_uint64(addr));
	return props;
}

/* As qmp_args_*(). */
static struct json_object *dimm_args(const char *id, const char *backend, int slot, uint64_t addr)
{
	struct json_object *props = dimm_props(backend, slot, addr);
	struct json_object *args = qmp_args_device_add("pc-dimm", id, props);

	json_object_put(props);
	return args;
}

/* It comes again under its name: what was asked of the one before is over. */
static void dimm_add(struct hv *hv, const struct item *it, struct batch *b, unsigned item)
{
	struct hv_unplug *u = b->sink ? NULL : hv_unplug(hv, it->id, false);
	char mark[MARK_BYTES];

	if (u) {
		u->asked = u->refused = false;
		mark_name(mark, it->id, it->backend);
		mark_remove(hv, mark);
	}
	batch_add_item(b, &hv->monitor, "device_add", dimm_args(it->id, it->backend, it->slot, 0),
		       item);
}

static void dimm_del(struct hv *hv, const struct hv_request *rq, struct batch *b, unsigned item)
{
	struct hv_unplug *u = b->sink ? NULL : hv_unplug(hv, rq->t->items[item].id, true);

	if (u) {
		u->asked = true;
		u->refused = false;
	}
	device_del(hv, rq, b, item, u ? -1 - (u - hv->unplugs) : INT64_MAX);
}

static struct json_object *size_args(const char *id, uint64_t bytes)
{
	char path[LS_NAME_BYTES + sizeof(PERIPHERAL_PATH)];

	snprintf(path, sizeof(path), PERIPHERAL_PATH "%s", id);
	return qmp_args_qom_set_int(path, "requested-size", (int64_t)bytes);
}

static void memory_item(struct hv *hv, const struct hv_request *rq, unsigned item, struct batch *b)
{
	const struct item *it = &rq->t->items[item];
	struct conn *m = &hv->monitor;

	switch (rq->verb) {
	case VERB_BACKEND_ADD:
		batch_add_item(b, m, "object-add",
			       backend_args(rq->t->backing, it->backend, it->size), item);
		break;
	case VERB_BACKEND_DEL:
		batch_add_item(b, m, "object-del", qmp_args_id(it->backend), item);
		break;
	case VERB_DIMM_ADD:
		dimm_add(hv, it, b, item);
		break;
	case VERB_DIMM_DEL:
		dimm_del(hv, rq, b, item);
		break;
	default:
		batch_add_item(b, m, "qom-set", size_args(it->id, rq->level[item]), item);
	}
}

/* The source's devices, made here under the same names; types and properties are our own. */
static void mirror(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	const struct vm *src = &rq->view->vm[SIDE_SRC], *dst = &rq->view->vm[SIDE_DST];

	for (unsigned i = 0; i < src->n_cpus && i < hv->n_slots; i++)
		if (src->cpus[i].plugged && !dst->cpus[i].plugged && src->cpus[i].id[0])
			batch_add(b, &hv->monitor, "device_add",
				  qmp_args_device_add(hv->slots[i].type, src->cpus[i].id,
						      hv->slots[i].props));
	for (unsigned i = 0; i < src->n_mems; i++) {
		const struct vm_mem *m = &src->mems[i];

		if (m->kind != VM_DIMM || !m->plugged || vm_mem_by_id(dst, m->id))
			continue;
		batch_add(b, &hv->monitor, "object-add", backend_args("", m->backend, m->max));
		batch_add(b, &hv->monitor, "device_add",
			  dimm_args(m->id, m->backend, m->slot, m->addr));
	}
}

static void params(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	unsigned want = rq->verb == VERB_PARAMS_SET ? CAP_OURS : rq->t->mig->caps_before[rq->side];
	unsigned known = rq->view->vm[rq->side].caps_known;
	struct qmp_capability list[HV_N_CAPS] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < HV_N_CAPS; i++) {
		if (!(known & hv_caps[i].bit))
			continue;
		snprintf(list[n].name, sizeof(list[n].name), "%s", hv_caps[i].name);
		list[n++].on = want & hv_caps[i].bit;
	}
	batch_add(b, &hv->monitor, "migrate-set-capabilities", qmp_args_capabilities(list, n));
}

static void claim(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	char data[160], host[64] = "";

	gethostname(host, sizeof(host) - 1);
	snprintf(data, sizeof(data), "%s %" PRIu64 " %d %s %s", rq->t->id, rq->t->epoch,
		 (int)getpid(), txn_op_name(rq->t->op), host);
	batch_add(b, &hv->monitor, "object-add", qmp_args_object_add_secret(CLAIM_ID, data));
}

/* Up to the commit nobody but the source may run the guest: bring it back whatever it is in. */
static void src_resume(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	const struct vm *vm = &rq->view->vm[rq->side];
	struct ls_err err;

	if (vm->surrendered || rq->t->crossed) {
		ls_err_set(&err, -EPERM,
			   "this QEMU has given its guest away; it is never continued");
		batch_fail(b, &err);
	} else if (vm_mig_under_way(vm->mig)) {
		batch_add(b, &hv->monitor, "migrate_cancel", NULL);
	} else {
		batch_add(b, &hv->monitor, "cont", NULL);
	}
}

static void quit(struct hv *hv, struct batch *b)
{
	if (!hv->gone)
		batch_add(b, &hv->monitor, "quit", NULL);
	if (!b->sink)
		lease_stop(hv);
}

static void qemu_ask(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	struct conn *m = &hv->monitor;

	switch (rq->verb) {
	case VERB_CLAIM:
		claim(hv, rq, b);
		break;
	case VERB_UNCLAIM:
		/* One that somebody else has put in its place is theirs. */
		if (!hv->gone && !strcmp(rq->view->vm[rq->side].claimed_by, rq->t->id))
			batch_add(b, m, "object-del", qmp_args_id(CLAIM_ID));
		break;
	case VERB_CPU_ADD:
		cpu_add(hv, rq, b);
		break;
	case VERB_CPU_DEL:
		cpu_del(hv, rq, b);
		break;
	case VERB_BALLOON:
		batch_add(b, m, "balloon", qmp_args_balloon((int64_t)rq->level[0]));
		break;
	case VERB_PARAMS_SET:
	case VERB_PARAMS_RESTORE:
		if (!hv->gone)
			params(hv, rq, b);
		break;
	case VERB_MIRROR:
		mirror(hv, rq, b);
		break;
	case VERB_INCOMING:
		batch_add(b, m, "migrate-incoming", qmp_args_uri(rq->t->mig->uri));
		break;
	case VERB_MIGRATE:
		batch_add(b, m, "migrate", qmp_args_uri(rq->t->mig->uri));
		break;
	case VERB_SRC_RESUME:
		src_resume(hv, rq, b);
		break;
	case VERB_MIGRATE_CONTINUE:
		batch_add(b, m, "migrate-continue", qmp_args_migrate_continue("pre-switchover"));
		break;
	case VERB_SURRENDER:
		batch_add(b, m, "object-add",
			  qmp_args_object_add_secret(SURRENDERED_ID, rq->t->id));
		break;
	case VERB_CONT:
		batch_add(b, m, "cont", NULL);
		break;
	case VERB_QUIT:
		quit(hv, b);
		break;
	default:
		for (unsigned i = 0; i < rq->n; i++)
			memory_item(hv, rq, rq->todo[i], b);
	}
}

static bool for_the_guest(enum verb verb)
{
	switch (verb) {
	case VERB_GUEST_LOCK:
	case VERB_GUEST_UNLOCK:
	case VERB_CPU_ONLINE:
	case VERB_CPU_OFFLINE:
	case VERB_MEM_ONLINE:
	case VERB_MEM_OFFLINE:
	case VERB_WINDOW_OPEN:
	case VERB_WINDOW_CLOSE:
		return true;
	default:
		return false;
	}
}

static void ask(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	if (for_the_guest(rq->verb))
		guest_ask(hv, rq, b);
	else
		qemu_ask(hv, rq, b);
}

void hv_ask(struct hv *hv, const struct hv_request *rq, hv_reply_fn fn, void *arg)
{
	struct batch *b =
		rq->verb == VERB_CPU_ADD ? plug_batch(hv, rq, fn, arg) : batch_new(hv, fn, arg);

	b->bad = rq->bad;
	if (rq->limit_ms > HV_ASK_MS)
		batch_limit(b, rq->limit_ms);
	ask(hv, rq, b);
	batch_done(b);
}

void hv_dry(struct hv *hv, const struct hv_request *rq, hv_sink_fn fn, void *arg)
{
	struct batch b = { .hv = hv, .sink = fn, .arg = arg };

	ask(hv, rq, &b);
	batch_free_parts(&b);
}
