/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest opened for one command: claimed, looked at, and freed of what a command that
 * died has left behind.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lockstep/cleanup.h>
#include <lockstep/log.h>
#include <qmp.h>

#include "../hv/claim.h"
#include "signals.h"
#include "tell.h"

/* ---- life --------------------------------------------------------------- */

int session_look(struct session *s)
{
	struct ls_err err;
	int r = run_look(s->run, &err);

	return r < 0 ? cli_error(s->cli, exit_of_errno(r == -EINVAL ? -EPROTO : r), &err) : XC_OK;
}

static int open_run(struct session *s, const struct guest *dst, const struct run_ops *ops)
{
	s->run = run_new(s->loop, &s->cli->guest, dst, ops);
	return session_look(s);
}

/* The interrupted migration was ended, and with it the QEMU that was named. */
static int say_moved(struct session *s, const char *what)
{
	struct ls_err err;

	ls_err_set(&err, -ESHUTDOWN,
		   "its interrupted migration was ended: the guest runs at %.150s now",
		   s->other.qmp);
	if (!what || strcmp(what, SESSION_RECOVER))
		return cli_error(s->cli, XC_REACH, &err);
	if (!s->cli->quiet && !s->cli->json)
		printf("%s: %s\n", s->cli->guest.name, err.text);
	return XC_OK;
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
		return cli_error(cli, exit_of_errno(r), &err);
	code = open_run(s, NULL, ops);
	if (!code && what)
		code = session_recover(s);
	s->other_claim = claim_drop(s->other_claim);
	if (code || s->moved)
		return code ? code : say_moved(s, what);
	s->since_ms = qmp_now_ms();
	if (dst && claim_take(s->loop, dst->qmp, what, &err, &s->other_claim) < 0)
		return cli_error(cli, XC_BUSY, &err);
	/* A recovery may have changed everything, even which QEMU has the guest. */
	if (dst || s->other.qmp[0]) {
		run_free(s->run);
		return open_run(s, dst, ops);
	}
	return session_look(s);
}

void session_close(struct session *s)
{
	run_free(s->run);
	claim_drop(s->claim);
	claim_drop(s->other_claim);
	sd_event_unref(s->loop);
}

/* ---- running ------------------------------------------------------------ */

static int on_signal(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct session *s = arg;

	(void)src, (void)revents;
	if (signals_asked(s->cli, fd))
		run_cancel(s->run);
	return 0;
}

uint64_t session_deadline(const struct session *s)
{
	return s->cli->timeout_ms ? s->since_ms + s->cli->timeout_ms : 0;
}

int session_run(struct session *s, struct txn *t)
{
	ls_autoclose int signals = signals_open();
	sd_event_source *src = NULL;

	if (signals >= 0)
		sd_event_add_io(s->loop, &src, signals, EPOLLIN, on_signal, s);
	if (run_txn(s->run, t, session_deadline(s)) < 0)
		t->end = END_STUCK;
	sd_event_source_disable_unref(src);
	tell_end(s->cli, t);
	return exit_of_end(t->end);
}
