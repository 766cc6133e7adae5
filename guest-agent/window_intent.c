/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest's user did while the window was open, and how close honours it: it
 * restores the mask minus what the user has set.
 */
#include "window.h"

#include <lockstep/cleanup.h>
#include <lockstep/log.h>

#include "device.h"
#include "model.h"

static struct cpus take(struct window *w)
{
	return w->intents ? w->intents(w->intents_arg) : (struct cpus){ 0 };
}

void window_drop_intents(struct window *w)
{
	take(w);
}

static bool forget_if_forced(struct window *w, int cpu)
{
	ls_guard(&w->mutex);
	if (w->state != WINDOW_OPEN || !cpus_has(&w->forced, cpu))
		return false;
	cpus_del(&w->forced, cpu);
	window_save_locked(w);
	return true;
}

void window_honour(struct window *w)
{
	struct cpus intents = take(w);
	const struct device *dev;
	int cpu;

	cpus_each(cpu, &intents)
	{
		dev = model_find(w->model, DEVICE_CPU, cpu);
		if (forget_if_forced(w, cpu))
			log_info("cpu%d: its user wants it %s: close leaves it so", cpu,
				 dev && dev->online ? "online" : "offline");
	}
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
		if ((dev && dev->online && dev->kernel) || !forget_if_forced(w, cpu))
			continue;
		log_warning("cpu%d: taken offline while no agent ran: close leaves it so", cpu);
		if (w->model->tell)
			w->model->tell(w->model->tell_arg,
				       &(struct change){ "cpu", cpu, 1, "offline", "foreign" });
	}
}
