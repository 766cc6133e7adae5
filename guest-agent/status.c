/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building the reply of lockstep-status.
 */
#include "status.h"

#include <json-c/json.h>
#include <sys/utsname.h>

#include <lockstep/wire.h>

#include "agent.h"
#include "cpu.h"
#include "cpus.h"
#include "headroom.h"
#include "request.h"
#include "view.h"
#include "work.h"

static void add_int(struct json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

static void add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

static void add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

struct json_object *cpus_array(const struct cpus *set)
{
	struct json_object *a = json_object_new_array();
	int cpu;

	cpus_each(cpu, set) json_object_array_add(a, json_object_new_int(cpu));
	return a;
}

static void add_lock(struct agent *a, struct json_object *o, uint64_t now_ms,
		     uint64_t window_left_ms)
{
	struct json_object *lock = json_object_new_object();
	struct lock_view v;

	lock_look(&a->lock, now_ms, &v);
	add_bool(lock, "held", v.held);
	add_str(lock, "txn", v.txn);
	add_int(lock, "epoch", (int64_t)v.epoch);
	add_int(lock, "lease-ms", (int64_t)(v.held && !v.left_ms ? window_left_ms : v.left_ms));
	json_object_object_add(o, "lock", lock);
	if (v.held && kmsg_read(&a->kmsg, v.txn)[0])
		add_str(o, "kernel-says", a->kmsg.says);
}

static struct json_object *window_object(const struct window_view *v)
{
	struct json_object *o = json_object_new_object();

	add_str(o, "state", window_state_name(v->state));
	add_str(o, "txn", v->txn);
	add_str(o, "mode", window_mode_name(v->mode));
	json_object_object_add(o, "forced", cpus_array(&v->forced));
	add_int(o, "left-ms", (int64_t)v->left_ms);
	return o;
}

/* What its table says; the defaults are left out, there may be a thousand of them. */
static void add_table(struct json_object *o, const struct cpuhp_cpu *hp,
		      const struct cpuhp_table *table)
{
	add_str(o, "row", cpuhp_at_name(table, hp->at));
	if (hp->walked)
		add_str(o, "target", cpuhp_at_name(table, hp->target));
	if (hp->failed_code < 0) {
		add_str(o, "failed-row", table->steps[hp->failed_row].name);
		add_int(o, "failed-code", hp->failed_code);
	}
	if (hp->unverified)
		add_bool(o, "unverified", true);
	if (hp->stuck)
		add_bool(o, "stuck", true);
}

/* What the kernel says now of all CPUs, beside a view that may be a little old. */
struct masks {
	struct cpus online, present;
};

static struct json_object *cpu_object(const struct view_cpu *c, bool present, bool kernel,
				      const struct cpuhp_table *table)
{
	struct json_object *o = json_object_new_object();

	add_int(o, "cpu", c->cpu);
	add_int(o, "slot", c->slot);
	add_bool(o, "present", present);
	add_bool(o, "device", c->fixed ? kernel : c->online);
	add_bool(o, "kernel", kernel);
	add_bool(o, "fixed", c->fixed);
	add_table(o, &c->hp, table);
	return o;
}

/* Return: whether another scan would say more: a mask has moved, or a slot was not known. */
static bool add_cpus_rcu(struct json_object *o, const struct view *v, const struct masks *now,
			 const struct cpuhp_table *table)
{
	struct json_object *cpus = json_object_new_array();
	bool moved = false;
	size_t i;

	for (i = 0; i < v->n_cpus; i++) {
		const struct view_cpu *c = &v->cpu[i];
		bool kernel = now ? cpus_has(&now->online, c->cpu) : c->kernel;
		bool present = !now || cpus_has(&now->present, c->cpu);

		moved |= kernel != c->kernel || !present || c->slot < 0;
		json_object_array_add(cpus, cpu_object(c, present, kernel, table));
	}
	json_object_object_add(o, "cpus", cpus);
	return moved;
}

static void add_memory_rcu(struct json_object *o, const struct view *v, int64_t headroom)
{
	struct json_object *memory, *blocks, *run;
	size_t i;

	if (!v->block_bytes)
		return;
	memory = json_object_new_object();
	blocks = json_object_new_array();
	add_int(memory, "block-bytes", v->block_bytes);
	for (i = 0; i < v->n_runs; i++) {
		run = json_object_new_object();
		add_int(run, "first", v->run[i].first);
		add_int(run, "count", v->run[i].count);
		add_str(run, "state", state_name(v->run[i].state));
		json_object_array_add(blocks, run);
	}
	json_object_object_add(memory, "blocks", blocks);
	if (headroom >= 0)
		add_int(memory, "headroom-bytes", headroom);
	json_object_object_add(o, "memory", memory);
}

static bool add_devices(struct agent *a, struct json_object *o)
{
	int64_t headroom = headroom_now(a->sysfs);
	struct masks now;
	bool fresh = work_idle(a->work) && cpu_mask(a->sysfs, &now.online) >= 0 &&
		     cpu_present(a->sysfs, &now.present) >= 0;
	bool moved = false;
	const struct view *v;

	v = view_begin(&a->model);
	if (v) {
		moved = add_cpus_rcu(o, v, fresh ? &now : NULL, a->model.cpuhp);
		add_memory_rcu(o, v, headroom);
	}
	view_end(&a->model);
	return moved;
}

struct json_object *status_object(struct agent *a)
{
	struct json_object *o = json_object_new_object();
	uint64_t now_ms = qmp_now_ms();
	struct window_view window;
	struct utsname uts;

	uname(&uts);
	window_look(&a->window, now_ms, &window);
	add_int(o, "version", LS_WIRE_VERSION);
	add_str(o, "agent", "lockstep-agent " LOCKSTEP_VERSION);
	add_str(o, "boot-id", a->persist.boot_id);
	add_str(o, "machine", uts.machine);
	add_str(o, "guard", guard_mode_name(a->guard.mode));
	add_int(o, "guard-held", guard_held_now(&a->guard));
	add_str(o, "expedite", expedite_state(&a->expedite));
	add_lock(a, o, now_ms, window.left_ms);
	json_object_object_add(o, "window", window_object(&window));
	if (add_devices(a, o))
		agent_scan(a);
	return o;
}
