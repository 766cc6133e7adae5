/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking the kernel to bring memory online as the agent does.
 */
#include "auto_online.h"

#include <errno.h>
#include <string.h>

#include <lockstep/err.h>

#include "memory.h"
#include "sysfs.h"

#define SETTING	 MEMORY_DIR "/auto_online_blocks"
#define WRITE_MS 500 /* the kernel stores a number */

int auto_online_movable(struct sysfs *s, struct ls_err *err)
{
	static const struct sysfs_how how = { .deadline_ms = WRITE_MS };
	char value[32];
	int r = sysfs_read_str(s, value, sizeof(value), SETTING);

	if (r == -ENOENT || (r == 0 && strcmp(value, "online") != 0))
		return 1;
	if (r < 0)
		return ls_err_set(err, r, "%s cannot be read: %s", SETTING, strerror(-r));
	return sysfs_write_str(s, &how, "online_movable", err, SETTING);
}
