/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dialogue with real QEMUs, a guest and its agent. */
#include "dialogues.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../coordinator/hv/hv.h"
#include "../../coordinator/run/run.h"
#include "peer.h"

#define EVENT_MS 30000 /* until an event has come that the fake had */
#define BOOT_MS	 60000 /* the same, where the guest has to boot */
#define QUIET_MS 1200  /* without any, nothing is on its way: QEMU holds some back for a second */

/**
 * struct real - The real side
 * @into: where its events are noted; NULL: not yet
 */
struct real {
	const struct dialogue *d;
	const char *harness, *lab;
	struct story *s, *into;
	struct guest g[SIDE_COUNT];
	struct peer peer[SIDE_COUNT];
	struct run *run;
	sd_event *loop;
	struct view seen;
	bool answered;
	struct ls_err err;
};

/* ---- events ------------------------------------------------------------------------ */

static unsigned noted(const struct real *real)
{
	return real->s->events[SIDE_SRC].n + real->s->events[SIDE_DST].n;
}

/* Until so many have been noted, or the time is over. */
static void await_events(struct real *real, unsigned n, unsigned limit_ms)
{
	uint64_t until_ms = qmp_now_ms() + limit_ms;

	while (noted(real) < n && qmp_now_ms() < until_ms)
		sd_event_run(real->loop, 50000);
}

static void await_quiet(struct real *real)
{
	uint64_t until_ms = qmp_now_ms() + QUIET_MS;
	unsigned heard = 0, now;

	while (qmp_now_ms() < until_ms) {
		sd_event_run(real->loop, 50000);
		now = real->peer[SIDE_SRC].heard + real->peer[SIDE_DST].heard;
		if (now != heard)
			until_ms = qmp_now_ms() + QUIET_MS;
		heard = now;
	}
}

/* ---- what happens ------------------------------------------------------------------ */

static void strike(struct real *real, enum harm harm)
{
	switch (harm) {
	case HARM_CANCEL:
		run_cancel(real->run);
		break;
	case HARM_RESET:
		peer_reset(&real->peer[SIDE_SRC]);
		break;
	case HARM_AGENT_DIES:
		guest_console(real->harness, real->lab, "kill -KILL $(pidof lockstep-agent)",
			      &real->err);
		break;
	case HARM_DST_DIES:
		peer_kill(&real->peer[SIDE_DST]);
		break;
	case HARM_NONE:
		break;
	}
}

static void on_tell(void *arg, const struct txn *t, const struct action *a)
{
	struct real *real = arg;

	(void)t;
	if (!real->into)
		return;
	note_tell(real->s, a);
	if (is_time(real->d, real->s, a))
		strike(real, real->d->harm);
}

static void on_answer(void *arg, const struct ls_err *err)
{
	struct real *real = arg;

	real->answered = true;
	real->err = *err;
}

static int ask(struct real *real, const struct txn *t, enum verb verb)
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

/* What is asked next is asked of what was seen after what was asked before. */
static void ask_all(struct real *real, struct txn *t, const struct story *fake)
{
	run_set_epoch(real->run, t);
	for (unsigned i = 0; i < ASKS_MAX && real->d->asks[i]; i++) {
		enum verb verb = real->d->asks[i];

		note(&real->s->talk, verb_name(verb), class_of(ask(real, t, verb)));
		await_events(real, fake->heard[i], EVENT_MS);
		run_look(real->run, NULL);
	}
}

static int wish(struct real *real, const struct wish *wish, const char *id, struct txn **ret_t)
{
	return wish_plan(wish, &run_view(real->run)->vm[SIDE_SRC], id, NULL, ret_t);
}

static int move(struct real *real, struct txn **ret_t)
{
	struct txn_migrate how = { .window = "force" };

	snprintf(how.src_qmp, sizeof(how.src_qmp), "%s", real->g[SIDE_SRC].qmp);
	snprintf(how.dst_qmp, sizeof(how.dst_qmp), "%s", real->g[SIDE_DST].qmp);
	snprintf(how.dst_agent, sizeof(how.dst_agent), "%s", real->g[SIDE_DST].agent);
	snprintf(how.uri, sizeof(how.uri), "unix:%s/move", real->lab);
	hv_process(run_hv(real->run, SIDE_SRC), how.src_process, sizeof(how.src_process));
	hv_process(run_hv(real->run, SIDE_DST), how.dst_process, sizeof(how.dst_process));
	return plan_migrate(run_view(real->run), "d1", &how, NULL, ret_t);
}

void real_hold(struct real *real, const struct story *fake)
{
	const struct dialogue *d = real->d;
	struct txn *t = NULL, *rival = txn_new(OP_VCPUS, "rival", 1, true);
	int r = d->moves ? move(real, &t) : wish(real, &d->wish, "d1", &t);

	if (d->rival)
		ask(real, rival, d->rival);
	real->into = real->s;
	if (r)
		note(&real->s->talk, "plan", r > 0 ? "is so already" : class_of(r));
	else if (d->asks[0])
		ask_all(real, t, fake);
	else if (run_txn(real->run, t, d->limit_s ? qmp_now_ms() + d->limit_s * 1000 : 0) == 0)
		note_end(real->s, t->end, t->reason.code);
	if (d->later)
		guest_console(real->harness, real->lab, d->later, &real->err);
	await_events(real, fake->events[SIDE_SRC].n + fake->events[SIDE_DST].n,
		     d->harm == HARM_RESET ? BOOT_MS : EVENT_MS);
	await_quiet(real);
	txn_free(t);
	txn_free(rival);
}

/* ---- before it -------------------------------------------------------------------- */

static int start(struct real *real, struct ls_err *err)
{
	static const char *const names[SIDE_COUNT] = { "g1", "g2" };
	struct run_ops ops = { .tell = on_tell, .arg = real };
	char guests_d[LS_PATH_BYTES];
	int sides = real->d->moves ? 2 : 1, r = 0;

	snprintf(guests_d, sizeof(guests_d), "%s/guests.d", real->lab);
	for (int side = 0; side < sides && r >= 0; side++) {
		r = guest_load(guests_d, names[side], err, &real->g[side]);
		if (r >= 0)
			r = peer_start(&real->peer[side], real->loop, real->lab, names[side],
				       (enum side)side, &real->into, err);
	}
	real->run = run_new(real->loop, &real->g[SIDE_SRC], sides == 2 ? &real->g[SIDE_DST] : NULL,
			    &ops);
	return r < 0 ? r : run_look(real->run, err);
}

/* The guest becomes one of which it can be wanted. */
static int make_ready(struct real *real, struct ls_err *err)
{
	struct txn *t = NULL;
	int r = 0;

	if (real->d->first.value) {
		r = wish(real, &real->d->first, "d0", &t);
		if (r == 0)
			r = run_txn(real->run, t, 0);
		txn_free(t);
		await_quiet(real);
		if (r == 0)
			r = run_look(real->run, err);
	}
	for (int side = 0; side < SIDE_COUNT && r >= 0; side++)
		r = vm_copy(&run_view(real->run)->vm[side], &real->seen.vm[side]);
	if (r >= 0 && real->d->console) {
		r = guest_console(real->harness, real->lab, real->d->console, err);
		await_quiet(real);
		run_look(real->run, NULL);
	}
	return r;
}

struct real *real_prepare(const struct dialogue *d, const char *harness, const char *lab,
			  struct story *s, struct ls_err *err)
{
	struct real *real = calloc(1, sizeof(*real));

	if (!real || sd_event_new(&real->loop) < 0)
		abort(); /* a few kilobytes */
	real->d = d;
	real->harness = harness;
	real->lab = lab;
	real->s = s;
	if (start(real, err) < 0 || make_ready(real, err) < 0) {
		real_free(real);
		return NULL;
	}
	return real;
}

const struct view *real_seen(const struct real *real)
{
	return &real->seen;
}

void real_free(struct real *real)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		peer_stop(&real->peer[side]);
		vm_done(&real->seen.vm[side]);
	}
	run_free(real->run);
	sd_event_unref(real->loop);
	free(real);
}
