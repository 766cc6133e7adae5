/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The window's record on disk: what an agent that is started again in this boot knows.
 */
#include "window.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>
#include <qmp.h>

#include "classes.h"
#include "lock.h"

static struct json_object *ints_of(const struct cpus *set)
{
	struct json_object *a = json_object_new_array();
	int cpu;

	cpus_each(cpu, set) json_object_array_add(a, json_object_new_int(cpu));
	return a;
}

int window_save_locked(struct window *w)
{
	struct json_object *o = json_object_new_object();
	struct lock_view lock;
	int r;

	lock_look(w->lock, 0, &lock);
	json_object_object_add(o, "epoch", json_object_new_int64((int64_t)lock.epoch));
	json_object_object_add(o, "state", json_object_new_int(w->state));
	json_object_object_add(o, "mode", json_object_new_int(w->mode));
	json_object_object_add(o, "txn", json_object_new_string(w->txn));
	json_object_object_add(o, "forced", ints_of(&w->forced));
	r = persist_save(w->persist, o);
	json_object_put(o);
	return r;
}

int window_unrecorded(const struct window *w, int r, struct ls_err *err)
{
	return class_set(err, r, LS_CLASS_NOT_RECORDED,
			 "the window cannot be recorded in %s: %s; nothing was changed: make the "
			 "directory writable and free some space, or migrate with window mode off",
			 w->persist->dir, strerror(-r));
}

void window_save(struct window *w)
{
	ls_guard(&w->mutex);
	window_save_locked(w);
}

static void fill_locked(struct window *w, struct json_object *o)
{
	struct json_object *forced = qmp_get_array(o, "forced");
	int64_t state = qmp_get_int(o, "state", 0), mode = qmp_get_int(o, "mode", 0);
	size_t i, n = forced ? json_object_array_length(forced) : 0;
	int64_t cpu;

	if (state < 0 || state >= WINDOW_STATE_COUNT || mode < 0 || mode >= WINDOW_MODE_COUNT)
		return;
	w->state = (enum window_state)state;
	w->mode = (enum window_mode)mode;
	snprintf(w->txn, sizeof(w->txn), "%s", qmp_get_str(o, "txn", ""));
	for (i = 0; i < n; i++) {
		cpu = json_object_get_int64(json_object_array_get_idx(forced, i));
		if (cpu >= 0 && cpu < LS_CPUS_MAX)
			cpus_add(&w->forced, (int)cpu);
	}
}

/* The epoch counts even without a window: 'taking' the lock and giving it back records it. */
static void reclaim_locked(struct window *w, uint64_t epoch, uint64_t now_ms)
{
	lock_take(w->lock, w->txn, epoch, LS_LEASE_FIRST_MAX_MS, now_ms, NULL);
	if (w->state != WINDOW_OPEN || w->mode == WINDOW_OFF)
		lock_release(w->lock, w->txn, NULL);
	else
		lock_set_window(w->lock, true);
	if (w->state != WINDOW_CLOSED)
		log_info("window: %s, by transaction %s of an earlier agent, %d CPUs forced",
			 window_state_name(w->state), w->txn, cpus_count(&w->forced));
}

void window_load(struct window *w, uint64_t now_ms)
{
	struct json_object *o = NULL;
	int r = persist_load(w->persist, &o);
	int64_t epoch;

	if (r < 0) {
		if (r != -ENOENT)
			log_warning("state: the record cannot be read: %s", strerror(-r));
		return;
	}
	ls_guard(&w->mutex);
	fill_locked(w, o);
	w->deadline_ms = now_ms + LS_LEASE_FIRST_MAX_MS;
	epoch = qmp_get_int(o, "epoch", 0);
	reclaim_locked(w, epoch > 0 ? (uint64_t)epoch : 0, now_ms);
	json_object_put(o);
}
