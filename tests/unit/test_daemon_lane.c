/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lane over a run that is none: the test answers looks, ends transactions, and loses the
 * monitor when it wants to. The linker gives the lane's calls of run.h to this file
 * (__wrap_...), and those of the claim, the journal in QEMU, and posix_spawn().
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <lockstep/log.h>
#include <qmp.h>

#include "../../coordinator/daemon/board.h"
#include "../../coordinator/cli/cli.h"
#include "../../coordinator/hv/hv.h"
#include "../../coordinator/daemon/lane_private.h"

#define HANG_MS 10000
#define TURN_US 10000

void log_sink(int priority, const char *fmt, ...)
{
	(void)priority, (void)fmt;
}

/* ---- the world ------------------------------------------------------------------ */

/**
 * struct world - What the lane sees, what it has asked, and what it has said
 * @ops:       of its run; @runs: how many are made and not freed; @claims: the same
 * @looked:    a look is out; @store: the journal in QEMU is being read
 * @t, @ended: a transaction runs; @cancels: how often it was asked back
 * @away:      no look is answered
 * @expected:  unplugs that the connection was told of
 * @heals:     a doctor is out
 * @exit:      of the recovery; @spawned: how many
 * @said:      events, "REQUEST EVENT END;" each
 * @readies, @left: of lane_ops.ready; @pending: of lane_ops.unplug
 * @seq, @done, @done_arg: of the last record
 */
static struct world {
	struct run_ops ops;
	int runs, claims;
	struct view view;
	struct vm_cpu cpus[4];
	run_looked_fn looked;
	void *looked_arg;
	hv_value_fn store, heals;
	void *store_arg, *heals_arg;
	struct txn *t;
	run_ended_fn ended;
	void *ended_arg;
	unsigned cancels, expected, spawned, readies, seq;
	bool away;
	int exit, pending;
	enum lane_left left;
	char said[4096];
	void (*done)(void *arg, const struct ls_err *err);
	void *done_arg;
} w;

static sd_event *loop;
static struct lane *lane;
static struct board *board;
static const struct lane_limits limits = { 2, 30000 };

struct run *__wrap_run_new(sd_event *l, const struct guest *src, const struct guest *dst,
			   const struct run_ops *ops);
struct run *__wrap_run_new(sd_event *l, const struct guest *src, const struct guest *dst,
			   const struct run_ops *ops)
{
	(void)l, (void)src, (void)dst;
	w.ops = *ops;
	w.runs++;
	return (struct run *)&w;
}

void __wrap_run_free(struct run *run);
void __wrap_run_free(struct run *run)
{
	w.runs -= run != NULL;
	w.looked = NULL;
	w.t = NULL;
	w.store = w.heals = NULL;
}

void __wrap_run_look_start(struct run *run, run_looked_fn fn, void *arg);
void __wrap_run_look_start(struct run *run, run_looked_fn fn, void *arg)
{
	(void)run;
	w.looked = fn;
	w.looked_arg = arg;
}

int __wrap_run_look_error(const struct run *run, struct ls_err *err);
int __wrap_run_look_error(const struct run *run, struct ls_err *err)
{
	(void)run;
	return w.away ? ls_err_set(err, -EPIPE, "nobody answers") : 0;
}

const struct view *__wrap_run_view(const struct run *run);
const struct view *__wrap_run_view(const struct run *run)
{
	(void)run;
	return &w.view;
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
	(void)run, (void)deadline_ms;
	assert_null(w.t);
	w.t = t;
	w.ended = fn;
	w.ended_arg = arg;
	return 0;
}

void __wrap_run_cancel(struct run *run);
void __wrap_run_cancel(struct run *run)
{
	(void)run;
	w.cancels++;
}

void __wrap_hv_store_read(struct hv *hv, hv_value_fn fn, void *arg);
void __wrap_hv_store_read(struct hv *hv, hv_value_fn fn, void *arg)
{
	(void)hv;
	w.store = fn;
	w.store_arg = arg;
}

void __wrap_hv_doctor(struct hv *hv, bool fix, hv_value_fn fn, void *arg);
void __wrap_hv_doctor(struct hv *hv, bool fix, hv_value_fn fn, void *arg)
{
	(void)hv, (void)fix;
	w.heals = fn;
	w.heals_arg = arg;
}

void __wrap_hv_expect_unplug(struct hv *hv, const struct vm *vm, const char *id, bool pending);
void __wrap_hv_expect_unplug(struct hv *hv, const struct vm *vm, const char *id, bool pending)
{
	(void)hv, (void)vm;
	w.expected++;
	for (unsigned i = 0; i < 4; i++)
		if (!strcmp(w.cpus[i].id, id))
			w.cpus[i].unplug = pending ? TRI_YES : TRI_NO;
}

int __wrap_claim_take(sd_event *l, const char *address, const char *what, struct ls_err *err,
		      struct claim **ret_claim);
int __wrap_claim_take(sd_event *l, const char *address, const char *what, struct ls_err *err,
		      struct claim **ret_claim)
{
	(void)l, (void)address, (void)what, (void)err;
	w.claims++;
	*ret_claim = (struct claim *)&w;
	return 0;
}

struct claim *__wrap_claim_drop(struct claim *c);
struct claim *__wrap_claim_drop(struct claim *c)
{
	w.claims -= c != NULL;
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
	assert_int_equal(w.runs + w.claims, 0); /* both are the recovery's to have */
	w.spawned++;
	snprintf(script, sizeof(script), "exit %d", w.exit);
	return __real_posix_spawn(pid, "/bin/sh", files, attr, sh, env);
}

/* ---- what the lane says -------------------------------------------------------- */

static void on_event(void *arg, const struct lane *l, const struct lane_job *j,
		     struct json_object *o)
{
	size_t n = strlen(w.said);

	(void)arg, (void)l;
	snprintf(w.said + n, sizeof(w.said) - n, "%d %s %s;", (int)j->owner,
		 qmp_get_str(o, "event", ""), qmp_get_str(o, "end", ""));
}

static void on_record(void *arg, const struct lane *l, const struct lane_record *record,
		      void (*done)(void *done_arg, const struct ls_err *err), void *done_arg)
{
	(void)arg, (void)l;
	w.seq = record->seq;
	w.done = done;
	w.done_arg = done_arg;
}

static void on_ready(void *arg, const struct lane *l, enum lane_left left)
{
	(void)arg, (void)l;
	w.readies++;
	w.left = left;
}

static void on_unplug(void *arg, const struct lane *l, const struct lane_unplug *u, bool pending)
{
	(void)arg, (void)l, (void)u;
	w.pending += pending ? 1 : -1;
}

/* ---- steps ------------------------------------------------------------------------ */

/* All that is to be done now is done. */
static void turn(void)
{
	while (sd_event_run(loop, 0) > 0)
		;
}

static void look(void)
{
	run_looked_fn fn = w.looked;

	assert_non_null(fn);
	w.looked = NULL;
	fn(w.looked_arg);
	turn();
}

/* Until the lane looks again, by a timer of its own. */
static void await_look(void)
{
	uint64_t until_ms = qmp_now_ms() + HANG_MS;

	while (!w.looked && qmp_now_ms() < until_ms)
		sd_event_run(loop, TURN_US);
	assert_non_null(w.looked);
}

/* The journal in QEMU has a record, or none. */
static void record(bool there)
{
	struct json_object *o = there ? json_object_new_string("side src\n") : NULL;
	hv_value_fn fn = w.store;

	assert_non_null(fn);
	w.store = NULL;
	fn(w.store_arg, o, NULL);
	json_object_put(o);
	if (!there) /* else the recovery begins in the next one */
		turn();
}

static void make_ready(void)
{
	look();
	record(false);
	assert_int_equal(lane_state(lane), LANE_READY);
}

/* Return: as lane_ask(); @owner tells requests apart in what is said. */
static int ask(unsigned owner, unsigned vcpus, char ret_id[LS_TXN_BYTES])
{
	struct lane_job job = { .owner = owner, .wish = { .kind = WISH_VCPUS, .value = vcpus } };
	struct ls_err err;

	job.wish.node = -1;
	return lane_ask(lane, &job, &err, ret_id);
}

static void begin(unsigned owner, unsigned vcpus)
{
	char id[LS_TXN_BYTES];

	assert_int_equal(ask(owner, vcpus, id), 0);
	turn();
	look();
	assert_non_null(w.t);
	assert_string_equal(w.t->id, id);
}

static void end(enum txn_end end)
{
	struct txn *t = w.t;

	assert_non_null(t);
	t->end = end;
	w.t = NULL;
	w.ended(w.ended_arg, t);
	turn();
}

static void assert_said(const char *what)
{
	assert_string_equal(w.said, what);
	w.said[0] = '\0';
}

static void plug(unsigned slot)
{
	w.cpus[slot] = (struct vm_cpu){
		.vcpus = 1, .number = slot, .plugged = true, .present = 1, .device = 1, .kernel = 1
	};
	snprintf(w.cpus[slot].id, LS_NAME_BYTES, "c%u", slot);
}

static int setup(void **state)
{
	const struct guest g = { .name = "vm1", .qmp = "unix:/vm1.qmp" };
	struct lane_ops ops = {
		.event = on_event, .record = on_record, .ready = on_ready, .unplug = on_unplug
	};
	struct vm *vm = &w.view.vm[SIDE_SRC];
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	memset(&w, 0, sizeof(w));
	*vm = (struct vm){ .run = VM_RUNNING,
			   .answers = true,
			   .agent = AGENT_LOCKSTEP,
			   .agent_answers = true,
			   .cpus = w.cpus,
			   .n_cpus = 4 };
	for (unsigned i = 0; i < 4; i++)
		w.cpus[i] = (struct vm_cpu){ .vcpus = 1, .number = i };
	plug(0);
	plug(1);
	assert_true(sd_event_new(&loop) >= 0);
	board = board_new();
	ops.board = board;
	lane = lane_new(loop, &g, &limits, &ops);
	assert_non_null(lane);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lane_free(lane);
	assert_int_equal(w.runs + w.claims, 0);
	board_free(board);
	sd_event_unref(loop);
	return 0;
}

/* ---- reaching the guest -------------------------------------------------------------- */

/* Looked at, nothing left behind: ready. Before that a request is refused with the reason. */
static void test_when_connected_then_ready(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	assert_int_equal(ask(1, 3, id), -EPIPE);
	make_ready();
	assert_int_equal(w.readies, 1);
	assert_int_equal(w.left, LANE_LEFT_NOTHING);
	assert_int_equal(w.claims, 1);
}

/* The claim is let go of at once, those that wait are told, and it is tried again. */
static void test_when_lost_then_refused_and_tried_again(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	make_ready();
	assert_int_equal(ask(1, 3, id), 0);
	w.ops.lost(w.ops.arg);
	assert_int_equal(lane_state(lane), LANE_AWAY);
	assert_int_equal(w.claims, 0);
	assert_said("1 error ;");
	await_look();
	make_ready();
	assert_int_equal(w.readies, 2);
}

/* Each end of the recovery: what becomes of the transaction that it was about. */
static void test_when_something_is_left_then_recovered_by_a_process(void **state)
{
	static const struct {
		int exit;
		enum lane_left left;
	} ends[] = { { XC_OK, LANE_LEFT_ENDED },
		     { XC_PENDING, LANE_LEFT_PENDING },
		     { XC_STUCK, LANE_LEFT_STUCK },
		     { XC_REACH, LANE_LEFT_NOTHING } };

	(void)state;
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		w.exit = ends[i].exit;
		look();
		record(true);
		assert_int_equal(lane_state(lane), LANE_RECOVERING);
		await_look();
		assert_int_equal(w.spawned, i + 1);
		make_ready();
		assert_int_equal(w.left, ends[i].left);
		w.ops.lost(w.ops.arg);
		await_look();
	}
}

/* ---- requests ---------------------------------------------------------------------- */

/* One at a time, in order, each planned upon a look of its own; no more than max-queue wait. */
static void test_when_many_ask_then_one_after_the_other(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	make_ready();
	begin(1, 3);
	assert_int_equal(ask(2, 4, id), 0);
	assert_int_equal(ask(3, 2, id), 0);
	assert_int_equal(ask(4, 4, id), -EBUSY);
	turn();
	assert_null(w.looked);
	plug(2);
	end(END_DONE);
	assert_said("1 end done;");
	look(); /* what is true now is told; then the next one looks */
	assert_said("1 now ;");
	look();
	assert_int_equal(w.t->n, 1);
	assert_int_equal(w.t->items[0].slot, 3);
	end(END_UNDONE);
	look();
	assert_said("2 end undone;2 now ;");
	look();
	assert_int_equal(w.t->walk.dir, STEP_DOWN);
}

/* It is so already: an end without a transaction; it cannot be: refused, nothing begins. */
static void test_when_there_is_nothing_to_do_then_ended_at_once(void **state)
{
	char id[LS_TXN_BYTES];

	(void)state;
	make_ready();
	assert_int_equal(ask(1, 2, id), 0);
	assert_int_equal(ask(2, 99, id), 0);
	turn();
	look();
	assert_said("1 end done;1 now ;");
	look();
	assert_said("2 error ;");
	assert_null(w.t);
	assert_int_equal(lane_state(lane), LANE_READY);
}

/* One that waits is taken out of the queue, one that looks does not begin, one that runs is
 * asked back. */
static void test_when_cancelled_then_wherever_it_is(void **state)
{
	char id[LS_TXN_BYTES], waits[LS_TXN_BYTES];
	struct ls_err err;

	(void)state;
	make_ready();
	begin(1, 3);
	assert_int_equal(ask(2, 4, waits), 0);
	assert_int_equal(lane_cancel(lane, waits, &err), 0);
	assert_said("2 error ;");
	assert_int_equal(lane_cancel(lane, waits, &err), -ENOENT);
	assert_int_equal(lane_cancel(lane, NULL, &err), 0);
	assert_int_equal(w.cancels, 1);
	end(END_UNDONE);
	look();
	assert_int_equal(ask(3, 3, id), 0);
	turn();
	assert_int_equal(lane_cancel(lane, id, &err), 0);
	w.said[0] = '\0';
	look();
	assert_said("3 error ;");
	assert_null(w.t);
}

/* What a loss means for what runs the engine decides; then the lane is away. */
static void test_when_lost_in_the_middle_then_away_after_the_end(void **state)
{
	(void)state;
	make_ready();
	begin(1, 3);
	w.ops.lost(w.ops.arg);
	assert_int_equal(lane_state(lane), LANE_BUSY);
	end(END_LOST);
	look();
	assert_int_equal(lane_state(lane), LANE_AWAY);
}

static void note_done(void *arg, const struct ls_err *err)
{
	unsigned *n = arg;

	(void)err;
	++*n;
}

/* Records are numbered; one that is written after its run has gone tells nobody. */
static void test_when_a_record_is_late_then_nobody_is_told(void **state)
{
	const struct ls_err good = { 0 };
	unsigned told = 0;

	(void)state;
	make_ready();
	begin(1, 3);
	w.ops.record(w.ops.arg, w.t, "claim", "text", note_done, &told);
	w.done(w.done_arg, &good);
	assert_int_equal(told, 1);
	w.ops.record(w.ops.arg, w.t, "qemu:cpu", "text", note_done, &told);
	assert_int_equal(w.seq, 2);
	lane_free(lane);
	w.done(w.done_arg, &good);
	assert_int_equal(told, 1);
	lane = NULL;
}

/* A transaction that has ended goes on under its id, with the next number, back or forward. */
static void test_when_gone_on_with_then_from_where_it_was(void **state)
{
	unsigned told = 0;
	struct ls_err err;

	(void)state;
	make_ready();
	for (unsigned undo = 0; undo < 2; undo++) {
		struct txn *t = txn_new(OP_VCPUS, "t7", 1, true);

		t->end = END_STUCK;
		assert_int_equal(lane_go_on(lane, t, 7, undo, 1, &err), 0);
		t = txn_new(OP_VCPUS, "t7", 1, true);
		t->end = END_STUCK;
		assert_int_equal(lane_go_on(lane, t, 7, undo, 1, &err), -EBUSY);
		turn();
		look();
		assert_string_equal(w.t->id, "t7");
		assert_int_equal(w.t->end, END_NONE);
		assert_int_equal(w.cancels, undo);
		w.ops.record(w.ops.arg, w.t, "claim", "text", note_done, &told);
		assert_int_equal(w.seq, 8);
		w.done(w.done_arg, &(struct ls_err){ 0 });
		end(END_UNDONE);
		look();
	}
}

/* ---- pending -------------------------------------------------------------------------- */

/* It is remembered when the request has ended so, and told when the device has gone. */
static void test_when_the_guest_gives_late_then_told(void **state)
{
	(void)state;
	plug(2);
	make_ready();
	begin(1, 2);
	w.cpus[2].unplug = TRI_YES;
	end(END_PENDING);
	look();
	assert_said("1 end pending;1 now ;");
	assert_int_equal(w.pending, 1);
	w.ops.hint(w.ops.arg, "DEVICE_DELETED");
	w.cpus[2] = (struct vm_cpu){ .vcpus = 1, .number = 2 };
	await_look();
	look();
	assert_said("0 unplug late;");
	w.ops.hint(w.ops.arg, "DEVICE_DELETED");
	await_look();
	look();
	assert_said("");
	assert_int_equal(w.pending, 0);
}

/* A new connection knows nothing of it: it is told, and looks once more. */
static void test_when_connected_anew_then_still_pending_until_forgotten(void **state)
{
	const struct lane_unplug u = { .item = "c2", .slot = 2, .txn = "t7" };

	(void)state;
	plug(2);
	lane_expect_unplug(lane, &u);
	look();
	assert_int_equal(w.expected, 1);
	make_ready();
	assert_int_equal(w.cpus[2].unplug, TRI_YES);
	assert_int_equal(w.pending, 0); /* that is on record */
	lane_forget(lane, "t8");
	assert_int_equal(w.cpus[2].unplug, TRI_YES);
	lane_forget(lane, "t7");
	assert_int_equal(w.cpus[2].unplug, TRI_NO);
	await_look();
	look();
	assert_said("");
}

/* ---- the doctor ------------------------------------------------------------------------ */

static void on_findings(void *arg, struct json_object *findings, const struct ls_err *err)
{
	int *found = arg;

	*found = err->code ? err->code : (int)json_object_array_length(findings);
}

/* It has the guest for itself: what is asked meanwhile waits for it. */
static void test_when_the_doctor_is_in_then_requests_wait(void **state)
{
	struct json_object *none = json_object_new_array();
	int found = -1, second = -1;
	char id[LS_TXN_BYTES];
	struct ls_err err;

	(void)state;
	make_ready();
	assert_int_equal(lane_doctor(lane, true, on_findings, &found, &err), 0);
	assert_int_equal(lane_doctor(lane, true, on_findings, &second, &err), -EBUSY);
	assert_int_equal(ask(1, 3, id), 0);
	look();
	assert_non_null(w.heals);
	w.heals(w.heals_arg, none, NULL);
	json_object_put(none);
	w.cpus[1].unplug = TRI_YES;
	assert_int_equal(found, -1);
	look();
	assert_int_equal(found, 1); /* what the host sees */
	w.cpus[1].unplug = TRI_NO;
	look();
	assert_non_null(w.t);
	assert_int_equal(lane_doctor(lane, false, on_findings, &second, &err), -EBUSY);
}

/* Let go of in the middle, it is answered. */
static void test_when_let_go_of_then_the_doctor_is_answered(void **state)
{
	struct ls_err err;
	int found = -1;

	(void)state;
	make_ready();
	assert_int_equal(lane_doctor(lane, false, on_findings, &found, &err), 0);
	lane_free(lane);
	lane = NULL;
	assert_int_equal(found, -ESHUTDOWN);
}

int main(void)
{
#define LANE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		LANE_TEST(test_when_connected_then_ready),
		LANE_TEST(test_when_lost_then_refused_and_tried_again),
		LANE_TEST(test_when_something_is_left_then_recovered_by_a_process),
		LANE_TEST(test_when_many_ask_then_one_after_the_other),
		LANE_TEST(test_when_there_is_nothing_to_do_then_ended_at_once),
		LANE_TEST(test_when_cancelled_then_wherever_it_is),
		LANE_TEST(test_when_lost_in_the_middle_then_away_after_the_end),
		LANE_TEST(test_when_a_record_is_late_then_nobody_is_told),
		LANE_TEST(test_when_gone_on_with_then_from_where_it_was),
		LANE_TEST(test_when_the_guest_gives_late_then_told),
		LANE_TEST(test_when_connected_anew_then_still_pending_until_forgotten),
		LANE_TEST(test_when_the_doctor_is_in_then_requests_wait),
		LANE_TEST(test_when_let_go_of_then_the_doctor_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
