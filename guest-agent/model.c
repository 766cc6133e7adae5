/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scanning sysfs into the sets of devices.
 */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/err.h>
#include <lockstep/limits.h>
#include <lockstep/log.h>

#include "cpu.h"
#include "memory.h"
#include "sysfs.h"
#include "view.h"

#define CPU_WRITE_MS	30000
#define MEMORY_WRITE_MS 20000
#define BUSY_PAUSE_MS	50
#define MEMORY_ID_MAX	0x7ffffffe

void model_init(struct model *m, struct sysfs *sysfs, struct hotplug_lock *lock)
{
	*m = (struct model){
		.sysfs = sysfs,
		.lock = lock,
		.cpuhp = &cpuhp_table,
		.cpu_ms = CPU_WRITE_MS,
		.memory_ms = MEMORY_WRITE_MS,
		.pause_ms = BUSY_PAUSE_MS,
	};
	m->set[DEVICE_CPU].bus = &cpu_bus;
	m->set[DEVICE_MEMORY].bus = &memory_bus;
	memlock_init(&m->mem_hotplug);
	workers_init(&m->workers);
}

static void device_free(struct device *dev)
{
	if (dev->bus == &cpu_bus)
		workers_forget(&dev->model->workers, dev->id);
	sysfs_drop(dev->model->sysfs, &dev->file);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

void model_done(struct model *m)
{
	size_t i, k;

	for (k = 0; k < DEVICE_KIND_COUNT; k++) {
		for (i = 0; i < m->set[k].n; i++)
			device_free(m->set[k].dev[i]);
		free(m->set[k].dev);
	}
	view_withdraw(m);
	memlock_done(&m->mem_hotplug);
}

/* Index of the first device whose id is not below @id. */
static size_t set_index(const struct device_set *set, int id)
{
	size_t lo = 0, hi = set->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (set->dev[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct device *model_find(struct model *m, enum device_kind kind, int id)
{
	const struct device_set *set = &m->set[kind];
	size_t i = set_index(set, id);

	return i < set->n && set->dev[i]->id == id ? set->dev[i] : NULL;
}

static int set_grow(struct device_set *set)
{
	size_t room = set->room ? set->room * 2 : 16;
	struct device **dev = realloc(set->dev, room * sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	set->dev = dev;
	set->room = room;
	return 0;
}

static struct device *set_insert(struct model *m, struct device_set *set, size_t at, int id)
{
	struct device *dev;

	if (set->n == set->room && set_grow(set) < 0)
		return NULL;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return NULL;
	pthread_mutex_init(&dev->lock, NULL);
	dev->model = m;
	dev->bus = set->bus;
	dev->id = id;
	dev->slot = -1;
	dev->file.fd = -1;
	dev->hp.fail = -1;
	memmove(set->dev + at + 1, set->dev + at, (set->n - at) * sizeof(*set->dev));
	set->dev[at] = dev;
	set->n++;
	return dev;
}

/* One scan of one set, as the directory listing calls back. */
struct scan {
	struct model *m;
	struct device_set *set;
	int id_max;
	int result;
};

static int parse_id(const char *name, const char *prefix, int id_max)
{
	size_t len = strlen(prefix);
	char *end;
	long id;

	if (strncmp(name, prefix, len) || name[len] < '0' || name[len] > '9')
		return -1;
	errno = 0;
	id = strtol(name + len, &end, 10);
	return errno || *end || id > id_max ? -1 : (int)id;
}

static void scan_name(void *arg, const char *name)
{
	struct scan *scan = arg;
	struct device_set *set = scan->set;
	int id = parse_id(name, set->bus->prefix, scan->id_max);
	size_t i;

	if (id < 0)
		return;
	i = set_index(set, id);
	if (i == set->n || set->dev[i]->id != id)
		if ((set->n >= LS_BLOCKS_MAX || !set_insert(scan->m, set, i, id))) {
			scan->result = -ENOMEM;
			return;
		}
	set->dev[i]->present = true;
}

static void tell_presence(const struct device *dev, const char *state)
{
	struct change c = { dev->bus->name, dev->id, 1, state, "foreign" };

	if (dev->model->scanned && dev->model->tell)
		dev->model->tell(dev->model->tell_arg, &c);
}

/* What is known and cannot be read just now stays as it was. */
static bool is_there(struct device *dev)
{
	int r = dev->present ? device_look(dev, "foreign", NULL) : -ENODEV;

	return r == 0 || (dev->known && r != -ENODEV);
}

/* Look at what is there, forget what is not. */
static void settle_set(struct device_set *set)
{
	size_t i, kept = 0;

	for (i = 0; i < set->n; i++) {
		struct device *dev = set->dev[i];
		bool is_new = !dev->known;
		int slot = dev->slot;

		if (is_there(dev)) {
			if (is_new || (slot != dev->slot && dev->slot >= 0))
				tell_presence(dev, "present");
			device_end_late(dev);
			set->dev[kept++] = dev;
			continue;
		}
		if (!is_new)
			tell_presence(dev, "gone");
		dev->online = dev->kernel = false;
		dev->state = STATE_OFFLINE;
		device_end_late(dev);
		device_free(dev);
	}
	set->n = kept;
}

static int scan_set(struct model *m, enum device_kind kind, const char *dir, int id_max)
{
	struct scan scan = { .m = m, .set = &m->set[kind], .id_max = id_max };
	size_t i;
	int r;

	for (i = 0; i < scan.set->n; i++)
		scan.set->dev[i]->present = false;
	r = sysfs_list(m->sysfs, dir, scan_name, &scan);
	if (r == 0)
		r = scan.result;
	if (r < 0 && r != -ENOENT)
		return r;
	settle_set(scan.set);
	return r;
}

static void read_block_bytes(struct model *m)
{
	long long bytes;

	if (sysfs_read_num(m->sysfs, 16, &bytes, MEMORY_DIR "/block_size_bytes") == 0 && bytes > 0)
		m->block_bytes = bytes;
}

void model_set_stale(struct model *m)
{
	__atomic_store_n(&m->stale, true, __ATOMIC_SEQ_CST);
}

void model_catch_up(struct model *m)
{
	struct ls_err err = { 0 };

	if (__atomic_load_n(&m->stale, __ATOMIC_SEQ_CST) && model_scan(m, &err) < 0)
		log_error("%s", err.text);
}

/* No device comes or goes: who waits for the kernel holds some. */
void model_look_meanwhile(void *model)
{
	const struct device_set *cpus = &((struct model *)model)->set[DEVICE_CPU];
	size_t i;

	for (i = 0; i < cpus->n; i++)
		if (!cpus->dev[i]->changing)
			device_look(cpus->dev[i], "foreign", NULL);
}

int model_scan(struct model *m, struct ls_err *err)
{
	int r;

	__atomic_store_n(&m->stale, false, __ATOMIC_SEQ_CST);
	read_block_bytes(m);
	r = scan_set(m, DEVICE_CPU, CPU_DIR, LS_CPUS_MAX - 1);
	if (r == 0) {
		r = scan_set(m, DEVICE_MEMORY, MEMORY_DIR, MEMORY_ID_MAX);
		if (r == -ENOENT)
			r = 0; /* a kernel without memory hotplug */
	}
	if (r < 0)
		return ls_err_set(err, r, "cannot read the kernel's devices: %s", strerror(-r));
	m->scanned = true;
	view_publish(m);
	return 0;
}
