/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Wishes: their words, their JSON, their planners.
 */
#include "wish.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <qmp.h>

/**
 * struct kind - One kind of wish
 * @verb:   of the daemon, and the first word for people
 * @member: of the verb's arguments that has the value, or the numbers; NULL: there is none
 * @shift:  the value for people is shown in units of 1 << shift; @unit is their letter
 * @named:  it has numbers, no value
 * @device: it is about one device, the verb's argument "device"
 */
static const struct kind {
	const char *verb, *member;
	unsigned shift;
	const char *unit;
	bool named, device;
} kinds[] = {
	[WISH_VCPUS] = { "vcpus", "count", .unit = "" },
	[WISH_PLUG] = { "vcpus-plug", "slots", .named = true },
	[WISH_UNPLUG] = { "vcpus-unplug", "slots", .named = true },
	[WISH_MEMORY] = { "memory", "bytes", 20, "M" },
	[WISH_CPU_ONLINE] = { "cpu-online", "cpus", .named = true },
	[WISH_CPU_OFFLINE] = { "cpu-offline", "cpus", .named = true },
	[WISH_DIMM_ADD] = { "dimm-add", "bytes", 20, "M" },
	[WISH_DIMM_REMOVE] = { "dimm-remove", .device = true },
	[WISH_MEMORY_RESIZE] = { "memory-resize", "bytes", 20, "M", .device = true },
	[WISH_BALLOON] = { "balloon", "bytes", 20, "M" },
};
static_assert(sizeof(kinds) / sizeof(kinds[0]) == WISH_COUNT, "a row for each kind");

enum wish_kind wish_kind_of(enum txn_op op)
{
	switch (op) {
	case OP_VCPUS:
		return WISH_VCPUS;
	case OP_CPU:
		return WISH_CPU_ONLINE;
	case OP_BALLOON:
		return WISH_BALLOON;
	default:
		return WISH_MEMORY;
	}
}

bool wish_is_of_cpus(enum wish_kind kind)
{
	return kind == WISH_VCPUS || kinds[kind].named;
}

const char *wish_verb(enum wish_kind kind)
{
	return kinds[kind].verb;
}

/* "3,5,9"; what has no room is left out. */
static void numbers_text(const struct numbers *set, char *buf, size_t len)
{
	const char *comma = "";
	size_t at = 0;
	unsigned i;

	numbers_each(i, set)
	{
		if (at >= len)
			return;
		at += (size_t)snprintf(buf + at, len - at, "%s%u", comma, i);
		comma = ",";
	}
}

void wish_text(const struct wish *w, char *buf, size_t len)
{
	const struct kind *k = &kinds[w->kind];
	size_t at = (size_t)snprintf(buf, len, "%s%s%s%s", k->verb, k->device ? " " : "", w->device,
				     k->member ? " " : "");

	for (char *c = buf; *c; c++) /* a client's word, and it goes into logs */
		*c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
	if (at >= len || !k->member)
		return;
	if (k->named)
		numbers_text(&w->which, buf + at, len - at);
	else
		at += (size_t)snprintf(buf + at, len - at, "%" PRIu64 "%s", w->value >> k->shift,
				       k->unit);
	if (w->kind == WISH_VCPUS && w->node != NODE_ANY && at < len)
		snprintf(buf + at, len - at, " on node %d", w->node);
}

void wish_from_json(enum wish_kind kind, struct json_object *args, struct wish *ret_wish)
{
	const struct kind *k = &kinds[kind];
	struct json_object *list = k->named ? qmp_get_array(args, k->member) : NULL;
	int64_t value = k->named || !k->member ? 0 : qmp_get_int(args, k->member, 0);

	*ret_wish = (struct wish){ .kind = kind,
				   .value = value < 0 ? 0 : (uint64_t)value,
				   .node = (int)qmp_get_int(args, "node", NODE_ANY),
				   .best_effort = qmp_get_bool(args, "best-effort", false),
				   .dry_run = qmp_get_bool(args, "dry-run", false) };
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		numbers_add(&ret_wish->which,
			    (unsigned)json_object_get_int(json_object_array_get_idx(list, i)) %
				    LS_CPUS_MAX);
	snprintf(ret_wish->backing, sizeof(ret_wish->backing), "%s",
		 qmp_get_str(args, "backend", ""));
	if (k->device)
		snprintf(ret_wish->device, sizeof(ret_wish->device), "%s",
			 qmp_get_str(args, "device", ""));
}

void wish_to_json(const struct wish *w, struct json_object *args)
{
	const struct kind *k = &kinds[w->kind];
	struct json_object *list;
	unsigned i;

	if (w->backing[0])
		json_object_object_add(args, "backend", json_object_new_string(w->backing));
	if (w->dry_run)
		json_object_object_add(args, "dry-run", json_object_new_boolean(true));
	if (w->best_effort)
		json_object_object_add(args, "best-effort", json_object_new_boolean(true));
	if (k->device)
		json_object_object_add(args, "device", json_object_new_string(w->device));
	if (w->kind == WISH_VCPUS && w->node != NODE_ANY)
		json_object_object_add(args, "node", json_object_new_int(w->node));
	if (!k->named) {
		if (k->member)
			json_object_object_add(args, k->member, json_object_new_uint64(w->value));
		return;
	}
	list = json_object_new_array();
	numbers_each(i, &w->which) json_object_array_add(list, json_object_new_int((int)i));
	json_object_object_add(args, k->member, list);
}

static bool one_number(const char **at, unsigned *ret)
{
	char *end;
	unsigned long v = strtoul(*at, &end, 10);

	if (**at < '0' || **at > '9' || v >= LS_CPUS_MAX)
		return false;
	*at = end;
	*ret = (unsigned)v;
	return true;
}

/* "3" or "3-5". */
static bool one_range(const char **at, struct numbers *set)
{
	unsigned from, to;

	if (!one_number(at, &from))
		return false;
	to = from;
	if (**at == '-') {
		(*at)++;
		if (!one_number(at, &to) || to < from)
			return false;
	}
	while (from <= to)
		numbers_add(set, from++);
	return true;
}

int wish_numbers(const char *text, struct ls_err *err, struct numbers *set)
{
	const char *at = text;

	while (one_range(&at, set)) {
		if (!*at)
			return 0;
		if (*at++ != ',')
			break;
	}
	return ls_err_set(err, -EINVAL, "\"%.40s\" is no list of numbers, such as 3 or 2-4,7",
			  text);
}

int wish_allowed(const struct wish *w, const char *folders, struct ls_err *err)
{
	struct backing b;
	int r = backing_parse(w->backing, err, &b);

	return r < 0 ? r : backing_allowed(&b, folders, err);
}

void wish_txn_id(char *ret_id, size_t len)
{
	static unsigned made; /* two of one process and one millisecond */
	struct timespec ts;
	uint64_t ms;

	clock_gettime(CLOCK_REALTIME, &ts);
	ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (made++)
		snprintf(ret_id, len, "%" PRIx64 ".%x.%x", ms, (unsigned)getpid(), made);
	else
		snprintf(ret_id, len, "%" PRIx64 ".%x", ms, (unsigned)getpid());
}

bool wish_is_wrong(int r)
{
	return r == -EINVAL || r == -ENOSPC;
}

/* A QEMU that has no guest yet, or has one no more, has nobody to plug anything into. */
static int check_has_guest(const struct vm *vm, struct ls_err *err)
{
	if (vm->run != VM_INMIGRATE && vm->run != VM_POSTMIGRATE)
		return 0;
	return ls_err_set(err, -EPERM, "the guest does not run here: this QEMU is %s",
			  vm_run_name(vm->run));
}

unsigned wish_waits_ms(const struct wish *w, const struct vm *vm, unsigned timeout_ms)
{
	if (w->kind == WISH_BALLOON || !vm->answers || !vm->has_agent || vm->agent_answers ||
	    check_has_guest(vm, NULL) < 0)
		return 0;
	return timeout_ms ? timeout_ms : vm->booting ? VM_BOOT_MS : WISH_AGENT_MS;
}

static int check_agent(const struct wish *w, const struct vm *vm, struct ls_err *err)
{
	if (!wish_waits_ms(w, vm, 0))
		return 0;
	return ls_err_set(err, -EBUSY,
			  "the guest's agent does not answer (%.100s): nobody would know what "
			  "became of a change, so nothing was asked; %s",
			  vm->agent_text,
			  vm->run == VM_RUNNING
				  ? "where there is no agent, take it out of the guest's "
				    "file"
				  : "let the guest run (QEMU's \"cont\") and ask again");
}

static int plan(const struct wish *w, const struct vm *vm, const char *id, struct ls_err *err,
		struct txn **ret_txn)
{
	switch (w->kind) {
	case WISH_MEMORY:
		return plan_memory(vm, id, w->value, err, ret_txn);
	case WISH_PLUG:
	case WISH_UNPLUG:
		return plan_slots(vm, id, &w->which, w->kind == WISH_PLUG, err, ret_txn);
	case WISH_CPU_ONLINE:
	case WISH_CPU_OFFLINE:
		return plan_cpu(vm, id, &w->which, w->kind == WISH_CPU_ONLINE, err, ret_txn);
	case WISH_DIMM_ADD:
		return plan_dimm_add(vm, id, w->value, w->backing, err, ret_txn);
	case WISH_DIMM_REMOVE:
		return plan_dimm_remove(vm, id, w->device, err, ret_txn);
	case WISH_MEMORY_RESIZE:
		return plan_mem_resize(vm, id, w->device, w->value, err, ret_txn);
	case WISH_BALLOON:
		return plan_balloon(vm, id, w->value, err, ret_txn);
	default:
		/* More than an unsigned holds is more than any guest has, not less. */
		return plan_node(vm, id, w->node,
				 w->value > LS_CPUS_MAX ? LS_CPUS_MAX + 1 : (unsigned)w->value, err,
				 ret_txn);
	}
}

int wish_plan(const struct wish *w, const struct vm *vm, const char *id, struct ls_err *err,
	      struct txn **ret_txn)
{
	int r = check_has_guest(vm, err);

	*ret_txn = NULL;
	if (r == 0)
		r = check_agent(w, vm, err);
	if (r == 0)
		r = plan(w, vm, id, err, ret_txn);
	if (*ret_txn)
		(*ret_txn)->best_effort = w->best_effort;
	return r;
}
