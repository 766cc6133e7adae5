/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lane's claim and connection: had, lost, had again; and what is found on a guest that
 * somebody who died has left.
 *
 * The recovery is the command line's (recover.c), which knows interrupted migrations and
 * both their sides. It waits, so it runs as a process of its own: this very program,
 * started once more. It takes the claim itself.
 */
#include "lane_private.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <json-c/json.h>
#include <qmp.h>

#include "daemon_log.h"
#include "../report/exit.h"
#include "../report/report.h"
#include "../hv/hv.h"

#define HINT_MS 200 /* hints come in bursts: one look for all of them */

static void attempt(struct lane *l);

static int on_retry(sd_event_source *s, uint64_t now, void *arg)
{
	(void)s, (void)now;
	attempt(arg);
	return 0;
}

static void set_timer(struct lane *l, unsigned ms, sd_event_time_handler_t fn)
{
	l->retry = sd_event_source_disable_unref(l->retry);
	if (sd_event_add_time_relative(l->loop, &l->retry, CLOCK_MONOTONIC, (uint64_t)ms * 1000,
				       1000, fn, l) < 0)
		abort();
}

/* The claim goes at once: somebody else may have the guest while we have not. */
static void away(struct lane *l, const struct ls_err *why)
{
	const struct log_about about = { LOG_AWAY, l->guest.name, NULL, NULL, why };

	if (strcmp(l->why.text, why->text))
		log_about(LOG_WARNING, &about, "%s", why->text);
	l->why = *why;
	l->state = LANE_AWAY;
	l->claim = claim_drop(l->claim);
	lane_refuse_all(l, XC_REACH, why);
	lane_publish(l);
	set_timer(l, l->retry_ms, on_retry);
	l->retry_ms *= 2;
	if (l->retry_ms > l->limits->reconnect_ms)
		l->retry_ms = l->limits->reconnect_ms;
	if (l->ops.away)
		l->ops.away(l->ops.arg, l);
}

/* ---- what was left behind ------------------------------------------------------ */

static int on_child(sd_event_source *s, const siginfo_t *si, void *arg)
{
	struct lane *l = arg;
	int code = si->si_code == CLD_EXITED ? si->si_status : -1;
	struct ls_err err;

	(void)s;
	l->child = sd_event_source_disable_unref(l->child);
	l->child_pid = 0;
	if (code == XC_OK || code == XC_PENDING) {
		l->left = code == XC_OK ? LANE_LEFT_ENDED : LANE_LEFT_PENDING;
		attempt(l);
		return 0;
	}
	l->left = code == XC_STUCK ? LANE_LEFT_STUCK : LANE_LEFT_NOTHING;
	ls_err_set(
		&err, -EUCLEAN,
		"what an interrupted lockstep left could not be ended (%s); see: lockstep recover "
		"--qmp %.120s",
		exit_text(code), l->guest.qmp);
	away(l, &err);
	return 0;
}

static int spawn_recovery(struct lane *l)
{
	char *argv[] = { (char *)"lockstepd", (char *)"--recover", l->guest.name,
			 l->guest.qmp,	      l->guest.agent,	   NULL };
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(&l->child_pid, "/proc/self/exe", NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	return -r;
}

/* In a turn of its own: nobody of the connection's is on the stack. */
static int on_recover(sd_event_source *s, uint64_t now, void *arg)
{
	struct lane *l = arg;
	struct ls_err err;
	int r;

	(void)s, (void)now;
	lane_run_free(l);
	l->claim = claim_drop(l->claim);
	r = spawn_recovery(l);
	if (r >= 0)
		r = sd_event_add_child(l->loop, &l->child, l->child_pid, WEXITED, on_child, l);
	if (r < 0) {
		ls_err_set(&err, r, "the recovery cannot be started: %s", strerror(-r));
		away(l, &err);
	}
	return 0;
}

static void ready(struct lane *l)
{
	const struct log_about about = { .message = LOG_READY, .guest = l->guest.name };

	l->state = LANE_READY;
	l->why = (struct ls_err){ 0 };
	l->retry_ms = LANE_RETRY_MS;
	log_about(LOG_INFO, &about, "ready");
	if (l->ops.ready)
		l->ops.ready(l->ops.arg, l, l->left);
	if (lane_unplugs_expect(l) || l->hinted)
		lane_refresh(l);
	l->left = LANE_LEFT_NOTHING;
	lane_publish(l);
	lane_kick(l);
}

static void on_record(void *arg, struct json_object *value, const struct ls_err *err)
{
	struct lane *l = arg;
	const struct vm *vm = &run_view(l->run)->vm[SIDE_SRC];
	const struct log_about about = { .message = LOG_INTERRUPTED, .guest = l->guest.name };

	if (err) {
		away(l, err);
	} else if (value || vm->claimed_by[0]) {
		log_about(LOG_WARNING, &about,
			  "an interrupted transaction is on record: recovering");
		l->state = LANE_RECOVERING;
		ls_err_set(&l->why, -EBUSY,
			   "what was interrupted is being ended; ask again in a moment");
		lane_publish(l);
		set_timer(l, 0, on_recover);
	} else {
		ready(l);
	}
}

/* ---- the connection ------------------------------------------------------------- */

/* Return: whether the guest was seen. */
static bool seen(struct lane *l)
{
	struct ls_err err;

	l->looking = false;
	l->seen_ms = qmp_now_ms();
	if (run_look_error(l->run, &err) == 0)
		return true;
	away(l, &err);
	return false;
}

static void on_second_look(void *arg)
{
	struct lane *l = arg;

	if (!seen(l))
		return;
	lane_unplugs_seen(l);
	hv_store_read(run_hv(l->run, SIDE_SRC), on_record, l);
}

/* A connection knows of no unplug that it has not asked for: it is told, and looks again. */
static void on_first_look(void *arg)
{
	struct lane *l = arg;

	if (!seen(l))
		return;
	l->looking = lane_unplugs_expect(l);
	if (l->looking)
		run_look_start(l->run, on_second_look, l);
	else
		hv_store_read(run_hv(l->run, SIDE_SRC), on_record, l);
}

static void on_refreshed(void *arg)
{
	struct lane *l = arg;
	struct ls_err err;

	l->looking = false;
	l->seen_ms = qmp_now_ms();
	if (l->state != LANE_READY)
		return;
	if (run_look_error(l->run, &err) < 0) {
		away(l, &err);
		return;
	}
	lane_unplugs_seen(l);
	lane_publish(l);
	lane_refresh_if_hinted(l);
}

static int on_refresh(sd_event_source *s, uint64_t now, void *arg)
{
	struct lane *l = arg;

	(void)s, (void)now;
	l->retry = sd_event_source_disable_unref(l->retry);
	if (l->state == LANE_READY && !l->running) {
		l->looking = true;
		run_look_start(l->run, on_refreshed, l);
	}
	return 0;
}

/* A look that is out may have asked before that happened of which the hint is. */
void lane_refresh(struct lane *l)
{
	if (l->state == LANE_READY && !l->looking && !l->retry)
		set_timer(l, HINT_MS, on_refresh);
	l->hinted = l->looking || l->state == LANE_BUSY;
}

void lane_refresh_if_hinted(struct lane *l)
{
	if (l->hinted)
		lane_refresh(l);
}

static void on_hint(void *arg, const char *what)
{
	(void)what;
	lane_refresh(arg);
}

static void on_lost(void *arg)
{
	struct lane *l = arg;

	if (l->state == LANE_READY)
		lane_lost_now(l);
	else
		l->lost = true;
}

/* ---- the guest's agent ------------------------------------------------------------ */

static int on_again(sd_event_source *s, uint64_t now, void *arg)
{
	struct lane *l = arg;

	(void)s, (void)now;
	l->retry = sd_event_source_disable_unref(l->retry);
	lane_look(l);
	return 0;
}

bool lane_awaits_agent(struct lane *l)
{
	const struct vm *vm = &run_view(l->run)->vm[SIDE_SRC];
	struct job *q = l->running;
	unsigned limit_ms = wish_waits_ms(&q->job.wish, vm, q->job.timeout_ms);

	if (qmp_now_ms() >= q->since_ms + limit_ms)
		return false;
	if (!q->awaits)
		lane_emit(l, report_awaiting(vm, limit_ms));
	q->awaits = true;
	set_timer(l, WISH_AGAIN_MS, on_again);
	return true;
}

/* A transaction that runs decides for itself what a loss means; then it is ours. */
void lane_lost_now(struct lane *l)
{
	struct ls_err err;

	ls_err_set(&err, -EPIPE, "%.150s: the monitor's connection is lost", l->guest.qmp);
	l->lost = false;
	away(l, &err);
}

static void attempt(struct lane *l)
{
	struct run_ops ops = { .tell = lane_tell,
			       .record = l->ops.record ? lane_record : NULL,
			       .hint = on_hint,
			       .lost = on_lost,
			       .arg = l };
	struct ls_err err;

	l->retry = sd_event_source_disable_unref(l->retry);
	l->state = LANE_AWAY;
	l->lost = l->hinted = false;
	lane_run_free(l);
	l->claim = claim_drop(l->claim);
	if (claim_take(l->loop, l->guest.qmp, "lockstepd", &err, &l->claim) < 0) {
		away(l, &err);
		return;
	}
	l->run = run_new(l->loop, &l->guest, NULL, &ops);
	l->looking = true;
	run_look_start(l->run, on_first_look, l);
}

struct lane *lane_new(sd_event *loop, const struct guest *guest, const struct lane_limits *limits,
		      const struct lane_ops *ops)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (l)
		l->known = board_add(ops->board, guest->name);
	if (!l || !l->known) {
		free(l);
		return NULL;
	}
	l->loop = sd_event_ref(loop);
	l->guest = *guest;
	l->limits = limits;
	l->ops = *ops;
	l->retry_ms = LANE_RETRY_MS;
	ls_err_set(&l->why, -EAGAIN, "it is being connected");
	lane_publish(l);
	attempt(l);
	return l;
}

void lane_close(struct lane *l)
{
	struct ls_err err;

	l->closed = true;
	ls_err_set(&err, -ESHUTDOWN, "lockstepd is stopping");
	lane_refuse_all(l, XC_REFUSED, &err);
}

void lane_free(struct lane *l)
{
	if (!l)
		return;
	lane_doctor_done(l);
	lane_run_free(l);
	lane_jobs_done(l);
	free(l->unplugs);
	board_remove(l->known);
	claim_drop(l->claim);
	sd_event_source_disable_unref(l->retry);
	sd_event_source_disable_unref(l->kick);
	sd_event_source_disable_unref(l->child);
	if (l->child_pid)
		kill(l->child_pid, SIGTERM); /* it takes back, or goes on: both are ends */
	sd_event_unref(l->loop);
	free(l);
}
