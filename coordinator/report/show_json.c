/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state vector as JSON: the same facts as show.c, sizes in bytes.
 */
#include "show.h"

#include <json-c/json.h>

#include "json.h"

static void add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

static struct json_object *cpu_json(const struct vm *vm, unsigned slot)
{
	const struct vm_cpu *c = &vm->cpus[slot];
	struct json_object *o = json_object_new_object();
	const char *trouble = vm_cpu_trouble(vm, slot);

	json_add_num(o, "slot", slot);
	if (c->node >= 0)
		json_add_num(o, "node", (uint64_t)c->node);
	add_bool(o, "plugged", c->plugged);
	json_add_str(o, "id", c->id);
	json_object_object_add(o, "guest-cpu",
			       json_object_new_int(c->present ? c->guest_cpu[0] : -1));
	json_add_num(o, "vcpus", c->vcpus);
	add_bool(o, "present", c->present >= c->vcpus);
	add_bool(o, "device", c->device >= c->vcpus);
	add_bool(o, "kernel", c->kernel >= c->vcpus);
	if (trouble)
		json_add_str(o, "trouble", trouble);
	return o;
}

static struct json_object *mem_json(const struct vm *vm, const struct vm_mem *m)
{
	struct json_object *o = json_object_new_object();
	const char *trouble = vm_mem_trouble(vm, m);

	json_add_str(o, "id", m->id);
	json_add_str(o, "kind", m->kind == VM_DIMM ? "dimm" : "virtio-mem");
	add_bool(o, "plugged", m->plugged);
	json_add_num(o, "size", m->size);
	json_add_num(o, "requested", m->requested);
	json_add_num(o, "max", m->max);
	json_add_num(o, "online", vm_mem_online(m));
	if (trouble)
		json_add_str(o, "trouble", trouble);
	return o;
}

struct json_object *show_vm_json(const char *name, const struct vm *vm)
{
	static const char *const agents[] = { "none", "qemu-ga", "lockstep-agent" };
	struct json_object *o = json_object_new_object();
	struct json_object *cpus = json_object_new_array(), *mems = json_object_new_array();

	json_add_str(o, "guest", name);
	json_add_str(o, "status", vm_run_name(vm->run));
	json_add_str(o, "migration", vm_mig_name(vm->mig));
	json_add_str(o, "machine", vm->machine);
	json_add_str(o, "agent", agents[vm->agent]);
	add_bool(o, "agent-answers", vm->agent_answers);
	json_add_str(o, "guard", vm->guard);
	json_add_str(o, "lock", vm->lock_txn);
	json_add_str(o, "window", vm->window_txn);
	json_add_str(o, "claimed-by", vm->claimed_by);
	json_add_num(o, "vcpus", vm_vcpus(vm));
	json_add_num(o, "vcpus-max", vm_vcpus_max(vm));
	json_add_num(o, "vcpus-online", vm_vcpus_online(vm));
	json_add_num(o, "memory", vm_memory(vm));
	json_add_num(o, "memory-max", vm->mem_max);
	json_add_num(o, "memory-online", vm_memory_online(vm));
	if (vm->headroom_known)
		json_add_num(o, "memory-headroom", vm->headroom);
	if (vm->has_balloon)
		json_add_num(o, "balloon", vm->balloon);
	for (unsigned i = 0; i < vm->n_cpus; i++)
		json_object_array_add(cpus, cpu_json(vm, i));
	for (unsigned i = 0; i < vm->n_mems; i++)
		json_object_array_add(mems, mem_json(vm, &vm->mems[i]));
	json_object_object_add(o, "cpus", cpus);
	json_object_object_add(o, "memory-devices", mems);
	return o;
}
