/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state vector for people: a line a thing, disagreements in plain words.
 */
#include "show.h"

#include <inttypes.h>
#include <string.h>

#include "words.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

void show_size(char *buf, size_t len, uint64_t bytes)
{
	if (bytes && bytes % GIB == 0)
		snprintf(buf, len, "%" PRIu64 " GiB", bytes / GIB);
	else
		snprintf(buf, len, "%" PRIu64 " MiB", bytes / MIB);
}

/* Of the vCPUs of one slot. */
static const char *on_off(const struct vm_cpu *c, unsigned n)
{
	return !n ? "offline" : n < c->present ? "partly" : "online";
}

/* "cpu3"; "cpu4,5" for the threads of a core. */
static const char *guest_cpus(const struct vm_cpu *c, char *buf, size_t len)
{
	size_t at = (size_t)snprintf(buf, len, "cpu%d", c->guest_cpu[0]);

	for (unsigned i = 1; i < c->present && at < len; i++)
		at += (size_t)snprintf(buf + at, len - at, ",%d", c->guest_cpu[i]);
	return buf;
}

static bool guest_known(const struct vm *vm)
{
	return vm->agent_answers && vm->agent == AGENT_LOCKSTEP;
}

static void show_cpu(FILE *f, const struct vm *vm, unsigned slot)
{
	const struct vm_cpu *c = &vm->cpus[slot];
	const char *trouble = vm_cpu_trouble(vm, slot);
	char cpus[64];

	if (!c->plugged && !c->present)
		return;
	fprintf(f, "  %4u  %-24s", slot, !c->plugged ? "-" : c->id[0] ? c->id : "(since start)");
	if (!guest_known(vm))
		fprintf(f, "  ?");
	else if (!c->present)
		fprintf(f, "  -");
	else
		fprintf(f, "  %-7s %-8s %-*s", guest_cpus(c, cpus, sizeof(cpus)),
			on_off(c, c->device), trouble || c->node > 0 ? 8 : 0, on_off(c, c->kernel));
	if (c->node > 0)
		fprintf(f, "  node %d", c->node);
	fprintf(f, "%s%s\n", trouble ? "  ! " : "", trouble ? trouble : "");
}

static void show_mem(FILE *f, const struct vm *vm, const struct vm_mem *m)
{
	const char *trouble = vm_mem_trouble(vm, m);
	char size[32], max[32], online[32], kind[16] = "virtio-mem";

	show_size(size, sizeof(size), m->size);
	show_size(max, sizeof(max), m->max);
	show_size(online, sizeof(online), vm_mem_online(m));
	if (m->kind == VM_DIMM)
		snprintf(kind, sizeof(kind), m->slot < 0 ? "dimm" : "dimm %d", m->slot);
	fprintf(f, "  %-24s  %-10s %s", m->id, kind, size);
	if (m->kind == VM_VIRTIO_MEM)
		fprintf(f, " of %s", max);
	if (guest_known(vm))
		fprintf(f, ", %s online", online);
	fprintf(f, "%s%s\n", trouble ? "  ! " : "", trouble ? trouble : "");
}

/* Words of the guest's, or of another's, between our own. */
static void put(FILE *f, const char *before, const char *text, const char *after)
{
	fputs(before, f);
	words_put(f, text);
	fputs(after, f);
}

static void show_agent(FILE *f, const struct vm *vm)
{
	fputs("agent: lockstep-agent", f);
	if (!strcmp(vm->guard, "off") || !strcmp(vm->guard, "advisory"))
		put(f, ", guard ", vm->guard, " (nobody is kept from sysfs)");
	if (vm->lock_txn[0])
		put(f, ", lock held by ", vm->lock_txn, "");
	if (vm->window_txn[0])
		put(f, ", migration window open for ", vm->window_txn, "");
	fputc('\n', f);
}

static void show_pending(FILE *f, const struct vm *vm)
{
	unsigned i;

	fputs("  ! forced online for a migration, and not taken offline again:", f);
	for (i = 0; i < vm->n_forced; i++)
		fprintf(f, " cpu%u", vm->forced[i]);
	fputs(" (lockstep doctor --fix)\n", f);
}

static void show_guest(FILE *f, const struct vm *vm)
{
	if (vm->agent == AGENT_LOCKSTEP && vm->agent_answers)
		show_agent(f, vm);
	else if (vm->agent == AGENT_QGA)
		fprintf(f,
			"agent: QEMU's guest agent only: CPUs can be brought online, %u are; not\n"
			"       protected: no lock, no window, no memory, no check of what the "
			"guest "
			"does\n",
			vm->guest_cpus_online);
	else if (vm->agent == AGENT_LOCKSTEP)
		put(f, "agent: silent just now (", vm->agent_text, ")\n");
	else
		put(f, "agent: none answers (", vm->agent_text,
		    "): what the guest has online is not known\n");
	if (vm->restore_pending)
		show_pending(f, vm);
}

static void show_qemu(FILE *f, const char *name, const struct vm *vm)
{
	fprintf(f, "%s: %s, QEMU %u.%u.%u", name, vm_run_name(vm->run), vm->version / 10000,
		vm->version / 100 % 100, vm->version % 100);
	put(f, ", ", vm->machine, "\n");
	if (vm_mig_under_way(vm->mig))
		fprintf(f, "migration: %s\n", vm_mig_name(vm->mig));
	if (vm->surrendered)
		fprintf(f, "  ! this QEMU has given its guest away; it must not be continued\n");
	if (vm->claimed_by[0]) {
		put(f, "  ! claimed by transaction ", vm->claimed_by, "");
		fprintf(f, "; if no lockstep runs, it was interrupted: lockstep recover %s\n",
			name);
	}
}

void show_vm(FILE *f, const char *name, const struct vm *vm)
{
	char now[32], max[32], online[32];

	show_qemu(f, name, vm);
	show_guest(f, vm);
	fprintf(f, "vCPUs: %u of %u plugged", vm_vcpus(vm), vm_vcpus_max(vm));
	if (guest_known(vm))
		fprintf(f, ", %u online in every view", vm_vcpus_online(vm));
	fprintf(f, "\n  slot  qemu                      guest   device   kernel\n");
	for (unsigned i = 0; i < vm->n_cpus; i++)
		show_cpu(f, vm, i);
	show_size(now, sizeof(now), vm_memory(vm));
	show_size(max, sizeof(max), vm->mem_max);
	show_size(online, sizeof(online), vm_memory_online(vm));
	fprintf(f, "memory: %s of %s plugged", now, max);
	if (guest_known(vm))
		fprintf(f, ", %s online", online);
	fputc('\n', f);
	for (unsigned i = 0; i < vm->n_mems; i++)
		show_mem(f, vm, &vm->mems[i]);
	if (vm->has_balloon) {
		show_size(now, sizeof(now), vm->balloon);
		fprintf(f, "balloon: leaves %s of boot memory and DIMMs\n", now);
	}
}

/* ---- before and after --------------------------------------------------- */

static void one_side(char *buf, size_t len, const struct vm *vm, unsigned slot)
{
	const struct vm_cpu *c = slot < vm->n_cpus ? &vm->cpus[slot] : NULL;
	char cpus[64];

	if (!c || !c->plugged)
		snprintf(buf, len, "-");
	else if (!guest_known(vm) || !c->present)
		snprintf(buf, len, "plugged, guest unknown");
	else
		snprintf(buf, len, "%s %s/%s", guest_cpus(c, cpus, sizeof(cpus)),
			 on_off(c, c->device), on_off(c, c->kernel));
}

static void mem_side(char *buf, size_t len, const struct vm_mem *m)
{
	char size[32], online[32];

	if (!m) {
		snprintf(buf, len, "-");
		return;
	}
	show_size(size, sizeof(size), m->size);
	show_size(online, sizeof(online), vm_mem_online(m));
	snprintf(buf, len, "%s, %s online", size, online);
}

static void row(FILE *f, const char *what, const char *a, const char *b)
{
	bool differs = strcmp(a, b) != 0;

	fprintf(f, "  %-24s  %-28s  %-*s%s\n", what, a, differs ? 28 : 0, b,
		differs ? "  ! differs" : "");
}

void show_side_by_side(FILE *f, const struct vm *before, const struct vm *after)
{
	char what[80], a[80], b[80];

	fprintf(f, "  %-24s  %-28s  %s\n", "", "before, at the source",
		"after, at the destination");
	for (unsigned i = 0; i < before->n_cpus; i++) {
		if (!before->cpus[i].plugged && (i >= after->n_cpus || !after->cpus[i].plugged))
			continue;
		snprintf(what, sizeof(what), "vCPU slot %u", i);
		one_side(a, sizeof(a), before, i);
		one_side(b, sizeof(b), after, i);
		row(f, what, a, b);
	}
	for (unsigned i = 0; i < before->n_mems; i++) {
		mem_side(a, sizeof(a), &before->mems[i]);
		mem_side(b, sizeof(b), vm_mem_by_id(after, before->mems[i].id));
		row(f, before->mems[i].id, a, b);
	}
	show_size(a, sizeof(a), vm_memory_online(before));
	show_size(b, sizeof(b), vm_memory_online(after));
	row(f, "memory online", a, b);
}

/* ---- after a change ------------------------------------------------------ */

static void show_unknown(FILE *f, const struct vm *vm)
{
	put(f, "; not known how much of it the guest has online: no agent answers (",
	    vm->agent_answers ? "only QEMU's own, which knows no memory" : vm->agent_text, ")\n");
}

void show_now(FILE *f, const char *name, const struct vm *vm, enum wish_kind kind)
{
	bool vcpus = wish_is_of_cpus(kind);
	char size[32], online[32];

	if (kind == WISH_BALLOON) {
		show_size(size, sizeof(size), vm->balloon);
		fprintf(f, "%s: the balloon leaves it %s of boot memory and DIMMs\n", name, size);
		return;
	}
	show_size(size, sizeof(size), vm_memory(vm));
	show_size(online, sizeof(online), vm_memory_online(vm));
	if (vcpus)
		fprintf(f, "%s: %u vCPUs plugged", name, vm_vcpus(vm));
	else
		fprintf(f, "%s: %s plugged", name, size);
	if (!vm->agent_answers || (!vcpus && vm->agent != AGENT_LOCKSTEP))
		show_unknown(f, vm);
	else if (vcpus)
		fprintf(f, ", %u online in the guest%s\n", vm_vcpus_online(vm),
			vm->agent == AGENT_QGA ? " (as QEMU's own guest agent counts; nothing "
						 "keeps others from changing it)"
					       : "");
	else
		fprintf(f, ", %s online in the guest\n", online);
}
