/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest on QEMU over QMP: its life, its events, and the verbs that QEMU answers.
 *
 * What goes to a QEMU comes from here and from the QEMU itself that it goes to: types
 * and properties of vCPUs from its own list, never from another's.
 */
#include "hv_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

uint64_t hv_now_ms(void)
{
	return qmp_now_ms();
}

sd_event_source *hv_after(struct hv *hv, uint64_t ms, sd_event_time_handler_t fn, void *arg)
{
	sd_event_source *s = NULL;

	sd_event_add_time_relative(hv->loop, &s, CLOCK_MONOTONIC, ms * 1000, 1000, fn, arg);
	return s;
}

/* ---- batches ---------------------------------------------------------- */

static void batch_free(struct batch *b)
{
	struct batch **at = &b->hv->batches;

	while (*at && *at != b)
		at = &(*at)->next;
	if (*at)
		*at = b->next;
	sd_event_source_unref(b->limit);
	free(b);
}

/* The reply is told from the loop, never from inside hv_ask(). */
static int batch_tell(sd_event_source *s, uint64_t now, void *arg)
{
	struct batch *b = arg;
	hv_reply_fn fn = b->fn;
	void *fn_arg = b->arg;
	struct ls_err err = b->err;

	(void)s, (void)now;
	b->fn = NULL;
	if (!b->pending)
		batch_free(b);
	fn(fn_arg, &err);
	return 0;
}

static int batch_late(sd_event_source *s, uint64_t now, void *arg)
{
	struct batch *b = arg;

	if (!b->err.code)
		ls_err_set(&b->err, -ETIMEDOUT, "no answer within %d ms", HV_ASK_MS);
	return batch_tell(s, now, b);
}

struct batch *batch_new(struct hv *hv, hv_reply_fn fn, void *arg)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		abort(); /* a few hundred bytes: without them no answer could be given at all */
	*b = (struct batch){ .hv = hv, .pending = 1, .fn = fn, .arg = arg, .next = hv->batches };
	hv->batches = b;
	b->limit = hv_after(hv, HV_ASK_MS, batch_late, b);
	return b;
}

void batch_fail(struct batch *b, const struct ls_err *err)
{
	if (!b->err.code)
		b->err = *err;
}

void batch_done(struct batch *b)
{
	if (--b->pending)
		return;
	if (!b->fn) {
		batch_free(b); /* it was late; this was the last straggler */
		return;
	}
	sd_event_source_unref(b->limit);
	b->limit = hv_after(b->hv, 0, batch_tell, b);
}

static void on_reply(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	(void)q, (void)value;
	if (err)
		batch_fail(arg, err);
	batch_done(arg);
}

void batch_add_fn(struct batch *b, struct conn *c, const char *name, struct json_object *args,
		  qmp_reply_fn fn)
{
	struct ls_err err;

	if (!c->is_ready) {
		json_object_put(args);
		ls_err_set(&err, -ENOTCONN, "%s: not connected", c->address);
		batch_fail(b, &err);
		return;
	}
	b->pending++;
	if (conn_submit(c, name, args, fn, b, &err) < 0) {
		batch_fail(b, &err);
		b->pending--;
	}
}

void batch_add(struct batch *b, struct conn *c, const char *name, struct json_object *args)
{
	batch_add_fn(b, c, name, args, on_reply);
}

/* ---- verbs ------------------------------------------------------------ */

static void cpu_add(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	for (unsigned i = 0; i < rq->n; i++) {
		const struct item *it = &rq->t->items[rq->todo[i]];

		if (it->slot < 0 || (unsigned)it->slot >= hv->n_slots)
			continue;
		batch_add(b, &hv->monitor, "device_add",
			  qmp_args_device_add(hv->slots[it->slot].type, it->id,
					      hv->slots[it->slot].props));
	}
}

static void cpu_del(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	for (unsigned i = 0; i < rq->n; i++) {
		const struct item *it = &rq->t->items[rq->todo[i]];

		if (it->slot < 0 || (unsigned)it->slot >= hv->n_slots)
			continue;
		hv->slots[it->slot].asked = true;
		hv->slots[it->slot].refused = false;
		batch_add(b, &hv->monitor, "device_del", qmp_args_id(it->id));
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

static void dimm_add(struct hv *hv, struct batch *b, const char *id, const char *backend, int slot,
		     uint64_t addr)
{
	struct json_object *props = dimm_props(backend, slot, addr);

	batch_add(b, &hv->monitor, "device_add", qmp_args_device_add("pc-dimm", id, props));
	json_object_put(props);
}

static void forget_refusal(struct hv *hv, const char *id)
{
	for (unsigned i = 0; i < hv->n_refusals && i < 16; i++)
		if (!strcmp(hv->refusals[i].id, id))
			hv->refusals[i].id[0] = '\0';
}

static void memory_item(struct hv *hv, const struct hv_request *rq, unsigned item, struct batch *b)
{
	const struct item *it = &rq->t->items[item];
	char path[LS_NAME_BYTES + sizeof(PERIPHERAL_PATH)];

	switch (rq->verb) {
	case VERB_BACKEND_ADD:
		batch_add(b, &hv->monitor, "object-add",
			  qmp_args_object_add_ram(it->backend, (int64_t)it->size, false));
		break;
	case VERB_BACKEND_DEL:
		batch_add(b, &hv->monitor, "object-del", qmp_args_id(it->backend));
		break;
	case VERB_DIMM_ADD:
		dimm_add(hv, b, it->id, it->backend, it->slot, 0);
		break;
	case VERB_DIMM_DEL:
		forget_refusal(hv, it->id);
		batch_add(b, &hv->monitor, "device_del", qmp_args_id(it->id));
		break;
	default:
		snprintf(path, sizeof(path), PERIPHERAL_PATH "%s", it->id);
		batch_add(b, &hv->monitor, "qom-set",
			  qmp_args_qom_set_int(path, "requested-size", (int64_t)rq->level[item]));
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
		batch_add(b, &hv->monitor, "object-add",
			  qmp_args_object_add_ram(m->backend, (int64_t)m->max, false));
		dimm_add(hv, b, m->id, m->backend, m->slot, m->addr);
	}
}

/* clang-format off */
static const struct { unsigned bit; const char *name; } caps[] = {
	{ CAP_EVENTS,                  "events" },
	{ CAP_RETURN_PATH,             "return-path" },
	{ CAP_PAUSE_BEFORE_SWITCHOVER, "pause-before-switchover" },
	{ CAP_LATE_BLOCK_ACTIVATE,     "late-block-activate" },
};
/* clang-format on */
#define N_CAPS (sizeof(caps) / sizeof(caps[0]))

static void params(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	unsigned want = rq->verb == VERB_PARAMS_SET ? CAP_OURS : rq->t->mig->caps_before[rq->side];
	unsigned known = rq->view->vm[rq->side].caps_known;
	struct qmp_capability list[N_CAPS] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < N_CAPS; i++) {
		if (!(known & caps[i].bit))
			continue;
		snprintf(list[n].name, sizeof(list[n].name), "%s", caps[i].name);
		list[n++].on = want & caps[i].bit;
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
	guest_lease_stop(hv);
}

static void qemu_ask(struct hv *hv, const struct hv_request *rq, struct batch *b)
{
	struct conn *m = &hv->monitor;

	switch (rq->verb) {
	case VERB_CLAIM:
		claim(hv, rq, b);
		break;
	case VERB_UNCLAIM:
		if (!hv->gone)
			batch_add(b, m, "object-del", qmp_args_id(CLAIM_ID));
		break;
	case VERB_CPU_ADD:
		cpu_add(hv, rq, b);
		break;
	case VERB_CPU_DEL:
		cpu_del(hv, rq, b);
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

void hv_ask(struct hv *hv, const struct hv_request *rq, hv_reply_fn fn, void *arg)
{
	struct batch *b = batch_new(hv, fn, arg);

	if (for_the_guest(rq->verb))
		guest_ask(hv, rq, b);
	else
		qemu_ask(hv, rq, b);
	batch_done(b);
}

void hv_break_claim(struct hv *hv, hv_reply_fn fn, void *arg)
{
	struct batch *b = batch_new(hv, fn, arg);

	batch_add(b, &hv->monitor, "object-del", qmp_args_id(CLAIM_ID));
	batch_done(b);
}

/* ---- events ----------------------------------------------------------- */

static void note_refusal(struct hv *hv, const char *id)
{
	snprintf(hv->refusals[hv->n_refusals++ % 16].id, LS_NAME_BYTES, "%.*s", LS_NAME_BYTES - 1,
		 id);
}

/* ACPI 6.4, 6.3.5: an eject request (3, or 0x103 from the OS) and a status that says no. */
static void note_ost(struct hv *hv, struct json_object *data)
{
	struct qmp_ospm_status ost;
	unsigned slot;

	if (qmp_decode_ospm_event(data, NULL, &ost) < 0)
		return;
	if ((ost.source != 3 && ost.source != 0x103) ||
	    (ost.status != 1 && (ost.status < 0x80 || ost.status > 0x83)))
		return;
	slot = (unsigned)strtoul(ost.slot, NULL, 10);
	if (!strcmp(ost.slot_type, "CPU") && slot < hv->n_slots)
		hv->slots[slot].refused = true;
	else if (!strcmp(ost.slot_type, "DIMM"))
		note_refusal(hv, ost.device);
}

static void on_monitor_event(void *arg, const struct qmp_event *event)
{
	struct hv *hv = arg;

	if (!strcmp(event->name, "ACPI_DEVICE_OST"))
		note_ost(hv, event->data);
	else if (!strcmp(event->name, "MEM_UNPLUG_ERROR") ||
		 !strcmp(event->name, "DEVICE_UNPLUG_GUEST_ERROR"))
		note_refusal(hv, qmp_get_str(event->data, "device", ""));
	else if (!strcmp(event->name, "STOP"))
		hv->running = false;
	else if (!strcmp(event->name, "RESUME"))
		hv->running = true;
	hv->listener.hint(hv->listener.arg, event->name);
}

static int on_process_end(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct hv *hv = arg;

	(void)fd, (void)revents;
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	hv->gone = true;
	hv->listener.hint(hv->listener.arg, "QEMU has ended");
	return 0;
}

/* The one proof of death that counts is the process's own end, and only here can it be watched. */
static void watch_process(struct hv *hv)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (hv->pidfd >= 0 ||
	    getsockopt(qmp_fd(hv->monitor.q), SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    cred.pid <= 0)
		return;
	hv->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	if (hv->pidfd < 0)
		return;
	hv->pid = cred.pid;
	sd_event_add_io(hv->loop, &hv->pid_source, hv->pidfd, EPOLLIN, on_process_end, hv);
}

static void on_monitor_ready(void *arg)
{
	struct hv *hv = arg;

	watch_process(hv);
	look_connection(hv);
}

static void on_monitor_lost(void *arg, const struct ls_err *err)
{
	struct hv *hv = arg;

	look_lost(hv, err);
	hv->listener.lost(hv->listener.arg);
}

static void on_agent_ready(void *arg)
{
	struct hv *hv = arg;

	hv->subscribed = false;
	look_connection(hv);
	hv->listener.hint(hv->listener.arg, "the agent answers");
}

static void on_agent_event(void *arg, const struct qmp_event *event)
{
	struct hv *hv = arg;

	hv->listener.hint(hv->listener.arg, event->name);
}

static void on_agent_lost(void *arg, const struct ls_err *err)
{
	(void)err;
	look_connection(arg);
}

static const struct conn_ops monitor_ops = { on_monitor_ready, on_monitor_event, on_monitor_lost };
static const struct conn_ops agent_ops = { on_agent_ready, on_agent_event, on_agent_lost };

/* ---- life ------------------------------------------------------------- */

struct hv *hv_new(sd_event *loop, const char *name, const char *qmp, const char *agent,
		  const struct hv_listener *listener)
{
	struct qmp_options options = { .dialect = QMP_DIALECT_QMP };
	struct hv *hv = calloc(1, sizeof(*hv));

	if (!hv)
		return NULL;
	hv->loop = sd_event_ref(loop);
	hv->name = name;
	hv->listener = *listener;
	hv->pidfd = -1;
	hv->has_agent = agent && agent[0];
	conn_init(&hv->monitor, loop, qmp, &options, &monitor_ops, hv);
	options.dialect = QMP_DIALECT_QGA;
	conn_init(&hv->agent, loop, agent, &options, &agent_ops, hv);
	return hv;
}

void hv_free(struct hv *hv)
{
	if (!hv)
		return;
	look_free(hv);
	guest_lease_stop(hv);
	conn_done(&hv->monitor);
	conn_done(&hv->agent);
	look_queries_free(hv);
	while (hv->batches)
		batch_free(hv->batches);
	for (unsigned i = 0; i < hv->n_slots; i++)
		json_object_put(hv->slots[i].props);
	free(hv->slots);
	sd_event_source_unref(hv->pid_source);
	ls_closep(&hv->pidfd);
	sd_event_unref(hv->loop);
	free(hv);
}

void hv_expect_pid(struct hv *hv, int pid)
{
	if (pid <= 0 || hv->pidfd >= 0)
		return;
	hv->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	hv->gone = hv->pidfd < 0 && errno == ESRCH;
	if (hv->pidfd >= 0)
		sd_event_add_io(hv->loop, &hv->pid_source, hv->pidfd, EPOLLIN, on_process_end, hv);
	hv->pid = pid;
}

int hv_pid(const struct hv *hv)
{
	return hv->pid;
}

const struct ls_err *hv_error(const struct hv *hv)
{
	return &hv->monitor.last;
}
