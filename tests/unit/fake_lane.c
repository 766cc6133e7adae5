/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a lane is driven by, played.
 */
#include "fake_lane.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <qmp.h>

#define HANG_MS 10000
#define TURN_US 10000

struct fake_lane fake;
static const struct lane_limits limits = { 2, 30000 };

struct run *__wrap_run_new(sd_event *l, const struct guest *src, const struct guest *dst,
			   const struct run_ops *ops);
struct run *__wrap_run_new(sd_event *l, const struct guest *src, const struct guest *dst,
			   const struct run_ops *ops)
{
	(void)l, (void)src, (void)dst;
	fake.ops = *ops;
	fake.runs++;
	return (struct run *)&fake;
}

void __wrap_run_free(struct run *run);
void __wrap_run_free(struct run *run)
{
	fake.runs -= run != NULL;
	fake.looked = NULL;
	fake.t = NULL;
	fake.store = fake.heals = NULL;
}

void __wrap_run_look_start(struct run *run, run_looked_fn fn, void *arg);
void __wrap_run_look_start(struct run *run, run_looked_fn fn, void *arg)
{
	(void)run;
	fake.looked = fn;
	fake.looked_arg = arg;
}

int __wrap_run_look_error(const struct run *run, struct ls_err *err);
int __wrap_run_look_error(const struct run *run, struct ls_err *err)
{
	(void)run;
	return fake.away ? ls_err_set(err, -EPIPE, "nobody answers") : 0;
}

const struct view *__wrap_run_view(const struct run *run);
const struct view *__wrap_run_view(const struct run *run)
{
	(void)run;
	return &fake.view;
}

struct hv *__wrap_run_hv(const struct run *run, enum side side);
struct hv *__wrap_run_hv(const struct run *run, enum side side)
{
	(void)side;
	return (struct hv *)run;
}

int __wrap_run_start(struct run *run, struct txn *t, uint64_t deadline_ms, run_ended_fn fn,
		     void *arg);
int __wrap_run_start(struct run *run, struct txn *t, uint64_t deadline_ms, run_ended_fn fn,
		     void *arg)
{
	(void)run;
	assert_null(fake.t);
	fake.t = t;
	fake.deadline_ms = deadline_ms;
	fake.ended = fn;
	fake.ended_arg = arg;
	return 0;
}

void __wrap_run_cancel(struct run *run);
void __wrap_run_cancel(struct run *run)
{
	(void)run;
	fake.cancels++;
}

void __wrap_hv_store_read(struct hv *hv, hv_value_fn fn, void *arg);
void __wrap_hv_store_read(struct hv *hv, hv_value_fn fn, void *arg)
{
	(void)hv;
	fake.store = fn;
	fake.store_arg = arg;
}

void __wrap_hv_doctor(struct hv *hv, bool fix, unsigned limit_ms, hv_value_fn fn, void *arg);
void __wrap_hv_doctor(struct hv *hv, bool fix, unsigned limit_ms, hv_value_fn fn, void *arg)
{
	(void)hv, (void)fix;
	fake.heals_ms = limit_ms;
	fake.heals = fn;
	fake.heals_arg = arg;
}

void __wrap_hv_expect_unplug(struct hv *hv, const struct vm *vm, const char *id, bool pending);
void __wrap_hv_expect_unplug(struct hv *hv, const struct vm *vm, const char *id, bool pending)
{
	(void)hv, (void)vm;
	fake.expected++;
	for (unsigned i = 0; i < 4; i++)
		if (!strcmp(fake.cpus[i].id, id))
			fake.cpus[i].unplug = pending ? TRI_YES : TRI_NO;
}

int __wrap_claim_take(sd_event *l, const char *address, const char *what, struct ls_err *err,
		      struct claim **ret_claim);
int __wrap_claim_take(sd_event *l, const char *address, const char *what, struct ls_err *err,
		      struct claim **ret_claim)
{
	(void)l, (void)address, (void)what, (void)err;
	fake.claims++;
	*ret_claim = (struct claim *)&fake;
	return 0;
}

struct claim *__wrap_claim_drop(struct claim *c);
struct claim *__wrap_claim_drop(struct claim *c)
{
	fake.claims -= c != NULL;
	return NULL;
}

int __real_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[]);
int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[]);
int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	char script[32];
	char *const sh[] = { (char *)"sh", (char *)"-c", script, NULL };

	(void)path;
	assert_string_equal(argv[1], "--recover");
	assert_string_equal(argv[2], "vm1");
	assert_int_equal(fake.runs + fake.claims, 0); /* both are the recovery's to have */
	fake.spawned++;
	snprintf(script, sizeof(script), "exit %d", fake.exit);
	return __real_posix_spawn(pid, "/bin/sh", files, attr, sh, env);
}

/* ---- what the lane says -------------------------------------------------------- */

static void on_event(void *arg, const struct lane *l, const struct lane_job *j,
		     struct json_object *o)
{
	size_t n = strlen(fake.said);

	(void)arg, (void)l;
	snprintf(fake.said + n, sizeof(fake.said) - n, "%d %s %s;", (int)j->owner,
		 qmp_get_str(o, "event", ""), qmp_get_str(o, "end", ""));
}

static void on_record(void *arg, const struct lane *l, const struct lane_record *record,
		      void (*done)(void *done_arg, const struct ls_err *err), void *done_arg)
{
	(void)arg, (void)l;
	fake.seq = record->seq;
	fake.done = done;
	fake.done_arg = done_arg;
}

static void on_ready(void *arg, const struct lane *l, enum lane_left left)
{
	(void)arg, (void)l;
	fake.readies++;
	fake.left = left;
}

static void on_away(void *arg, const struct lane *l)
{
	(void)arg;
	assert_non_null(lane_away(l));
	fake.aways++;
}

static void on_unplug(void *arg, const struct lane *l, const struct lane_unplug *u, bool pending)
{
	(void)arg, (void)l, (void)u;
	fake.pending += pending ? 1 : -1;
}

/* ---- steps ------------------------------------------------------------------------ */

void fake_turn(void)
{
	while (sd_event_run(fake.loop, 0) > 0)
		;
}

void fake_look(void)
{
	run_looked_fn fn = fake.looked;

	assert_non_null(fn);
	fake.looked = NULL;
	fn(fake.looked_arg);
	fake_turn();
}

void fake_await_look(void)
{
	uint64_t until_ms = qmp_now_ms() + HANG_MS;

	while (!fake.looked && qmp_now_ms() < until_ms)
		sd_event_run(fake.loop, TURN_US);
	assert_non_null(fake.looked);
}

void fake_record(bool there)
{
	struct json_object *o = there ? json_object_new_string("side src\n") : NULL;
	hv_value_fn fn = fake.store;

	assert_non_null(fn);
	fake.store = NULL;
	fn(fake.store_arg, o, NULL);
	json_object_put(o);
	if (!there) /* else the recovery begins in the next one */
		fake_turn();
}

void fake_make_ready(void)
{
	fake_look();
	fake_record(false);
	assert_int_equal(lane_state(fake.lane), LANE_READY);
}

int fake_ask(unsigned owner, unsigned vcpus, char ret_id[LS_TXN_BYTES])
{
	struct lane_job job = { .owner = owner, .wish = { .kind = WISH_VCPUS, .value = vcpus } };
	struct ls_err err;

	job.wish.node = -1;
	return lane_ask(fake.lane, &job, &err, ret_id);
}

void fake_begin(unsigned owner, unsigned vcpus)
{
	char id[LS_TXN_BYTES];

	assert_int_equal(fake_ask(owner, vcpus, id), 0);
	fake_turn();
	fake_look();
	assert_non_null(fake.t);
	assert_string_equal(fake.t->id, id);
}

void fake_end(enum txn_end end)
{
	struct txn *t = fake.t;

	assert_non_null(t);
	t->end = end;
	fake.t = NULL;
	fake.ended(fake.ended_arg, t);
	fake_turn();
}

void fake_assert_said(const char *what)
{
	assert_string_equal(fake.said, what);
	fake.said[0] = '\0';
}

void fake_plug(unsigned slot)
{
	fake.cpus[slot] = (struct vm_cpu){
		.vcpus = 1, .number = slot, .plugged = true, .present = 1, .device = 1, .kernel = 1
	};
	snprintf(fake.cpus[slot].id, LS_NAME_BYTES, "c%u", slot);
}

int fake_setup(void **state)
{
	const struct guest g = { .name = "vm1", .qmp = "unix:/vm1.qmp" };
	struct lane_ops ops = {
		.event = on_event,
		.record = on_record,
		.ready = on_ready,
		.away = on_away,
		.unplug = on_unplug,
	};
	struct vm *vm = &fake.view.vm[SIDE_SRC];
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	memset(&fake, 0, sizeof(fake));
	*vm = (struct vm){ .run = VM_RUNNING,
			   .answers = true,
			   .agent = AGENT_LOCKSTEP,
			   .agent_answers = true,
			   .cpus = fake.cpus,
			   .n_cpus = 4 };
	for (unsigned i = 0; i < 4; i++)
		fake.cpus[i] = (struct vm_cpu){ .vcpus = 1, .number = i };
	fake_plug(0);
	fake_plug(1);
	assert_true(sd_event_new(&fake.loop) >= 0);
	fake.board = board_new();
	ops.board = fake.board;
	fake.lane = lane_new(fake.loop, &g, &limits, &ops);
	assert_non_null(fake.lane);
	return 0;
}

int fake_teardown(void **state)
{
	(void)state;
	lane_free(fake.lane);
	assert_int_equal(fake.runs + fake.claims, 0);
	board_free(fake.board);
	sd_event_unref(fake.loop);
	return 0;
}
