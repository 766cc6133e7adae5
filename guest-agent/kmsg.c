/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's words about a device that it does not give up.
 *
 * One read() of /dev/kmsg is one record (Documentation/ABI/testing/dev-kmsg):
 *
 *	PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT\n KEY=VALUE\n ...
 *
 * Bytes of TEXT that are no printable ASCII are written as \xNN by the kernel.
 */
#include "kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define RECORD_BYTES 8192 /* the kernel's own limit for one (PRINTKRB_RECORD_MAX) */
#define KMSG_DEVICE  makedev(1, 11)

/*
 * Linux 5.10 to 6.12: mm/memory_hotplug.c and mm/page_alloc.c, arch/x86/kernel/apic/vector.c,
 * kernel/cpu.c, drivers/acpi/{scan,acpi_memhotplug}.c, drivers/virtio/virtio_mem.c.
 */
static const char *const phrases[] = {
	"memory offlining",   "page dumped because:", "migrating pfn",	   "failed to isolate pfn",
	"Cannot disable CPU", "is not hotpluggable",  "failed to offline", "Offline failed",
	"Eject failed",	      "Eject incomplete",     "Unable to offline",
};

static bool is_log(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == KMSG_DEVICE;
}

void kmsg_open(struct kmsg *k)
{
	k->says[0] = '\0';
	k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (k->fd >= 0 || !is_log(STDIN_FILENO))
		return;
	k->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (k->fd >= 0)
		fcntl(k->fd, F_SETFL, O_NONBLOCK);
}

void kmsg_close(struct kmsg *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

void kmsg_begin(struct kmsg *k, const char *txn)
{
	snprintf(k->txn, sizeof(k->txn), "%s", txn);
	k->says[0] = '\0';
	if (k->fd >= 0)
		lseek(k->fd, 0, SEEK_END);
}

static bool matters(const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (strstr(text, phrases[i]))
			return true;
	return false;
}

/* The same is printed for each page of a block: once is enough. The first lines say most. */
static void add(struct kmsg *k, const char *text)
{
	size_t at = strlen(k->says);

	if (strstr(k->says, text) || (at && at + strlen(text) + 3 > sizeof(k->says)))
		return;
	snprintf(k->says + at, sizeof(k->says) - at, "%s%s", at ? "; " : "", text);
}

static void heed(struct kmsg *k, char *record)
{
	char *text = strchr(record, ';'), *end;

	if (!text)
		return;
	text++;
	end = strchr(text, '\n');
	if (end)
		*end = '\0';
	if (matters(text))
		add(k, text);
}

/* EPIPE: records were overwritten before we came; the next read goes on behind them. */
const char *kmsg_read(struct kmsg *k, const char *txn)
{
	char record[RECORD_BYTES];
	ssize_t n = 0;
	int i;

	if (strcmp(k->txn, txn))
		return "";
	for (i = 0; i < KMSG_ROUND && k->fd >= 0; i++) {
		n = read(k->fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		heed(k, record);
	}
	return k->says;
}
