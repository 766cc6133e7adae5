/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Wishes: their words, their JSON, their planners.
 */
#include "wish.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <qmp.h>

#include "core/plan.h"

/**
 * struct kind - One kind of wish
 * @verb:   of the daemon, and the first word for people
 * @member: of the verb's arguments that has the value
 * @shift:  the value for people is shown in units of 1 << shift; @unit is their letter
 */
static const struct kind {
	const char *verb, *member;
	unsigned shift;
	const char *unit;
} kinds[] = {
	[WISH_VCPUS] = { "vcpus", "count", 0, "" },
	[WISH_MEMORY] = { "memory", "bytes", 20, "M" },
};
static_assert(sizeof(kinds) / sizeof(kinds[0]) == WISH_COUNT, "a row for each kind");

const char *wish_verb(enum wish_kind kind)
{
	return kinds[kind].verb;
}

void wish_text(const struct wish *w, char *buf, size_t len)
{
	const struct kind *k = &kinds[w->kind];

	snprintf(buf, len, "%s %" PRIu64 "%s", k->verb, w->value >> k->shift, k->unit);
}

void wish_from_json(enum wish_kind kind, struct json_object *args, struct wish *ret_wish)
{
	int64_t value = qmp_get_int(args, kinds[kind].member, 0);

	*ret_wish = (struct wish){ .kind = kind, .value = value < 0 ? 0 : (uint64_t)value };
}

void wish_to_json(const struct wish *w, struct json_object *args)
{
	json_object_object_add(args, kinds[w->kind].member, json_object_new_uint64(w->value));
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

int wish_plan(const struct wish *w, const struct vm *vm, const char *id, struct ls_err *err,
	      struct txn **ret_txn)
{
	int r = check_has_guest(vm, err);

	*ret_txn = NULL;
	if (r < 0)
		return r;
	if (w->kind == WISH_MEMORY)
		return plan_memory(vm, id, w->value, err, ret_txn);
	/* More than an unsigned holds is more than any guest has, not less. */
	return plan_vcpus(vm, id, w->value > LS_CPUS_MAX ? LS_CPUS_MAX + 1 : (unsigned)w->value,
			  err, ret_txn);
}
