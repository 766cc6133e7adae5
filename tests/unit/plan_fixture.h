/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests of the planners: a guest as it may look, and what is said of a wish.
 */
#ifndef PLAN_FIXTURE_H
#define PLAN_FIXTURE_H

#include "../../coordinator/core/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static inline struct numbers set_of(unsigned n, const unsigned *numbers)
{
	struct numbers s = { 0 };

	for (unsigned i = 0; i < n; i++)
		numbers_add(&s, numbers[i]);
	return s;
}

#define SET(...)                                                                                   \
	set_of(sizeof((unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned), (unsigned[]){ __VA_ARGS__ })

/* A guest of @n slots, the first @boot of them there since the start; 512 MiB of 8 GiB. */
static inline struct vm guest(unsigned n, unsigned boot)
{
	struct vm vm = { .run = VM_RUNNING,
			 .answers = true,
			 .agent = AGENT_LOCKSTEP,
			 .agent_answers = true,
			 .mem_boot = 512 * MIB,
			 .mem_max = 8192 * MIB,
			 .mem_slots = 2,
			 .block_bytes = 128 * MIB };

	vm.cpus = calloc(n, sizeof(*vm.cpus));
	vm.mems = calloc(8, sizeof(*vm.mems));
	vm.n_cpus = n;
	for (unsigned i = 0; i < n; i++) {
		bool on = i < boot;

		vm.cpus[i] = (struct vm_cpu){ .vcpus = 1,
					      .plugged = on,
					      .present = on,
					      .device = on,
					      .kernel = on,
					      .fixed = i == 0,
					      .guest_cpu = { (int)i } };
	}
	return vm;
}

static inline void has_cpu(struct vm *vm, unsigned slot)
{
	struct vm_cpu *c = &vm->cpus[slot];

	c->plugged = true;
	c->present = c->device = c->kernel = c->vcpus;
	snprintf(c->id, sizeof(c->id), "cpu%u", slot);
}

static inline struct vm_mem *has_mem(struct vm *vm, enum vm_mem_kind kind, const char *id,
				     uint64_t size, uint64_t max)
{
	struct vm_mem *m = &vm->mems[vm->n_mems++];

	*m = (struct vm_mem){ .kind = kind,
			      .plugged = true,
			      .slot = -1,
			      .size = size,
			      .requested = size,
			      .max = max,
			      .granule = 2 * MIB,
			      .removable = true,
			      .anonymous = true,
			      .guest_present = size,
			      .guest_online = size };
	snprintf(m->id, sizeof(m->id), "%s", id);
	return m;
}

static inline void has_dimm(struct vm *vm, const char *id, int slot, uint64_t size)
{
	has_mem(vm, VM_DIMM, id, size, size)->slot = slot;
}

/* Refused with @code, and the text names every one of the words. */
static inline void assert_refusal(int r, int code, const struct ls_err *err,
				  const char *const *words)
{
	assert_int_equal(r, code);
	assert_int_equal(err->code, code);
	for (; *words; words++)
		if (!strstr(err->text, *words))
			fail_msg("\"%s\" does not say \"%s\"", err->text, *words);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static inline void assert_item(const struct txn *t, unsigned i, int slot, const char *id,
			       uint64_t goal)
{
	assert_true(i < t->n);
	assert_int_equal(t->items[i].slot, slot);
	assert_string_equal(t->items[i].id, id);
	assert_int_equal(t->items[i].goal, goal);
}

#endif
