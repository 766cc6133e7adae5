/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqmp: QEMU's commands for hot plug and migration, with types.
 *
 * Pure functions: qmp_args_*() build what goes into "arguments", qmp_decode_*() check
 * what came in "return" and copy it into plain structs. Sending is the caller's
 * affair, blocking or not:
 *
 *	qmp_submit(q, "device_del", qmp_args_id("cpu4"), on_reply, vm, &err, NULL);
 *	...
 *	r = qmp_decode_hotpluggable_cpus(value, &err, &cpus, &n);
 *
 * Commands without arguments (query-*, cont, stop, quit, migrate_cancel) need no
 * function. Nothing of a reply is trusted: every type, range, length and count is
 * checked, and an error names the member. Members that are not in a struct are
 * ignored: a newer QEMU may say more.
 *
 * Source: QEMU qapi/machine.json, migration.json, acpi.json, qom.json, block-core.json.
 */
#ifndef QMP_COMMANDS_H
#define QMP_COMMANDS_H

#include <qmp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Space for the strings of QEMU, each with its final NUL; a longer one is an error. */
#define QMP_ID_BYTES	128
#define QMP_TYPE_BYTES	128
#define QMP_PATH_BYTES	512
#define QMP_STATE_BYTES 32

/* Most elements of a list, so that no reply costs more. */
#define QMP_CPUS_MAX	     1024
#define QMP_MEM_DEVICES_MAX  256
#define QMP_OSPM_MAX	     (QMP_CPUS_MAX + QMP_MEM_DEVICES_MAX)
#define QMP_CAPABILITIES_MAX 128
#define QMP_BLOCKS_MAX	     1024
#define QMP_PROPERTIES_MAX   4096
#define QMP_SCHEMA_TYPES_MAX 16384

/* ---- arguments: a new object each, NULL when out of memory ------------- */

/**
 * qmp_args_device_add() - For device_add
 * @driver: e.g. the "type" of a hotpluggable CPU, "pc-dimm", "virtio-mem-pci"
 * @id:     of the new device
 * @props:  more properties: copied member by member; borrowed; may be NULL. What
 *          query-hotpluggable-cpus gave goes in unchanged: never invent a topology
 */
struct json_object *qmp_args_device_add(const char *driver, const char *id,
					struct json_object *props);

/* {"id": id}: for device_del and object-del. */
struct json_object *qmp_args_id(const char *id);

/**
 * qmp_args_object_add() - For object-add, of any type
 * @type:  e.g. "memory-backend-memfd"
 * @id:    of the new object
 * @props: more properties: copied member by member; borrowed; may be NULL
 */
struct json_object *qmp_args_object_add(const char *type, const char *id,
					struct json_object *props);

/* For object-add: a memory backend of anonymous memory; with share for virtio-mem and vhost. */
struct json_object *qmp_args_object_add_ram(const char *id, int64_t size_bytes, bool share);

/* For object-add: a secret; refused by QEMU if the id exists: a test-and-set. */
struct json_object *qmp_args_object_add_secret(const char *id, const char *data);

/* For qom-list, qom-get, qom-set. */
struct json_object *qmp_args_qom_list(const char *path);
struct json_object *qmp_args_qom_get(const char *path, const char *property);
struct json_object *qmp_args_qom_set_int(const char *path, const char *property, int64_t value);

/* For balloon: what is left to the guest. */
struct json_object *qmp_args_balloon(int64_t bytes);

/* For migrate and migrate-incoming. */
struct json_object *qmp_args_uri(const char *uri);

/* For migrate-continue; @state is what QEMU is in, e.g. "pre-switchover". */
struct json_object *qmp_args_migrate_continue(const char *state);

/**
 * struct qmp_capability - One switch of a migration, e.g. "return-path"
 */
struct qmp_capability {
	char name[QMP_STATE_BYTES * 2];
	bool on;
};

/* For migrate-set-capabilities. */
struct json_object *qmp_args_capabilities(const struct qmp_capability *list, size_t n);

/**
 * struct qmp_parameter - One number of a migration
 * @name:  e.g. "downtime-limit" (ms), "max-bandwidth" (bytes/s)
 * @value: in QEMU's unit
 */
struct qmp_parameter {
	const char *name;
	int64_t value;
};

/* For migrate-set-parameters. */
struct json_object *qmp_args_parameters(const struct qmp_parameter *list, size_t n);

/* For announce-self: first wait, longest wait, how many, how much longer each time; ms. */
struct json_object *qmp_args_announce_self(int64_t initial_ms, int64_t max_ms, int64_t rounds,
					   int64_t step_ms);

/* ---- replies: 0, -EPROTO (the member is named), -ENOMEM ---------------- */

/* query-version */
struct qmp_version {
	int64_t major, minor, micro;
	char package[QMP_ID_BYTES];
};
int qmp_decode_version(struct json_object *value, struct ls_err *err, struct qmp_version *ret);

/* query-status */
struct qmp_status {
	bool running;
	char status[QMP_STATE_BYTES]; /* "running", "paused", "inmigrate", "postmigrate", ... */
};
int qmp_decode_status(struct json_object *value, struct ls_err *err, struct qmp_status *ret);

/**
 * struct qmp_hotpluggable_cpu - One slot, from query-hotpluggable-cpus
 * @type:        driver for device_add
 * @vcpus_count: vCPUs that come with it
 * @qom_path:    of the CPU that is there, "" for a free slot
 * @props:       for device_add; own reference
 */
struct qmp_hotpluggable_cpu {
	char type[QMP_TYPE_BYTES];
	int64_t vcpus_count;
	char qom_path[QMP_PATH_BYTES];
	struct json_object *props;
};
int qmp_decode_hotpluggable_cpus(struct json_object *value, struct ls_err *err,
				 struct qmp_hotpluggable_cpu **ret, size_t *ret_n);
void qmp_hotpluggable_cpus_free(struct qmp_hotpluggable_cpu *list, size_t n);

/* One vCPU that exists, from query-cpus-fast. */
struct qmp_cpu {
	int64_t index;
	int64_t thread_id;
	char qom_path[QMP_PATH_BYTES];
	struct json_object *props; /* own reference; NULL on machines without topology */
};
int qmp_decode_cpus(struct json_object *value, struct ls_err *err, struct qmp_cpu **ret,
		    size_t *ret_n);
void qmp_cpus_free(struct qmp_cpu *list, size_t n);

enum qmp_memory_kind {
	QMP_MEMORY_DIMM,
	QMP_MEMORY_VIRTIO_MEM,
	QMP_MEMORY_OTHER, /* nvdimm, virtio-pmem, sgx-epc, what is new: not ours to touch */
};

/**
 * struct qmp_memory_device - One device, from query-memory-devices
 * @kind:           the only member of a QMP_MEMORY_OTHER that is set
 * @id:             "" if it was made without
 * @memdev:         path of its backend, e.g. "/objects/mem1"
 * @addr:           guest physical address
 * @size:           bytes that the guest has now
 * @node:           NUMA node
 * @slot:           DIMM: number; else -1
 * @hotplugged:     DIMM: came after the start
 * @hotpluggable:   DIMM: can be unplugged
 * @requested_size: virtio-mem: bytes the guest should have
 * @max_size:       virtio-mem: bytes the backend has
 * @block_size:     virtio-mem: what sizes are multiples of
 */
struct qmp_memory_device {
	enum qmp_memory_kind kind;
	char id[QMP_ID_BYTES];
	char memdev[QMP_PATH_BYTES];
	int64_t addr, size, node;
	int64_t slot;
	bool hotplugged, hotpluggable;
	int64_t requested_size, max_size, block_size;
};
int qmp_decode_memory_devices(struct json_object *value, struct ls_err *err,
			      struct qmp_memory_device **ret, size_t *ret_n);

/* query-memory-size-summary */
struct qmp_memory_size {
	int64_t base, plugged; /* bytes */
};
int qmp_decode_memory_size(struct json_object *value, struct ls_err *err,
			   struct qmp_memory_size *ret);

/**
 * struct qmp_ospm_status - What the guest's ACPI said last, query-acpi-ospm-status
 * @device:    id, "" if it was made without
 * @slot:      number in the host's order
 * @slot_type: "CPU" or "DIMM"
 * @source:    event that the guest answered: 1 insertion, 3 eject request
 * @status:    0 success, 0x80-0x83 refused, 0x84 ejecting
 */
struct qmp_ospm_status {
	char device[QMP_ID_BYTES];
	char slot[QMP_STATE_BYTES];
	char slot_type[QMP_STATE_BYTES];
	int64_t source, status;
};
int qmp_decode_ospm_status(struct json_object *value, struct ls_err *err,
			   struct qmp_ospm_status **ret, size_t *ret_n);

/* The same out of the data of an ACPI_DEVICE_OST event. */
int qmp_decode_ospm_event(struct json_object *data, struct ls_err *err,
			  struct qmp_ospm_status *ret);

enum qmp_migration_status {
	QMP_MIGRATION_NONE,
	QMP_MIGRATION_SETUP,
	QMP_MIGRATION_CANCELLING,
	QMP_MIGRATION_CANCELLED,
	QMP_MIGRATION_ACTIVE,
	QMP_MIGRATION_POSTCOPY_ACTIVE,
	QMP_MIGRATION_POSTCOPY_PAUSED,
	QMP_MIGRATION_POSTCOPY_RECOVER,
	QMP_MIGRATION_COMPLETED,
	QMP_MIGRATION_FAILED,
	QMP_MIGRATION_COLO,
	QMP_MIGRATION_PRE_SWITCHOVER,
	QMP_MIGRATION_DEVICE,
	QMP_MIGRATION_WAIT_UNPLUG,
	QMP_MIGRATION_UNKNOWN, /* a newer QEMU's */
	QMP_MIGRATION_STATUS_COUNT
};

/* QEMU's own word; from a word, QMP_MIGRATION_UNKNOWN if it is none of these. */
const char *qmp_migration_status_name(enum qmp_migration_status s);
enum qmp_migration_status qmp_migration_status_from(const char *word);

/**
 * struct qmp_migration_info - One look at a migration, query-migrate
 * @transferred:     bytes sent so far; this and the next five are 0 without "ram"
 * @remaining:       bytes left to send
 * @total:           bytes of guest memory
 * @dirty_rate:      pages dirtied per second
 * @dirty_syncs:     passes over the guest's memory
 * @mbps:            throughput, megabits per second
 * @total_ms:        since the start
 * @downtime_ms:     as it was
 * @expected_ms:     downtime as it would be now
 * @error:           reason of a failure, "" without; cut to fit
 */
struct qmp_migration_info {
	enum qmp_migration_status status;
	int64_t transferred, remaining, total;
	int64_t dirty_rate, dirty_syncs, page_bytes;
	double mbps;
	int64_t total_ms, downtime_ms, expected_ms;
	char error[LS_ERR_TEXT_BYTES];
};
int qmp_decode_migration(struct json_object *value, struct ls_err *err,
			 struct qmp_migration_info *ret);

/* query-migrate-capabilities */
int qmp_decode_capabilities(struct json_object *value, struct ls_err *err,
			    struct qmp_capability **ret, size_t *ret_n);

/* One disk, from query-block. */
struct qmp_block {
	char device[QMP_ID_BYTES]; /* "" for one made with -blockdev */
	char qdev[QMP_PATH_BYTES]; /* id or path of the guest's device, "" without */
	char node[QMP_ID_BYTES];   /* "" when nothing is inserted */
	char file[QMP_PATH_BYTES];
	bool read_only;
};
int qmp_decode_blocks(struct json_object *value, struct ls_err *err, struct qmp_block **ret,
		      size_t *ret_n);

/* One property or child, from qom-list. */
struct qmp_property {
	char name[QMP_ID_BYTES];
	char type[QMP_TYPE_BYTES];
};
int qmp_decode_properties(struct json_object *value, struct ls_err *err, struct qmp_property **ret,
			  size_t *ret_n);

/**
 * qmp_schema_has() - Whether this QEMU knows something
 * @schema: what query-qmp-schema returned; borrowed, not trusted
 * @path:   "COMMAND", "EVENT", or further down through members of the arguments to
 *          an enum's value: "migrate-set-capabilities/capabilities/capability/return-path"
 */
bool qmp_schema_has(struct json_object *schema, const char *path);

#ifdef __cplusplus
}
#endif
#endif
