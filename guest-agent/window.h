/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The migration window: from open to close the guest's hotplug is the migration's.
 *
 *	open    take the hotplug lock, remember which present CPUs are offline, and
 *	        device_online() each of them
 *	close   device_offline() those again, and give the lock back, always
 *
 * Both go through the device model and never around it: a CPU forced online behind
 * the driver core's back is what leaves a guest with CPUs that are online for one
 * half of its kernel and dead for the other.
 *
 * The window travels with the guest's memory: whoever the migration leaves running
 * closes it by the same call. It has a lease, so that a guest whose coordinator is
 * gone heals by itself, and it is kept on disk, so that an agent started again
 * knows it.
 */
#ifndef AGENT_WINDOW_H
#define AGENT_WINDOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <lockstep/limits.h>

#include "cpus.h"
#include "persist.h"

struct hotplug_lock;
struct ls_err;
struct model;

/**
 * enum window_state - Where the window stands
 * @WINDOW_CLOSED:  Operations: open. A close says "already".
 * @WINDOW_OPEN:    Operations: renew, close. Everybody else is refused.
 * @WINDOW_PENDING: closed and the lock free, but some CPUs that open had forced
 *                  could not be taken offline again. Operations: open (they stay
 *                  in the mask of the new window), close and doctor (try again). One
 *                  that is changed by anybody else meanwhile is not owed any more.
 */
enum window_state { WINDOW_CLOSED, WINDOW_OPEN, WINDOW_PENDING, WINDOW_STATE_COUNT };

const char *window_state_name(enum window_state s);

/**
 * enum window_mode - What open does
 * @WINDOW_FORCE: lock, and every present CPU online
 * @WINDOW_HOLD:  lock only
 * @WINDOW_OFF:   nothing but to be there
 */
enum window_mode { WINDOW_NONE, WINDOW_FORCE, WINDOW_HOLD, WINDOW_OFF, WINDOW_MODE_COUNT };

const char *window_mode_name(enum window_mode m);
/* Return: 0, -EINVAL. */
int window_mode_parse(const char *name, enum window_mode *ret_mode, struct ls_err *err);

/* What an open found. */
struct window_before {
	enum window_state state;
	enum window_mode mode;
	char txn[LS_TXN_BYTES];
};

/**
 * struct window - The window
 * @mutex:       protects the rest; a leaf but for the lock's own mutex
 * @state:       see above
 * @mode:        of the last open
 * @txn:         who opened it, or did so last
 * @forced:      CPUs that are to be taken offline by close
 * @deadline_ms: end of the lease
 * @before:      whose it was when the last open began: a refused one gives it back
 * @closing:     the lease's end has been acted on: a close is on its way
 * @model:       the devices
 * @lock:        the hotplug lock
 * @persist:     where it is kept
 * @intents:     takes the CPUs that the guest's user has written to since it was last
 *               asked; NULL: nobody watches
 * @intents_arg: for @intents
 */
struct window {
	pthread_mutex_t mutex;
	enum window_state state;
	enum window_mode mode;
	char txn[LS_TXN_BYTES];
	struct cpus forced;
	uint64_t deadline_ms;
	struct window_before before;
	bool closing;
	struct model *model;
	struct hotplug_lock *lock;
	const struct persist *persist;
	struct cpus (*intents)(void *arg);
	void *intents_arg;
};

void window_init(struct window *w, struct model *m, struct hotplug_lock *l,
		 const struct persist *p);
void window_done(struct window *w);

/**
 * window_load() - Know a window that an agent before us opened in this boot
 *
 * The lock is taken for it again, with a first lease from now. The epoch that was
 * kept beside it goes to the lock, window or not.
 */
void window_load(struct window *w, uint64_t now_ms);

/* Keep window and epoch on disk as they are now: 0 or -errno, which is logged. */
void window_save(struct window *w);
int window_save_locked(struct window *w);

/* The window is refused, because of this -errno: it, with the class NotRecorded. */
int window_unrecorded(const struct window *w, int r, struct ls_err *err);

/**
 * window_admit() - Take the lock for a window, or extend the lease of ours
 * @lease_ms: the first is cut as lock_take() does
 * @err:      WindowOpen, LockHeld, LowerEpoch, NotRecorded
 *
 * Never blocks: for the loop. window_open() follows in the transaction thread.
 * Return: 0, 1 (this transaction had it open already), -errno.
 */
int window_admit(struct window *w, const char *txn, uint64_t epoch, uint64_t lease_ms,
		 enum window_mode mode, uint64_t now_ms, struct ls_err *err);

/**
 * struct window_result - What open or close did to CPUs
 * @done:   forced online by this window, or taken offline by this close
 * @failed: called for each that was left out (open) or is pending (close)
 * @arg:    for @failed
 */
struct window_result {
	struct cpus done;
	void (*failed)(void *arg, int cpu, int code, const struct ls_err *err);
	void *arg;
};

/**
 * window_open() - Force the CPUs online, as the mode says
 * @already: what window_admit() returned: only tell what is forced
 *
 * A CPU that SMT control forbids (EPERM) is left out; any other failure takes the
 * others back and closes the window. If the two views of a CPU disagree, or the mask cannot
 * be recorded, nothing is begun. An open that fails leaves the window to whom it was before.
 *
 * Context: transaction thread.
 * Return: 0, -errno (ForceFailed, NotRecorded; or it was closed meanwhile: LockNotHeld).
 */
int window_open(struct window *w, const char *txn, bool already, struct window_result *result,
		struct ls_err *err);

/* Extend the lease from now: 0, -ENOLCK, -EPERM (WrongTransaction). Never blocks. */
int window_renew(struct window *w, const char *txn, uint64_t lease_ms, uint64_t now_ms,
		 struct ls_err *err);

/**
 * window_close() - Restore, and give the lock back whatever happens
 * @txn: who asks; NULL: the lease has run out, as window_expire() has said
 *
 * Context: transaction thread.
 * Return: 0, 1 (it was closed already), -EPERM (WrongTransaction), -EBUSY (somebody
 *         else has the lock: pending CPUs cannot be tried now).
 */
int window_close(struct window *w, const char *txn, struct window_result *result,
		 struct ls_err *err);

/* Forget a CPU that is owed: false, it was not. */
bool window_forget_locked(struct window *w, int cpu);

/* ---- the CPUs: window_cpus.c ------------------------------------------------- */

/*
 * Whether every CPU has one state that a close could come back to: 0, or -EIO
 * (ForceFailed) if the driver core and the kernel disagree about one.
 */
int window_can_force(struct window *w, struct ls_err *err);

/* What is offline, and on record as owed before it changes: 0, or -errno (NotRecorded). */
int window_plan(struct window *w, struct cpus *ret_mask, struct ls_err *err);

/*
 * Bring these online: 0, or the first -errno. What is owed is then what was changed all
 * the same.
 */
int window_force(struct window *w, const struct cpus *mask, struct window_result *result,
		 struct ls_err *err);

/*
 * Whichever side goes on: what was forced online has come along and runs. It is taken
 * offline whatever the answer is; the log keeps the answer.
 */
void window_prove(struct window *w);

/* Take what is owed offline; under the hotplug lock, pinned. For the doctor and close. */
void window_restore(struct window *w, struct window_result *result);

/**
 * window_honour() - Leave alone what the guest's user has set while a CPU is owed
 *
 * What the user wrote has happened, and the latest of it is the wish that counts, in an
 * open window and in a restore that is pending: close restores the mask minus these.
 * window_restore() calls it itself; whoever has seen a foreign write calls it, too, so
 * that a wish outlives the agent. What was written before CPUs were owed means nothing.
 *
 * Context: transaction thread, after a scan.
 */
void window_honour(struct window *w);

/**
 * window_compare() - After window_load(): what happened to forced CPUs meanwhile
 *
 * One that is not online any more was taken offline by somebody else while no agent
 * ran: that is told as foreign, and close leaves it alone.
 */
void window_compare(struct window *w);

/*
 * The owner itself has set this CPU's state: close leaves it alone. While a restore is
 * pending, so has anybody who has the lock.
 */
void window_forget(struct window *w, const char *txn, int cpu);

/* Whether the lease has run out and a close must be started; true once. */
bool window_expire(struct window *w, uint64_t now_ms);
/* That close could not be started: window_expire() is true once more, at @at_ms. */
void window_expire_again(struct window *w, uint64_t at_ms);
/* When window_expire() is to be called; 0 never. */
uint64_t window_deadline_ms(struct window *w);

/* What window_look() copies out: the same fields, at one moment. */
struct window_view {
	enum window_state state;
	enum window_mode mode;
	char txn[LS_TXN_BYTES];
	struct cpus forced;
	uint64_t left_ms;
};

void window_look(struct window *w, uint64_t now_ms, struct window_view *ret_view);

#endif
