/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the window does to CPUs: force them online, prove that they run, take them
 * offline again.
 */
#include "window.h"

#include <errno.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>

#include "classes.h"
#include "cpu.h"
#include "expedite.h"
#include "model.h"

/* ---- forcing ----------------------------------------------------------------- */

/*
 * A CPU with two truths has no state that a close could come back to: whatever is
 * written to it changes one of them.
 */
static int refuse_out_of_step(const struct device *dev, struct ls_err *err)
{
	if (dev->online == dev->kernel)
		return 0;
	return class_set(err, -EIO, LS_CLASS_NOT_FORCED,
			 "cpu%d is %s for the driver core but %s in the kernel's mask; heal it in "
			 "the guest first: lockstep-agent doctor --fix",
			 dev->id, dev->online ? "online" : "offline",
			 dev->kernel ? "online" : "offline");
}

int window_can_force(struct window *w, struct ls_err *err)
{
	const struct device_set *set = &w->model->set[DEVICE_CPU];
	int r = 0;
	size_t i;

	for (i = 0; i < set->n && r == 0; i++)
		r = refuse_out_of_step(set->dev[i], err);
	return r;
}

static struct cpus offline_cpus(const struct model *m)
{
	const struct device_set *set = &m->set[DEVICE_CPU];
	struct cpus mask = { 0 };
	size_t i;

	for (i = 0; i < set->n; i++)
		if (!set->dev[i]->fixed && !set->dev[i]->online)
			cpus_add(&mask, set->dev[i]->id);
	return mask;
}

/* The mask is on disk before the first CPU of it changes. */
static int remember(struct window *w, const struct cpus *mask, struct ls_err *err)
{
	struct cpus before;
	size_t i;
	int r;

	ls_guard(&w->mutex);
	before = w->forced;
	for (i = 0; i < sizeof(mask->bits) / sizeof(mask->bits[0]); i++)
		w->forced.bits[i] |= mask->bits[i];
	r = window_save_locked(w);
	if (r == 0)
		return 0;
	w->forced = before;
	return window_unrecorded(w, r, err);
}

static void forget_cpu(struct window *w, int cpu)
{
	ls_guard(&w->mutex);
	window_forget_locked(w, cpu);
}

static int not_forced(int cpu, int r, struct ls_err *err)
{
	return class_set(err, r, LS_CLASS_NOT_FORCED, "cpu%d could not be brought online: %s", cpu,
			 strerror(-r));
}

/* 0 to be forced, 1 somebody else has brought it online since the mask was made. */
static int look_again(struct window *w, int cpu, struct ls_err *err)
{
	struct device *dev = model_find(w->model, DEVICE_CPU, cpu);
	int r = dev ? device_look(dev, "foreign", NULL) : -ENODEV;

	if (r < 0)
		return not_forced(cpu, r, err);
	r = refuse_out_of_step(dev, err);
	return r < 0 ? r : dev->online;
}

/* One CPU of open, offline: 0, 1 left out, -errno. */
static int bring_online(struct window *w, int cpu, struct window_result *result, struct ls_err *err)
{
	struct device *dev = model_find(w->model, DEVICE_CPU, cpu);
	int r = device_online(dev, err);

	if (r == -EPERM) {
		forget_cpu(w, cpu);
		result->failed(result->arg, cpu, r, err);
		return 1;
	}
	if (r < 0 && r != -EINPROGRESS && !dev->online)
		forget_cpu(w, cpu);
	if (r >= 0 || r == -ECANCELED)
		return r; /* the hook's own words */
	return not_forced(cpu, r, err);
}

/* What is not changed here is not ours to take offline again. */
static int force_one(struct window *w, int cpu, struct window_result *result, struct ls_err *err)
{
	int r = look_again(w, cpu, err);

	if (r == 0)
		return bring_online(w, cpu, result, err);
	forget_cpu(w, cpu);
	return r;
}

static int force_all(struct window *w, const struct cpus *mask, struct window_result *result,
		     struct ls_err *err)
{
	struct ls_err own = { 0 };
	int cpu, r;

	cpus_each(cpu, mask)
	{
		r = force_one(w, cpu, result, &own);
		model_catch_up(w->model);
		if (r < 0) {
			if (err)
				*err = own;
			return r;
		}
	}
	return 0;
}

int window_plan(struct window *w, struct cpus *ret_mask, struct ls_err *err)
{
	window_honour(w); /* what is owed from an earlier window, and its user has taken over */
	*ret_mask = offline_cpus(w->model);
	return remember(w, ret_mask, err);
}

int window_force(struct window *w, const struct cpus *mask, struct window_result *result,
		 struct ls_err *err)
{
	struct expedite *batch = expedite_begin(w->model->expedite, cpus_count(mask));
	int r = force_all(w, mask, result, err);

	expedite_end(batch);
	return r;
}

/* ---- proving ------------------------------------------------------------------ */

static struct cpus forced_online(struct window *w)
{
	struct cpus set;
	int cpu;

	pthread_mutex_lock(&w->mutex);
	set = w->forced;
	pthread_mutex_unlock(&w->mutex);
	for (cpu = 0; cpu < LS_CPUS_MAX; cpu++) {
		const struct device *dev =
			cpus_has(&set, cpu) ? model_find(w->model, DEVICE_CPU, cpu) : NULL;

		if (!dev || !dev->online || !dev->kernel)
			cpus_del(&set, cpu);
	}
	return set;
}

void window_prove(struct window *w)
{
	struct cpus set = forced_online(w);
	struct ls_err err = { 0 };
	int r = cpu_meet(w->model, &set, &err);

	if (r < 0)
		log_error("window: the CPUs that were forced online: %s", err.text);
	else if (cpus_count(&set))
		log_info("window: %d CPUs that were forced online have met%s", cpus_count(&set),
			 r == 1 ? ", not all of them verified" : ": they run");
}

/* ---- restoring ---------------------------------------------------------------- */

/* One CPU that open had forced, or that an earlier close left: highest number first. */
static void restore_one(struct window *w, int cpu, struct window_result *result)
{
	struct device *dev = model_find(w->model, DEVICE_CPU, cpu);
	struct ls_err err = { 0 };
	int r = dev ? device_offline(dev, &err) : 1;

	if (r < 0) {
		result->failed(result->arg, cpu, r, &err);
		return;
	}
	forget_cpu(w, cpu);
	if (r == 0)
		cpus_add(&result->done, cpu);
}

void window_restore(struct window *w, struct window_result *result)
{
	struct expedite *batch;
	struct cpus mask;
	int cpu;

	window_honour(w);
	pthread_mutex_lock(&w->mutex);
	mask = w->forced;
	pthread_mutex_unlock(&w->mutex);
	batch = expedite_begin(w->model->expedite, cpus_count(&mask));
	for (cpu = LS_CPUS_MAX - 1; cpu >= 0; cpu--) {
		if (!cpus_has(&mask, cpu))
			continue;
		restore_one(w, cpu, result);
		model_catch_up(w->model);
	}
	expedite_end(batch);
	window_save(w);
}
