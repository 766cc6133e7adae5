/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU's answers mean for the state vector.
 *
 * libqmp has checked shapes and ranges; here ids are held against an alphabet, since
 * they go into commands again, and everything is placed by slot.
 */
#include "hv_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers, one function each ----------------------------------------- */

static int read_status(struct look *k, struct json_object *value, struct ls_err *err)
{
	static const struct {
		const char *word;
		enum vm_run run;
	} words[] = {
		{ "inmigrate", VM_INMIGRATE },
		{ "postmigrate", VM_POSTMIGRATE },
		{ "guest-panicked", VM_BROKEN },
		{ "internal-error", VM_BROKEN },
	};
	struct qmp_status s;
	int r = qmp_decode_status(value, err, &s);

	if (r < 0)
		return r;
	k->vm.run = s.running ? VM_RUNNING : VM_PAUSED;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(s.status, words[i].word))
			k->vm.run = words[i].run;
	k->hv->running = s.running;
	return 0;
}

static bool two_digits(int64_t n)
{
	return n >= 0 && n <= 99;
}

static int read_version(struct look *k, struct json_object *value, struct ls_err *err)
{
	struct qmp_version v;
	struct json_object *qemu = qmp_get_obj(value, "qemu");
	int r = qemu ? qmp_decode_version(value, err, &v) : -EPROTO;

	if (r < 0)
		return r;
	if (!two_digits(v.major) || !two_digits(v.minor) || !two_digits(v.micro))
		return ls_err_set(err, -EPROTO, "a version that no QEMU has");
	k->facts.version = (unsigned)(v.major * 10000 + v.minor * 100 + v.micro);
	return 0;
}

static int read_machine(struct look *k, struct json_object *value, struct ls_err *err)
{
	static const char tail[] = "-machine";
	size_t n;

	if (!json_object_is_type(value, json_type_string))
		return ls_err_set(err, -EPROTO, "machine type: not a string");
	snprintf(k->facts.machine, sizeof(k->facts.machine), "%s", json_object_get_string(value));
	n = strlen(k->facts.machine);
	if (n > sizeof(tail) && !strcmp(k->facts.machine + n - (sizeof(tail) - 1), tail))
		k->facts.machine[n - (sizeof(tail) - 1)] = '\0';
	return 0;
}

static int read_sizes(struct look *k, struct json_object *value, struct ls_err *err)
{
	(void)err;
	k->facts.mem_boot = (uint64_t)qmp_get_int(value, "size", 0);
	k->facts.mem_max = (uint64_t)qmp_get_int(value, "max-size", (int64_t)k->facts.mem_boot);
	k->facts.mem_slots = (unsigned)qmp_get_int(value, "slots", 0);
	return 0;
}

/* Order of the slots: QEMU numbers possible CPUs by these, most significant first. */
static int by_place(const void *a, const void *b)
{
	static const char *const keys[] = { "drawer-id",  "book-id",   "socket-id", "die-id",
					    "cluster-id", "module-id", "core-id",   "thread-id" };
	struct json_object *pa = ((const struct qmp_hotpluggable_cpu *)a)->props;
	struct json_object *pb = ((const struct qmp_hotpluggable_cpu *)b)->props;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		int64_t na = qmp_get_int(pa, keys[i], 0), nb = qmp_get_int(pb, keys[i], 0);

		if (na != nb)
			return na < nb ? -1 : 1;
	}
	return 0;
}

bool hv_id_ok(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

	return n && !id[n] && n < LS_NAME_BYTES;
}

void hv_copy_txn(char *ret_txn, const char *txn)
{
	snprintf(ret_txn, LS_TXN_BYTES, "%.*s", LS_TXN_BYTES - 1,
		 hv_id_ok(txn) ? txn : "(unreadable)");
}

static void keep_slot(struct hv_slot *s, struct qmp_hotpluggable_cpu *c)
{
	json_object_put(s->props);
	s->props = json_object_get(c->props);
	snprintf(s->type, sizeof(s->type), "%s", c->type);
}

static int resize_slots(struct hv *hv, unsigned n)
{
	struct hv_slot *slots;

	if (n == hv->n_slots)
		return 0;
	slots = calloc(n + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (unsigned i = 0; i < hv->n_slots; i++)
		json_object_put(hv->slots[i].props);
	free(hv->slots);
	hv->slots = slots;
	hv->n_slots = n;
	return 0;
}

static void read_slot(struct look *k, unsigned slot, struct qmp_hotpluggable_cpu *c)
{
	struct vm_cpu *cpu = &k->vm.cpus[slot];
	struct hv_slot *s = &k->hv->slots[slot];
	const char *id = c->qom_path + strlen(PERIPHERAL_PATH);

	keep_slot(s, c);
	cpu->vcpus = (unsigned)(c->vcpus_count > 0 ? c->vcpus_count : 1);
	cpu->node = (int)qmp_get_int(c->props, "node-id", -1);
	cpu->plugged = c->qom_path[0] != '\0';
	if (!strncmp(c->qom_path, PERIPHERAL_PATH, strlen(PERIPHERAL_PATH)) && hv_id_ok(id))
		snprintf(cpu->id, sizeof(cpu->id), "%s", id);
	if (!cpu->plugged)
		s->asked = s->refused = false;
	cpu->refused = s->refused;
	cpu->unplug = s->asked && !s->refused ? TRI_YES : TRI_NO;
}

static int read_cpus(struct look *k, struct json_object *value, struct ls_err *err)
{
	struct qmp_hotpluggable_cpu *list;
	size_t n;
	int r = qmp_decode_hotpluggable_cpus(value, err, &list, &n);

	if (r < 0)
		return r;
	qsort(list, n, sizeof(*list), by_place);
	n = n < LS_CPUS_MAX ? n : LS_CPUS_MAX;
	k->vm.cpus = calloc(n ? n : 1, sizeof(*k->vm.cpus));
	r = k->vm.cpus ? resize_slots(k->hv, (unsigned)n) : -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++)
		read_slot(k, (unsigned)i, &list[i]);
	k->vm.n_cpus = r < 0 ? 0 : (unsigned)n;
	qmp_hotpluggable_cpus_free(list, n);
	return r;
}

/* A pSeries machine's "vsmt": how far apart the numbers of two cores are in the guest. */
static int read_core_step(struct look *k, struct json_object *value, struct ls_err *err)
{
	int64_t step = json_object_get_int64(value);

	(void)err;
	if (json_object_is_type(value, json_type_int) && step > 0 && step < LS_CPUS_MAX)
		k->facts.core_step = (unsigned)step;
	return 0;
}

static int read_mems(struct look *k, struct json_object *value, struct ls_err *err)
{
	return qmp_decode_memory_devices(value, err, &k->mems, &k->n_mems);
}

static int read_objects(struct look *k, struct json_object *value, struct ls_err *err)
{
	return qmp_decode_properties(value, err, &k->objects, &k->n_objects);
}

static int read_ospm(struct look *k, struct json_object *value, struct ls_err *err)
{
	return qmp_decode_ospm_status(value, err, &k->ospm, &k->n_ospm);
}

static int read_balloon(struct look *k, struct json_object *value, struct ls_err *err)
{
	int64_t actual = qmp_get_int(value, "actual", -1);

	(void)err;
	k->vm.has_balloon = actual >= 0;
	k->vm.balloon = actual >= 0 ? (uint64_t)actual : 0;
	return 0;
}

static int read_claim(struct look *k, struct json_object *value, struct ls_err *err)
{
	char txn[LS_TXN_BYTES];

	(void)err;
	if (json_object_is_type(value, json_type_string) &&
	    sscanf(json_object_get_string(value), "%39s %" SCNu64 " %*d %*s %63s", txn,
		   &k->vm.claim_epoch, k->vm.claim_host) >= 2)
		hv_copy_txn(k->vm.claimed_by, txn);
	return 0;
}

static const enum vm_mig mig_of[] = {
	[QMP_MIGRATION_NONE] = MIG_NONE,
	[QMP_MIGRATION_SETUP] = MIG_SETUP,
	[QMP_MIGRATION_CANCELLING] = MIG_CANCELLING,
	[QMP_MIGRATION_CANCELLED] = MIG_CANCELLED,
	[QMP_MIGRATION_ACTIVE] = MIG_ACTIVE,
	[QMP_MIGRATION_POSTCOPY_ACTIVE] = MIG_POSTCOPY_ACTIVE,
	[QMP_MIGRATION_POSTCOPY_PAUSED] = MIG_POSTCOPY_PAUSED,
	[QMP_MIGRATION_POSTCOPY_RECOVER] = MIG_POSTCOPY_RECOVER,
	[QMP_MIGRATION_COMPLETED] = MIG_COMPLETED,
	[QMP_MIGRATION_FAILED] = MIG_FAILED,
	[QMP_MIGRATION_COLO] = MIG_UNKNOWN,
	[QMP_MIGRATION_PRE_SWITCHOVER] = MIG_PRE_SWITCHOVER,
	[QMP_MIGRATION_DEVICE] = MIG_DEVICE,
	[QMP_MIGRATION_WAIT_UNPLUG] = MIG_WAIT_UNPLUG,
	[QMP_MIGRATION_UNKNOWN] = MIG_UNKNOWN,
};

static int read_migration(struct look *k, struct json_object *value, struct ls_err *err)
{
	struct vm_progress *p = &k->vm.progress;
	struct qmp_migration_info m;
	int r = qmp_decode_migration(value, err, &m);

	if (r < 0)
		return r;
	k->vm.mig = mig_of[m.status];
	/* A destination that listens and has no guest yet shows only its address (7.2). */
	if (k->vm.mig == MIG_NONE && qmp_get_array(value, "socket-address"))
		k->vm.mig = MIG_SETUP;
	snprintf(k->vm.mig_error, sizeof(k->vm.mig_error), "%.159s", m.error);
	*p = (struct vm_progress){
		.remaining = (uint64_t)m.remaining,
		.total = (uint64_t)m.total,
		.transferred = (uint64_t)m.transferred,
		.dirty_rate = (uint64_t)m.dirty_rate,
		.page_bytes = (uint64_t)m.page_bytes,
		.mbps = m.mbps,
		.pass = (unsigned)m.dirty_syncs,
		.downtime_ms = (uint64_t)(m.downtime_ms ? m.downtime_ms : m.expected_ms),
		.total_ms = (uint64_t)m.total_ms,
	};
	return 0;
}

/* clang-format off */
const struct hv_cap hv_caps[HV_N_CAPS] = {
	{ CAP_EVENTS,                  "events" },
	{ CAP_RETURN_PATH,             "return-path" },
	{ CAP_PAUSE_BEFORE_SWITCHOVER, "pause-before-switchover" },
	{ CAP_LATE_BLOCK_ACTIVATE,     "late-block-activate" },
};
/* clang-format on */

static void read_cap(struct look *k, const struct qmp_capability *c)
{
	for (size_t i = 0; i < HV_N_CAPS; i++) {
		if (strcmp(c->name, hv_caps[i].name))
			continue;
		k->vm.caps_known |= hv_caps[i].bit;
		k->vm.caps |= c->on ? hv_caps[i].bit : 0;
	}
}

static int read_caps(struct look *k, struct json_object *value, struct ls_err *err)
{
	struct qmp_capability *list;
	size_t n;
	int r = qmp_decode_capabilities(value, err, &list, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		read_cap(k, &list[i]);
	free(list);
	return 0;
}

static int read_surrendered(struct look *k, struct json_object *value, struct ls_err *err)
{
	(void)value, (void)err;
	k->vm.surrendered = true;
	return 0;
}

/* clang-format off */
const struct look_query look_queries[] = {
	{ "query-status",               NULL, NULL, read_status,    false, false },
	{ "query-version",              NULL, NULL, read_version,   false, true },
	{ "qom-get", "/machine", "type",            read_machine,   false, true },
	{ "qom-get", "/machine", "memory",          read_sizes,     true,  true },
	{ "query-hotpluggable-cpus",    NULL, NULL, read_cpus,      true,  false },
	{ "qom-get", "/machine", "vsmt",            read_core_step, true,  true },
	{ "query-memory-devices",       NULL, NULL, read_mems,      true,  false },
	{ "query-acpi-ospm-status",     NULL, NULL, read_ospm,      true,  false },
	{ "query-balloon",              NULL, NULL, read_balloon,   true,  false },
	{ "query-migrate",              NULL, NULL, read_migration, false, false },
	{ "query-migrate-capabilities", NULL, NULL, read_caps,      false, false },
	{ "qom-list", "/objects", NULL,             read_objects,   false, false },
	{ "qom-get", "/objects/" CLAIM_ID, "data",  read_claim,     true,  false },
	{ "qom-get", "/objects/" SURRENDERED_ID, "data", read_surrendered, true,  false },
};
/* clang-format on */

const size_t look_n_queries = sizeof(look_queries) / sizeof(look_queries[0]);
