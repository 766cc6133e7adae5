/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest opened for one command: claimed, looked at, and freed of what a command that
 * died has left behind.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <lockstep/log.h>
#include <qmp.h>

#include "claim.h"
#include "hv.h"

void session_txn_id(char *ret_id, size_t len)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	snprintf(ret_id, len, "%" PRIx64 ".%x",
		 (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000, (unsigned)getpid());
}

/* ---- what was left behind ----------------------------------------------- */

struct reading {
	bool over;
	char *record;
	struct ls_err err;
};

static void on_record(void *arg, struct json_object *value, const struct ls_err *err)
{
	struct reading *r = arg;

	r->over = true;
	if (err)
		r->err = *err;
	else if (value)
		r->record = strdup(json_object_get_string(value));
}

static void on_reply(void *arg, const struct ls_err *err)
{
	struct reading *r = arg;

	r->over = true;
	r->err = *err;
}

static void wait_for(struct session *s, const bool *over)
{
	while (!*over && sd_event_run(s->loop, UINT64_MAX) >= 0)
		;
}

/* The two QEMUs of a migration: which of them is the one that we were pointed at? */
static void join_other(struct session *s, const struct txn_migrate *m)
{
	struct hv *here = run_hv(s->run, SIDE_SRC);
	bool is_source = hv_pid(here) == m->src_pid;

	snprintf(s->other.name, sizeof(s->other.name), "%s", is_source ? "destination" : "source");
	snprintf(s->other.qmp, sizeof(s->other.qmp), "%s", is_source ? m->dst_qmp : m->src_qmp);
	if (is_source)
		snprintf(s->other.agent, sizeof(s->other.agent), "%s", m->dst_agent);
	run_join(s->run, is_source ? SIDE_DST : SIDE_SRC, &s->other);
	if (!is_source)
		hv_expect_pid(run_hv(s->run, SIDE_SRC), m->src_pid);
}

static int recover_txn(struct session *s, const char *record)
{
	struct cli *cli = s->cli;
	struct ls_err err;
	struct txn *t;
	int code;

	if (txn_load(record, &err, &t) < 0)
		return cli_error(cli, XC_STUCK, &err);
	if (!cli->quiet && !cli->json)
		fprintf(stderr, "%s: an interrupted %s (%s) is on record: %s\n", cli->guest.name,
			txn_op_name(t->op), t->id, t->crossed ? "finishing it" : "taking it back");
	if (t->mig)
		join_other(s, t->mig);
	if (run_undo(s->run, t) < 0)
		t->end = END_STUCK;
	report_end(cli, t);
	code = t->end == END_UNDONE || t->end == END_REFUSED || t->end == END_DONE
		       ? XC_OK
		       : cli_exit_end(t->end);
	txn_free(t);
	return code;
}

static int break_claim(struct session *s, const struct vm *vm)
{
	struct reading r = { 0 };
	char host[LS_NAME_BYTES] = "";
	struct ls_err err;

	gethostname(host, sizeof(host) - 1);
	if (strcmp(vm->claim_host, host)) {
		ls_err_set(&err, -EBUSY,
			   "claimed by transaction %s of the host \"%s\": finish it there",
			   vm->claimed_by, vm->claim_host);
		return cli_error(s->cli, XC_BUSY, &err);
	}
	hv_break_claim(run_hv(s->run, SIDE_SRC), on_reply, &r);
	wait_for(s, &r.over);
	return r.err.code ? cli_error(s->cli, XC_STUCK, &r.err) : XC_OK;
}

/* The local claim is ours: whoever made what is found here on this host is dead. */
static int recover(struct session *s)
{
	const struct vm *vm = &run_view(s->run)->vm[SIDE_SRC];
	struct reading r = { 0 };
	int code = XC_OK;

	hv_store_read(run_hv(s->run, SIDE_SRC), on_record, &r);
	wait_for(s, &r.over);
	if (r.err.code)
		return cli_error(s->cli, cli_exit_errno(r.err.code), &r.err);
	if (r.record)
		code = recover_txn(s, r.record);
	else if (vm->claimed_by[0])
		code = break_claim(s, vm);
	else
		return XC_OK;
	free(r.record);
	return code;
}

/* ---- life --------------------------------------------------------------- */

static int look(struct session *s)
{
	struct ls_err err;
	int r = run_look(s->run, &err);

	return r < 0 ? cli_error(s->cli, cli_exit_errno(r == -EINVAL ? -EPROTO : r), &err) : XC_OK;
}

static int open_run(struct session *s, const struct guest *dst, const struct run_ops *ops)
{
	s->run = run_new(s->loop, &s->cli->guest, dst, ops);
	if (!s->run)
		abort();
	return look(s);
}

int session_open(struct session *s, struct cli *cli, const char *what, const struct guest *dst,
		 const struct run_ops *ops)
{
	struct ls_err err;
	int r, code;

	*s = (struct session){ .cli = cli };
	r = sd_event_new(&s->loop);
	if (r >= 0 && what)
		r = claim_take(s->loop, cli->guest.qmp, what, &err, &s->claim);
	if (r < 0)
		return cli_error(cli, cli_exit_errno(r), &err);
	code = open_run(s, NULL, ops);
	if (!code && what)
		code = recover(s);
	if (code)
		return code;
	/* A recovery may have changed everything, even which QEMU has the guest. */
	if (dst || s->other.qmp[0]) {
		run_free(s->run);
		return open_run(s, dst, ops);
	}
	return look(s);
}

void session_close(struct session *s)
{
	run_free(s->run);
	claim_drop(s->claim);
	sd_event_unref(s->loop);
}

/* ---- running ------------------------------------------------------------ */

static int on_signal(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
	struct session *s = arg;

	(void)src;
	if (!s->cli->quiet && !s->cli->json)
		fprintf(stderr, "\nlockstep: %s: taking it back; wait for the end\n",
			strsignal((int)si->ssi_signo));
	run_cancel(s->run);
	return 0;
}

static void watch_signals(struct session *s, sd_event_source **src)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < 3; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < 3; i++)
		sd_event_add_signal(s->loop, &src[i], signals[i], on_signal, s);
}

int session_run(struct session *s, struct txn *t)
{
	const struct vm *vm = run_view(s->run)->vm;
	uint64_t deadline = s->cli->timeout_ms ? qmp_now_ms() + s->cli->timeout_ms : 0;
	sd_event_source *signals[3] = { NULL };

	t->epoch = 1;
	for (int side = 0; side < SIDE_COUNT; side++) {
		if (vm[side].epoch >= t->epoch)
			t->epoch = vm[side].epoch + 1;
		if (vm[side].claim_epoch >= t->epoch)
			t->epoch = vm[side].claim_epoch + 1;
	}
	watch_signals(s, signals);
	if (run_txn(s->run, t, deadline) < 0)
		t->end = END_STUCK;
	for (size_t i = 0; i < 3; i++)
		sd_event_source_disable_unref(signals[i]);
	report_end(s->cli, t);
	return cli_exit_end(t->end);
}
