/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening, renewing and closing the migration window.
 */
#include "window.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/log.h>
#include <lockstep/wire.h>

#include "classes.h"
#include "hook_window.h"
#include "lock.h"
#include "model.h"

static const char *const state_names[] = {
	[WINDOW_CLOSED] = "closed",
	[WINDOW_OPEN] = "open",
	[WINDOW_PENDING] = "restore-pending",
};
static_assert(sizeof(state_names) / sizeof(state_names[0]) == WINDOW_STATE_COUNT, "a name each");

static const char *const mode_names[] = {
	[WINDOW_NONE] = "",
	[WINDOW_FORCE] = "force",
	[WINDOW_HOLD] = "hold",
	[WINDOW_OFF] = "off",
};
static_assert(sizeof(mode_names) / sizeof(mode_names[0]) == WINDOW_MODE_COUNT, "a name each");

const char *window_state_name(enum window_state s)
{
	return state_names[s];
}

const char *window_mode_name(enum window_mode m)
{
	return mode_names[m];
}

int window_mode_parse(const char *name, enum window_mode *ret_mode, struct ls_err *err)
{
	int i;

	for (i = WINDOW_FORCE; i < WINDOW_MODE_COUNT; i++) {
		if (strcmp(name, mode_names[i]))
			continue;
		*ret_mode = (enum window_mode)i;
		return 0;
	}
	return class_set(err, -EINVAL, LS_CLASS_ARG_VALUE, "mode '%s' is not force, hold or off",
			 name);
}

void window_init(struct window *w, struct model *m, struct hotplug_lock *l, const struct persist *p)
{
	*w = (struct window){ .model = m, .lock = l, .persist = p };
	pthread_mutex_init(&w->mutex, NULL);
}

void window_done(struct window *w)
{
	pthread_mutex_destroy(&w->mutex);
}

/* ---- open ------------------------------------------------------------------ */

static int refuse_open_locked(const struct window *w, struct ls_err *err)
{
	return class_set(err, -EBUSY, LS_CLASS_WINDOW_OPEN,
			 "transaction %s has a migration window open", w->txn);
}

static void begin_locked(struct window *w, const char *txn, enum window_mode mode)
{
	w->before.state = w->state;
	w->before.mode = w->mode;
	memcpy(w->before.txn, w->txn, sizeof(w->txn));
	w->state = WINDOW_OPEN;
	w->mode = mode;
	w->closing = false;
	snprintf(w->txn, sizeof(w->txn), "%s", txn);
}

/*
 * A refused open leaves the window to whom it was before; what it forced itself and could
 * not undo is owed to it, if nothing was owed to anybody else.
 */
static void give_back_locked(struct window *w)
{
	if (w->state != WINDOW_CLOSED && w->before.state != WINDOW_PENDING)
		return;
	w->mode = w->before.mode;
	memcpy(w->txn, w->before.txn, sizeof(w->txn));
}

/*
 * An agent that is killed must not leave a window that the next one knows nothing of. One
 * that keeps nothing (off) loses nothing by that.
 */
static int record_locked(struct window *w, struct ls_err *err)
{
	int r = window_save_locked(w);

	if (r == 0 || w->mode == WINDOW_OFF)
		return 0;
	w->state = w->before.state;
	give_back_locked(w);
	window_save_locked(w); /* what it says is shorter: there may be room for that */
	return window_unrecorded(w, r, err);
}

/* The lease's end may have been acted on already: then there is nothing to extend. */
static bool ours_locked(const struct window *w, const char *txn)
{
	return w->state == WINDOW_OPEN && !w->closing && !strcmp(w->txn, txn);
}

int window_admit(struct window *w, const char *txn, uint64_t epoch, uint64_t lease_ms,
		 enum window_mode mode, uint64_t now_ms, struct ls_err *err)
{
	int taken, r;

	ls_guard(&w->mutex);
	if (w->state == WINDOW_OPEN && !ours_locked(w, txn))
		return refuse_open_locked(w, err);
	if (ours_locked(w, txn)) {
		w->deadline_ms = now_ms + lease_ms;
		return 1;
	}
	taken = lock_take(w->lock, txn, epoch, lease_ms, now_ms, err);
	if (taken < 0) {
		window_save_locked(w); /* the epoch */
		return taken;
	}
	begin_locked(w, txn, mode);
	r = record_locked(w, err);
	if (taken == 0 && (r < 0 || mode == WINDOW_OFF))
		lock_release(w->lock, txn, NULL);
	if (r < 0)
		return r;
	if (mode != WINDOW_OFF)
		lock_set_window(w->lock, true);
	if (lease_ms > LS_LEASE_FIRST_MAX_MS)
		lease_ms = LS_LEASE_FIRST_MAX_MS;
	w->deadline_ms = now_ms + lease_ms;
	return 0;
}

static void tell(const struct window *w, const char *state)
{
	struct change c = { "window", -1, 1, state, "agent" };

	if (w->model->tell)
		w->model->tell(w->model->tell_arg, &c);
}

static void end(struct window *w, bool refused)
{
	enum window_state state;
	enum window_mode mode;
	char txn[LS_TXN_BYTES];

	pthread_mutex_lock(&w->mutex);
	w->state = state = cpus_count(&w->forced) ? WINDOW_PENDING : WINDOW_CLOSED;
	w->deadline_ms = 0;
	w->closing = false;
	mode = w->mode;
	memcpy(txn, w->txn, sizeof(txn));
	if (refused)
		give_back_locked(w);
	/*
	 * First the record, then the lock: an agent killed in between must not find a window
	 * open that a user's write has come after (tests/model: RELEASE_BEFORE_RECORD).
	 */
	window_save_locked(w);
	if (mode != WINDOW_OFF) {
		lock_set_window(w->lock, false);
		lock_release(w->lock, txn, NULL);
	}
	pthread_mutex_unlock(&w->mutex);
	log_info("window: %s, transaction %s%s", state_names[state], txn,
		 refused ? " was refused" : "");
	tell(w, "closed");
}

/* What a failed open leaves is what a close leaves: offline, or pending. */
static void no_result(void *arg, int cpu, int code, const struct ls_err *err)
{
	(void)arg;
	log_warning("cpu%d: %s: %s; restore pending", cpu, strerror(-code), err->text);
}

static int open_force(struct window *w, struct window_result *result, struct ls_err *err)
{
	struct window_result undo = { .failed = no_result };
	struct cpus mask;
	int r = window_plan(w, &mask, err);

	if (r == 0) {
		r = window_force(w, &mask, result, err);
		if (r < 0)
			window_restore(w, &undo);
	}
	if (r < 0)
		end(w, true);
	return r;
}

static int still_open(struct window *w, const char *txn, enum window_mode *ret_mode,
		      struct ls_err *err)
{
	ls_guard(&w->mutex);
	if (!ours_locked(w, txn))
		return class_set(err, -ENOLCK, LS_CLASS_NOT_HELD,
				 "transaction %s has no window open: its lease has run out", txn);
	*ret_mode = w->mode;
	return 0;
}

static int open_hooked(struct window *w, const char *txn, enum window_mode mode,
		       struct window_result *result, struct ls_err *err)
{
	int r = mode == WINDOW_FORCE ? window_can_force(w, err) : 0;

	if (r == 0)
		r = hook_window_opens(w->model->hooks, txn, err);
	if (r < 0) {
		end(w, true);
		return r;
	}
	if (mode == WINDOW_FORCE)
		r = open_force(w, result, err);
	hook_window_opened(w->model->hooks, txn, r);
	return r;
}

/* A window without the lock has nothing to keep meanwhile. */
static int open_pinned(struct window *w, const char *txn, enum window_mode mode,
		       struct window_result *result, struct ls_err *err)
{
	int r = mode == WINDOW_OFF ? 0 : lock_pin(w->lock, txn, err);

	if (r < 0)
		return r;
	r = open_hooked(w, txn, mode, result, err);
	if (mode != WINDOW_OFF)
		lock_unpin(w->lock);
	return r;
}

int window_open(struct window *w, const char *txn, bool already, struct window_result *result,
		struct ls_err *err)
{
	enum window_mode mode = WINDOW_NONE;
	int r = still_open(w, txn, &mode, err);

	if (r < 0)
		return r;
	if (!already)
		r = open_pinned(w, txn, mode, result, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&w->mutex);
	result->done = w->forced;
	window_save_locked(w);
	pthread_mutex_unlock(&w->mutex);
	if (!already)
		tell(w, "open");
	return 0;
}

/* ---- renew, close ----------------------------------------------------------- */

static int refuse_wrong_locked(const struct window *w, struct ls_err *err)
{
	return class_set(err, -EPERM, LS_CLASS_WRONG_TXN,
			 "the window is %s and belongs to transaction %s", state_names[w->state],
			 w->txn);
}

int window_renew(struct window *w, const char *txn, uint64_t lease_ms, uint64_t now_ms,
		 struct ls_err *err)
{
	ls_guard(&w->mutex);
	if (w->state == WINDOW_OPEN && strcmp(w->txn, txn))
		return refuse_wrong_locked(w, err);
	if (!ours_locked(w, txn) && !strcmp(w->txn, txn))
		return class_set(
			err, -ENOLCK, LS_CLASS_LEASE_EXPIRED,
			"the window of transaction %s is over: its lease has run out, or it "
			"was closed",
			txn);
	if (!ours_locked(w, txn))
		return class_set(err, -ENOLCK, LS_CLASS_NOT_HELD,
				 "transaction %s has no window open", txn);
	w->deadline_ms = now_ms + lease_ms;
	return 0;
}

/* What a close has to do: 0 close, 1 nothing, 2 only pending CPUs, or -EPERM. */
static int close_kind(struct window *w, const char *txn, char *ret_txn, enum window_mode *ret_mode,
		      struct ls_err *err)
{
	ls_guard(&w->mutex);
	memcpy(ret_txn, w->txn, sizeof(w->txn));
	*ret_mode = w->mode;
	if (w->state == WINDOW_CLOSED || (!txn && !w->closing))
		return 1; /* what the lease's end was for has gone; another may be open */
	if (txn && strcmp(w->txn, txn))
		return refuse_wrong_locked(w, err);
	return w->state == WINDOW_PENDING ? 2 : 0;
}

static int close_pending(struct window *w, struct window_result *result, struct ls_err *err)
{
	int r = lock_begin_local(w->lock, "(restore)", err);

	if (r < 0)
		return r;
	window_restore(w, result);
	lock_end_local(w->lock, "(restore)");
	return 1;
}

int window_close(struct window *w, const char *txn, struct window_result *result,
		 struct ls_err *err)
{
	enum window_mode mode;
	char owner[LS_TXN_BYTES];
	int kind = close_kind(w, txn, owner, &mode, err), r;

	if (kind < 0 || kind == 1)
		return kind;
	if (kind == 2)
		return close_pending(w, result, err);
	r = mode == WINDOW_OFF ? 0 : lock_pin(w->lock, owner, err);
	if (r < 0)
		return r;
	hook_window_closes(w->model->hooks, owner);
	if (mode != WINDOW_OFF) {
		window_prove(w);
		window_restore(w, result);
	}
	end(w, false);
	hook_window_closed(w->model->hooks, owner);
	if (mode != WINDOW_OFF)
		lock_unpin(w->lock);
	return 0;
}

void window_forget(struct window *w, const char *txn, int cpu)
{
	ls_guard(&w->mutex);
	if (w->state == WINDOW_PENDING || ours_locked(w, txn))
		window_forget_locked(w, cpu);
}

/* ---- time and looking -------------------------------------------------------- */

bool window_expire(struct window *w, uint64_t now_ms)
{
	ls_guard(&w->mutex);
	if (w->state != WINDOW_OPEN || w->closing || now_ms < w->deadline_ms)
		return false;
	log_warning("window: the lease of transaction %s has run out", w->txn);
	w->closing = true;
	return true;
}

void window_expire_again(struct window *w, uint64_t at_ms)
{
	ls_guard(&w->mutex);
	w->closing = false;
	w->deadline_ms = at_ms;
}

uint64_t window_deadline_ms(struct window *w)
{
	ls_guard(&w->mutex);
	return w->state == WINDOW_OPEN && !w->closing ? w->deadline_ms : 0;
}

void window_look(struct window *w, uint64_t now_ms, struct window_view *ret_view)
{
	ls_guard(&w->mutex);
	ret_view->state = w->state;
	ret_view->mode = w->mode;
	ret_view->forced = w->forced;
	ret_view->left_ms = 0;
	if (w->state == WINDOW_OPEN && w->deadline_ms > now_ms)
		ret_view->left_ms = w->deadline_ms - now_ms;
	memcpy(ret_view->txn, w->txn, sizeof(w->txn));
}
