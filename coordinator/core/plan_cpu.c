/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest CPUs online and offline, without a change of what QEMU has. The item's slot is the
 * guest's number of the CPU; levels are 0 and 1.
 */
#include "plan.h"
#include "table.h"

#include <errno.h>

static bool find(const struct vm *vm, int number, struct vm_thread *ret)
{
	for (unsigned i = 0; i < vm->n_cpus; i++)
		for (unsigned k = 0; k < vm->cpus[i].present; k++)
			if (vm->cpus[i].guest_cpu[k] == number) {
				*ret = vm_cpu_thread(&vm->cpus[i], k);
				return true;
			}
	return false;
}

static struct vm_thread thread_of(const struct txn *t, const struct view *v, unsigned item)
{
	struct vm_thread unseen = { 0 };

	find(&v->vm[SIDE_SRC], t->items[item].slot, &unseen);
	return unseen;
}

static uint64_t online_full(const struct txn *t, const struct view *v, unsigned item)
{
	struct vm_thread th = thread_of(t, v, item);

	return th.device && th.kernel;
}

static uint64_t online_any(const struct txn *t, const struct view *v, unsigned item)
{
	struct vm_thread th = thread_of(t, v, item);

	return th.device || th.kernel;
}

/* clang-format off */
static const struct row rows[] = {
	ROW_CLAIM,
	ROW_GUEST_LOCK,
	{ "guest:online", SIDE_SRC, online_full, online_any, VERB_CPU_ONLINE, VERB_CPU_OFFLINE,
	  .limit_ms = 30000, .seen = agent_seen,
	  .sure_up = item_every, .sure_down = item_every },
};
/* clang-format on */

const struct table table_cpu = {
	.name = "cpu",
	.rows = rows,
	.n = sizeof(rows) / sizeof(rows[0]),
	.holds = 2,
	.boots = true,
	.alive = alive_src,
};

/* ---- what would work -------------------------------------------------- */

static int check_agent(const struct vm *vm, struct ls_err *err)
{
	if (vm->agent != AGENT_LOCKSTEP)
		return ls_err_set(err, -EOPNOTSUPP,
				  "only the guest itself can take a CPU online or offline, and no "
				  "lockstep-agent answers in it%s",
				  vm->agent == AGENT_QGA ? ": QEMU's own agent has no lock" : "");
	if (!vm->agent_answers)
		return ls_err_set(err, -EBUSY, "the guest's agent does not answer now: %s",
				  vm->agent_text);
	return 0;
}

static int check_cpu(const struct vm *vm, unsigned number, bool online, struct ls_err *err)
{
	struct vm_thread th;

	if (!find(vm, (int)number, &th))
		return ls_err_set(err, -EINVAL,
				  "the guest has no cpu%u: \"lockstep status\" shows those it has",
				  number);
	if (th.device != th.kernel)
		return ls_err_set(err, -EBUSY,
				  "cpu%u: the guest's driver core says %s, its kernel %s: "
				  "\"lockstep doctor --fix\" heals that first",
				  number, th.device ? "online" : "offline",
				  th.kernel ? "online" : "offline");
	if (!online && th.fixed)
		return ls_err_set(
			err, -EINVAL,
			"cpu%u can never go offline: the guest's kernel has no \"online\" "
			"file for it",
			number);
	return 0;
}

/* CPUs that run now and are not named. */
static unsigned left(const struct vm *vm, const struct numbers *which)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < vm->n_cpus; i++)
		for (unsigned k = 0; k < vm->cpus[i].present; k++) {
			int number = vm->cpus[i].guest_cpu[k];

			sum += vm_cpu_thread(&vm->cpus[i], k).kernel &&
			       !(number >= 0 && number < LS_CPUS_MAX && which->has[number]);
		}
	return sum;
}

static int check(const struct vm *vm, const struct numbers *which, bool online, struct ls_err *err)
{
	int r = check_agent(vm, err);
	unsigned i;

	if (r == 0 && !which->n)
		r = ls_err_set(err, -EINVAL, "no CPU is named");
	numbers_each(i, which)
	{
		if (r == 0)
			r = check_cpu(vm, i, online, err);
	}
	if (r == 0 && !online && !left(vm, which))
		r = ls_err_set(err, -EINVAL,
			       "no CPU of the guest would be left running: name fewer");
	return r;
}

static bool all_so(const struct vm *vm, const struct numbers *which, bool online)
{
	struct vm_thread th;
	bool so = true;
	unsigned i;

	numbers_each(i, which) so = so && find(vm, (int)i, &th) && th.kernel == online;
	return so;
}

int plan_cpu(const struct vm *vm, const char *id, const struct numbers *which, bool online,
	     struct ls_err *err, struct txn **ret_txn)
{
	int r = check(vm, which, online, err);
	unsigned n = 0, i;
	struct txn *t;

	*ret_txn = NULL;
	if (r < 0 || all_so(vm, which, online))
		return r < 0 ? r : 1;
	t = txn_new(OP_CPU, id, which->n, online);
	if (!t)
		return ls_err_set(err, -ENOMEM, "out of memory");
	numbers_each(i, which) t->items[n++] = (struct item){ .slot = (int)i, .goal = online };
	t->agent = vm->agent;
	*ret_txn = t;
	return 0;
}
