/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why the kernel refuses a memory block.
 *
 * An errno comes from one of few places, and each has a way out. Source: Linux,
 * mm/memory_hotplug.c, online_pages() and offline_pages(), and their notifiers:
 *
 *	EBUSY   pages could not be isolated or moved; or a driver's veto
 *	EINVAL  offline: the block has a hole or lies in two zones
 *	EINTR   offline: the signal that we send at the deadline has ended it
 *	ENOMEM  nowhere to move pages to; or nothing left to describe them with
 *	EPERM   NOTIFY_BAD: a driver's veto without an errno of its own
 *	EAGAIN  a notifier that wants to be asked again; or our write had no thread
 */
#include "memory_why.h"

#include <errno.h>
#include <string.h>

#include <lockstep/err.h>

#include "device.h"

/**
 * struct why - One errno on one way
 * @code: positive errno
 * @what: what happened; "it" is the block
 * @next: what to do
 */
struct why {
	int code;
	const char *what;
	const char *next;
};

static const struct why offline_why[] = {
	{ EBUSY, "it holds pages that cannot be moved now",
	  "end what uses them (dmesg may name it) and try again, or take another block" },
	{ EAGAIN, "the guest was short of something just now", "try again" },
	{ EINVAL, "it has a hole or lies in two zones, and can never go offline",
	  "take another block" },
	{ EINTR, "the kernel did not get its pages moved in time",
	  "try again when the guest is less busy, or take another block" },
	{ ENOMEM, "there is no free memory to move its pages to",
	  "free memory in the guest, then try again" },
	{ EPERM, "a driver in the guest forbids it",
	  "shrink that device on the host, or unload the driver" },
};

static const struct why online_why[] = {
	{ EBUSY, "its device is being changed or removed", "try again when that is over" },
	{ EAGAIN, "the guest was short of something just now", "try again" },
	{ EINVAL, "the kernel does not take it into that zone",
	  "try another zone: its file valid_zones names them" },
	{ EINTR, "the kernel was not done with it in time",
	  "try again when the guest is less busy" },
	{ ENOMEM, "there is no free memory to describe it with",
	  "free memory in the guest, then try again" },
	{ EPERM, "a driver in the guest forbids it",
	  "grow that device on the host first: virtio-mem has not plugged it yet" },
};

#define ROWS (sizeof(offline_why) / sizeof(offline_why[0]))
_Static_assert(sizeof(online_why) == sizeof(offline_why), "the same on both ways");

static const struct why *find(const struct why *row, int code)
{
	size_t i;

	for (i = 0; i < ROWS; i++)
		if (row[i].code == -code)
			return &row[i];
	return NULL;
}

int memory_why(const struct device *dev, const char *value, int code, struct ls_err *err)
{
	bool offline = !strcmp(value, "offline");
	const struct why *why = find(offline ? offline_why : online_why, code);
	const char *stays = offline ? "online" : "offline", *name = strerrorname_np(-code);

	if (code == -ENODEV || code == -ENOENT)
		return device_unread(dev, code, err);
	if (why)
		return ls_err_set(err, code, "memory%d stays %s: %s (%s): %s", dev->id, stays,
				  why->what, name, why->next);
	return ls_err_set(err, code, "memory%d stays %s: the kernel says %s to '%s': see its dmesg",
			  dev->id, stays, name ? name : strerror(-code), value);
}
