/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rows of the CPU table: what each does on the way up and on the way down.
 */
#include <errno.h>
#include <string.h>

#include <lockstep/err.h>
#include <lockstep/log.h>

#include "cpu.h"
#include "hooks.h"
#include "model.h"
#include "sysfs.h"

#define PARK_MS 2000 /* for a worker to run what it has accepted */

/* ---- hooks:check ---------------------------------------------------------------- */

static struct hook_event event_of(const struct device *dev, enum hook_op op, bool on_cpu)
{
	return (struct hook_event){
		.op = op,
		.kind = HOOK_CPU,
		.ids = &dev->id,
		.n = 1,
		.cpu = on_cpu ? dev->id : -1,
	};
}

static int check_up(struct device *dev, struct ls_err *err)
{
	const struct hook_event ev = event_of(dev, HOOK_ONLINE, false);
	int r = hooks_check(dev->model->hooks, &ev, err);

	if (r == 0)
		hooks_run(dev->model->hooks, HOOK_PRE, &ev);
	return r;
}

static int uncheck_up(struct device *dev, struct ls_err *err)
{
	const struct hook_event ev = event_of(dev, HOOK_ONLINE, false);

	(void)err;
	hooks_run(dev->model->hooks, HOOK_FAILED, &ev);
	hooks_undocheck(dev->model->hooks, &ev);
	return 0;
}

static int tell_down(struct device *dev, struct ls_err *err)
{
	const struct hook_event ev = event_of(dev, HOOK_OFFLINE, false);

	(void)err;
	hooks_run(dev->model->hooks, HOOK_POST, &ev);
	return 0;
}

/* ---- kernel:online ---------------------------------------------------------------- */

static int write_online(struct device *dev, bool online, struct ls_err *err)
{
	const struct sysfs_how how = { .deadline_ms = dev->model->cpu_ms,
				       .meanwhile = model_look_meanwhile,
				       .meanwhile_arg = dev->model };

	return sysfs_write_str(dev->model->sysfs, &how, online ? "1" : "0", err,
			       CPU_DIR "/cpu%d/online", dev->id);
}

/*
 * A look before and after: what changed is told as whose it is, however the walk ends.
 *
 * A write that the kernel accepted and that changed nothing, or one view only, is a
 * failure; what it did change is taken back before the row fails.
 */
static int kernel_set(struct device *dev, bool online, struct ls_err *err)
{
	int r;

	device_look(dev, "foreign", NULL);
	if (dev->online == online && dev->kernel == online)
		return 0; /* somebody was faster */
	r = device_look_written(dev, online, write_online(dev, online, err), err);
	if (r < 0)
		return r;
	if (dev->online == online && dev->kernel == online)
		return 0;
	ls_err_set(err, -EIO,
		   "the kernel took \"%d\", but then the driver core says %s and the mask %s",
		   online, dev->online ? "online" : "offline", dev->kernel ? "online" : "offline");
	if (dev->online == online) {
		r = write_online(dev, !online, NULL);
		device_look_written(dev, !online, r, NULL);
	}
	return -EIO;
}

static int kernel_online(struct device *dev, struct ls_err *err)
{
	return kernel_set(dev, true, err);
}

static int kernel_offline(struct device *dev, struct ls_err *err)
{
	return kernel_set(dev, false, err);
}

/* ---- worker:unpark ---------------------------------------------------------------- */

static int unpark(struct device *dev, struct ls_err *err)
{
	struct worker *w = workers_get(&dev->model->workers, dev->id);

	if (!w)
		return ls_err_set(err, -EAGAIN, "no thread for the CPU's worker");
	worker_unpark(w);
	return 0;
}

/* What cannot be parked goes on accepting, as before. */
static int park(struct device *dev, struct ls_err *err)
{
	struct worker *w = dev->model->workers.of[dev->id];
	int r = worker_park(w, PARK_MS);

	if (r >= 0)
		return 0;
	worker_unpark(w);
	return ls_err_set(err, r, "the CPU's worker does not come to rest: %s", strerror(-r));
}

/* ---- on the CPU ---------------------------------------------------------------------- */

static int where(const struct device *dev)
{
	return worker_where(dev->model->workers.of[dev->id]);
}

static int ap_alive(struct device *dev, struct ls_err *err)
{
	int r = where(dev);

	if (r < 0)
		return ls_err_set(err, r, "its worker runs on another CPU");
	if (r == 1)
		log_info("cpu%d ap:alive: unverified: no thread can be tied to it", dev->id);
	return r;
}

static int ap_clock(struct device *dev, struct ls_err *err)
{
	int64_t now_ns = dev->model->workers.ops->now_ns(dev->id);
	int r = where(dev);

	if (r != 0)
		return 1;
	if (now_ns < dev->hp.kicked_ns)
		return ls_err_set(err, -EIO, "its clock is %lld ns behind",
				  (long long)(dev->hp.kicked_ns - now_ns));
	return 0;
}

static int tell_up(struct device *dev, struct ls_err *err)
{
	const struct hook_event ev = event_of(dev, HOOK_ONLINE, true);

	(void)err;
	hooks_run(dev->model->hooks, HOOK_POST, &ev);
	return 0;
}

static int check_down(struct device *dev, struct ls_err *err)
{
	const struct hook_event ev = event_of(dev, HOOK_OFFLINE, true);
	int r = hooks_check(dev->model->hooks, &ev, err);

	if (r == 0)
		hooks_run(dev->model->hooks, HOOK_PRE, &ev);
	return r;
}

/* The kernel's DOWN_FAILED: told once, on the CPU, and instead of "it came online". */
static int uncheck_down(struct device *dev, struct ls_err *err)
{
	const struct hook_event ev = event_of(dev, HOOK_OFFLINE, true);

	(void)err;
	hooks_run(dev->model->hooks, HOOK_FAILED, &ev);
	hooks_undocheck(dev->model->hooks, &ev);
	return 0;
}

/* clang-format off */
static const struct cpuhp_step steps[] = {
	{ "hooks:check", check_up, tell_down, .undo_startup = uncheck_up },
	{ "kernel:online", kernel_online, kernel_offline, .on_cpu = false },
	{ "worker:unpark", unpark, park, .on_cpu = false },
	{ "ap:alive", ap_alive, NULL, .on_cpu = true },
	{ "ap:clock", ap_clock, NULL, .on_cpu = true },
	{ "hooks:online", tell_up, check_down, .undo_teardown = uncheck_down, .on_cpu = true },
};
/* clang-format on */

const struct cpuhp_table cpuhp_table = { steps, sizeof(steps) / sizeof(steps[0]) };
