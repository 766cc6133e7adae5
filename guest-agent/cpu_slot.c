/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DOC: x86 says it in the CPU's ACPI name. A pSeries plugs whole cores, and its kernel
 * says which thread a CPU is: physical_id is the core's number plus that of the thread in
 * it. The core's number is the address of its node in the device tree, "PowerPC,POWER9@8".
 *
 * The link cpuN/of_node, which would be shorter, is made once at boot for all CPUs that
 * could ever be: that of a CPU plugged later shows core 0 for good (seen on 6.1).
 */
#include "cpu_slot.h"

#include <stdlib.h>
#include <string.h>

#include <lockstep/limits.h>

#include "cpu.h"
#include "sysfs.h"

#define TREE_DIR "firmware/devicetree/base/cpus"

static int in_range(long slot)
{
	return slot < 0 || slot >= LS_CPUS_MAX ? -1 : (int)slot;
}

/* "\_SB_.CPUS.C005" is slot 5; the digits are hexadecimal. */
static int slot_of_acpi(struct sysfs *s, int cpu)
{
	char path[256], *last, *end;
	long slot;

	if (sysfs_read_str(s, path, sizeof(path), CPU_DIR "/cpu%d/firmware_node/path", cpu) < 0)
		return -1;
	last = strrchr(path, '.');
	if (!last || last[1] != 'C')
		return -1;
	slot = strtol(last + 2, &end, 16);
	return end == last + 2 || *end ? -1 : in_range(slot);
}

/* The search for the core of a thread: the last one that begins at or before it. */
struct core {
	long thread;
	long number;
};

static void core_name(void *arg, const char *name)
{
	const char *at = strchr(name, '@');
	struct core *core = arg;
	long number;
	char *end;

	if (strncmp(name, "PowerPC,", strlen("PowerPC,")) || !at)
		return;
	number = strtol(at + 1, &end, 16);
	if (end != at + 1 && !*end && number <= core->thread && number > core->number)
		core->number = number;
}

static int slot_of_core(struct sysfs *s, int cpu)
{
	struct core core = { .number = -1 };
	long long thread;

	if (sysfs_read_num(s, 10, &thread, CPU_DIR "/cpu%d/physical_id", cpu) < 0)
		return -1;
	core.thread = in_range(thread);
	if (sysfs_list(s, TREE_DIR, core_name, &core) < 0)
		return -1;
	return in_range(core.number);
}

int cpu_slot(struct sysfs *s, int cpu)
{
	int slot = slot_of_acpi(s, cpu);

	return slot >= 0 ? slot : slot_of_core(s, cpu);
}
