/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much memory this guest can take in, from /proc/zoneinfo.
 *
 * DOC: memory costs memory
 *
 * The kernel describes each page of new memory with a struct page, and takes the room for
 * it from the memory that it has: when the memory is *added*, by ACPI or virtio-mem, long
 * before anybody sees a block that could be brought online (sparse_add_section()). That
 * room cannot be movable. So MemAvailable is the wrong number: a guest whose added memory
 * was all brought online as movable had 21.8 GB of it, and 38 MB in the zones that count;
 * 64 GiB more made it panic ("System is deadlocked on memory", Linux 6.1).
 *
 * Bringing blocks online takes nothing worth a check: docs/testing.md has the figures.
 */
#include "headroom.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

#define ZONEINFO_FILE	  "/proc/zoneinfo"
#define STRUCT_PAGE_BYTES 64
#define LEFT_BYTES	  (32 << 20) /* for the guest to go on living with */
#define MEMMAP_ON_MEMORY  "module/memory_hotplug/parameters/memmap_on_memory"

/* Pages of one zone. */
struct zone {
	char name[16];
	long long free, high, cma, file;
};

/* The kernel keeps nothing of its own in the other zones. */
static bool is_kernels(const struct zone *z)
{
	return z->name[0] && strcmp(z->name, "Movable") != 0 && strcmp(z->name, "Device") != 0;
}

/* Half of the page cache: the other half may be dirty, mapped, or in use again at once. */
static long long usable_pages(const struct zone *z)
{
	long long free = z->free - z->cma - z->high;

	return is_kernels(z) ? (free > 0 ? free : 0) + z->file / 2 : 0;
}

static void read_number(struct zone *z, const char *key, long long n)
{
	if (!strcmp(key, "nr_free_pages"))
		z->free = n;
	else if (!strcmp(key, "nr_free_cma"))
		z->cma = n;
	else if (!strcmp(key, "high"))
		z->high = n;
	else if (!strcmp(key, "nr_zone_inactive_file") || !strcmp(key, "nr_zone_active_file"))
		z->file += n;
}

/* 63, not 64: page tables and the blocks themselves took 0.5 % beside the struct pages. */
int64_t headroom_of(FILE *zoneinfo, int64_t page_bytes)
{
	struct zone z = { 0 }, next = { 0 };
	long long pages = 0, n;
	char line[128], key[64];
	int64_t spare;

	while (fgets(line, sizeof(line), zoneinfo)) {
		if (sscanf(line, "Node %*d, zone %15s", next.name) == 1) {
			pages += usable_pages(&z);
			z = next;
		} else if (sscanf(line, "%63s %lld", key, &n) == 2) {
			read_number(&z, key, n);
		}
	}
	spare = (pages + usable_pages(&z)) * page_bytes - LEFT_BYTES;
	return spare > 0 ? spare / STRUCT_PAGE_BYTES * page_bytes / 64 * 63 : 0;
}

/*
 * With memmap_on_memory new memory may bring the room for its description along: of a DIMM
 * each block does (Linux 6.8), or only one that is a single block (before). Nobody can tell
 * beforehand; who has switched it on is not held back.
 */
static bool may_describe_itself(struct sysfs *s)
{
	char value[16];

	return sysfs_read_str(s, value, sizeof(value), MEMMAP_ON_MEMORY) == 0 &&
	       strcmp(value, "N") != 0 && strcmp(value, "0") != 0;
}

int64_t headroom_now(struct sysfs *s)
{
	int64_t bytes;
	FILE *f;

	if (may_describe_itself(s))
		return -1;
	f = fopen(ZONEINFO_FILE, "re");
	if (!f)
		return -1;
	bytes = headroom_of(f, sysconf(_SC_PAGESIZE));
	fclose(f);
	return bytes;
}
