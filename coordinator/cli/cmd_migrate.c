/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep migrate
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "../hv/claim.h"
#include "../core/plan.h"
#include "../hv/hv.h"
#include "job.h"
#include "../report/show.h"
#include "tell.h"
#include "../run/wish.h"

/* For a guest that dirties its memory faster than it is copied: not for ever. */
#define MIGRATE_LIMIT_MS (30 * 60 * 1000)

/* clang-format off */
static const struct argp_option options[] = {
	{ "to",     'T', "DESTINATION", 0, "the QEMU to go to: ADDRESS,agent=ADDRESS,uri=URI, where "
	                                   "ADDRESS is its monitor and URI what it is to listen on "
	                                   "(unix:PATH or tcp:HOST:PORT)", 0 },
	{ "window", 'w', "force|hold|off", 0, "force (default): online every CPU for the time; hold: only "
	                                   "keep everybody from changing them; off: neither", 0 },
	{ 0 }
};
/* clang-format on */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case 'T':
		cli->to = arg;
		return 0;
	case 'w':
		if (strcmp(arg, "force") && strcmp(arg, "hold") && strcmp(arg, "off"))
			cli_bad_option(cli, "--window takes force, hold or off, not \"%s\"", arg);
		cli->window = arg;
		return 0;
	default:
		return cli_parse(key, arg, state);
	}
}

static const struct argp migrate_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "GUEST --to ADDRESS,agent=ADDRESS,uri=URI",
	.doc = "Move a running guest to another QEMU, with every CPU's state as it was.\v"
	       "The destination is a QEMU started like the source as it was at its start, with "
	       "\"-incoming defer -S\"; what was plugged since is plugged there, too. In the guest "
	       "a "
	       "window is opened: nobody takes CPUs or memory on- or offline meanwhile, and CPUs "
	       "that "
	       "are offline are brought online for the move and taken offline again after it (KVM "
	       "itself does not need that; it proves that every vCPU lives on the other side).\n\n"
	       "Up to the handover it can be taken back: by Ctrl-C, by any failure, by the end of "
	       "the "
	       "process that watches; the guest goes on at the source. After it the move is "
	       "finished "
	       "in the background whatever happens to the terminal, and the source never runs "
	       "again.\n\nWithout --timeout it is taken back after 30 minutes. What is taken back "
	       "once the destination has been prepared ends the QEMU there: start another one for "
	       "the next attempt.",
	.children = cli_changing,
};

/* ---- the destination ------------------------------------------------------ */

/* exec: and file: run or overwrite things: only what is a plain connection passes. */
static int check_uri(const char *uri, struct ls_err *err)
{
	const char *host = uri + 4;

	if (!strncmp(uri, "unix:/", 6) || (!strncmp(uri, "fd:", 3) && uri[3]))
		return 0;
	if (!strncmp(uri, "tcp:", 4) && host[0] != '-' && strchr(host, ':'))
		return 0;
	return ls_err_set(err, -EINVAL, "uri=%s: unix:/PATH, tcp:HOST:PORT or fd:NAME is meant",
			  uri);
}

static int copy(char *to, size_t len, const char *from, const char *what, struct ls_err *err)
{
	if (strlen(from) >= len || strchr(from, '\n'))
		return ls_err_set(err, -EINVAL, "--to: the %s is too long or has a line break",
				  what);
	snprintf(to, len, "%s", from);
	return 0;
}

static int parse_part(const char *part, struct txn_migrate *m, struct ls_err *err)
{
	if (!strncmp(part, "uri=", 4))
		return copy(m->uri, sizeof(m->uri), part + 4, "uri", err);
	if (!strncmp(part, "agent=", 6))
		return copy(m->dst_agent, sizeof(m->dst_agent), part + 6, "agent's address", err);
	if (strchr(part, '=') || m->dst_qmp[0])
		return ls_err_set(err, -EINVAL,
				  "--to: \"%s\": ADDRESS,agent=ADDRESS,uri=URI is meant", part);
	return copy(m->dst_qmp, sizeof(m->dst_qmp), part, "monitor's address", err);
}

static int parse_to(const struct cli *cli, struct txn_migrate *m, struct ls_err *err)
{
	char *text, *part, *save = NULL;
	int r = 0;

	if (!cli->to)
		return ls_err_set(err, -EINVAL,
				  "where to? --to ADDRESS,agent=ADDRESS,uri=URI is needed");
	text = strdup(cli->to);
	for (part = text ? strtok_r(text, ",", &save) : NULL; part && !r;
	     part = strtok_r(NULL, ",", &save))
		r = parse_part(part, m, err);
	free(text);
	if (r < 0)
		return r;
	if (!m->dst_qmp[0] || !m->uri[0])
		return ls_err_set(err, -EINVAL, "--to %s: %s is missing", cli->to,
				  m->uri[0] ? "the monitor's address" : "uri=URI");
	if (guest_address_check(m->dst_qmp, err) < 0 ||
	    (m->dst_agent[0] && guest_address_check(m->dst_agent, err) < 0)) {
		ls_err_prefix(err, "--to");
		return -EINVAL;
	}
	if (claim_same(m->dst_qmp, cli->guest.qmp))
		return ls_err_set(err, -EINVAL, "--to names the guest's own QEMU");
	if (!m->dst_agent[0] && strcmp(cli->window, "off"))
		return ls_err_set(err, -EINVAL,
				  "--to %s: agent=ADDRESS is missing: without it the window cannot "
				  "be closed at the destination (or accept that with --window=off)",
				  cli->to);
	if (m->dst_agent[0] && claim_same(m->dst_agent, cli->guest.agent))
		return ls_err_set(err, -EINVAL, "--to: agent=%s is the channel at the source",
				  m->dst_agent);
	return check_uri(m->uri, err);
}

/* ---- the job ---------------------------------------------------------------- */

static int on_watcher(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	(void)fd, (void)revents;
	sd_event_source_set_enabled(src, SD_EVENT_OFF);
	run_cancel(arg);
	return 0;
}

static struct vm copy_vm(const struct vm *vm)
{
	struct vm c = *vm;

	c.cpus = calloc(vm->n_cpus + 1, sizeof(*c.cpus));
	c.mems = calloc(vm->n_mems + 1, sizeof(*c.mems));
	c.forced = NULL;
	c.n_forced = 0;
	memcpy(c.cpus, vm->cpus, vm->n_cpus * sizeof(*c.cpus));
	memcpy(c.mems, vm->mems, vm->n_mems * sizeof(*c.mems));
	return c;
}

/* What is there now, from a look after everything; beside what was there before. */
static void compare(struct session *s, const struct vm *before, const char *where)
{
	const struct view *v = run_view(s->run);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	run_look(s->run, NULL);
	if (!f || !v->vm[SIDE_DST].answers)
		goto out;
	fprintf(f, "%s: moved to %s; downtime %llu ms, total %llu ms, %u passes, %llu MiB\n",
		s->cli->guest.name, where, (unsigned long long)before->progress.downtime_ms,
		(unsigned long long)before->progress.total_ms, before->progress.pass,
		(unsigned long long)(before->progress.transferred >> 20));
	show_side_by_side(f, before, &v->vm[SIDE_DST]);
out:
	if (f)
		fclose(f);
	if (text && v->vm[SIDE_DST].answers)
		tell_text(s->cli, text);
	free(text);
}

/* QEMU's numbers of the move are gone with the source: the last ones are kept. */
struct meter {
	struct run_ops ops;
	struct vm_progress last;
};

static void on_tell(void *arg, const struct txn *t, const struct action *a)
{
	struct meter *m = arg;

	m->ops.tell(m->ops.arg, t, a);
}

static void on_progress(void *arg, const struct vm_progress *p, enum vm_mig mig)
{
	struct meter *m = arg;

	m->last = *p;
	m->ops.progress(m->ops.arg, p, mig);
}

static int run_job(struct session *s, const struct txn_migrate *how, const char *id, int watch,
		   const struct meter *meter)
{
	struct vm before = copy_vm(&run_view(s->run)->vm[SIDE_SRC]);
	sd_event_source *src = NULL;
	struct txn_migrate m = *how;
	struct ls_err err;
	struct txn *t;
	int code;

	hv_process(run_hv(s->run, SIDE_SRC), m.src_process, sizeof(m.src_process));
	hv_process(run_hv(s->run, SIDE_DST), m.dst_process, sizeof(m.dst_process));
	if (plan_migrate(run_view(s->run), id, &m, &err, &t) < 0) {
		vm_done(&before);
		return cli_error(s->cli, XC_REFUSED, &err);
	}
	sd_event_add_io(s->loop, &src, watch, EPOLLIN | EPOLLHUP, on_watcher, s->run);
	code = session_run(s, t);
	sd_event_source_disable_unref(src);
	before.progress = meter->last;
	if (t->end == END_DONE)
		compare(s, &before, t->mig->dst_qmp);
	vm_done(&before);
	txn_free(t);
	return code;
}

static int job(struct cli *cli, int watch)
{
	struct meter meter = { 0 };
	struct run_ops wrapped = { .tell = on_tell, .progress = on_progress, .arg = &meter };
	struct txn_migrate m = { 0 };
	struct guest dst = { .name = "destination" };
	struct session s;
	struct ls_err err;
	char id[LS_TXN_BYTES], what[80];
	int code;

	if (parse_to(cli, &m, &err) < 0)
		return cli_error(cli, XC_USAGE, &err);
	if (!cli->timeout_ms)
		cli->timeout_ms = MIGRATE_LIMIT_MS;
	snprintf(m.window, sizeof(m.window), "%s", cli->window);
	snprintf(m.src_qmp, sizeof(m.src_qmp), "%s", cli->guest.qmp);
	snprintf(m.src_agent, sizeof(m.src_agent), "%s", cli->guest.agent);
	snprintf(dst.qmp, sizeof(dst.qmp), "%s", m.dst_qmp);
	snprintf(dst.agent, sizeof(dst.agent), "%s", m.dst_agent);
	wish_txn_id(id, sizeof(id));
	snprintf(what, sizeof(what), "migrate, transaction %s", id);
	tell_ops(cli, &meter.ops);
	code = session_open(&s, cli, what, &dst, &wrapped);
	if (!code)
		code = run_job(&s, &m, id, watch, &meter);
	session_close(&s);
	return code;
}

static int run_migrate(struct cli *cli)
{
	struct txn_migrate m = { 0 };
	struct ls_err err;

	if (parse_to(cli, &m, &err) < 0)
		return cli_error(cli, XC_USAGE, &err);
	return job_run(cli, job);
}

const struct command cmd_migrate = { "migrate", "move the running guest to another QEMU",
				     &migrate_argp, run_migrate };
