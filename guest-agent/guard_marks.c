/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which files the guard marks: all by which a user, a program or udev can make CPUs and
 * memory come and go. What this guest does not have is left out.
 */
#include "guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#define MASK (FAN_OPEN_PERM | FAN_MODIFY)

/* DIR/PREFIXn/FILE for each folder; without a prefix every folder of DIR. */
static const struct {
	const char *dir;
	const char *prefix;
	const char *file;
} rows[] = {
	{ "devices/system/cpu", "cpu", "online" },
	{ "devices/system/cpu", "cpu", "hotplug/target" },
	{ "devices/system/memory", "memory", "state" },
	{ "devices/system/memory", "memory", "online" },
	{ "bus/acpi/devices", "", "eject" },
};

static const char *const singles[] = {
	"devices/system/cpu/smt/control",
	"devices/system/cpu/probe",
	"devices/system/cpu/release",
	"devices/system/memory/auto_online_blocks",
	"devices/system/memory/probe",
	"power/state",
	"kernel/dlpar",
};

static void mark(struct guard *g, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return;
	fanotify_mark(g->fan[st.st_mode & S_IRUSR ? GUARD_READABLE : GUARD_WRITE_ONLY],
		      FAN_MARK_ADD, MASK, AT_FDCWD, path);
}

static bool names_device(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	if (!len)
		return name[0] != '.';
	return !strncmp(name, prefix, len) && name[len] >= '0' && name[len] <= '9';
}

static void mark_row(struct guard *g, size_t row)
{
	char path[512];
	struct dirent *de;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", g->root, rows[row].dir);
	d = opendir(path);
	if (!d)
		return;
	while ((de = readdir(d))) {
		if (!names_device(de->d_name, rows[row].prefix))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s/%s", g->root, rows[row].dir, de->d_name,
			 rows[row].file);
		mark(g, path);
	}
	closedir(d);
}

void guard_mark(struct guard *g)
{
	char path[512];
	size_t i;

	if (!g->running)
		return;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		mark_row(g, i);
	for (i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", g->root, singles[i]);
		mark(g, path);
	}
}
