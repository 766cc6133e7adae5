/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest's user did while CPUs are owed to a window, open or restore-pending:
 * what the user has set since is not taken offline any more.
 */
#include "window.h"

#include <lockstep/cleanup.h>
#include <lockstep/log.h>

#include "device.h"
#include "model.h"

bool window_forget_locked(struct window *w, int cpu)
{
	if (!cpus_has(&w->forced, cpu))
		return false;
	cpus_del(&w->forced, cpu);
	if (w->state == WINDOW_PENDING && !cpus_count(&w->forced))
		w->state = WINDOW_CLOSED;
	window_save_locked(w);
	return true;
}

static bool forget(struct window *w, int cpu)
{
	ls_guard(&w->mutex);
	return window_forget_locked(w, cpu);
}

static bool is_offline(struct window *w, int cpu)
{
	const struct device *dev = model_find(w->model, DEVICE_CPU, cpu);

	return !dev || (!dev->online && !dev->kernel);
}

/* Pending, and somebody else has taken it offline: from now on it is its user's again. */
static void settle_pending(struct window *w)
{
	struct window_view v;
	int cpu;

	window_look(w, 0, &v);
	if (v.state != WINDOW_PENDING)
		return;
	cpus_each(cpu, &v.forced) if (is_offline(w, cpu)) forget(w, cpu);
}

void window_honour(struct window *w)
{
	struct cpus intents = w->intents ? w->intents(w->intents_arg) : (struct cpus){ 0 };
	const struct device *dev;
	int cpu;

	cpus_each(cpu, &intents)
	{
		dev = model_find(w->model, DEVICE_CPU, cpu);
		if (forget(w, cpu))
			log_info("cpu%d: its user wants it %s: it stays so", cpu,
				 dev && dev->online ? "online" : "offline");
	}
	settle_pending(w);
}

void window_compare(struct window *w)
{
	const struct device *dev;
	struct window_view v;
	int cpu;

	window_look(w, 0, &v);
	cpus_each(cpu, &v.forced)
	{
		dev = model_find(w->model, DEVICE_CPU, cpu);
		if ((dev && dev->online && dev->kernel) || !forget(w, cpu))
			continue;
		log_warning("cpu%d: taken offline while no agent ran: close leaves it so", cpu);
		if (w->model->tell)
			w->model->tell(w->model->tell_arg,
				       &(struct change){ "cpu", cpu, 1, "offline", "foreign" });
	}
}
