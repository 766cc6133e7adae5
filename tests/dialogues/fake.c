/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dialogue with the fakes, which begin as the real guests are seen. */
#include "dialogues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_MS	  3500	/* the lab's guest takes so long */
#define AGENT_MS  1100	/* until a killed agent is started again */
#define REPLY_MS  2000	/* between two asks */
#define SETTLE_MS 60000 /* afterwards */

struct fake {
	const struct dialogue *d;
	struct story *s;
};

static uint64_t as_usual(struct world *w, uint64_t usual_ms)
{
	(void)w;
	return usual_ms;
}

static void strike(struct world *w, enum harm harm)
{
	switch (harm) {
	case HARM_CANCEL:
		world_cancel(w, 0);
		break;
	case HARM_RESET:
		world_reset(w, BOOT_MS);
		w->mood = GUEST_GIVES; /* the new kernel knows nothing of it */
		break;
	case HARM_AGENT_DIES:
		world_agent_away(w, AGENT_MS);
		break;
	case HARM_DST_DIES:
		world_kill(w, SIDE_DST);
		break;
	case HARM_NONE:
		break;
	}
}

static void on_action(struct world *w, const struct action *a)
{
	struct fake *f = w->seams_arg;

	if (a->kind == ACT_TELL)
		note_tell(f->s, a);
	if (is_time(f->d, f->s, a))
		strike(w, f->d->harm);
}

static void on_line(struct world *w, bool coordinator, const char *line)
{
	(void)w, (void)coordinator, (void)line;
}

static void on_event(struct world *w, enum side side, const char *event)
{
	struct fake *f = w->seams_arg;

	note_event(f->s, side, event);
}

_Noreturn void world_failed(const struct world *w, const char *why)
{
	(void)w;
	printf("not ok 1 - the fake world: %s\n", why);
	exit(1);
}

/* ---- as it was seen ---------------------------------------------------------------- */

/* Where nobody tells what the guest has, it has what is plugged. */
static void import_mem(struct w_mem *to, const struct vm_mem *m, bool told)
{
	*to = (struct w_mem){ .exists = true,
			      .plugged = m->plugged,
			      .kind = m->kind,
			      .slot = m->slot,
			      .size = m->size,
			      .requested = m->requested,
			      .max = m->max,
			      .present = told ? m->guest_present : m->size,
			      .online = told ? m->guest_online : m->size };
	strcpy(to->id, m->id);
	strcpy(to->backend, m->backend);
}

static void import_cpu(struct w_cpu *to, const struct vm_cpu *c, bool told)
{
	*to = (struct w_cpu){ .plugged = c->plugged,
			      .present = told ? c->present : c->plugged,
			      .device = told ? c->device : c->plugged,
			      .kernel = told ? c->kernel : c->plugged,
			      .fixed = c->fixed };
	strcpy(to->id, c->id);
}

static void import(struct world *w, enum side side, const struct vm *vm)
{
	struct w_qemu *q = &w->qemu[side];
	bool told = vm->agent != AGENT_NONE || side == SIDE_DST;

	for (unsigned i = 0; i < W_CPUS && i < vm->n_cpus; i++)
		import_cpu(&q->cpus[i], &vm->cpus[i], told);
	memset(q->mems, 0, sizeof(q->mems));
	for (unsigned i = 0; i < W_MEMS && i < vm->n_mems; i++)
		import_mem(&q->mems[i], &vm->mems[i], told);
	q->balloon = q->balloon_goal = vm->balloon;
}

static void set_up(struct world *w, const struct dialogue *d, const struct view *seen)
{
	import(w, SIDE_SRC, &seen->vm[SIDE_SRC]);
	if (d->moves) {
		world_has_destination(w);
		import(w, SIDE_DST, &seen->vm[SIDE_DST]);
	}
	w->agent = seen->vm[SIDE_SRC].agent;
	w->mood = d->mood;
	w->lazy = d->lazy;
	w->dimms_offline = true;
	w->qemu[SIDE_SRC].agent_up = w->agent != AGENT_NONE && !d->mute;
	w->deadline_ms = d->limit_s ? w->now_ms + d->limit_s * 1000 : 0;
	if (d->rival)
		strcpy(d->rival == VERB_CLAIM ? w->qemu[SIDE_SRC].claim : w->qemu[SIDE_SRC].lock,
		       "rival");
}

/* ---- the dialogue ------------------------------------------------------------------ */

static void ask_all(struct world *w, struct fake *f, struct txn *t)
{
	w->t = t;
	for (unsigned i = 0; i < ASKS_MAX && f->d->asks[i]; i++) {
		enum verb verb = f->d->asks[i];

		note(&f->s->talk, verb_name(verb),
		     class_of(world_ask(w, verb, SIDE_SRC, 0, t->items[0].goal)));
		world_wait(w, REPLY_MS);
		f->s->heard[i] = f->s->events[SIDE_SRC].n;
	}
	w->t = NULL;
	txn_free(t);
}

static void run(struct world *w, struct fake *f)
{
	enum txn_end end = world_run(w);

	note_end(f->s, end, w->code);
}

static void wish(struct world *w, struct fake *f)
{
	struct txn *t = NULL;
	struct vm vm;
	int r;

	world_look(w, SIDE_SRC, &vm);
	r = wish_plan(&f->d->wish, &vm, "d1", NULL, &t);
	vm_done(&vm);
	if (r) {
		note(&f->s->talk, "plan", r > 0 ? "is so already" : class_of(r));
	} else if (f->d->asks[0]) {
		ask_all(w, f, t);
	} else {
		world_begin(w, t);
		run(w, f);
	}
}

void fake_hold(const struct dialogue *d, const struct view *seen, struct story *s)
{
	static const struct w_seams seams = { as_usual, on_action, on_line, on_event };
	struct fake fake = { .d = d, .s = s };
	struct world *w = world_new();
	int r = 0;

	w->seams = &seams;
	w->seams_arg = &fake;
	set_up(w, d, seen);
	if (!d->moves)
		wish(w, &fake);
	else if ((r = world_migrate(w, NULL)))
		note(&s->talk, "plan", class_of(r));
	else
		run(w, &fake);
	world_wait(w, SETTLE_MS);
	world_free(w);
}
