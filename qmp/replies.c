/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replies of QEMU's commands: a table for each struct of qmp_commands.h.
 */
#include <qmp_commands.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <lockstep/cleanup.h>

#include "decode.h"

#define OPTIONAL true
#define REQUIRED false

/* A list whose elements own nothing: on failure there is only the array to free. */
static int plain_list(struct json_object *value, const char *what, size_t max, size_t size,
		      decode_fn fn, struct ls_err *err, void **ret, size_t *ret_n)
{
	void *list;
	size_t n;
	int r = decode_list(value, what, max, size, fn, err, &list, &n);

	if (r < 0) {
		free(list);
		return r;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

/* An object that is no element of a list. */
static int single(const struct decode_row *rows, size_t n, struct json_object *value,
		  const char *what, struct ls_err *err, void *to)
{
	int r = decode_object(rows, n, value, err, to);

	if (r < 0)
		ls_err_prefix(err, "%s", what);
	return r;
}

/* A member that is an object itself, if it is there: 0 or -EPROTO. */
static int inner(const struct decode_row *rows, size_t n, struct json_object *value,
		 const char *key, bool optional, struct ls_err *err, void *to)
{
	const struct qmp_field field = { key, QMP_OBJECT, optional, 0, 0, 0, NULL };
	struct json_object *v = qmp_get_obj(value, key);
	int r = qmp_fields_check(&field, 1, false, value, err);

	if (r < 0 || !v)
		return r;
	r = decode_object(rows, n, v, err, to);
	if (r < 0)
		ls_err_prefix(err, "'%s'", key);
	return r;
}

/* ---- query-version, query-status, query-memory-size-summary ------------ */

static const struct decode_row version_rows[] = {
	DECODE_INT(qmp_version, major, "major", REQUIRED, 0),
	DECODE_INT(qmp_version, minor, "minor", REQUIRED, 0),
	DECODE_INT(qmp_version, micro, "micro", REQUIRED, 0),
};

static const struct decode_row package_rows[] = {
	DECODE_CUT(qmp_version, package, "package", REQUIRED),
};

int qmp_decode_version(struct json_object *value, struct ls_err *err, struct qmp_version *ret)
{
	struct qmp_version v = { 0 };
	int r = single(package_rows, DECODE_N(package_rows), value, "query-version", err, &v);

	if (!r)
		r = inner(version_rows, DECODE_N(version_rows), value, "qemu", REQUIRED, err, &v);
	if (!r)
		*ret = v;
	return r;
}

static const struct decode_row status_rows[] = {
	DECODE_BOOL(qmp_status, running, "running", REQUIRED),
	DECODE_TEXT(qmp_status, status, "status", REQUIRED),
};

int qmp_decode_status(struct json_object *value, struct ls_err *err, struct qmp_status *ret)
{
	return single(status_rows, DECODE_N(status_rows), value, "query-status", err, ret);
}

static const struct decode_row size_rows[] = {
	DECODE_INT(qmp_memory_size, base, "base-memory", REQUIRED, 0),
	DECODE_INT(qmp_memory_size, plugged, "plugged-memory", OPTIONAL, 0),
};

int qmp_decode_memory_size(struct json_object *value, struct ls_err *err,
			   struct qmp_memory_size *ret)
{
	struct qmp_memory_size s = { 0 };
	int r = single(size_rows, DECODE_N(size_rows), value, "query-memory-size-summary", err, &s);

	if (!r)
		*ret = s;
	return r;
}

/* ---- CPUs ------------------------------------------------------------- */

static const struct decode_row slot_rows[] = {
	DECODE_TEXT(qmp_hotpluggable_cpu, type, "type", REQUIRED),
	DECODE_INT(qmp_hotpluggable_cpu, vcpus_count, "vcpus-count", REQUIRED, 1),
	DECODE_TEXT(qmp_hotpluggable_cpu, qom_path, "qom-path", OPTIONAL),
	DECODE_OBJECT(qmp_hotpluggable_cpu, props, "props", REQUIRED),
};

static int decode_slot(struct json_object *element, struct ls_err *err, void *to)
{
	return decode_object(slot_rows, DECODE_N(slot_rows), element, err, to);
}

void qmp_hotpluggable_cpus_free(struct qmp_hotpluggable_cpu *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_object_put(list[i].props);
	free(list);
}

int qmp_decode_hotpluggable_cpus(struct json_object *value, struct ls_err *err,
				 struct qmp_hotpluggable_cpu **ret, size_t *ret_n)
{
	void *list;
	size_t n;
	int r = decode_list(value, "query-hotpluggable-cpus", QMP_CPUS_MAX, sizeof(**ret),
			    decode_slot, err, &list, &n);

	if (r < 0) {
		qmp_hotpluggable_cpus_free(list, n);
		return r;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

static const struct decode_row cpu_rows[] = {
	DECODE_INT(qmp_cpu, index, "cpu-index", REQUIRED, 0),
	DECODE_INT(qmp_cpu, thread_id, "thread-id", REQUIRED, 0),
	DECODE_TEXT(qmp_cpu, qom_path, "qom-path", REQUIRED),
	DECODE_OBJECT(qmp_cpu, props, "props", OPTIONAL),
};

static int decode_cpu(struct json_object *element, struct ls_err *err, void *to)
{
	return decode_object(cpu_rows, DECODE_N(cpu_rows), element, err, to);
}

void qmp_cpus_free(struct qmp_cpu *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_object_put(list[i].props);
	free(list);
}

int qmp_decode_cpus(struct json_object *value, struct ls_err *err, struct qmp_cpu **ret,
		    size_t *ret_n)
{
	void *list;
	size_t n;
	int r = decode_list(value, "query-cpus-fast", QMP_CPUS_MAX, sizeof(**ret), decode_cpu, err,
			    &list, &n);

	if (r < 0) {
		qmp_cpus_free(list, n);
		return r;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

/* ---- memory ----------------------------------------------------------- */

static const struct decode_row dimm_rows[] = {
	DECODE_TEXT(qmp_memory_device, id, "id", OPTIONAL),
	DECODE_TEXT(qmp_memory_device, memdev, "memdev", REQUIRED),
	DECODE_INT(qmp_memory_device, addr, "addr", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, size, "size", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, node, "node", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, slot, "slot", REQUIRED, 0),
	DECODE_BOOL(qmp_memory_device, hotplugged, "hotplugged", REQUIRED),
	DECODE_BOOL(qmp_memory_device, hotpluggable, "hotpluggable", REQUIRED),
};

static const struct decode_row virtio_mem_rows[] = {
	DECODE_TEXT(qmp_memory_device, id, "id", OPTIONAL),
	DECODE_TEXT(qmp_memory_device, memdev, "memdev", REQUIRED),
	DECODE_INT(qmp_memory_device, addr, "memaddr", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, size, "size", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, node, "node", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, requested_size, "requested-size", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, max_size, "max-size", REQUIRED, 0),
	DECODE_INT(qmp_memory_device, block_size, "block-size", REQUIRED, 1),
};

static const struct qmp_field memory_fields[] = {
	{ "type", QMP_STRING, REQUIRED, 1, QMP_TYPE_BYTES, 0, NULL },
	{ "data", QMP_OBJECT, REQUIRED, 0, 0, 0, NULL },
};

static int decode_memory(struct json_object *element, struct ls_err *err, void *to)
{
	struct qmp_memory_device *m = to;
	const char *type = qmp_get_str(element, "type", "");

	if (qmp_fields_check(memory_fields, DECODE_N(memory_fields), false, element, err) < 0)
		return -EPROTO;
	m->slot = -1;
	m->kind = QMP_MEMORY_OTHER;
	if (!strcmp(type, "dimm")) {
		m->kind = QMP_MEMORY_DIMM;
		return inner(dimm_rows, DECODE_N(dimm_rows), element, "data", REQUIRED, err, m);
	}
	if (!strcmp(type, "virtio-mem")) {
		m->kind = QMP_MEMORY_VIRTIO_MEM;
		return inner(virtio_mem_rows, DECODE_N(virtio_mem_rows), element, "data", REQUIRED,
			     err, m);
	}
	return 0;
}

int qmp_decode_memory_devices(struct json_object *value, struct ls_err *err,
			      struct qmp_memory_device **ret, size_t *ret_n)
{
	return plain_list(value, "query-memory-devices", QMP_MEM_DEVICES_MAX, sizeof(**ret),
			  decode_memory, err, (void **)ret, ret_n);
}

/* ---- ACPI ------------------------------------------------------------- */

static const struct decode_row ospm_rows[] = {
	DECODE_TEXT(qmp_ospm_status, device, "device", OPTIONAL),
	DECODE_TEXT(qmp_ospm_status, slot, "slot", REQUIRED),
	DECODE_TEXT(qmp_ospm_status, slot_type, "slot-type", REQUIRED),
	DECODE_INT(qmp_ospm_status, source, "source", REQUIRED, 0),
	DECODE_INT(qmp_ospm_status, status, "status", REQUIRED, 0),
};

static int decode_ospm(struct json_object *element, struct ls_err *err, void *to)
{
	return decode_object(ospm_rows, DECODE_N(ospm_rows), element, err, to);
}

int qmp_decode_ospm_status(struct json_object *value, struct ls_err *err,
			   struct qmp_ospm_status **ret, size_t *ret_n)
{
	return plain_list(value, "query-acpi-ospm-status", QMP_OSPM_MAX, sizeof(**ret), decode_ospm,
			  err, (void **)ret, ret_n);
}

int qmp_decode_ospm_event(struct json_object *data, struct ls_err *err, struct qmp_ospm_status *ret)
{
	struct qmp_ospm_status s = { 0 };
	int r = inner(ospm_rows, DECODE_N(ospm_rows), data, "info", REQUIRED, err, &s);

	if (r < 0)
		ls_err_prefix(err, "ACPI_DEVICE_OST");
	else
		*ret = s;
	return r;
}

/* ---- migration -------------------------------------------------------- */

static const char *const migration_words[] = {
	[QMP_MIGRATION_NONE] = "none",
	[QMP_MIGRATION_SETUP] = "setup",
	[QMP_MIGRATION_CANCELLING] = "cancelling",
	[QMP_MIGRATION_CANCELLED] = "cancelled",
	[QMP_MIGRATION_ACTIVE] = "active",
	[QMP_MIGRATION_POSTCOPY_ACTIVE] = "postcopy-active",
	[QMP_MIGRATION_POSTCOPY_PAUSED] = "postcopy-paused",
	[QMP_MIGRATION_POSTCOPY_RECOVER] = "postcopy-recover",
	[QMP_MIGRATION_COMPLETED] = "completed",
	[QMP_MIGRATION_FAILED] = "failed",
	[QMP_MIGRATION_COLO] = "colo",
	[QMP_MIGRATION_PRE_SWITCHOVER] = "pre-switchover",
	[QMP_MIGRATION_DEVICE] = "device",
	[QMP_MIGRATION_WAIT_UNPLUG] = "wait-unplug",
	[QMP_MIGRATION_UNKNOWN] = "unknown",
};
_Static_assert(DECODE_N(migration_words) == QMP_MIGRATION_STATUS_COUNT, "one per status");

const char *qmp_migration_status_name(enum qmp_migration_status s)
{
	return (unsigned)s < QMP_MIGRATION_STATUS_COUNT ? migration_words[s] : "invalid";
}

enum qmp_migration_status qmp_migration_status_from(const char *word)
{
	enum qmp_migration_status s = 0;

	while (s < QMP_MIGRATION_UNKNOWN && strcmp(migration_words[s], word))
		s++;
	return s;
}

static const struct decode_row migration_rows[] = {
	DECODE_INT(qmp_migration_info, total_ms, "total-time", OPTIONAL, 0),
	DECODE_INT(qmp_migration_info, downtime_ms, "downtime", OPTIONAL, 0),
	DECODE_INT(qmp_migration_info, expected_ms, "expected-downtime", OPTIONAL, 0),
	DECODE_CUT(qmp_migration_info, error, "error-desc", OPTIONAL),
};

static const struct decode_row ram_rows[] = {
	DECODE_INT(qmp_migration_info, transferred, "transferred", REQUIRED, 0),
	DECODE_INT(qmp_migration_info, remaining, "remaining", REQUIRED, 0),
	DECODE_INT(qmp_migration_info, total, "total", REQUIRED, 0),
	DECODE_INT(qmp_migration_info, dirty_rate, "dirty-pages-rate", OPTIONAL, 0),
	DECODE_INT(qmp_migration_info, dirty_syncs, "dirty-sync-count", OPTIONAL, 0),
	DECODE_INT(qmp_migration_info, page_bytes, "page-size", OPTIONAL, 0),
	DECODE_DOUBLE(qmp_migration_info, mbps, "mbps", OPTIONAL),
};

static const struct qmp_field migration_status_field[] = {
	{ "status", QMP_STRING, OPTIONAL, 1, QMP_STATE_BYTES - 1, 0, NULL },
};

int qmp_decode_migration(struct json_object *value, struct ls_err *err,
			 struct qmp_migration_info *ret)
{
	struct qmp_migration_info m = { 0 };
	int r = single(migration_rows, DECODE_N(migration_rows), value, "query-migrate", err, &m);

	if (!r)
		r = qmp_fields_check(migration_status_field, 1, false, value, err);
	if (!r)
		r = inner(ram_rows, DECODE_N(ram_rows), value, "ram", OPTIONAL, err, &m);
	if (r < 0)
		return r;
	m.status = qmp_migration_status_from(qmp_get_str(value, "status", "none"));
	*ret = m;
	return 0;
}

static const struct decode_row capability_rows[] = {
	DECODE_TEXT(qmp_capability, name, "capability", REQUIRED),
	DECODE_BOOL(qmp_capability, on, "state", REQUIRED),
};

static int decode_capability(struct json_object *element, struct ls_err *err, void *to)
{
	return decode_object(capability_rows, DECODE_N(capability_rows), element, err, to);
}

int qmp_decode_capabilities(struct json_object *value, struct ls_err *err,
			    struct qmp_capability **ret, size_t *ret_n)
{
	return plain_list(value, "query-migrate-capabilities", QMP_CAPABILITIES_MAX, sizeof(**ret),
			  decode_capability, err, (void **)ret, ret_n);
}

/* ---- disks, properties ------------------------------------------------- */

static const struct decode_row block_rows[] = {
	DECODE_TEXT(qmp_block, device, "device", REQUIRED),
	DECODE_TEXT(qmp_block, qdev, "qdev", OPTIONAL),
};

static const struct decode_row inserted_rows[] = {
	DECODE_TEXT(qmp_block, node, "node-name", OPTIONAL),
	DECODE_CUT(qmp_block, file, "file", REQUIRED),
	DECODE_BOOL(qmp_block, read_only, "ro", REQUIRED),
};

static int decode_block(struct json_object *element, struct ls_err *err, void *to)
{
	int r = decode_object(block_rows, DECODE_N(block_rows), element, err, to);

	return r ? r
		 : inner(inserted_rows, DECODE_N(inserted_rows), element, "inserted", OPTIONAL, err,
			 to);
}

int qmp_decode_blocks(struct json_object *value, struct ls_err *err, struct qmp_block **ret,
		      size_t *ret_n)
{
	return plain_list(value, "query-block", QMP_BLOCKS_MAX, sizeof(**ret), decode_block, err,
			  (void **)ret, ret_n);
}

static const struct decode_row property_rows[] = {
	DECODE_TEXT(qmp_property, name, "name", REQUIRED),
	DECODE_TEXT(qmp_property, type, "type", REQUIRED),
};

static int decode_property(struct json_object *element, struct ls_err *err, void *to)
{
	return decode_object(property_rows, DECODE_N(property_rows), element, err, to);
}

int qmp_decode_properties(struct json_object *value, struct ls_err *err, struct qmp_property **ret,
			  size_t *ret_n)
{
	return plain_list(value, "qom-list", QMP_PROPERTIES_MAX, sizeof(**ret), decode_property,
			  err, (void **)ret, ret_n);
}
