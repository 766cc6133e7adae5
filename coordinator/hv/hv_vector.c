/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The answers of one look, put together: which devices there are, and what becomes of them.
 */
#include "hv_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OST_EJECTING 0x84 /* ACPI 6.4, table 6.60: ejection in progress */

static bool has_object(const struct look *k, const char *name, const char *type)
{
	for (size_t i = 0; i < k->n_objects; i++)
		if (!strcmp(k->objects[i].name, name))
			return !type || !strcmp(k->objects[i].type, type);
	return false;
}

static void add_device(struct look *k, const struct qmp_memory_device *d)
{
	const struct hv_unplug *u = hv_unplug(k->hv, d->id, false);
	struct vm_mem *m = &k->vm.mems[k->vm.n_mems];
	const char *backend = strrchr(d->memdev, '/');

	if (k->vm.n_mems == LS_MEM_DEVICES_MAX)
		return;
	if (d->kind == QMP_MEMORY_OTHER || !hv_id_ok(d->id) || !backend || !hv_id_ok(backend + 1))
		return;
	*m = (struct vm_mem){
		.kind = d->kind == QMP_MEMORY_DIMM ? VM_DIMM : VM_VIRTIO_MEM,
		.plugged = true,
		.slot = (int)d->slot,
		.addr = (uint64_t)d->addr,
		.size = (uint64_t)d->size,
	};
	snprintf(m->id, sizeof(m->id), "%.*s", LS_NAME_BYTES - 1, d->id);
	snprintf(m->backend, sizeof(m->backend), "%.*s", LS_NAME_BYTES - 1, backend + 1);
	m->requested = m->kind == VM_DIMM ? m->size : (uint64_t)d->requested_size;
	m->max = m->kind == VM_DIMM ? m->size : (uint64_t)d->max_size;
	m->granule = m->kind == VM_DIMM ? 0 : (uint64_t)d->block_size;
	m->removable = d->hotplugged && d->hotpluggable;
	m->refused = u && u->refused;
	m->unplug = u && u->asked && !u->refused ? TRI_YES : TRI_NO;
	m->anonymous = has_object(k, m->backend, "child<memory-backend-ram>");
	k->vm.n_mems++;
}

/* What a DIMM has left. Return: false if a device uses it, or it is known. */
static bool add_rest(struct look *k, const char *id, const char *backend)
{
	struct vm_mem *m = &k->vm.mems[k->vm.n_mems];

	for (unsigned i = 0; i < k->vm.n_mems; i++)
		if (!strcmp(k->vm.mems[i].backend, backend))
			return false;
	if (k->vm.n_mems == LS_MEM_DEVICES_MAX)
		return true;
	*m = (struct vm_mem){ .kind = VM_DIMM, .slot = -1, .anonymous = true };
	snprintf(m->backend, sizeof(m->backend), "%s", backend);
	snprintf(m->id, sizeof(m->id), "%s", id);
	k->vm.n_mems++;
	return true;
}

/* A backend of ours that no device uses: "ls-TXN-SLOT-mem" without "ls-TXN-SLOT". */
static void add_orphan(struct look *k, const char *backend)
{
	size_t n = strlen(backend), tail = strlen("-mem");
	char id[LS_NAME_BYTES];

	if (strncmp(backend, "ls-", 3) || n <= tail || n >= LS_NAME_BYTES ||
	    strcmp(backend + n - tail, "-mem"))
		return;
	snprintf(id, sizeof(id), "%.*s", (int)(n - tail), backend);
	add_rest(k, id, backend);
}

/* One for each device, and for each object that may turn out to be an orphan. */
static size_t most_mems(const struct look *k)
{
	size_t n = k->n_mems + k->n_objects;

	return n < LS_MEM_DEVICES_MAX ? n : LS_MEM_DEVICES_MAX;
}

/* Asked for earlier, by whomever; over when it has gone with all that it had, or is refused. */
static void put_mark(struct look *k, const char *name)
{
	struct unplug_mark mark;
	struct vm_cpu *cpu;
	struct vm_mem *mem;

	if (!mark_read(name, &mark))
		return;
	cpu = vm_cpu_by_id(&k->vm, mark.device);
	mem = vm_mem_by_id(&k->vm, mark.device);
	if (!cpu)
		hv_unplug(k->hv, mark.device, true); /* so that a refusal is noted */
	if (cpu && !cpu->refused)
		cpu->unplug = TRI_YES;
	else if (mem && !mem->refused)
		mem->unplug = TRI_YES;
	else if (cpu || mem || !has_object(k, mark.backend, NULL) ||
		 !add_rest(k, mark.device, mark.backend))
		mark_remove(k->hv, name);
}

static void put_memory(struct look *k)
{
	k->vm.mems = calloc(most_mems(k) + 1, sizeof(*k->vm.mems));
	for (size_t i = 0; k->vm.mems && i < k->n_mems; i++)
		add_device(k, &k->mems[i]);
	for (size_t i = 0; k->vm.mems && i < k->n_objects && !k->err.code; i++)
		put_mark(k, k->objects[i].name);
	for (size_t i = 0; k->vm.mems && i < k->n_objects; i++)
		add_orphan(k, k->objects[i].name);
}

bool hv_slot_number(const char *text, unsigned n, unsigned *ret_slot)
{
	char *end;
	unsigned long slot = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || slot >= n)
		return false;
	*ret_slot = (unsigned)slot;
	return true;
}

/* An eject that is under way by the guest's own word, whoever asked for it. */
static void put_ospm(struct look *k)
{
	for (size_t i = 0; i < k->n_ospm; i++) {
		const struct qmp_ospm_status *o = &k->ospm[i];
		unsigned slot;
		struct vm_mem *m = vm_mem_by_id(&k->vm, o->device);

		if (o->status != OST_EJECTING)
			continue;
		if (!strcmp(o->slot_type, "CPU") && hv_slot_number(o->slot, k->vm.n_cpus, &slot) &&
		    k->vm.cpus[slot].plugged)
			k->vm.cpus[slot].unplug = TRI_YES;
		else if (!strcmp(o->slot_type, "DIMM") && o->device[0] && m)
			m->unplug = TRI_YES;
	}
}

/* ACPI names slots as QEMU numbers them; on a pSeries the distance between cores counts. */
static void put_numbers(struct look *k)
{
	for (unsigned i = 0; i < k->vm.n_cpus; i++)
		k->vm.cpus[i].number = i * (k->facts.core_step ? k->facts.core_step : 1);
}

void look_put_together(struct look *k)
{
	put_numbers(k);
	put_memory(k);
	put_ospm(k);
}
