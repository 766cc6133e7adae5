/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The world's time, its rules, and the coordinator in it.
 */
#include "world.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define LOOK_MS	  2 /* from the request to the moment that is seen */
#define ANSWER_MS 3 /* from there to the one who asked */
#define REPLY_MS  10
#define DISK_MS	  4
#define LATE_MS	  60000
#define STEPS_MAX 20000 /* of one transaction: more is a loop */
#define TIME_MAX  1800000

void world_say(struct world *w, const char *fmt, ...)
{
	size_t at = strlen(w->trace);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->trace + at, sizeof(w->trace) - at, fmt, ap);
	va_end(ap);
}

/* ---- time -------------------------------------------------------------- */

void world_later(struct world *w, uint64_t in_ms, struct later l)
{
	assert_true(w->n_later < W_LATER);
	l.at_ms = w->now_ms + in_ms;
	l.number = ++w->number;
	w->later[w->n_later++] = l;
}

static unsigned earliest(const struct world *w)
{
	unsigned best = 0;

	for (unsigned i = 1; i < w->n_later; i++) {
		const struct later *a = &w->later[i], *b = &w->later[best];

		if (a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->number < b->number))
			best = i;
	}
	return best;
}

static void forget(struct world *w, bool line_only)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n_later; i++)
		if (!w->later[i].coordinator || (line_only && !w->later[i].line))
			w->later[n++] = w->later[i];
	w->n_later = n;
}

/* ---- events to the engine ---------------------------------------------- */

static void drain(struct world *w);

static void event(struct world *w, struct event ev)
{
	if (!w->e)
		return;
	ev.now_ms = w->now_ms;
	engine_event(w->e, &ev);
	drain(w);
}

static void on_hint(struct world *w, const struct later *l)
{
	(void)l;
	event(w, (struct event){ .kind = EV_HINT });
}

void world_changed(struct world *w)
{
	if (!w->no_hints)
		world_later(w, 1,
			    (struct later){ .fn = on_hint, .coordinator = true, .line = true });
}

static void on_cancel(struct world *w, const struct later *l)
{
	(void)l;
	world_say(w, "cancel\n");
	event(w, (struct event){ .kind = EV_CANCEL });
}

static void on_lost(struct world *w, const struct later *l)
{
	(void)l;
	world_say(w, "connection lost\n");
	forget(w, true);
	event(w, (struct event){ .kind = EV_LOST });
}

static void on_reply(struct world *w, const struct later *l)
{
	event(w, (struct event){ .kind = EV_REPLY, .req = l->req, .err = l->err });
}

static void on_written(struct world *w, const struct later *l)
{
	if (!l->err.code)
		strcpy(w->disk, w->writing);
	w->written_ahead = false;
	event(w, (struct event){ .kind = l->err.code ? EV_WRITE_FAILED : EV_WRITTEN,
				 .req = l->req,
				 .err = l->err });
}

/* ---- looking ------------------------------------------------------------ */

static bool is_silent(const struct world *w, enum side side)
{
	return w->now_ms >= w->silent_from[side] && w->now_ms < w->silent_until[side];
}

static void see_cpus(const struct w_qemu *q, struct vm *vm)
{
	vm->cpus = calloc(W_CPUS, sizeof(*vm->cpus));
	vm->n_cpus = W_CPUS;
	for (unsigned i = 0; i < W_CPUS; i++) {
		const struct w_cpu *c = &q->cpus[i];

		vm->cpus[i] = (struct vm_cpu){
			.vcpus = 1,
			.plugged = c->plugged,
			.refused = c->refused,
			.unplug = c->removing ? TRI_YES : TRI_NO,
			.guest_cpu = c->present ? (int)i : -1,
			.present = c->present,
			.device = c->device,
			.kernel = c->kernel,
			.fixed = c->fixed,
		};
		strcpy(vm->cpus[i].id, c->id);
	}
}

static void see_mems(const struct w_qemu *q, struct vm *vm)
{
	vm->mems = calloc(W_MEMS, sizeof(*vm->mems));
	for (unsigned i = 0; i < W_MEMS; i++) {
		const struct w_mem *m = &q->mems[i];
		struct vm_mem *to = &vm->mems[vm->n_mems];

		if (!m->exists)
			continue;
		*to = (struct vm_mem){ .kind = m->kind,
				       .plugged = m->plugged,
				       .slot = m->slot,
				       .addr = (i + 1) << 30,
				       .size = m->size,
				       .max = m->max,
				       .requested = m->requested,
				       .granule = 2 * W_MIB,
				       .removable = true,
				       .refused = m->refused,
				       .unplug = m->removing ? TRI_YES : TRI_NO,
				       .guest_present = m->present,
				       .guest_online = m->online };
		strcpy(to->id, m->id);
		strcpy(to->backend, m->backend);
		vm->n_mems++;
	}
}

static void see_guest(const struct world *w, const struct w_qemu *q, struct vm *vm)
{
	vm->agent = w->agent;
	vm->agent_answers = q->agent_up && q->run == VM_RUNNING && w->agent != AGENT_NONE;
	vm->lease_ms = 10000;
	if (!vm->agent_answers)
		return;
	strcpy(vm->lock_txn, q->lock);
	strcpy(vm->window_txn, q->window);
	vm->block_bytes = W_BLOCK;
	for (unsigned i = 0; i < W_CPUS; i++) {
		vm->guest_cpus += q->cpus[i].present;
		vm->guest_cpus_online += q->cpus[i].present && q->cpus[i].kernel;
	}
}

void world_look(struct world *w, enum side side, struct vm *ret_vm)
{
	const struct w_qemu *q = &w->qemu[side];

	*ret_vm = (struct vm){ .run = q->run, .agent = w->agent };
	if (q->run == VM_GONE || is_silent(w, side)) {
		if (q->run != VM_GONE)
			ret_vm->run = VM_BROKEN;
		return;
	}
	ret_vm->answers = true;
	ret_vm->version = 70200;
	strcpy(ret_vm->machine, "pc-q35-7.2");
	ret_vm->mem_boot = W_BOOT;
	ret_vm->mem_max = 8192 * W_MIB;
	ret_vm->mem_slots = 4;
	ret_vm->mig = q->mig;
	ret_vm->caps = q->caps;
	ret_vm->caps_known = CAP_OURS;
	ret_vm->surrendered = q->surrendered;
	strcpy(ret_vm->claimed_by, q->claim);
	see_cpus(q, ret_vm);
	see_mems(q, ret_vm);
	see_guest(w, q, ret_vm);
}

static void forget_view(struct world *w)
{
	for (int side = 0; side < SIDE_COUNT; side++)
		vm_done(&w->view.vm[side]);
}

static void on_seen(struct world *w, const struct later *l)
{
	if (l->req != w->look)
		return;
	w->view.look = l->req;
	event(w, (struct event){ .kind = EV_OBSERVED, .view = &w->view });
}

static void on_look(struct world *w, const struct later *l)
{
	if (l->req != w->look)
		return;
	forget_view(w);
	for (int side = 0; side < SIDE_COUNT; side++)
		world_look(w, (enum side)side, &w->view.vm[side]);
	world_later(
		w, ANSWER_MS,
		(struct later){ .fn = on_seen, .coordinator = true, .line = true, .req = l->req });
}

/* ---- the coordinator: one action each ----------------------------------- */

static void do_look(struct world *w, const struct action *a)
{
	w->look = a->req;
	world_later(
		w, LOOK_MS,
		(struct later){ .fn = on_look, .coordinator = true, .line = true, .req = a->req });
}

static void do_write(struct world *w, const struct action *a)
{
	struct later l = { .fn = on_written, .coordinator = true, .req = a->req };

	w->writes++;
	assert_true(txn_save(w->t, w->writing, sizeof(w->writing)) > 0);
	w->written_ahead = true;
	if (w->writes == w->fail_write || (w->fail_writes && w->writes > w->fail_write))
		ls_err_set(&l.err, -ENOSPC, "no space left on the journal's disk");
	world_later(w, DISK_MS, l);
}

/* A request leaves only after the record of its row is on disk. */
static void check_on_record(struct world *w)
{
	const struct row *r = engine_row(w->e);
	unsigned row = (unsigned)(r - w->t->table->rows);
	struct txn *disk = NULL;

	if (r->journalled && w->t->end == END_NONE && !w->fail_write)
		assert_true(w->disk[0]);
	if (row < w->t->table->holds || w->fail_write)
		return;
	assert_int_equal(txn_load(w->disk, NULL, &disk), 0);
	if (!(disk->entered & 1u << row) || disk->walk.rollback != w->t->walk.rollback)
		fail_msg("row %s was asked for before it was on record", r->name);
	txn_free(disk);
}

static bool fails(const struct world *w, enum verb verb)
{
	return verb == w->fail_verb[0] || verb == w->fail_verb[1];
}

static void say_ask(struct world *w, const struct action *a)
{
	world_say(w, "%-14s %s", engine_row(w->e)->name, verb_name(a->verb));
	for (unsigned i = 0; i < a->n && w->t->op != OP_MIGRATE; i++)
		if (w->t->items[a->todo[i]].id[0] && engine_row(w->e)->mark != MARK_HOLD)
			world_say(w, " %s", w->t->items[a->todo[i]].id);
	world_say(w, "\n");
}

/* After the commit the window is where the guest is. */
static enum side whom(const struct world *w, const struct action *a)
{
	bool window = a->verb == VERB_WINDOW_OPEN || a->verb == VERB_WINDOW_CLOSE;

	return window && w->t->crossed ? SIDE_DST : a->side;
}

static int carry_out(struct world *w, const struct action *a, struct ls_err *err)
{
	int r = 0, first = 0;

	for (unsigned i = 0; i < a->n; i++) {
		r = world_ask(w, a->verb, whom(w, a), a->todo[i], a->level[a->todo[i]]);
		first = first ? first : r;
	}
	if (first)
		ls_err_set(err, first, "%s: %s", verb_name(a->verb), strerror(-first));
	return first;
}

static void do_ask(struct world *w, const struct action *a)
{
	struct later l = { .fn = on_reply, .coordinator = true, .line = true, .req = a->req };
	enum w_reply fault = ++w->asks == w->fault_at ? w->fault : REPLY_GOOD;
	uint64_t in_ms = fault == REPLY_LATE ? LATE_MS : REPLY_MS;

	check_on_record(w);
	say_ask(w, a);
	if (fails(w, a->verb))
		fault = REPLY_ERROR;
	if ((fault == REPLY_ERROR || fault == REPLY_FALSE_OK) && w->t->end != END_NONE)
		w->kept_a_hold = true;
	if (is_silent(w, whom(w, a)))
		ls_err_set(&l.err, -ETIMEDOUT, "%s: no answer", verb_name(a->verb));
	else if (fault != REPLY_ERROR && fault != REPLY_FALSE_OK)
		carry_out(w, a, &l.err);
	if (fault == REPLY_ERROR || fault == REPLY_FALSE_ERROR)
		ls_err_set(&l.err, -EIO, "%s: it was made to fail", verb_name(a->verb));
	if (fault == REPLY_LOST)
		l.fn = on_lost;
	world_later(w, in_ms, l);
}

static void do_tell(struct world *w, const struct action *a)
{
	static const char *const told[] = {
		[TELL_ROW_DONE] = "done", [TELL_ROW_FAILED] = "failed:", [TELL_WARN] = "warning:"
	};

	if (a->tell == TELL_ROLLBACK)
		world_say(w, "turning round at %s\n", a->row);
	else if (a->tell != TELL_ROW && a->tell != TELL_ACCEPTED)
		world_say(w, "%-14s %s%s%s\n", a->row, told[a->tell], a->text[0] ? " " : "",
			  a->text);
}

static void end_leases(struct world *w, const struct later *l)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		struct w_qemu *q = &w->qemu[side];

		if (q->lock_until <= w->now_ms)
			guest_ask(w, VERB_GUEST_UNLOCK, (enum side)side, 0, 0);
		if (q->window_until <= w->now_ms)
			guest_ask(w, VERB_WINDOW_CLOSE, (enum side)side, 0, 0);
		if (q->run == VM_PAUSED &&
		    (q->lock[0] || q->window[0])) /* its time stands still, too */
			world_later(w, W_LEASE_MS, *l);
	}
}

/* Nobody renews any more. */
static void leases_run_out(struct world *w)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		w->qemu[side].lock_until = w->now_ms + W_LEASE_MS;
		w->qemu[side].window_until = w->now_ms + W_LEASE_MS;
	}
	world_later(w, W_LEASE_MS, (struct later){ .fn = end_leases });
}

static void do_end(struct world *w)
{
	leases_run_out(w);
	w->over = true;
	w->disk[0] = '\0';
	world_say(w, "end: %s\n", txn_end_name(w->t->end));
}

static void do_action(struct world *w, const struct action *a)
{
	switch (a->kind) {
	case ACT_LOOK:
		do_look(w, a);
		break;
	case ACT_WRITE:
		do_write(w, a);
		break;
	case ACT_ASK:
		do_ask(w, a);
		break;
	case ACT_TIMER:
		w->timer_ms = a->at_ms;
		break;
	case ACT_TELL:
		do_tell(w, a);
		break;
	case ACT_END:
		do_end(w);
		break;
	}
}

/* What was on its way is lost, but for a record that is kept. */
static void crash(struct world *w)
{
	world_say(w, "coordinator dies\n");
	if (w->written_ahead && w->keep)
		strcpy(w->disk, w->writing);
	w->dead = true;
	leases_run_out(w);
}

static void drain(struct world *w)
{
	unsigned n = 0;
	struct action a;

	while (!w->dead && engine_next(w->e, &a)) {
		do_action(w, &a);
		n++;
		w->actions++;
		if (w->actions == w->cancel_at)
			world_later(w, 0, (struct later){ .fn = on_cancel, .coordinator = true });
		if (w->actions == w->lose_at)
			world_later(w, 0, (struct later){ .fn = on_lost, .coordinator = true });
		if (w->actions == w->crash_at)
			crash(w);
	}
	w->most = n > w->most ? n : w->most;
}

/* ---- running ------------------------------------------------------------ */

static void bury(struct world *w)
{
	forget(w, false);
	engine_free(w->e);
	txn_free(w->t);
	w->e = NULL;
	w->t = NULL;
	w->timer_ms = 0;
}

/* One entry of the queue, or the timer, whichever comes first. Return: false when none. */
static bool step(struct world *w, uint64_t until_ms)
{
	unsigned i = earliest(w);
	bool timer = w->e && w->timer_ms && (!w->n_later || w->timer_ms < w->later[i].at_ms);
	struct later l;

	if (!timer && (!w->n_later || w->later[i].at_ms > until_ms))
		return false;
	if (timer) {
		w->now_ms = w->timer_ms > w->now_ms ? w->timer_ms : w->now_ms;
		w->timer_ms = 0;
		event(w, (struct event){ .kind = EV_TIMER });
	} else {
		l = w->later[i];
		w->later[i] = w->later[--w->n_later];
		w->now_ms = l.at_ms;
		l.fn(w, &l);
	}
	world_check(w);
	return true;
}

enum txn_end world_run(struct world *w)
{
	enum txn_end end;

	w->steps = 0;
	while (!w->over && !w->dead) {
		if (!step(w, UINT64_MAX))
			fail_msg("it waits for ever\n%s", w->trace);
		if (++w->steps > STEPS_MAX || w->now_ms > TIME_MAX)
			fail_msg("it does not end: %u steps, %llu ms\n%s", w->steps,
				 (unsigned long long)w->now_ms, w->trace);
	}
	end = w->over ? w->t->end : END_NONE;
	bury(w);
	return end;
}

void world_wait(struct world *w, uint64_t ms)
{
	uint64_t until_ms = w->now_ms + ms;

	while (step(w, until_ms))
		;
	w->now_ms = until_ms;
}

static void begin(struct world *w, struct txn *t)
{
	memcpy(w->before, w->qemu, sizeof(w->before));
	w->t = t;
	w->over = w->dead = false;
	w->actions = w->asks = w->writes = 0;
	w->e = engine_new(t, w->now_ms, 0);
	assert_non_null(w->e);
	drain(w);
}

bool world_restart(struct world *w, bool take_back)
{
	struct w_qemu before[SIDE_COUNT];
	struct txn *t;

	w->crash_at = w->cancel_at = w->lose_at = w->fail_write = w->fault_at = 0;
	if (!w->disk[0])
		return false;
	assert_int_equal(txn_load(w->disk, NULL, &t), 0);
	world_say(w, "another takes over%s\n", take_back ? ", and takes it back" : "");
	memcpy(before, w->before, sizeof(before));
	begin(w, t);
	memcpy(w->before, before, sizeof(before));
	if (take_back)
		event(w, (struct event){ .kind = EV_CANCEL });
	return true;
}

static const char *name_txn(struct world *w)
{
	static char id[LS_TXN_BYTES];

	snprintf(id, sizeof(id), "t%u", ++w->txns);
	return id;
}

static int start(struct world *w, int r, struct txn *t)
{
	if (!r) {
		t->epoch = w->txns;
		begin(w, t);
	}
	return r;
}

int world_vcpus(struct world *w, unsigned count, struct ls_err *err)
{
	struct txn *t = NULL;
	struct vm vm;
	int r;

	world_look(w, SIDE_SRC, &vm);
	r = plan_vcpus(&vm, name_txn(w), count, err, &t);
	vm_done(&vm);
	return start(w, r, t);
}

int world_memory(struct world *w, uint64_t bytes, struct ls_err *err)
{
	struct txn *t = NULL;
	struct vm vm;
	int r;

	world_look(w, SIDE_SRC, &vm);
	r = plan_memory(&vm, name_txn(w), bytes, err, &t);
	vm_done(&vm);
	return start(w, r, t);
}

int world_migrate(struct world *w, struct ls_err *err)
{
	struct txn_migrate how = { .src_pid = 7,
				   .src_qmp = "unix:/src",
				   .uri = "unix:/mig",
				   .dst_qmp = "unix:/dst",
				   .window = "force" };
	struct txn *t = NULL;
	struct view v = { 0 };
	int r;

	world_look(w, SIDE_SRC, &v.vm[SIDE_SRC]);
	world_look(w, SIDE_DST, &v.vm[SIDE_DST]);
	r = plan_migrate(&v, name_txn(w), &how, err, &t);
	vm_done(&v.vm[SIDE_SRC]);
	vm_done(&v.vm[SIDE_DST]);
	return start(w, r, t);
}

/* ---- the rules ---------------------------------------------------------- */

void world_check(struct world *w)
{
	struct w_qemu *src = &w->qemu[SIDE_SRC], *dst = &w->qemu[SIDE_DST];

	if (src->run == VM_RUNNING && dst->run == VM_RUNNING)
		fail_msg("both sides run\n%s", w->trace);
	if (src->run == VM_RUNNING && (src->surrendered || dst->ran))
		fail_msg("the source goes on after the commit\n%s", w->trace);
	if (w->most > 16)
		fail_msg("%u actions after one event", w->most);
}

void world_check_no_holds(struct world *w)
{
	if (w->kept_a_hold)
		return;
	for (int side = 0; side < SIDE_COUNT; side++) {
		const struct w_qemu *q = &w->qemu[side];

		if (q->run == VM_GONE)
			continue;
		if (q->claim[0] || q->lock[0] || q->window[0] || q->caps)
			fail_msg("left behind: claim \"%s\" lock \"%s\" window \"%s\" caps %x\n%s",
				 q->claim, q->lock, q->window, q->caps, w->trace);
	}
}

static void check_cpu(struct world *w, unsigned slot)
{
	const struct w_cpu *is = &w->qemu[SIDE_SRC].cpus[slot];
	const struct w_cpu *was = &w->before[SIDE_SRC].cpus[slot];

	if (is->plugged != was->plugged || is->present != was->present ||
	    is->device != was->device || is->kernel != was->kernel)
		fail_msg("vCPU %u is not as it was: plugged %d present %d device %d kernel %d\n%s",
			 slot, is->plugged, is->present, is->device, is->kernel, w->trace);
}

static void check_mem(struct world *w, unsigned i)
{
	const struct w_mem *is = &w->qemu[SIDE_SRC].mems[i];
	const struct w_mem *was = &w->before[SIDE_SRC].mems[i];

	if (is->exists != was->exists || is->plugged != was->plugged || is->size != was->size ||
	    is->requested != was->requested || is->online != was->online)
		fail_msg("memory device %u (%s) is not as it was: exists %d plugged %d size %llu "
			 "requested %llu online %llu MiB\n%s",
			 i, was->id, is->exists, is->plugged, is->size / W_MIB + 0ULL,
			 is->requested / W_MIB + 0ULL, is->online / W_MIB + 0ULL, w->trace);
}

void world_check_as_before(struct world *w)
{
	for (unsigned i = 0; i < W_CPUS; i++)
		check_cpu(w, i);
	for (unsigned i = 0; i < W_MEMS; i++)
		check_mem(w, i);
	if (w->qemu[SIDE_SRC].run != w->before[SIDE_SRC].run)
		fail_msg("the guest was %s, it is %s\n%s", vm_run_name(w->before[SIDE_SRC].run),
			 vm_run_name(w->qemu[SIDE_SRC].run), w->trace);
}

void world_check_old_is_there(struct world *w)
{
	const struct w_qemu *q = &w->qemu[w->qemu[SIDE_SRC].run == VM_GONE ? SIDE_DST : SIDE_SRC];

	for (unsigned i = 0; i < 2; i++)
		if (!q->cpus[i].plugged || !q->cpus[i].kernel || !q->cpus[i].device)
			fail_msg("boot vCPU %u was touched\n%s", i, w->trace);
}

/* ---- life --------------------------------------------------------------- */

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct w_qemu *q;

	assert_non_null(w);
	w->now_ms = 1000;
	w->agent = AGENT_LOCKSTEP;
	q = &w->qemu[SIDE_SRC];
	*q = (struct w_qemu){ .run = VM_RUNNING, .agent_up = true };
	for (unsigned i = 0; i < 2; i++)
		q->cpus[i] = (struct w_cpu){ .plugged = true,
					     .present = true,
					     .device = true,
					     .kernel = true,
					     .fixed = i == 0 };
	q->mems[0] = (struct w_mem){ .exists = true,
				     .plugged = true,
				     .kind = VM_VIRTIO_MEM,
				     .slot = -1,
				     .id = "vm0",
				     .backend = "vm0-mem",
				     .max = 1024 * W_MIB };
	return w;
}

void world_free(struct world *w)
{
	bury(w);
	forget_view(w);
	free(w);
}

void world_has_cpu(struct world *w, unsigned slot)
{
	struct w_cpu *c = &w->qemu[SIDE_SRC].cpus[slot];

	*c = (struct w_cpu){ .plugged = true, .present = true, .device = true, .kernel = true };
	snprintf(c->id, sizeof(c->id), "ls-old-%u", slot);
}

void world_has_dimm(struct world *w, const char *id, uint64_t size)
{
	struct w_qemu *q = &w->qemu[SIDE_SRC];
	unsigned i = 0;

	while (q->mems[i].exists)
		i++;
	q->mems[i] = (struct w_mem){ .exists = true,
				     .plugged = true,
				     .kind = VM_DIMM,
				     .slot = (int)i - 1,
				     .size = size,
				     .requested = size,
				     .max = size,
				     .present = size,
				     .online = size };
	snprintf(q->mems[i].id, LS_NAME_BYTES, "%s", id);
	snprintf(q->mems[i].backend, LS_NAME_BYTES, "%.50s-mem", id);
}

void world_has_virtio_mem(struct world *w, uint64_t size)
{
	struct w_mem *m = &w->qemu[SIDE_SRC].mems[0];

	m->size = m->requested = m->present = m->online = size;
}

void world_has_destination(struct world *w)
{
	struct w_qemu *q = &w->qemu[SIDE_DST];

	*q = (struct w_qemu){ .run = VM_INMIGRATE };
	for (unsigned i = 0; i < 2; i++)
		q->cpus[i].plugged = true;
	q->mems[0] = w->qemu[SIDE_SRC].mems[0];
	q->mems[0].size = q->mems[0].requested = q->mems[0].present = q->mems[0].online = 0;
}
