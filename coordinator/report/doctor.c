/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Findings, collected by the command or by lockstepd.
 */
#include "doctor.h"

#include <errno.h>

#include <json-c/json.h>
#include <lockstep/wire.h>
#include <qmp.h>

#include "json.h"

int doctor_check(const struct vm *vm, struct ls_err *err)
{
	if (vm->agent_answers && vm->agent == AGENT_LOCKSTEP)
		return 0;
	return ls_err_set(err, -EOPNOTSUPP,
			  "no lockstep-agent answers in the guest (%s): only QEMU's side was "
			  "looked at",
			  vm->agent_answers ? "only QEMU's own" : vm->agent_text);
}

static void add_found(struct json_object *findings, const char *kind, int64_t id, const char *text,
		      bool healed)
{
	struct json_object *o = json_object_new_object();

	json_add_str(o, "kind", kind);
	json_object_object_add(o, "id", json_object_new_int64(id));
	json_add_str(o, "text", text);
	json_object_object_add(o, "healed", json_object_new_boolean(healed));
	json_object_array_add(findings, o);
}

void doctor_add(struct json_object *findings, const char *kind, const char *text)
{
	add_found(findings, kind, -1, text, false);
}

void doctor_add_guest(struct json_object *findings, struct json_object *answer)
{
	for (size_t i = 0; i < json_object_array_length(answer); i++) {
		struct json_object *o = json_object_array_get_idx(answer, i);

		if (qmp_fields_check(ls_wire_obj_FINDING, LS_WIRE_N(ls_wire_obj_FINDING), false, o,
				     NULL) < 0)
			continue;
		add_found(findings, qmp_get_str(o, "kind", ""), qmp_get_int(o, "id", -1),
			  qmp_get_str(o, "text", ""), qmp_get_bool(o, "healed", false));
	}
}

/* What a coordinator has left in QEMU. */
static void add_left(struct json_object *findings, const struct vm *vm)
{
	char text[200];

	if (vm->surrendered)
		doctor_add(findings, "journal",
			   "this QEMU has given its guest away in a migration; it must not be "
			   "continued");
	if (!vm->claimed_by[0])
		return;
	snprintf(text, sizeof(text),
		 "transaction %s has claimed it in QEMU: another host's lockstep is at work, or it "
		 "was interrupted (lockstep recover)",
		 vm->claimed_by);
	doctor_add(findings, "journal", text);
}

void doctor_add_host(struct json_object *findings, const struct vm *vm)
{
	char text[200];

	add_left(findings, vm);
	for (unsigned i = 0; i < vm->n_cpus; i++) {
		const struct vm_cpu *c = &vm->cpus[i];
		const char *trouble = vm_cpu_trouble(vm, i);

		if (!trouble || (c->present && c->plugged && c->device != c->kernel))
			continue;
		snprintf(text, sizeof(text), "vCPU slot %u: %s", i, trouble);
		add_found(findings, "cpu", (int64_t)i, text, false);
	}
	for (unsigned i = 0; i < vm->n_mems; i++) {
		const char *trouble = vm_mem_trouble(vm, &vm->mems[i]);

		if (!trouble)
			continue;
		snprintf(text, sizeof(text), "memory device %s: %s", vm->mems[i].id, trouble);
		doctor_add(findings, "memory", text);
	}
}
