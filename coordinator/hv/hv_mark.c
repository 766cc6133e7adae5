/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Marks of unplugs that were asked for.
 *
 * That an unplug is pending cannot be read back from QEMU. So whoever asks for one leaves
 * an object in QEMU before, whose name says what for (its data: in which transaction).
 * Whoever comes next, on whatever host, finds it in the list of objects that every look
 * reads; it is gone when its guest is. A look removes it when the guest has refused, or
 * when the device has gone, and with a DIMM its memory.
 *
 *	lockstep-unplug-LENGTH-DEVICE		LENGTH: of the device's id
 *	lockstep-unplug-LENGTH-DEVICE-BACKEND	of a DIMM
 */
#include "hv_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MARK_PREFIX "lockstep-unplug-"

/* A name that no look would read back is left without its backend. */
void mark_name(char *ret_name, const char *device, const char *backend)
{
	size_t n = strlen(device);
	int len = snprintf(ret_name, MARK_BYTES, MARK_PREFIX "%zu-%s%s%s", n, device,
			   backend[0] ? "-" : "", backend);

	if (len >= MARK_BYTES)
		mark_name(ret_name, device, "");
}

bool mark_read(const char *name, struct unplug_mark *ret_mark)
{
	unsigned len;
	int at = 0;

	if (sscanf(name, MARK_PREFIX "%2u-%n", &len, &at) != 1 || !at || len >= LS_NAME_BYTES)
		return false;
	name += at;
	if (strlen(name) < len || (name[len] && name[len] != '-') ||
	    strlen(name) > len + LS_NAME_BYTES)
		return false;
	snprintf(ret_mark->device, sizeof(ret_mark->device), "%.*s", (int)len, name);
	snprintf(ret_mark->backend, sizeof(ret_mark->backend), "%s",
		 name[len] ? name + len + 1 : "");
	return hv_id_ok(ret_mark->device) && (!ret_mark->backend[0] || hv_id_ok(ret_mark->backend));
}

/* One that is there already is as good. */
static void on_marked(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	struct batch *b = arg;

	(void)q, (void)value;
	if (err && err->code != -EREMOTEIO)
		batch_fail(b, err);
	batch_done(b);
}

void mark_set(struct batch *b, const char *name, const char *txn)
{
	batch_add_fn(b, &b->hv->monitor, "object-add", qmp_args_object_add_secret(name, txn),
		     on_marked);
}

void mark_remove(struct hv *hv, const char *name)
{
	if (hv->monitor.is_ready)
		conn_submit(&hv->monitor, "object-del", qmp_args_id(name), NULL, NULL, NULL);
}
