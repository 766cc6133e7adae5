/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A DIMM's memory backend, as object-add wants it: nothing but what backing.h names.
 */
#include "hv_private.h"

static struct json_object *nodes_of(uint64_t nodes)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < BACKING_NODES; i++)
		if (nodes & UINT64_C(1) << i)
			json_object_array_add(list, json_object_new_int(i));
	return list;
}

static void add_pages(struct json_object *props, const struct backing *b)
{
	if (!b->hugepage)
		return;
	json_object_object_add(props, "hugetlb", json_object_new_boolean(true));
	json_object_object_add(props, "hugetlbsize", json_object_new_uint64(b->hugepage));
}

static struct json_object *props_of(const struct backing *b, uint64_t size)
{
	struct json_object *props = json_object_new_object();

	json_object_object_add(props, "size", json_object_new_uint64(size));
	/* Said either way: QEMU's own default is not the same for each kind. */
	json_object_object_add(props, "share", json_object_new_boolean(b->share));
	if (b->kind == BACKING_FILE)
		json_object_object_add(props, "mem-path", json_object_new_string(b->path));
	add_pages(props, b);
	if (b->prealloc)
		json_object_object_add(props, "prealloc", json_object_new_boolean(true));
	if (b->nodes) {
		json_object_object_add(props, "host-nodes", nodes_of(b->nodes));
		json_object_object_add(props, "policy", json_object_new_string(b->policy));
	}
	return props;
}

struct json_object *backend_args(const char *backing, const char *id, uint64_t size)
{
	static const char *const types[BACKING_COUNT] = { "memory-backend-ram",
							  "memory-backend-memfd",
							  "memory-backend-file" };
	struct json_object *props, *args;
	struct backing b = { 0 };

	backing_parse(backing, NULL, &b); /* it was parsed when it was planned, or loaded */
	props = props_of(&b, size);
	args = qmp_args_object_add(types[b.kind], id, props);
	json_object_put(props);
	return args;
}
