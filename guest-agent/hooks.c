/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which programs of the directory are run, in which order, and what their answers mean.
 * How one of them is run is in hook_run.c.
 */
#include "hooks.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <lockstep/err.h>
#include <lockstep/hookdir.h>
#include <lockstep/limits.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>
#include <qmp.h>

#include "classes.h"
#include "hook_run.h"

/**
 * struct hooks - The directory and what has been promised
 * @dir:         where the programs are
 * @deadline_ms: for each
 * @txn:         whose request is worked on
 * @stop:        eventfd: the agent ends
 * @until_ms:    and then so long is left; 0: it does not end. Atomic.
 * @passed:      by kind: whose check said yes, and nothing has happened since. A window
 *               that opens asks for itself, and then for each CPU.
 * @late:        whose check said yes to a change that has not come to its end
 */
struct hooks {
	char *dir;
	unsigned deadline_ms;
	char txn[LS_TXN_BYTES];
	int stop;
	uint64_t until_ms;
	struct hookdir passed[HOOK_KIND_COUNT];
	struct hookdir late;
};

struct hooks *hooks_new(const char *dir, unsigned deadline_ms)
{
	struct hooks *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->deadline_ms = deadline_ms;
	h->dir = strdup(dir);
	h->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->dir && h->stop >= 0)
		return h;
	hooks_free(h);
	return NULL;
}

void hooks_free(struct hooks *h)
{
	if (!h)
		return;
	if (h->stop >= 0)
		close(h->stop);
	free(h->dir);
	free(h);
}

void hooks_stop(struct hooks *h, uint64_t until_ms)
{
	if (!h)
		return;
	__atomic_store_n(&h->until_ms, until_ms, __ATOMIC_SEQ_CST);
	eventfd_write(h->stop, 1);
}

void hooks_set_txn(struct hooks *h, const char *txn)
{
	if (h)
		snprintf(h->txn, sizeof(h->txn), "%s", txn);
}

/* ---- running --------------------------------------------------------------- */

/* When the agent ends: what is left of its time. Return: false if that is nothing. */
static bool hurry(const struct hooks *h, struct hook_how *how)
{
	uint64_t until = __atomic_load_n(&h->until_ms, __ATOMIC_SEQ_CST), now = qmp_now_ms();

	if (!until)
		return true;
	how->stop = -1; /* it is for the one that was running */
	if (until > now && until - now < how->deadline_ms)
		how->deadline_ms = (unsigned)(until - now);
	return until > now;
}

static int run_one(const struct hooks *h, const char *name, enum hook_phase phase,
		   const struct hook_event *ev, struct hook_answer *ret_answer)
{
	struct hook_how how = {
		.dir = h->dir,
		.name = name,
		.txn = ev->txn ? ev->txn : h->txn,
		.phase = phase,
		.deadline_ms = h->deadline_ms,
		.stop = h->stop,
	};

	if (hurry(h, &how))
		return hook_run(&how, ev, ret_answer);
	snprintf(ret_answer->message, sizeof(ret_answer->message), "not run: the agent ends");
	return -ESHUTDOWN;
}

static void tell_one(const struct hooks *h, const char *name, enum hook_phase phase,
		     const struct hook_event *ev)
{
	struct hook_answer answer;

	if (run_one(h, name, phase, ev, &answer) < 0)
		log_warning("hook %s %s: %s", name, hook_phase_name(phase), answer.message);
}

static void undo(struct hooks *h, struct hookdir *passed, const struct hook_event *ev)
{
	while (passed->n) {
		passed->n--;
		tell_one(h, passed->name[passed->n], HOOK_UNDOCHECK, ev);
	}
}

void hooks_undocheck(struct hooks *h, const struct hook_event *ev)
{
	if (h)
		undo(h, &h->passed[ev->kind], ev);
}

static int ask(struct hooks *h, const char *name, const struct hook_event *ev, struct ls_err *err)
{
	struct hook_answer answer;

	if (run_one(h, name, HOOK_CHECK, ev, &answer) == 0)
		return 0;
	log_info("hook %s check: vetoed: %s", name, answer.message);
	return class_set(err, -ECANCELED, LS_CLASS_HOOK_VETO, "hook %s refuses: %s", name,
			 answer.message);
}

int hooks_check(struct hooks *h, const struct hook_event *ev, struct ls_err *err)
{
	struct hookdir all, *passed;
	unsigned i;
	int r;

	if (!h)
		return 0;
	hookdir_list(h ? h->dir : NULL, &all);
	passed = &h->passed[ev->kind];
	passed->n = 0;
	for (i = 0; i < all.n; i++) {
		r = ask(h, all.name[i], ev, err);
		if (r < 0) {
			hooks_undocheck(h, ev);
			return r;
		}
		memcpy(passed->name[passed->n++], all.name[i], HOOK_NAME_BYTES);
	}
	return 0;
}

void hooks_run(struct hooks *h, enum hook_phase phase, const struct hook_event *ev)
{
	struct hookdir all;
	unsigned i;

	assert(phase == HOOK_PRE || phase == HOOK_POST || phase == HOOK_FAILED);
	hookdir_list(h ? h->dir : NULL, &all);
	for (i = 0; i < all.n; i++)
		tell_one(h, all.name[i], phase, ev);
	if (h && phase == HOOK_POST)
		h->passed[ev->kind].n = 0;
}

void hooks_leave_open(struct hooks *h, enum hook_kind kind)
{
	if (h)
		h->late = h->passed[kind];
}

void hooks_end_late(struct hooks *h, const struct hook_event *ev, bool happened)
{
	hooks_run(h, happened ? HOOK_POST : HOOK_FAILED, ev);
	if (!h)
		return;
	if (!happened)
		undo(h, &h->late, ev);
	h->late.n = 0;
}
