/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs that give a command: to QEMU, to the agent, or to lockstep. */
#include "verbs.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "outcome.h"
#include "show.h"

#define LOCKSTEP_MARK                                                                              \
	"LOCKSTEP_HARNESS_COMMAND=" /* in the environment of what a command starts                 \
				     */
#define LOCKSTEP_ENV_BYTES 65536
#define LOCKSTEP_LOOK_MS   5 /* between two looks at processes that are being killed */

/* ---- monitor ---------------------------------------------------------- */

/* The line's JSON, with @NAME.THING replaced. */
static int qmp_arguments(struct args *a, struct json_object **ret_args)
{
	ls_autofree char *text = NULL;
	struct ls_err err;

	*ret_args = NULL;
	if (!args_more(a) || outcome_begins(a))
		return 0;
	if (args_text(a, "arguments", &text) < 0)
		return -EINVAL;
	if (qmp_parse(text, strlen(text), NULL, &err, ret_args) < 0)
		return args_fail(a, "%s", err.text);
	if (!json_object_is_type(*ret_args, json_type_object))
		return args_fail(a, "arguments are an object in braces");
	return 0;
}

/* What the other side answered, held against an outcome; @r is what the call returned. */
static int answer_check(struct args *a, struct guest *g, int r, struct json_object *value,
			const struct ls_err *err, const struct outcome *o)
{
	const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_SPACED);

	if (r < 0 && r != -EREMOTEIO)
		return args_fail(a, "%s: %s", g->name, err->text);
	run_say(a->run, strdup(r < 0 ? err->text : text));
	return outcome_check(a, o, r < 0, a->run->said);
}

/* "qmp" and "ask" differ in whom they talk to. */
static int command_run(struct args *a, bool agent)
{
	struct json_object *args = NULL, *value = NULL;
	const struct word *w;
	struct ls_err err;
	struct outcome o;
	struct guest *g;
	int r = 0;

	if (args_guest(a, &g) < 0 || args_word(a, "a command", &w) < 0 ||
	    qmp_arguments(a, &args) < 0 ||
	    outcome_read(a, agent ? LAB_AGENT_MS : LAB_CALL_MS, &o) < 0) {
		json_object_put(args);
		return -EINVAL;
	}
	if (!a->run->dry) {
		json_object_get(args);
		r = agent ? guest_ask_agent(g, w->text, args, o.within_ms, &err, &value)
			  : peer_call(g->peer, w->text, args, qmp_now_ms() + o.within_ms, &err,
				      &value);
		r = answer_check(a, g, r, value, &err, &o);
	}
	json_object_put(value);
	json_object_put(args);
	outcome_done(&o);
	return r;
}

int verb_qmp(struct args *a)
{
	return command_run(a, false);
}

int verb_ask(struct args *a)
{
	return command_run(a, true);
}

/* ---- lockstep --------------------------------------------------------- */

static bool words_follow(const struct args *a)
{
	return args_more(a) && !outcome_begins(a);
}

/* A socket without permission is one for root, too. */
void program_begin(const struct run *r, const char *program, struct argv *ret_argv)
{
	if (geteuid() == 0) {
		argv_add(ret_argv, "setpriv");
		argv_add(ret_argv, "--bounding-set=-dac_override,-dac_read_search");
	}
	argv_add(ret_argv, "%s/%s", r->lab.build, program);
}

/* @bare: the program alone is a whole command line. */
static int lockstep_words(struct args *a, const char *program, bool bare, struct argv *ret_argv)
{
	char *text;
	int first;

	program_begin(a->run, program, ret_argv);
	first = ret_argv->n;
	while (words_follow(a) || (!bare && ret_argv->n == first)) {
		if (args_text(a, "what lockstep is to do", &text) < 0)
			return -EINVAL;
		argv_add(ret_argv, "%s", text);
		free(text);
	}
	return 0;
}

/* Everything that it writes down outside of QEMU stays in this scenario's directory. */
int program_start(struct args *a, struct argv *argv, const struct argv *more,
		  char output[LS_PATH_BYTES], struct proc **ret_proc)
{
	struct run *r = a->run;
	struct argv env = { 0 };
	struct ls_err err;
	int started;

	for (int i = 0; more && i < more->n; i++)
		argv_add(&env, "%s", more->v[i]);
	snprintf(output, LS_PATH_BYTES, "%.90s/out.%d", r->lab.dir, ++r->outputs);
	argv_add(&env, LOCKSTEP_MARK "%s", output);
	argv_add(&env, "LOCKSTEP_GUESTS_D=%s/guests.d", r->lab.dir);
	argv_add(&env, "HOME=%s", r->lab.dir);
	argv_add(&env, "TMPDIR=%s", r->lab.dir);
	argv_add(&env, "XDG_RUNTIME_DIR=%s", r->lab.dir);
	argv_add(&env, "XDG_STATE_HOME=%s/state", r->lab.dir);
	argv_add(&env, "STATE_DIRECTORY=%s/state", r->lab.dir);
	argv_add(&env, "LOCKSTEPD_SOCKET=%s/lockstepd.sock", r->lab.dir);
	argv_add(&env, "LOCKSTEP_HOST_HOOKS_D=%s/../tests/e2e/%s.hooks.d", r->lab.build,
		 r->scenario->name);
	started = proc_start(&r->lab.pump, argv->v, env.v, output, &err, ret_proc);
	argv_done(&env);
	return started < 0 ? args_fail(a, "%s", err.text) : 0;
}

/* Whether a process has inherited the mark of a command. */
static bool lockstep_marked(const char *pid, const char *mark)
{
	char path[64], env[LOCKSTEP_ENV_BYTES];
	size_t len = strlen(mark) + 1, n;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	in = fopen(path, "re");
	if (!in)
		return false;
	n = fread(env, 1, sizeof(env) - 1, in);
	fclose(in);
	env[n] = '\0';
	for (const char *at = env; at < env + n; at += strlen(at) + 1)
		if ((size_t)(env + n - at) >= len && !memcmp(at, mark, len))
			return true;
	return false;
}

/* A detached process has no parent that would tell whose it is; the mark does. */
static int lockstep_kill_marked(const char *mark)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	int n = 0;

	if (!proc)
		abort();
	while ((d = readdir(proc))) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9' || !lockstep_marked(d->d_name, mark))
			continue;
		kill(atoi(d->d_name), SIGKILL);
		n++;
	}
	closedir(proc);
	return n;
}

/* Returns once the last of them is gone: what they held is free then. */
static int lockstep_kill_all(struct args *a, const char *output)
{
	uint64_t deadline_ms = qmp_now_ms() + LAB_CALL_MS;
	ls_autofree char *mark = NULL;

	if (asprintf(&mark, LOCKSTEP_MARK "%s", output) < 0)
		abort();
	while (lockstep_kill_marked(mark) > 0) {
		if (qmp_now_ms() >= deadline_ms)
			return args_fail(a, "what it has started cannot be killed");
		pump_once(&a->run->lab.pump, qmp_now_ms() + LOCKSTEP_LOOK_MS);
	}
	return 0;
}

int verb_kill_all(struct args *a)
{
	struct job *j;

	if (args_job(a, &j) < 0 || args_end(a) < 0)
		return -EINVAL;
	return a->run->dry ? 0 : lockstep_kill_all(a, j->output);
}

/* Waits for a command's end and compares. */
static int lockstep_end(struct args *a, struct proc *p, const char *output, const struct outcome *o)
{
	if (proc_wait(p, qmp_now_ms() + o->within_ms) < 0) {
		run_say(a->run, run_read_file(output));
		return args_fail(a, "this has not ended after %u ms", o->within_ms);
	}
	run_say(a->run, run_read_file(output));
	show_output(a->run, a->run->said);
	return outcome_check(a, o, proc_code(p), a->run->said);
}

static int run_to_end(struct args *a, const char *program)
{
	struct argv argv = { 0 };
	char output[LS_PATH_BYTES];
	struct outcome o;
	struct proc *p;
	int r;

	r = lockstep_words(a, program, !strcmp(program, "lockstepd"), &argv);
	if (r == 0)
		r = outcome_read(a, RUN_COMMAND_MS, &o);
	if (r == 0 && !a->run->dry) {
		r = program_start(a, &argv, NULL, output, &p);
		if (r == 0) {
			r = lockstep_end(a, p, output, &o);
			proc_free(p);
		}
	}
	if (r == 0)
		outcome_done(&o);
	argv_done(&argv);
	return r;
}

int verb_lockstep(struct args *a)
{
	return run_to_end(a, "lockstep");
}

int verb_lockstepd(struct args *a)
{
	return run_to_end(a, "lockstepd");
}

/* A new job from the words of a command line. */
static int job_begin(struct args *a, const char *name, const char *program, struct job **ret_job)
{
	struct run *r = a->run;
	struct argv argv = { 0 };
	struct job *j;
	int done;

	if (r->n_jobs == RUN_JOBS_MAX)
		return args_fail(a, "too many background commands");
	j = &r->jobs[r->n_jobs];
	done = lockstep_words(a, program, !strcmp(program, "lockstepd"), &argv);
	if (done == 0)
		done = args_end(a);
	if (done == 0 && !r->dry)
		done = program_start(a, &argv, NULL, j->output, &j->proc);
	argv_done(&argv);
	if (done < 0)
		return done;
	snprintf(j->name, sizeof(j->name), "%s", name);
	r->n_jobs++;
	*ret_job = j;
	return 0;
}

int verb_background(struct args *a)
{
	const char *name;
	struct job *j;

	if (args_new_name(a, &name) < 0)
		return -EINVAL;
	if (!args_take(a, "lockstep"))
		return args_fail(a, "only a lockstep command can go to the background");
	return job_begin(a, name, "lockstep", &j);
}

/* What a job prints is a file, which tells nobody that it has grown. */
int program_await(struct args *a, const struct proc *p, const struct proc *with, const char *output,
		  const char *text, unsigned within_ms)
{
	uint64_t deadline_ms = qmp_now_ms() + within_ms;

	for (;;) {
		run_say(a->run, run_read_file(output));
		if (strstr(a->run->said, text))
			return 0;
		if (p->ended)
			return args_fail(a, "it has ended and did not say \"%s\"", text);
		if (with && with->ended)
			return args_fail(a, "its guest has ended, and it did not say \"%s\"", text);
		if (qmp_now_ms() >= deadline_ms)
			return args_fail(a, "it has not said \"%s\" within %u ms", text, within_ms);
		pump_once(&a->run->lab.pump, qmp_now_ms() + LOCKSTEP_LOOK_MS);
	}
}

int verb_daemon(struct args *a)
{
	const char *name;
	struct job *j;

	if (args_new_name(a, &name) < 0 || job_begin(a, name, "lockstepd", &j) < 0)
		return -EINVAL;
	return a->run->dry ? 0
			   : program_await(a, j->proc, NULL, j->output,
					   "lockstepd: ready: ", RUN_EXPECT_MS);
}

int verb_await(struct args *a)
{
	ls_autofree char *text = NULL;
	struct job *j;

	if (args_job(a, &j) < 0 || args_text(a, "what it is to say", &text) < 0 || args_end(a) < 0)
		return -EINVAL;
	return a->run->dry ? 0 : program_await(a, j->proc, NULL, j->output, text, RUN_COMMAND_MS);
}

int verb_wait(struct args *a)
{
	struct outcome o;
	struct job *j;
	int r = 0;

	if (args_job(a, &j) < 0 || outcome_read(a, RUN_COMMAND_MS, &o) < 0)
		return -EINVAL;
	if (!a->run->dry)
		r = lockstep_end(a, j->proc, j->output, &o);
	outcome_done(&o);
	return r;
}
