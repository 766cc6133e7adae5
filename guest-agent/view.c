/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making and publishing snapshots of the devices.
 */
#include "view.h"

#include <stdlib.h>

#include <urcu.h>

#include <lockstep/log.h>

/*
 * ThreadSanitizer does not see the order that liburcu makes with membarrier(2) and
 * inline assembly: it is told. A reader comes after the publishing of what it reads,
 * and the release of a snapshot after the last reader of it.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define order_after(p)	__tsan_acquire(p)
#define order_before(p) __tsan_release(p)
#else
#define order_after(p)	(void)(p)
#define order_before(p) (void)(p)
#endif

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

	order_before(&m->view);
	was = rcu_xchg_pointer(&m->view, v);
	if (!was)
		return;
	synchronize_rcu();
	order_after(&m->view);
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
	order_after(&m->view);
	return v;
}

void view_end(struct model *m)
{
	order_before(&m->view);
	rcu_read_unlock();
}

void view_withdraw(struct model *m)
{
	replace(m, NULL);
}
