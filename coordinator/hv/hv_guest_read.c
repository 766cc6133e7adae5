/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the agent of a guest says.
 *
 * Everything that comes from an agent has been checked against wire.h before it is
 * read here; numbers that name something are checked against what there is.
 */
#include "hv_private.h"

#include <stdio.h>
#include <string.h>

static bool object_ok(struct json_object *o, const struct qmp_field *fields, size_t n)
{
	return qmp_fields_check(fields, n, false, o, NULL) >= 0;
}

#define OBJECT_OK(o, id) object_ok(o, ls_wire_obj_##id, LS_WIRE_N(ls_wire_obj_##id))

static struct vm_cpu *cpu_by_number(struct vm *vm, int64_t number)
{
	for (unsigned i = 0; i < vm->n_cpus; i++)
		if (vm->cpus[i].number == number)
			return &vm->cpus[i];
	return NULL;
}

/* A slot has no more vCPUs than QEMU says, whatever the guest does. */
static void count_cpu(struct vm_cpu *c, struct json_object *o)
{
	if (!qmp_get_bool(o, "present", false) || c->present >= c->vcpus ||
	    c->present >= VM_THREADS_MAX)
		return;
	c->devices |= (unsigned)qmp_get_bool(o, "device", false) << c->present;
	c->kernels |= (unsigned)qmp_get_bool(o, "kernel", false) << c->present;
	c->fixeds |= (unsigned)qmp_get_bool(o, "fixed", false) << c->present;
	c->device += qmp_get_bool(o, "device", false);
	c->kernel += qmp_get_bool(o, "kernel", false);
	c->fixed |= qmp_get_bool(o, "fixed", false);
	c->guest_cpu[c->present++] = (int)qmp_get_int(o, "cpu", -1);
}

static void read_cpus(struct json_object *list, struct vm *vm)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		struct vm_cpu *c = cpu_by_number(vm, qmp_get_int(o, "slot", -1));

		if (c && OBJECT_OK(o, CPU))
			count_cpu(c, o);
	}
}

/* Bytes of a run of blocks that lie in a device's range. */
static uint64_t overlap(const struct vm_mem *m, uint64_t start, uint64_t bytes)
{
	uint64_t from = start > m->addr ? start : m->addr;
	uint64_t end = start + bytes, m_end = m->addr + m->max;
	uint64_t to = end < m_end ? end : m_end;

	return to > from ? to - from : 0;
}

static void read_run(struct json_object *o, struct vm *vm)
{
	uint64_t first = (uint64_t)qmp_get_int(o, "first", 0);
	uint64_t count = (uint64_t)qmp_get_int(o, "count", 0);
	bool online = !strcmp(qmp_get_str(o, "state", ""), "online");

	if (first > INT64_MAX / vm->block_bytes || count > LS_BLOCKS_MAX)
		return;
	for (unsigned i = 0; i < vm->n_mems; i++) {
		uint64_t bytes =
			overlap(&vm->mems[i], first * vm->block_bytes, count * vm->block_bytes);

		vm->mems[i].guest_present += bytes;
		vm->mems[i].guest_online += online ? bytes : 0;
	}
}

static void read_memory(struct json_object *memory, struct vm *vm)
{
	struct json_object *runs = qmp_get_array(memory, "blocks");

	if (!memory || !OBJECT_OK(memory, MEMORY))
		return;
	vm->block_bytes = (uint64_t)qmp_get_int(memory, "block-bytes", 0);
	vm->headroom = (uint64_t)qmp_get_int(memory, "headroom-bytes", -1);
	vm->headroom_known = vm->headroom <= INT64_MAX;
	for (size_t i = 0; runs && i < json_object_array_length(runs); i++)
		if (OBJECT_OK(json_object_array_get_idx(runs, i), BLOCKS))
			read_run(json_object_array_get_idx(runs, i), vm);
}

static void read_window(struct json_object *window, struct vm *vm)
{
	struct json_object *forced = qmp_get_array(window, "forced");
	const char *state = qmp_get_str(window, "state", "");

	if (!window || !OBJECT_OK(window, WINDOW))
		return;
	vm->restore_pending = !strcmp(state, "restore-pending");
	if (!strcmp(state, "open"))
		hv_copy_txn(vm->window_txn, qmp_get_str(window, "txn", ""));
	vm->forced = calloc(json_object_array_length(forced) + 1, sizeof(*vm->forced));
	for (size_t i = 0; vm->forced && i < json_object_array_length(forced); i++)
		vm->forced[vm->n_forced++] =
			(unsigned)json_object_get_int(json_object_array_get_idx(forced, i));
}

/* Another kernel without a reset: kexec. The first one that is heard of is not another. */
static void read_boot(struct hv *hv, const char *id)
{
	if (hv->boot_id[0] && strcmp(hv->boot_id, id))
		hv->boots++;
	snprintf(hv->boot_id, sizeof(hv->boot_id), "%s", id);
}

/* It goes into reasons and records, and comes from a guest: printable, and one line. */
static void copy_words(char *ret_text, size_t len, const char *words)
{
	snprintf(ret_text, len, "%s", words);
	for (char *c = ret_text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void guest_read_status(struct hv *hv, struct json_object *value, struct vm *vm)
{
	struct json_object *lock = qmp_get_obj(value, "lock");

	if (OBJECT_OK(lock, LOCK)) {
		vm->epoch = (uint64_t)qmp_get_int(lock, "epoch", 0);
		if (qmp_get_bool(lock, "held", false))
			hv_copy_txn(vm->lock_txn, qmp_get_str(lock, "txn", ""));
	}
	copy_words(vm->kernel_says, sizeof(vm->kernel_says), qmp_get_str(value, "kernel-says", ""));
	read_boot(hv, qmp_get_str(value, "boot-id", ""));
	snprintf(vm->guard, sizeof(vm->guard), "%s", qmp_get_str(value, "guard", ""));
	read_window(qmp_get_obj(value, "window"), vm);
	lease_adopt(hv, vm);
	read_cpus(qmp_get_array(value, "cpus"), vm);
	read_memory(qmp_get_obj(value, "memory"), vm);
}

/* qemu-ga: numbers only; QEMU's shape, [{"logical-id", "online", "can-offline"}]. */
void guest_read_vcpus(struct json_object *value, struct vm *vm)
{
	if (!json_object_is_type(value, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(value) && i < LS_CPUS_MAX; i++) {
		vm->guest_cpus++;
		vm->guest_cpus_online +=
			qmp_get_bool(json_object_array_get_idx(value, i), "online", false);
	}
}
