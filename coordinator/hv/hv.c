/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's life: its connections, the process behind them, and what it says unasked.
 */
#include "hv_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

/*
 * What one message of a QEMU or an agent may cost. A look at 1,024 vCPU slots has 250 kB and
 * 25,000 values; parsed, 40,000 values take less than 4 MiB.
 */
static const struct qmp_limits limits = { .bytes = 1024 * 1024, .depth = 32, .tokens = 40000 };

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

/* ---- events ----------------------------------------------------------- */

/* The entry of a memory device; NULL if there is none, or no room, or no name. */
struct hv_unplug *hv_unplug(struct hv *hv, const char *id, bool make)
{
	struct hv_unplug *list;

	for (unsigned i = 0; i < hv->n_unplugs; i++)
		if (!strcmp(hv->unplugs[i].id, id))
			return &hv->unplugs[i];
	if (!make || !id[0] || hv->n_unplugs >= LS_MEM_DEVICES_MAX)
		return NULL;
	list = realloc(hv->unplugs, (hv->n_unplugs + 1) * sizeof(*list));
	if (!list)
		return NULL;
	hv->unplugs = list;
	memset(&list[hv->n_unplugs], 0, sizeof(*list));
	snprintf(list[hv->n_unplugs].id, LS_NAME_BYTES, "%.*s", LS_NAME_BYTES - 1, id);
	return &list[hv->n_unplugs++];
}

void hv_expect_unplug(struct hv *hv, const struct vm *vm, const char *id, bool pending)
{
	const struct vm_mem *mem = vm_mem_by_id(vm, id);
	struct hv_unplug *u = mem && mem->plugged ? hv_unplug(hv, id, pending) : NULL;
	char mark[MARK_BYTES];

	if (u)
		u->asked = pending;
	for (unsigned i = 0; i < vm->n_cpus && i < hv->n_slots; i++)
		if (!strcmp(vm->cpus[i].id, id))
			hv->slots[i].asked = pending;
	mark_name(mark, id, mem ? mem->backend : "");
	if (!pending)
		mark_remove(hv, mark);
}

/* Told once, and only of what was asked for from here. */
static void say_refused(struct hv *hv, bool asked, bool *refused, const char *what)
{
	char text[LS_NAME_BYTES + 64];

	if (asked && !*refused && hv->listener.says) {
		snprintf(text, sizeof(text), "the guest refuses to give up %s", what);
		hv->listener.says(hv->listener.arg, text);
	}
	*refused = true;
}

static void note_refusal(struct hv *hv, const char *id)
{
	struct hv_unplug *u = hv_unplug(hv, id, false);
	char what[LS_NAME_BYTES + 16];

	snprintf(what, sizeof(what), "the DIMM %s", u ? u->id : "");
	if (u)
		say_refused(hv, u->asked, &u->refused, what);
}

static void note_slot_refusal(struct hv *hv, unsigned slot)
{
	char what[40];

	snprintf(what, sizeof(what), "the vCPU in slot %u", slot);
	say_refused(hv, hv->slots[slot].asked, &hv->slots[slot].refused, what);
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
	if (!strcmp(ost.slot_type, "CPU") && hv_slot_number(ost.slot, hv->n_slots, &slot))
		note_slot_refusal(hv, slot);
	else if (!strcmp(ost.slot_type, "DIMM"))
		note_refusal(hv, ost.device);
}

/* A look that waits for the agent waits in vain from now on. */
static void on_stop(struct hv *hv)
{
	hv->running = false;
	look_connection(hv);
}

/*
 * What the agent says now it said before, what it was asked nobody will answer; the lease
 * is over. An unplug that was asked for stays asked for: QEMU does not forget it, and tells
 * the guest at the next plug (seen on 7.2: the new kernel gives the device then).
 */
static void on_reset(struct hv *hv)
{
	hv->boots++;
	hv->boot_id[0] = '\0';
	hv->boot_until_ms = hv->kind == AGENT_NONE ? 0 : hv_now_ms() + VM_BOOT_MS;
	lease_stop(hv);
	conn_restart(&hv->agent);
}

static void on_monitor_event(void *arg, const struct qmp_event *event)
{
	struct hv *hv = arg;

	if (!strcmp(event->name, "ACPI_DEVICE_OST"))
		note_ost(hv, event->data);
	else if (!strcmp(event->name, "MEM_UNPLUG_ERROR") ||
		 !strcmp(event->name, "DEVICE_UNPLUG_GUEST_ERROR"))
		note_refusal(hv, qmp_get_str(event->data, "device", ""));
	else if (!strcmp(event->name, "RESET"))
		on_reset(hv);
	else if (!strcmp(event->name, "VSERPORT_CHANGE"))
		conn_resync(&hv->agent); /* somebody may be there to hear it now */
	else if (!strcmp(event->name, "STOP"))
		on_stop(hv);
	else if (!strcmp(event->name, "RESUME"))
		hv->running = true;
	hv->listener.hint(hv->listener.arg, event->name);
}

static void on_monitor_ready(void *arg)
{
	struct hv *hv = arg;
	struct ls_err err;

	if (process_connected(hv, &err) < 0) {
		conn_drop(&hv->monitor);
		look_lost(hv, &err);
		return;
	}
	look_connection(hv);
}

static void on_monitor_lost(void *arg, const struct ls_err *err)
{
	struct hv *hv = arg;

	process_monitor_lost(hv);
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
	look_agent_lost(arg);
}

static const struct conn_ops monitor_ops = { on_monitor_ready, on_monitor_event, on_monitor_lost };
static const struct conn_ops agent_ops = { on_agent_ready, on_agent_event, on_agent_lost };

/* ---- life ------------------------------------------------------------- */

struct hv *hv_new(sd_event *loop, const char *name, const char *qmp, const char *agent,
		  const struct hv_listener *listener)
{
	struct qmp_options options = { .dialect = QMP_DIALECT_QMP, .limits = limits };
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
	lease_stop(hv);
	conn_done(&hv->monitor);
	conn_done(&hv->agent);
	queries_free(hv);
	while (hv->batches)
		batch_free(hv->batches);
	plugs_free(hv);
	for (unsigned i = 0; i < hv->n_slots; i++)
		json_object_put(hv->slots[i].props);
	free(hv->slots);
	free(hv->unplugs);
	sd_event_source_unref(hv->pid_source);
	ls_closep(&hv->pidfd);
	sd_event_unref(hv->loop);
	free(hv);
}

const struct ls_err *hv_error(const struct hv *hv)
{
	return &hv->monitor.last;
}
