/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scenarios that every matrix of unit tests goes through.
 */
#include "world.h"

static unsigned online_vcpus(struct world *w)
{
	struct vm vm;
	unsigned n;

	world_look(w, SIDE_SRC, &vm);
	n = vm_vcpus(&vm) == vm_vcpus_online(&vm) ? vm_vcpus(&vm) : 0;
	vm_done(&vm);
	return n;
}

static uint64_t online_memory(struct world *w)
{
	uint64_t bytes;
	struct vm vm;

	world_look(w, SIDE_SRC, &vm);
	bytes = vm_memory(&vm) == vm_memory_online(&vm) ? vm_memory(&vm) : 0;
	vm_done(&vm);
	return bytes;
}

/* 2 vCPUs, 4 are wanted. */
static void two_cpus(struct world *w)
{
	(void)w;
}

static int want_four_cpus(struct world *w, struct ls_err *err)
{
	return world_vcpus(w, 4, err);
}

static bool has_four_cpus(struct world *w)
{
	return online_vcpus(w) == 4;
}

/* 4 vCPUs, 2 are wanted. */
static void four_cpus(struct world *w)
{
	world_has_cpu(w, 2);
	world_has_cpu(w, 3);
}

static int want_two_cpus(struct world *w, struct ls_err *err)
{
	return world_vcpus(w, 2, err);
}

static bool has_two_cpus(struct world *w)
{
	return online_vcpus(w) == 2;
}

/* Boot memory and 256 MiB; 512 MiB more than fit into the virtio-mem device are wanted. */
static void little_memory(struct world *w)
{
	world_has_virtio_mem(w, 256 * W_MIB);
}

static int want_memory(struct world *w, struct ls_err *err)
{
	return world_memory(w, W_BOOT + 1536 * W_MIB, err);
}

static bool has_memory(struct world *w)
{
	return online_memory(w) == W_BOOT + 1536 * W_MIB;
}

/* 512 MiB in each of a virtio-mem device and a DIMM; none of it is wanted. */
static void much_memory(struct world *w)
{
	world_has_virtio_mem(w, 512 * W_MIB);
	world_has_dimm(w, "ls-old-0", 512 * W_MIB);
}

static int want_boot_memory(struct world *w, struct ls_err *err)
{
	return world_memory(w, W_BOOT, err);
}

static bool has_boot_memory(struct world *w)
{
	return online_memory(w) == W_BOOT;
}

/* 5 vCPUs; the guest's user took 2 and 4 of them offline. All of them are wanted. */
static void two_offline(struct world *w)
{
	struct w_cpu *cpus = w->qemu[SIDE_SRC].cpus;

	for (unsigned i = 2; i < 5; i++)
		world_has_cpu(w, i);
	cpus[2].device = cpus[2].kernel = cpus[4].device = cpus[4].kernel = false;
}

static int want_online(struct world *w, struct ls_err *err)
{
	return world_cpu(w, &(struct numbers){ 3, { [2] = true, [3] = true, [4] = true } }, true,
			 err);
}

static bool has_online(struct world *w)
{
	return online_vcpus(w) == 5;
}

/* 4 vCPUs, all online; two of them are not wanted to run, and stay plugged. */
static int want_offline(struct world *w, struct ls_err *err)
{
	return world_cpu(w, &(struct numbers){ 2, { [2] = true, [3] = true } }, false, err);
}

static bool has_offline(struct world *w)
{
	const struct w_cpu *cpus = w->qemu[SIDE_SRC].cpus;
	bool offline = true;

	for (unsigned i = 2; i < 4; i++)
		offline = offline && cpus[i].plugged && cpus[i].present && !cpus[i].device &&
			  !cpus[i].kernel;
	return offline;
}

/* 2 vCPUs, 5 are wanted, as far as they can be had: the one in slot 3 does not come online. */
static void one_broken(struct world *w)
{
	w->best_effort = true;
	w->broken = 1u << 3;
}

static int want_five_cpus(struct world *w, struct ls_err *err)
{
	return world_vcpus(w, 5, err);
}

static bool has_some(struct world *w)
{
	return online_vcpus(w) == 4 && !w->qemu[SIDE_SRC].cpus[3].plugged;
}

/* 5 vCPUs, 2 are wanted, as far as the guest gives them up: not the one in slot 3. */
static void one_stubborn(struct world *w)
{
	for (unsigned i = 2; i < 5; i++)
		world_has_cpu(w, i);
	w->best_effort = true;
	w->qemu[SIDE_SRC].cpus[3].mood = GUEST_REFUSES;
}

static bool has_lost_some(struct world *w)
{
	return online_vcpus(w) == 3 && w->qemu[SIDE_SRC].cpus[3].plugged;
}

/* As much in a DIMM of its own, though the virtio-mem device had room for it. */
static int want_a_dimm(struct world *w, struct ls_err *err)
{
	return world_dimm_add(w, 512 * W_MIB, err);
}

static bool has_a_dimm(struct world *w)
{
	return online_memory(w) == W_BOOT + 768 * W_MIB &&
	       world_mem(w, SIDE_SRC, "vm0")->size == 256 * W_MIB;
}

/* The DIMM is to go, and the virtio-mem device to stay as it is. Gone already is as good. */
static int want_no_dimm(struct world *w, struct ls_err *err)
{
	return world_dimm_remove(w, "ls-old-0", err);
}

static bool has_no_dimm(struct world *w)
{
	return online_memory(w) == W_BOOT + 512 * W_MIB && !world_mem(w, SIDE_SRC, "ls-old-0");
}

/* 256 MiB of the virtio-mem device's 512, and the DIMM as it is. */
static int want_less_of_it(struct world *w, struct ls_err *err)
{
	return world_mem_resize(w, "vm0", 256 * W_MIB, err);
}

static bool has_less_of_it(struct world *w)
{
	return online_memory(w) == W_BOOT + 768 * W_MIB &&
	       world_mem(w, SIDE_SRC, "vm0")->size == 256 * W_MIB;
}

/* The guest has all of its memory, and half of it is wanted back. */
static int want_half(struct world *w, struct ls_err *err)
{
	return world_balloon(w, W_BOOT / 2, err);
}

static bool has_half(struct world *w)
{
	return w->qemu[SIDE_SRC].balloon == W_BOOT / 2;
}

/* The other way round. */
static void half_left(struct world *w)
{
	w->qemu[SIDE_SRC].balloon = w->qemu[SIDE_SRC].balloon_goal = W_BOOT / 2;
}

static int want_all(struct world *w, struct ls_err *err)
{
	return world_balloon(w, W_BOOT, err);
}

static bool has_all(struct world *w)
{
	return w->qemu[SIDE_SRC].balloon == W_BOOT;
}

/* A plugged vCPU, a plugged DIMM, and a vCPU that the guest's user took offline. */
static void ready_to_go(struct world *w)
{
	world_has_cpu(w, 2);
	world_has_cpu(w, 3);
	world_has_dimm(w, "ls-old-0", 256 * W_MIB);
	w->qemu[SIDE_SRC].cpus[3].device = w->qemu[SIDE_SRC].cpus[3].kernel = false;
	world_has_destination(w);
}

static int want_to_go(struct world *w, struct ls_err *err)
{
	return world_migrate(w, err);
}

static bool has_gone(struct world *w)
{
	const struct w_qemu *there = &w->qemu[SIDE_DST];

	return w->qemu[SIDE_SRC].run == VM_GONE && there->run == VM_RUNNING &&
	       there->cpus[2].kernel && !there->cpus[3].kernel && !there->cpus[3].device;
}

/* clang-format off */
const struct scenario scenarios[SCENARIOS] = {
	[PLUG_CPUS]     = { "plug vCPUs",    two_cpus,      want_four_cpus,   has_four_cpus, false },
	[UNPLUG_CPUS]   = { "unplug vCPUs",  four_cpus,     want_two_cpus,    has_two_cpus, true },
	[ADD_MEMORY]    = { "add memory",    little_memory, want_memory,      has_memory, false },
	[REMOVE_MEMORY] = { "remove memory", much_memory,   want_boot_memory, has_boot_memory, true },
	[CPUS_ONLINE]   = { "online CPUs",   two_offline,   want_online,      has_online, false },
	[CPUS_OFFLINE]  = { "offline CPUs",  four_cpus,     want_offline,     has_offline, false },
	[ADD_DIMM]      = { "add a DIMM",    little_memory, want_a_dimm,      has_a_dimm, false, .another = true },
	[REMOVE_DIMM]   = { "remove a DIMM", much_memory,   want_no_dimm,     has_no_dimm, true },
	[RESIZE_DEVICE] = { "resize one",    much_memory,   want_less_of_it,  has_less_of_it, true },
	[FILL_BALLOON]  = { "fill balloon",  two_cpus,      want_half,        has_half, .partly = true },
	[EMPTY_BALLOON] = { "empty balloon", half_left,     want_all,         has_all, .partly = true },
	[PLUG_SOME] = { "plug some", one_broken, want_five_cpus, has_some,
			.partial = true },
	[UNPLUG_SOME] = { "unplug some", one_stubborn, want_two_cpus, has_lost_some, .removes = true,
			  .partial = true },
	[MIGRATE]       = { "migrate",       ready_to_go,   want_to_go,       has_gone, false },
};
/* clang-format on */

void world_wish(struct world *w, const struct scenario *s)
{
	struct ls_err err = { 0 };

	if (s->wish(w, &err))
		world_fail(w, "%s: not even begun: %s", s->name, err.text);
}

struct world *world_with(const struct scenario *s)
{
	struct world *w = world_new();

	s->prepare(w);
	return w;
}
