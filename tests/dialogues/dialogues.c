/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Are the fakes true? One dialogue, held with a real QEMU, guest and agent, and with the
 * world of the unit tests and the simulation, which begins as the real guest is seen: the
 * rows that the engine visits, in their order, the class of each error, and the end have to be
 * the same.
 *
 *	dialogues                 names them
 *	dialogues NAME DIR        the guest is g1 of DIR, as `harness up` writes it
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <lockstep/log.h>

#include "../../coordinator/hv/hv.h"
#include "../../coordinator/run/run.h"
#include "../../coordinator/run/wish.h"
#include "../sim/world.h"
#include "dialogues.h"

#define LINES_MAX 96

/* What the host's hooks say: nothing of it is compared. */
void log_sink(int priority, const char *fmt, ...)
{
	(void)priority, (void)fmt;
}

/* What was said, a line each; the same line twice in a row is one. */
struct record {
	char line[LINES_MAX][96];
	unsigned n;
};

static void note(struct record *r, const char *a, const char *b)
{
	char line[96];

	snprintf(line, sizeof(line), "%.40s %.50s", a, b);
	if (r->n && !strcmp(r->line[r->n - 1], line))
		return;
	if (r->n < LINES_MAX)
		strcpy(r->line[r->n++], line);
}

/* All that the engine makes of an error. */
static const char *class_of(int code)
{
	if (!code)
		return "good";
	if (code == -EAGAIN)
		return "not yet";
	return code == -ENOTCONN || code == -EPIPE || code == -ETIMEDOUT ? "nobody" : "refused";
}

static void note_tell(struct record *r, const struct action *a)
{
	static const char *const told[] = { [TELL_ROW_DONE] = "done",
					    [TELL_ROW_FAILED] = "failed",
					    [TELL_ROLLBACK] = "turns round" };

	if (a->tell == TELL_ROW)
		note(r, a->row, a->text);
	else if (a->tell != TELL_ACCEPTED && a->tell != TELL_WARN)
		note(r, a->row, told[a->tell]);
}

/* Whether this is the moment to think better of it. */
static bool is_cancelled(const struct dialogue *d, const struct action *a, bool *done)
{
	bool now = d->cancel && !*done && a->kind == ACT_TELL && a->tell == TELL_ROW &&
		   !strcmp(a->row, d->cancel);

	*done |= now;
	return now;
}

static void note_end(struct record *r, const struct txn *t)
{
	note(r, txn_end_name(t->end), class_of(t->end == END_DONE ? 0 : t->reason.code));
}

/* ---- the real one ---------------------------------------------------------------- */

struct real {
	const struct dialogue *d;
	struct record *r;
	struct run *run;
	sd_event *loop;
	bool cancelled, answered;
	struct ls_err err;
};

static void on_tell(void *arg, const struct txn *t, const struct action *a)
{
	struct real *real = arg;

	(void)t;
	note_tell(real->r, a);
	if (is_cancelled(real->d, a, &real->cancelled))
		run_cancel(real->run);
}

static void on_answer(void *arg, const struct ls_err *err)
{
	struct real *real = arg;

	real->answered = true;
	real->err = *err;
}

static int ask_real(struct real *real, const struct txn *t, enum verb verb)
{
	unsigned todo[1] = { 0 };
	uint64_t level[1] = { t->items[0].goal };
	struct hv_request rq = { .verb = verb,
				 .t = t,
				 .view = run_view(real->run),
				 .todo = todo,
				 .n = 1,
				 .level = level };

	real->answered = false;
	hv_ask(run_hv(real->run, SIDE_SRC), &rq, on_answer, real);
	while (!real->answered && sd_event_run(real->loop, UINT64_MAX) >= 0)
		;
	return real->err.code;
}

static void asks_real(struct real *real, const struct txn *t)
{
	for (const enum verb *v = real->d->asks; *v; v++)
		note(real->r, verb_name(*v), class_of(ask_real(real, t, *v)));
}

static void real_wish(struct real *real, const struct wish *wish, const char *id)
{
	const struct vm *vm = &run_view(real->run)->vm[SIDE_SRC];
	struct txn *t = NULL, *rival = txn_new(OP_VCPUS, "rival", 1, true);
	int r = wish_plan(wish, vm, id, NULL, &t);

	if (real->d->rival)
		ask_real(real, rival, real->d->rival);
	if (r)
		note(real->r, "plan", r > 0 ? "is so already" : class_of(r));
	else if (real->d->asks[0])
		asks_real(real, t);
	else if (run_txn(real->run, t, 0) == 0)
		note_end(real->r, t);
	txn_free(t);
	txn_free(rival);
	run_look(real->run, NULL);
}

/* ---- the fake one ---------------------------------------------------------------- */

struct fake {
	const struct dialogue *d;
	struct record *r;
	bool cancelled;
};

static uint64_t as_usual(struct world *w, uint64_t usual_ms)
{
	(void)w;
	return usual_ms;
}

static void on_action(struct world *w, const struct action *a)
{
	struct fake *f = w->seams_arg;

	if (a->kind == ACT_TELL)
		note_tell(f->r, a);
	if (is_cancelled(f->d, a, &f->cancelled))
		world_cancel(w, 0);
}

static void on_line(struct world *w, bool coordinator, const char *line)
{
	(void)w, (void)coordinator, (void)line;
}

_Noreturn void world_failed(const struct world *w, const char *why)
{
	(void)w;
	printf("not ok 1 - the fake world: %s\n", why);
	exit(1);
}

static void import_mem(struct w_mem *to, const struct vm_mem *m)
{
	*to = (struct w_mem){ .exists = true,
			      .plugged = m->plugged,
			      .kind = m->kind,
			      .slot = m->slot,
			      .size = m->size,
			      .requested = m->requested,
			      .max = m->max,
			      .present = m->guest_present,
			      .online = m->guest_online };
	strcpy(to->id, m->id);
	strcpy(to->backend, m->backend);
}

/* The world begins as the real guest was seen. */
static void import(struct world *w, const struct vm *vm)
{
	struct w_qemu *q = &w->qemu[SIDE_SRC];

	for (unsigned i = 0; i < W_CPUS && i < vm->n_cpus; i++) {
		const struct vm_cpu *c = &vm->cpus[i];

		q->cpus[i] = (struct w_cpu){ .plugged = c->plugged,
					     .present = c->present,
					     .device = c->device,
					     .kernel = c->kernel,
					     .fixed = c->fixed };
		strcpy(q->cpus[i].id, c->id);
	}
	memset(q->mems, 0, sizeof(q->mems));
	for (unsigned i = 0; i < W_MEMS && i < vm->n_mems; i++)
		import_mem(&q->mems[i], &vm->mems[i]);
	q->balloon = q->balloon_goal = vm->balloon;
}

static void asks_fake(struct world *w, struct fake *f, struct txn *t)
{
	w->t = t;
	for (const enum verb *v = f->d->asks; *v; v++) {
		note(f->r, verb_name(*v),
		     class_of(world_ask(w, *v, SIDE_SRC, 0, t->items[0].goal)));
		world_wait(w, 2000);
	}
	w->t = NULL;
	txn_free(t);
}

static void fake_wish(struct fake *f, const struct vm *seen, const struct wish *wish,
		      const char *id)
{
	static const struct w_seams seams = { as_usual, on_action, on_line };
	struct world *w = world_new();
	struct txn *t = NULL;
	struct vm vm;
	int r;

	w->seams = &seams;
	w->seams_arg = f;
	import(w, seen);
	world_look(w, SIDE_SRC, &vm);
	r = wish_plan(wish, &vm, id, NULL, &t);
	vm_done(&vm);
	if (f->d->rival)
		strcpy(f->d->rival == VERB_CLAIM ? w->qemu[SIDE_SRC].claim : w->qemu[SIDE_SRC].lock,
		       "rival");
	if (r) {
		note(f->r, "plan", r > 0 ? "is so already" : class_of(r));
	} else if (f->d->asks[0]) {
		asks_fake(w, f, t);
	} else {
		enum txn_end end;

		world_begin(w, t);
		end = world_run(w);
		note(f->r, txn_end_name(end), class_of(w->code));
	}
	world_free(w);
}

/* ---- both ------------------------------------------------------------------------- */

static int compare(const struct dialogue *d, const struct record *real, const struct record *fake)
{
	unsigned n = real->n > fake->n ? real->n : fake->n;
	bool same = true;

	for (unsigned i = 0; i < n; i++) {
		const char *a = i < real->n ? real->line[i] : "-";
		const char *b = i < fake->n ? fake->line[i] : "-";

		same &= !strcmp(a, b);
		printf("# %-40s %s %s\n", a, strcmp(a, b) ? "|" : " ", strcmp(a, b) ? b : "");
	}
	printf("%sok 1 - %s: %u lines\n", same ? "" : "not ", d->name, real->n);
	return !same;
}

static int hold(const struct dialogue *d, const struct guest *g)
{
	struct record real_r = { 0 }, fake_r = { 0 };
	struct real real = { .d = d, .r = &real_r };
	struct fake fake = { .d = d, .r = &fake_r };
	struct run_ops ops = { .tell = on_tell, .arg = &real };
	static const struct dialogue plain = { .name = "" };
	struct ls_err err = { 0 };

	if (sd_event_new(&real.loop) < 0)
		return 1;
	real.run = run_new(real.loop, g, NULL, &ops);
	if (run_look(real.run, &err) < 0) {
		printf("not ok 1 - %s: %s\n", d->name, err.text);
		return 1;
	}
	if (d->first.value) {
		struct record skipped = { 0 };

		real.d = &plain;
		real.r = &skipped;
		real_wish(&real, &d->first, "d0");
		real.d = d;
		real.r = &real_r;
	}
	fake_wish(&fake, &run_view(real.run)->vm[SIDE_SRC], &d->wish, "d1");
	real_wish(&real, &d->wish, "d1");
	run_free(real.run);
	sd_event_unref(real.loop);
	return compare(d, &real_r, &fake_r);
}

int main(int argc, char **argv)
{
	struct guest g;
	struct ls_err err;

	printf(argc == 3 ? "1..1\n" : "");
	for (unsigned i = 0; i < n_dialogues; i++) {
		if (argc == 1)
			puts(dialogues[i].name);
		else if (argc == 3 && !strcmp(dialogues[i].name, argv[1]))
			return guest_load(argv[2], "g1", &err, &g) < 0 ? 1
								       : hold(&dialogues[i], &g);
	}
	return argc == 1 ? 0 : 2;
}
