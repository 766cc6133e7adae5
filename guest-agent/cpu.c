/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs as devices: cpuN/online beside cpu/online, and the rows of the CPU table that
 * touch the kernel.
 */
#include "cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/err.h>

#include "cpu_slot.h"
#include "cpus.h"
#include "sysfs.h"

#define LOOKS 5 /* until the two views of a CPU agree; more, and they do disagree */

static int read_mask(struct sysfs *s, const char *name, struct cpus *ret_mask)
{
	char text[SYSFS_FILE_BYTES];
	int r = sysfs_read_str(s, text, sizeof(text), CPU_DIR "/%s", name);

	return r < 0 ? r : cpus_parse(text, ret_mask);
}

int cpu_mask(struct sysfs *s, struct cpus *ret_mask)
{
	return read_mask(s, "online", ret_mask);
}

int cpu_present(struct sysfs *s, struct cpus *ret_mask)
{
	return read_mask(s, "present", ret_mask);
}

/* ---- around the driver core ------------------------------------------------ */

/* The number of the kernel's last state, which is that of the CPU we run on. */
static int running_state(struct sysfs *s, long long *ret_state)
{
	struct cpus mask = { 0 };
	int cpu, r = cpu_mask(s, &mask);

	cpus_each(cpu, &mask)
	{
		r = sysfs_read_num(s, 10, ret_state, CPU_DIR "/cpu%d/hotplug/state", cpu);
		if (r == 0)
			return 0;
	}
	return r < 0 ? r : -ENOENT;
}

int cpu_restart(struct device *dev, struct ls_err *err)
{
	const struct sysfs_how how = { .deadline_ms = dev->model->cpu_ms };
	struct sysfs *s = dev->model->sysfs;
	long long state;
	char value[24];
	int r = running_state(s, &state);

	snprintf(value, sizeof(value), "%lld", r < 0 ? 0 : state);
	if (r == 0)
		r = sysfs_write_str(s, &how, value, err, CPU_DIR "/cpu%d/hotplug/target", dev->id);
	if (r != -ENOENT)
		return r;
	return ls_err_set(err, -EBUSY,
			  "the kernel counts one CPU online and takes none offline, and cpu%d, "
			  "which came after the boot, has no hotplug/target to start it by; bring "
			  "another CPU online, then heal again",
			  dev->id);
}

/* ---- the bus ------------------------------------------------------------- */

static enum device_state cpu_state(struct device *dev)
{
	if (sysfs_is_out(dev->model->sysfs, CPU_DIR "/cpu%d/online", dev->id))
		return STATE_IN_KERNEL;
	return dev->online && dev->kernel ? STATE_ONLINE : STATE_OFFLINE;
}

static int read_views(struct device *dev, struct ls_err *err)
{
	struct sysfs *s = dev->model->sysfs;
	struct cpus mask, present;
	char online[8];
	int r;

	r = cpu_mask(s, &mask);
	if (r >= 0)
		r = cpu_present(s, &present);
	if (r < 0)
		return ls_err_set(err, r, "the kernel's CPU masks cannot be read: %s",
				  strerror(-r));
	/* A pSeries has folders for all CPUs that could ever be. */
	if (!cpus_has(&present, dev->id))
		return device_unread(dev, -ENODEV, err);
	dev->kernel = cpus_has(&mask, dev->id);
	r = sysfs_read_kept(s, &dev->file, online, sizeof(online), CPU_DIR "/cpu%d/online",
			    dev->id);
	if (r < 0 && (r != -ENOENT || (dev->known && !dev->fixed)))
		return device_unread(dev, r, err);
	dev->fixed = r < 0;
	dev->online = r < 0 ? dev->kernel : !strcmp(online, "1");
	return 0;
}

/*
 * While a write is out its file would make us wait, too: nothing is read then. Views that
 * differ are read again: somebody may have changed the CPU between one file and the other.
 */
int cpu_look(struct device *dev, struct ls_err *err)
{
	bool was_online = dev->online, was_kernel = dev->kernel;
	int looks, slot, r = 0;

	dev->state = cpu_state(dev);
	if (dev->state == STATE_IN_KERNEL)
		return 0;
	announced_before(&dev->model->announced, &dev->announced, dev->id);
	for (looks = 0; looks < LOOKS && r == 0 && (!looks || dev->online != dev->kernel); looks++)
		r = read_views(dev, err);
	if (r < 0)
		return r;
	dev->state = cpu_state(dev);
	announced_after(&dev->announced, was_online != dev->online);
	cpuhp_seen(dev, was_online != dev->online || was_kernel != dev->kernel);
	/*
	 * Every time: the kernel announces a CPU before it links its ACPI name to it
	 * (acpi_processor_add(): arch_register_cpu(), then acpi_bind_one()), and a pSeries
	 * gives the number of a core that has gone to the next one that comes.
	 */
	slot = cpu_slot(dev->model->sysfs, dev->id);
	if (slot >= 0)
		dev->slot = slot;
	return 0;
}

static int cpu_walk(struct device *dev, bool online, struct ls_err *err)
{
	const struct cpuhp_table *table = dev->model->cpuhp;

	if (dev->fixed)
		return ls_err_set(err, -EPERM, "cpu%d has no online file: it cannot change",
				  dev->id);
	dev->hp.at = online ? 0 : table->n;
	return cpuhp_walk(table, dev, online ? table->n : 0, err);
}

static int cpu_online(struct device *dev, struct ls_err *err)
{
	return cpu_walk(dev, true, err);
}

static int cpu_offline(struct device *dev, struct ls_err *err)
{
	return cpu_walk(dev, false, err);
}

const struct device_bus cpu_bus = { "cpu", "cpu", HOOK_CPU, cpu_look, cpu_online, cpu_offline };
