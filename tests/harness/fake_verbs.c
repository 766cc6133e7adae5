/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scenario's words for fakes, and where lockstep looks for a guest. */
#include "fake_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FAKE_LOOK_MS 20 /* between two tries to be the monitor's client */

int fake_conf(struct run *r, const char *name, const char *qmp, const char *agent)
{
	char path[LS_PATH_BYTES + 128];
	FILE *conf;

	snprintf(path, sizeof(path), "%s/guests.d/%s.conf", r->lab.dir, name);
	conf = fopen(path, "we");
	if (!conf)
		return -errno;
	fprintf(conf, "[guest]\nqmp = unix:%s\n", qmp);
	if (agent)
		fprintf(conf, "agent = unix:%s\n", agent);
	return fclose(conf) ? -errno : 0;
}

static int fake_new(struct args *a, struct fake **ret_fake)
{
	struct run *r = a->run;

	if (r->n_fakes == RUN_FAKES_MAX)
		return args_fail(a, "too many fakes");
	*ret_fake = calloc(1, sizeof(**ret_fake));
	if (!*ret_fake)
		return args_fail(a, "out of memory");
	(*ret_fake)->pump = &r->lab.pump;
	(*ret_fake)->watch.fd = -1;
	r->fakes[r->n_fakes++] = *ret_fake;
	return 0;
}

static int fake_kind(struct args *a, bool agent, const struct kind **ret_kind)
{
	const struct word *w;

	if (args_word(a, "a kind of misbehaviour", &w) < 0)
		return -EINVAL;
	*ret_kind = kind_find(w->text, agent);
	if (!*ret_kind)
		return args_fail(a, "no fake is called \"%s\"; `harness words` lists them",
				 w->text);
	return args_end(a);
}

static int fake_serve(struct args *a, const struct kind *kind, const char *path)
{
	struct fake *f;
	int r;

	if (fake_new(a, &f) < 0)
		return -EINVAL;
	f->kind = kind;
	r = kind->socket == FAKE_ABSENT ? 0 : fake_listen(f, path);
	return r < 0 ? args_fail(a, "%s: %s", path, strerror(-r)) : 0;
}

int verb_fake_agent(struct args *a)
{
	const struct kind *kind;
	struct guest *g;
	char path[LS_PATH_BYTES + 16];

	if (args_guest(a, &g) < 0 || fake_kind(a, true, &kind) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	snprintf(path, sizeof(path), "%s.fake", g->paths.agent);
	if (fake_serve(a, kind, path) < 0)
		return -EINVAL;
	return fake_conf(a->run, g->name, g->paths.qmp, path) < 0
		       ? args_fail(a, "its configuration could not be written")
		       : 0;
}

int verb_fake_qmp(struct args *a)
{
	const struct kind *kind;
	const char *name;
	char path[LS_PATH_BYTES + LS_NAME_BYTES];

	if (args_new_name(a, &name) < 0 || fake_kind(a, false, &kind) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	snprintf(path, sizeof(path), "%s/%s.qmp", a->run->lab.dir, name);
	if (fake_serve(a, kind, path) < 0)
		return -EINVAL;
	return fake_conf(a->run, name, path, NULL) < 0
		       ? args_fail(a, "its configuration could not be written")
		       : 0;
}

int verb_hold(struct args *a)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path;
	struct guest *g;
	struct fake *f;
	bool agent;

	if (args_guest(a, &g) < 0)
		return -EINVAL;
	agent = args_take(a, "agent");
	if (args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	if (fake_new(a, &f) < 0)
		return -EINVAL;
	path = agent ? g->paths.agent : g->paths.qmp;
	f->guest = agent ? NULL : g; /* for verb_release() */
	f->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(f->watch.fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return args_fail(a, "%s: %s", path, strerror(errno));
	return 0;
}

/*
 * Clients that were turned away meanwhile still fill QEMU's short queue. One of ours
 * that is greeted has come after them all.
 */
static int fake_await_free(struct args *a, struct guest *g)
{
	uint64_t deadline_ms = qmp_now_ms() + LAB_CALL_MS;
	struct ls_err err;
	struct qmp *q;

	while (qmp_open(g->paths.qmp, NULL, deadline_ms, &err, &q) < 0) {
		if (qmp_now_ms() >= deadline_ms)
			return args_fail(a, "%s", err.text);
		pump_once(&g->lab->pump, qmp_now_ms() + FAKE_LOOK_MS);
	}
	qmp_close(q);
	return 0;
}

int verb_release(struct args *a)
{
	struct guest *g;

	if (args_guest(a, &g) < 0 || args_end(a) < 0)
		return -EINVAL;
	for (int i = 0; i < a->run->n_fakes; i++) {
		struct fake *f = a->run->fakes[i];

		if (f->guest != g || f->watch.fd < 0)
			continue;
		close(f->watch.fd);
		f->watch.fd = -1;
		return fake_await_free(a, g);
	}
	return a->run->dry ? 0 : args_fail(a, "%s's monitor is not held", g->name);
}
