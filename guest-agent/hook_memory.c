/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which blocks hooks are asked about, and what they are told of each.
 */
#include "hook_memory.h"

#include <errno.h>
#include <stdlib.h>

#include <lockstep/err.h>

#include "device.h"
#include "hooks.h"
#include "memory.h"
#include "model.h"

static struct hook_event event_of(const struct hook_memory *b, const int *ids, unsigned n)
{
	return (struct hook_event){
		.op = b->online ? HOOK_ONLINE : HOOK_OFFLINE,
		.kind = HOOK_MEMORY,
		.ids = ids,
		.n = n,
		.cpu = -1,
	};
}

static int begin(struct hook_memory *b, struct ls_err *err)
{
	struct hook_event ev = event_of(b, b->ids, b->n);
	int r = b->n ? hooks_check(b->model->hooks, &ev, err) : 0;

	if (r < 0) {
		free(b->ids);
		return r;
	}
	if (b->n)
		hooks_run(b->model->hooks, HOOK_PRE, &ev);
	return 0;
}

static int room_for(struct hook_memory *b, struct model *m, bool online, size_t n,
		    struct ls_err *err)
{
	*b = (struct hook_memory){ .model = m, .online = online };
	b->ids = malloc((n + 1) * sizeof(*b->ids));
	return b->ids ? 0 : ls_err_set(err, -ENOMEM, "out of memory");
}

/* A block whose last change has not come to its end is refused: nothing to ask about. */
static bool may_change(const struct device *dev, bool online)
{
	return dev->online != online && !dev->late;
}

int hook_memory_begin(struct hook_memory *b, struct model *m, int64_t start, int64_t length,
		      bool online, struct ls_err *err)
{
	const struct device_set *set = &m->set[DEVICE_MEMORY];
	int r = room_for(b, m, online, set->n, err);
	size_t i;

	if (r < 0)
		return r;
	for (i = 0; i < set->n; i++)
		if (memory_inside(m, set->dev[i], start, length) && may_change(set->dev[i], online))
			b->ids[b->n++] = set->dev[i]->id;
	return begin(b, err);
}

int hook_memory_begin_one(struct hook_memory *b, const struct device *dev, bool online,
			  struct ls_err *err)
{
	int r = room_for(b, dev->model, online, 1, err);

	if (r < 0)
		return r;
	if (may_change(dev, online))
		b->ids[b->n++] = dev->id;
	return begin(b, err);
}

static bool arrived(const struct hook_memory *b, int id)
{
	const struct device *dev = model_find(b->model, DEVICE_MEMORY, id);

	return dev && dev->online == b->online;
}

/* What is late is told by device_end_late(), when it is known. */
static void drop_late(struct hook_memory *b)
{
	unsigned i, kept = 0;

	for (i = 0; i < b->n; i++) {
		const struct device *dev = model_find(b->model, DEVICE_MEMORY, b->ids[i]);

		if (!dev || !dev->late)
			b->ids[kept++] = b->ids[i];
	}
	b->n = kept;
}

/* Those that arrived to the front. Return: how many. */
static unsigned split(struct hook_memory *b)
{
	unsigned i, done = 0;
	int id;

	for (i = 0; i < b->n; i++) {
		if (!arrived(b, b->ids[i]))
			continue;
		id = b->ids[i];
		b->ids[i] = b->ids[done];
		b->ids[done++] = id;
	}
	return done;
}

void hook_memory_end(struct hook_memory *b)
{
	struct hook_event good, bad;
	unsigned done;

	drop_late(b);
	done = split(b);
	good = event_of(b, b->ids, done);
	bad = event_of(b, b->ids + done, b->n - done);
	if (bad.n) {
		hooks_run(b->model->hooks, HOOK_FAILED, &bad);
		hooks_undocheck(b->model->hooks, &bad);
	}
	if (good.n)
		hooks_run(b->model->hooks, HOOK_POST, &good);
	free(b->ids);
}
