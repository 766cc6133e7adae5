/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding and healing disagreements.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lockstep/err.h>
#include <lockstep/log.h>
#include <qmp.h>

#include "cpu.h"
#include "cpus.h"
#include "device.h"
#include "lock.h"
#include "window.h"

#define ME "(doctor)"

__attribute__((format(printf, 5, 6))) static void report(const struct doctor *d, const char *kind,
							 int id, bool healed, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warning("doctor: %s%s", text, healed ? " (healed)" : "");
	d->report(d->arg, &(struct finding){ kind, id, text, healed });
}

/* ---- CPUs ------------------------------------------------------------------ */

/* There and back through the driver core; it ends as the driver core had it. */
static int heal_cpu(struct device *dev, struct ls_err *err)
{
	bool online = dev->online;
	int r = online ? device_offline(dev, err) : device_online(dev, err);

	if (r == -EBUSY && online)
		return device_restart(dev, err);
	if (r < 0)
		return r;
	return online ? device_online(dev, err) : device_offline(dev, err);
}

static void examine_cpu(const struct doctor *d, struct device *dev)
{
	bool online = dev->online, kernel = dev->kernel;
	struct ls_err err = { 0 };
	const char *why = "";
	bool healed = false;

	if (dev->state == STATE_IN_KERNEL) {
		report(d, "cpu", dev->id, false, "cpu%d: a write has not come back from the kernel",
		       dev->id);
		return;
	}
	if (online == kernel)
		return;
	if (d->fix) {
		healed = heal_cpu(dev, &err) >= 0;
		why = healed ? "" : err.text;
	}
	report(d, "cpu", dev->id, healed,
	       "cpu%d is %s for the driver core (cpu%d/online) but %s in the kernel's mask%s%s",
	       dev->id, online ? "online" : "offline", dev->id, kernel ? "online" : "offline",
	       *why ? "; healing failed: " : "", why);
}

static void examine_beyond(const struct doctor *d)
{
	struct cpus present;
	int n = cpu_present(d->model->sysfs, &present);

	if (n > 0)
		report(d, "cpu", -1, false, CPUS_BEYOND, n, LS_CPUS_MAX);
}

/* ---- memory ---------------------------------------------------------------- */

static void examine_block(const struct doctor *d, struct device *dev)
{
	if (dev->state == STATE_ONLINE || dev->state == STATE_OFFLINE)
		return;
	report(d, "memory", dev->id, false, "memory%d is neither online nor offline: %s", dev->id,
	       state_name(dev->state));
}

/* ---- window and lock -------------------------------------------------------- */

struct restore_report {
	const struct doctor *d;
	const char *txn;
};

static void restore_failed(void *arg, int cpu, int code, const struct ls_err *err)
{
	const struct restore_report *rr = arg;

	report(rr->d, "window", cpu, false,
	       "cpu%d was forced online for transaction %s and cannot be taken offline again: %s: "
	       "%s",
	       cpu, rr->txn, strerror(-code), err->text);
}

static void examine_pending(const struct doctor *d, const struct window_view *v)
{
	struct restore_report rr = { d, v->txn };
	struct window_result result = { .failed = restore_failed, .arg = &rr };
	const struct cpus *told = d->fix ? &result.done : &v->forced;
	int cpu;

	if (d->fix)
		window_restore(d->window, &result);
	cpus_each(cpu, told)
		report(d, "window", cpu, d->fix,
		       "cpu%d was forced online for transaction %s and not taken offline again",
		       cpu, v->txn);
}

static void examine_window(const struct doctor *d)
{
	struct window_view v;

	window_look(d->window, qmp_now_ms(), &v);
	if (v.state == WINDOW_PENDING)
		examine_pending(d, &v);
	else if (v.state == WINDOW_OPEN && !v.left_ms)
		report(d, "window", -1, false,
		       "the window of transaction %s is still open after the end of its lease",
		       v.txn);
}

/* ---- the visit --------------------------------------------------------------- */

static void examine(const struct doctor *d)
{
	const struct device_set *cpus = &d->model->set[DEVICE_CPU];
	const struct device_set *blocks = &d->model->set[DEVICE_MEMORY];
	size_t i;

	for (i = 0; i < cpus->n; i++)
		examine_cpu(d, cpus->dev[i]);
	examine_beyond(d);
	for (i = 0; i < blocks->n; i++)
		examine_block(d, blocks->dev[i]);
	examine_window(d);
}

int doctor_run(const struct doctor *d, struct ls_err *err)
{
	int r;

	if (!d->fix) {
		examine(d);
		return 0;
	}
	r = lock_begin_local(d->lock, ME, err);
	if (r < 0)
		return r;
	examine(d);
	lock_end_local(d->lock, ME);
	return 0;
}
