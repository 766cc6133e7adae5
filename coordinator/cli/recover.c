/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a lockstep that was killed has left on a guest, found and ended.
 *
 * The journal and the claim are in QEMU, and a QEMU may be hostile: a record names
 * another monitor, and nothing is sent there unless that one carries the claim of the
 * same transaction, which this one cannot have put there.
 */
#include "session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "../hv/hv.h"
#include "tell.h"

struct answer {
	bool over;
	char *record;
	struct ls_err err;
};

static void on_record(void *arg, struct json_object *value, const struct ls_err *err)
{
	struct answer *a = arg;

	a->over = true;
	if (err)
		a->err = *err;
	else if (value)
		a->record = strdup(json_object_get_string(value));
}

static void on_reply(void *arg, const struct ls_err *err)
{
	struct answer *a = arg;

	a->over = true;
	a->err = *err;
}

/* Every request is bounded by its batch: this ends. */
static void wait_for(struct session *s, const bool *over)
{
	while (!*over && sd_event_run(s->loop, UINT64_MAX) >= 0)
		;
}

static const struct vm *here(const struct session *s)
{
	return &run_view(s->run)->vm[s->at];
}

/* ---- the other QEMU of a migration --------------------------------------- */

static void join_other(struct session *s, const struct txn_migrate *m)
{
	bool src = s->at == SIDE_SRC;

	snprintf(s->other.name, sizeof(s->other.name), "%s", src ? "destination" : "source");
	snprintf(s->other.qmp, sizeof(s->other.qmp), "%s", src ? m->dst_qmp : m->src_qmp);
	snprintf(s->other.agent, sizeof(s->other.agent), "%s", src ? m->dst_agent : m->src_agent);
	run_join(s->run, src ? SIDE_DST : SIDE_SRC, &s->other);
	hv_expect_process(run_hv(s->run, !s->at), src ? m->dst_process : m->src_process);
}

static int other_claim(struct session *s, struct cli *cli)
{
	struct ls_err err;

	if (claim_take(s->loop, s->other.qmp, "recover", &err, &s->other_claim) < 0)
		return cli_error(cli, XC_BUSY, &err);
	return XC_OK;
}

/*
 * Return: whether the QEMU that the record names may be touched: it is gone, or it is
 * part of this very transaction. One that does not answer is left to the engine, which
 * asks nothing of it.
 */
static bool other_is_of(struct session *s, const struct txn *t)
{
	const struct vm *other;

	run_look(s->run, NULL);
	other = &run_view(s->run)->vm[!s->at];
	return !other->answers || !strcmp(other->claimed_by, t->id);
}

/* The guest runs here and no migration holds it: only the traces are to go. */
static bool guest_is_fine(const struct session *s)
{
	return s->at == SIDE_SRC ? here(s)->run == VM_RUNNING && !vm_mig_under_way(here(s)->mig)
				 : here(s)->run == VM_RUNNING;
}

/* ---- ending it ------------------------------------------------------------- */

/* One line for people, or for the log of lockstepd. */
__attribute__((format(printf, 2, 3))) static void say(const struct session *s, const char *fmt, ...)
{
	va_list ap;

	if (s->cli->quiet || s->cli->json)
		return;
	fprintf(stderr, "%s: ", s->cli->guest.name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static int clear(struct session *s, const char *txn)
{
	struct answer store = { 0 }, claim = { 0 };
	struct hv *hv = run_hv(s->run, s->at);

	if (!strcmp(here(s)->claimed_by, txn)) {
		hv_break_claim(hv, txn, on_reply, &claim);
		wait_for(s, &claim.over);
	}
	hv_store_clear(hv, on_reply, &store);
	wait_for(s, &store.over);
	if (claim.err.code)
		store.err = claim.err;
	if (store.err.code)
		return cli_error(s->cli, XC_STUCK, &store.err);
	say(s, "what the interrupted %s had left in QEMU has been cleared away", txn);
	return XC_OK;
}

static int not_of_it(struct session *s, const struct txn *t)
{
	struct ls_err err;

	if (guest_is_fine(s))
		return clear(s, t->id);
	ls_err_set(&err, -EPERM,
		   "the record of migration %s names %.80s, which is no part of it and was not "
		   "touched; the guest is %s here: look there, then \"cont\" or \"quit\" this QEMU",
		   t->id, s->other.qmp, vm_run_name(here(s)->run));
	return cli_error(s->cli, XC_STUCK, &err);
}

static int code_of(struct session *s, const struct txn *t)
{
	s->moved = t->mig && here(s)->run == VM_GONE;
	if (t->end == END_UNDONE || t->end == END_REFUSED || t->end == END_DONE ||
	    t->end == END_PARTIAL)
		return XC_OK;
	return exit_of_end(t->end);
}

static int end_it(struct session *s, struct txn *t)
{
	int code = XC_OK;

	if (t->mig) {
		join_other(s, t->mig);
		code = other_claim(s, s->cli);
		if (!code && !other_is_of(s, t)) {
			/* Up to the commit the source may run whatever the other is. */
			if (s->at != SIDE_SRC || t->crossed)
				return not_of_it(s, t);
			hv_presume_gone(run_hv(s->run, SIDE_DST));
		}
	}
	if (code)
		return code;
	if (run_undo(s->run, t, session_deadline(s)) < 0)
		t->end = END_STUCK;
	code = code_of(s, t);
	if (code)
		tell_end(s->cli, t);
	else
		say(s, "the interrupted %s (%s) has ended: %s", txn_op_name(t->op), t->id,
		    txn_end_name(t->end));
	return code;
}

static int recover_txn(struct session *s, const char *text)
{
	struct ls_err err;
	struct txn *t;
	int code;

	if (strncmp(text, "side ", 5) ||
	    (strncmp(text + 5, "src\n", 4) && strncmp(text + 5, "dst\n", 4))) {
		ls_err_set(&err, -EPROTO, "the journal record in this QEMU is damaged");
		return cli_error(s->cli, XC_STUCK, &err);
	}
	s->at = text[5] == 's' ? SIDE_SRC : SIDE_DST;
	if (txn_load(text + 9, &err, &t) < 0)
		return cli_error(s->cli, XC_STUCK, &err);
	say(s, "an interrupted %s (%s) is on record: %s", txn_op_name(t->op), t->id,
	    t->crossed ? "finishing it" : "taking it back");
	code = end_it(s, t);
	txn_free(t);
	return code;
}

/* Whose it is: of this host, and then its process is dead, or of another one. */
static int check_host(struct session *s, const struct vm *vm)
{
	char host[LS_NAME_BYTES] = "";
	struct ls_err err;

	gethostname(host, sizeof(host) - 1);
	if (!vm->claimed_by[0] || !strcmp(vm->claim_host, host))
		return XC_OK;
	ls_err_set(&err, -EBUSY, "claimed by transaction %s of the host \"%s\": finish it there",
		   vm->claimed_by, vm->claim_host);
	return cli_error(s->cli, XC_BUSY, &err);
}

/* The local claim is ours: whoever made what is found here on this host is dead. */
int session_recover(struct session *s)
{
	const struct vm *vm = &run_view(s->run)->vm[SIDE_SRC];
	struct answer a = { 0 };
	int code = check_host(s, vm);

	if (code)
		return code;
	hv_store_read(run_hv(s->run, SIDE_SRC), on_record, &a);
	wait_for(s, &a.over);
	if (a.err.code)
		return cli_error(s->cli, exit_of_errno(a.err.code), &a.err);
	if (a.record)
		code = recover_txn(s, a.record);
	else if (vm->claimed_by[0])
		code = clear(s, vm->claimed_by);
	free(a.record);
	return code;
}
