/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "kill-points": a command through lockstepd, with the daemon killed before one message or one
 * write of its journal, for one point after the other, each on a guest in which no device has come
 * or gone.
 *
 * Either at every point there is, or "around" a few of them, named by what they are: a command
 * to QEMU or to the agent, or "fdatasync" of the journal. That is before the first of its name, and
 * before whatever comes next: then it was done, and nobody has made anything of it yet.
 *
 * The next daemon has to end what was left: then the vector is that from before the command
 * or that from after it, and QEMU has as many objects as it had then. The points are counted
 * by tests/lab/kill-point.c, which is preloaded.
 *
 * QEMU 7.2's TCG crashes when a vCPU is plugged after one was unplugged, which is what taking
 * an unplug back means. That is counted by itself.
 */
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <json-c/json.h>
#include <lockstep/cleanup.h>

#include "vector.h"

#define POINTS_MAX 10000
#define SETTLE_MS  15000 /* for a guest to give what it was asked for */
#define GRACE_MS   300	 /* for a process that has been killed to be seen to have ended */

/**
 * struct kill_points - The line
 * @command: what is interrupted; @first: what is done before it; NULL nothing
 * @names: separated by commas, what to kill around; NULL: everywhere
 * @from:  the one whose turn it is
 * @before, @after: what is there without and with the command; allocated
 * @proc:   the daemon that runs; @output: what it prints
 * @used:   QEMU has told of a device: the next point needs another guest
 * @killed: points at which it was; @done: the command was finished; @crashed: QEMU was
 */
struct kill_points {
	struct args *a;
	struct guest *g;
	char *command, *first, *names;
	const char *from;
	char *before, *after;
	struct proc *proc;
	char output[LS_PATH_BYTES];
	bool used;
	int killed, done, crashed;
};

/* ---- programs ----------------------------------------------------------- */

/* @point: to be killed at; 0: never. */
static int daemon_start(struct kill_points *k, int point)
{
	struct lab *lab = &k->a->run->lab;
	struct argv argv = { 0 }, env = { 0 };
	char ready[LS_NAME_BYTES + 16];
	int r;

	snprintf(ready, sizeof(ready), "%s: ready", k->g->name);
	program_begin(k->a->run, "lockstepd", &argv);
	if (point) {
		argv_add(&env, "LD_PRELOAD=%s/kill-point.so", lab->build);
		argv_add(&env, "LOCKSTEP_KILL_POINT=%d", point);
		argv_add(&env, "LOCKSTEP_KILL_LOG=%s/kill-point", lab->dir);
		if (k->from)
			argv_add(&env, "LOCKSTEP_KILL_FROM=%s", k->from);
	}
	r = program_start(k->a, &argv, &env, k->output, &k->proc);
	argv_done(&env);
	argv_done(&argv);
	if (r == 0)
		r = program_await(k->a, k->proc, k->g->proc, k->output, ready, RUN_COMMAND_MS);
	return r;
}

static void daemon_kill(struct kill_points *k)
{
	proc_free(k->proc);
	k->proc = NULL;
}

/* Return: its exit code, or -errno. */
static int command(struct kill_points *k, const char *words)
{
	ls_autofree char *copy = strdup(words);
	char output[LS_PATH_BYTES], *save = NULL;
	struct argv argv = { 0 };
	struct proc *p;
	int r;

	program_begin(k->a->run, "lockstep", &argv);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv_add(&argv, "%s", w);
	r = program_start(k->a, &argv, NULL, output, &p);
	argv_done(&argv);
	if (r < 0)
		return r;
	r = proc_wait(p, qmp_now_ms() + RUN_COMMAND_MS);
	run_say(k->a->run, run_read_file(output));
	r = r < 0 ? args_fail(k->a, "\"%s\" has not ended", words) : proc_code(p);
	proc_free(p);
	return r;
}

/* ---- what is there ------------------------------------------------------- */

static int take(struct kill_points *k, char **ret_text)
{
	ls_autofree char *vector = NULL;
	struct json_object *list = NULL;
	struct ls_err err;
	int r = vector_take(k->g, &vector, &err);

	if (r >= 0)
		r = peer_call(k->g->peer, "qom-list",
			      json_tokener_parse("{\"path\": \"/objects\"}"),
			      qmp_now_ms() + LAB_CALL_MS, &err, &list);
	if (r < 0)
		return args_fail(k->a, "%s: %s", k->g->name, err.text);
	r = asprintf(ret_text, "%s%zu objects\n", vector, json_object_array_length(list));
	json_object_put(list);
	return r < 0 ? -ENOMEM : 0;
}

static bool is_one(const struct kill_points *k, const char *text)
{
	return !strcmp(text, k->after) || !strcmp(text, k->before);
}

/* What a guest was asked for it may give late: then the vector comes to be what it should. */
static bool settle(struct kill_points *k, char **ret_text)
{
	uint64_t until_ms = qmp_now_ms() + SETTLE_MS;
	char *text = NULL;

	while (take(k, &text) == 0 && text) {
		if (is_one(k, text) || qmp_now_ms() > until_ms) {
			*ret_text = text;
			return true;
		}
		free(ls_steal_ptr(&text));
		pump_once(&k->a->run->lab.pump, qmp_now_ms() + GRACE_MS);
	}
	return false;
}

static int judge(struct kill_points *k, int point)
{
	ls_autofree char *log = NULL, *text = NULL;
	struct run *r = k->a->run;
	char path[LS_PATH_BYTES + 16];

	if (!settle(k, &text))
		return -EINVAL;
	k->done += !strcmp(text, k->after);
	if (is_one(k, text))
		return 0;
	snprintf(path, sizeof(path), "%s/kill-point", r->lab.dir);
	log = run_read_file(path);
	run_say(r, run_read_file(k->output));
	return args_fail(k->a, "killed at point %d (%s): neither\n%snor\n%sbut\n%s", point, log,
			 k->before, k->after, text);
}

/* ---- points --------------------------------------------------------------- */

static int must(struct kill_points *k, const char *words)
{
	int r = command(k, words);

	return r > 0 ? args_fail(k->a, "\"%s\" ends with %d", words, r) : r;
}

static void on_event(const struct qmp_event *event, void *arg)
{
	struct kill_points *k = arg;

	k->used |= strcmp(event->name, "VSERPORT_CHANGE") != 0;
}

/* In the place of the one that is there. */
static int fresh_guest(struct kill_points *k)
{
	struct guest **at = k->a->run->guests, *g;
	struct guest_config config = k->g->config;
	char name[LS_NAME_BYTES];
	struct ls_err err;
	int r;

	while (*at != k->g)
		at++;
	snprintf(name, sizeof(name), "%s", k->g->name);
	guest_free(k->g);
	*at = k->g = NULL;
	r = guest_new(&k->a->run->lab, name, &config, &err, &g);
	if (r >= 0) {
		*at = k->g = g;
		g->on_event = on_event;
		g->arg = k;
		r = guest_start(g, &err);
	}
	if (r < 0)
		return args_fail(k->a, "%s: %s", name, err.text);
	return k->first ? must(k, k->first) : 0;
}

/* In which what was done before the command has led to what it did the first time. */
static int ready_guest(struct kill_points *k)
{
	ls_autofree char *text = NULL;
	int r = fresh_guest(k);

	if (r == 0 && !settle(k, &text))
		r = -EINVAL;
	if (r == 0 && strcmp(text, k->before))
		return args_fail(k->a, "a point would begin with\n%snot with\n%s", text, k->before);
	k->used = false;
	return r;
}

static int learn(struct kill_points *k)
{
	int r = fresh_guest(k);

	if (r == 0)
		r = take(k, &k->before);
	if (r == 0)
		r = daemon_start(k, 0);
	if (r == 0)
		r = must(k, k->command);
	if (r == 0)
		r = take(k, &k->after);
	daemon_kill(k);
	k->used = true;
	if (r == 0 && !strcmp(k->before, k->after))
		return args_fail(k->a, "\"%s\" changes nothing: nothing can be tried", k->command);
	return r;
}

/* QEMU's own death, while the next daemon took the command back. */
static bool has_crashed(struct kill_points *k)
{
	return k->g->proc->ended && WIFSIGNALED(k->g->proc->status);
}

/* The daemon was killed: the next one makes it good. */
static int recover(struct kill_points *k, int point)
{
	int r;

	daemon_kill(k);
	k->killed++;
	r = daemon_start(k, 0);
	if (k->first && has_crashed(k)) {
		k->a->run->failure[0] = '\0';
		k->crashed++;
		r = 0;
	} else if (r == 0) {
		r = judge(k, point);
	}
	daemon_kill(k);
	return r;
}

/* Return: 1 if the command was over before the point came; 0, -errno. */
static int go(struct kill_points *k, int point)
{
	int r = k->used || k->g->proc->ended ? ready_guest(k) : 0;

	if (r == 0)
		r = daemon_start(k, point);
	if (r == 0)
		r = command(k, k->command);
	if (r < 0)
		return r;
	if (proc_wait(k->proc, qmp_now_ms() + GRACE_MS) == 0)
		return recover(k, point);
	daemon_kill(k);
	return r ? args_fail(k->a, "\"%s\" ends with %d", k->command, r) : 1;
}

/* Return: 1 when every point was tried. */
static int everywhere(struct kill_points *k)
{
	int r = 0;

	for (int point = 1; r == 0 && point <= POINTS_MAX; point++)
		r = go(k, point);
	return r;
}

static int around(struct kill_points *k)
{
	char *save = NULL;
	int r = 0;

	k->from = strtok_r(k->names, ",", &save);
	for (; r == 0 && k->from; k->from = strtok_r(NULL, ",", &save))
		for (int point = 1; r == 0 && point <= 2; point++)
			r = go(k, point);
	return r > 0 ? args_fail(k->a, "\"%s\" has not come: nothing was tried", k->from) : r;
}

static int all_points(struct kill_points *k)
{
	int r = learn(k);

	if (r == 0)
		r = k->names ? around(k) : everywhere(k);
	if (r < 0)
		return r;
	if (!k->killed)
		return args_fail(k->a, "no point was reached: nothing was tried");
	dprintf(k->a->run->report, "%s: killed at %d points; %d undone, %d done", k->command,
		k->killed, k->killed - k->done - k->crashed, k->done);
	dprintf(k->a->run->report, k->crashed ? ", %d times QEMU crashed\n" : "\n", k->crashed);
	return 0;
}

/* all | around "NAME[,NAME]" */
static int read_where(struct kill_points *k)
{
	if (args_take(k->a, "all"))
		return 0;
	if (!args_take(k->a, "around"))
		return args_fail(k->a, "where: \"all\", or \"around\" and names of commands");
	return args_text(k->a, "names of commands, with commas between", &k->names);
}

int verb_kill_points(struct args *a)
{
	struct kill_points k = { .a = a };
	int r = 0;

	if (args_guest(a, &k.g) < 0 || read_where(&k) < 0)
		r = -EINVAL;
	if (r == 0)
		r = args_text(a, "a lockstep command", &k.command);
	if (r == 0 && args_take(a, "after"))
		r = args_text(a, "a lockstep command", &k.first);
	if (r == 0)
		r = args_end(a);
	if (r == 0 && !a->run->dry)
		r = all_points(&k);
	daemon_kill(&k);
	free(k.names);
	free(k.command);
	free(k.first);
	free(k.before);
	free(k.after);
	return r;
}
