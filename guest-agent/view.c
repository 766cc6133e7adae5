/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making and publishing snapshots of the devices.
 */
#include "view.h"

#include <stdlib.h>

#include <urcu.h>

#include <lockstep/log.h>

#include <lockstep/rcu_order.h>

static void view_free(struct view *v)
{
	if (!v)
		return;
	free(v->cpu);
	free(v->run);
	free(v);
}

static void fill_cpus(struct view *v, const struct device_set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++) {
		const struct device *dev = set->dev[i];

		v->cpu[v->n_cpus++] = (struct view_cpu){
			.cpu = dev->id,
			.slot = dev->slot,
			.online = dev->online,
			.kernel = dev->kernel,
			.fixed = dev->fixed,
			.hp = dev->hp,
		};
	}
}

static void fill_runs(struct view *v, const struct device_set *set)
{
	struct view_run *last = NULL;
	size_t i;

	for (i = 0; i < set->n; i++) {
		const struct device *dev = set->dev[i];

		if (last && last->first + last->count == dev->id && last->state == dev->state) {
			last->count++;
			continue;
		}
		last = &v->run[v->n_runs++];
		*last = (struct view_run){ dev->id, 1, dev->state };
	}
}

static struct view *view_new(const struct model *m)
{
	const struct device_set *cpus = &m->set[DEVICE_CPU], *blocks = &m->set[DEVICE_MEMORY];
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->cpu = calloc(cpus->n + 1, sizeof(*v->cpu));
	v->run = calloc(blocks->n + 1, sizeof(*v->run));
	if (!v->cpu || !v->run) {
		view_free(v);
		return NULL;
	}
	v->block_bytes = blocks->n ? m->block_bytes : 0;
	fill_cpus(v, cpus);
	fill_runs(v, blocks);
	return v;
}

static void replace(struct model *m, struct view *v)
{
	struct view *was;

	rcu_order_before(&m->view);
	was = rcu_xchg_pointer(&m->view, v);
	if (!was)
		return;
	synchronize_rcu();
	rcu_order_after(&m->view);
	view_free(was);
}

void view_publish(struct model *m)
{
	struct view *v = view_new(m);

	if (v)
		replace(m, v);
	else
		log_error("status: out of memory; what is shown grows old");
}

const struct view *view_begin(struct model *m)
{
	const struct view *v;

	rcu_read_lock();
	v = rcu_dereference(m->view);
	rcu_order_after(&m->view);
	return v;
}

void view_end(struct model *m)
{
	rcu_order_before(&m->view);
	rcu_read_unlock();
}

void view_withdraw(struct model *m)
{
	replace(m, NULL);
}
