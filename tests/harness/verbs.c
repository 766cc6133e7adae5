/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words that a line of a scenario may begin with. */
#include "args.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "expect.h"
#include "fake.h"
#include "outcome.h"
#include "show.h"
#include "vector.h"

/* ---- guests ----------------------------------------------------------- */

static int guest_settings(struct args *a, struct guest_config *c)
{
	struct guest *other;
	struct ls_err err;
	char *text;
	int r = 0;

	guest_config_init(c);
	if (args_take(a, "like")) {
		if (args_guest(a, &other) < 0)
			return -EINVAL;
		*c = other->config;
		c->incoming = false;
	}
	while (r == 0 && args_more(a)) {
		if (args_text(a, "a setting", &text) < 0)
			return -EINVAL;
		r = guest_config_set(c, text, &err);
		free(text);
	}
	return r < 0 ? args_fail(a, "%s", err.text) : 0;
}

static int guest_add(struct args *a, const char *name, const struct guest_config *c,
		     struct guest **ret_guest)
{
	struct run *r = a->run;
	struct ls_err err;
	int n = 0;

	while (r->guests[n])
		n++;
	if (n == RUN_GUESTS_MAX)
		return args_fail(a, "too many guests");
	if (guest_new(&r->lab, name, c, &err, &r->guests[n]) < 0)
		return args_fail(a, "%s", err.text);
	*ret_guest = r->guests[n];
	return 0;
}

static int verb_guest(struct args *a)
{
	struct guest_config config;
	struct ls_err err;
	struct guest *g = NULL;
	const char *name;

	if (args_new_name(a, &name) < 0 || guest_settings(a, &config) < 0 ||
	    guest_add(a, name, &config, &g) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	g->on_event = run_event;
	g->arg = g;
	if (guest_start(g, &err) < 0)
		return args_fail(a, "%s", err.text);
	if (g->boot_ms)
		dprintf(a->run->report,
			"%s: booted in %u ms and saved; started from that in %u ms\n", name,
			g->boot_ms, g->took_ms);
	if (fake_conf(a->run, name, g->paths.qmp,
		      strcmp(config.agent, "none") ? g->paths.agent : NULL) < 0)
		return args_fail(a, "its configuration could not be written");
	return 0;
}

static int verb_alias(struct args *a)
{
	struct guest *g;
	const struct word *w;

	if (args_guest(a, &g) < 0 || args_word(a, "a name", &w) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (a->run->dry)
		return 0;
	return fake_conf(a->run, w->text, g->paths.qmp, g->paths.agent) < 0
		       ? args_fail(a, "its configuration could not be written")
		       : 0;
}

/* A shell command in the guest, held against an outcome. */
static int guest_shell(struct args *a, struct guest *g, const char *command,
		       const struct outcome *o)
{
	struct ls_err err;
	char *output;
	int status;

	status = console_run(g->console, command, qmp_now_ms() + o->within_ms, &err, &output);
	if (status < 0)
		return args_fail(a, "%s: %s", g->name, err.text);
	run_say(a->run, output);
	show_output(a->run, output);
	return outcome_check(a, o, status, output);
}

static int verb_console(struct args *a)
{
	ls_autofree char *command = NULL;
	struct outcome o;
	struct guest *g;
	int r = 0;

	if (args_guest(a, &g) < 0 || args_text(a, "a shell command in quotes", &command) < 0 ||
	    outcome_read(a, LAB_ASK_MS, &o) < 0)
		return -EINVAL;
	if (strchr(command, '\n'))
		r = args_fail(a, "a command is one line");
	else if (!a->run->dry)
		r = guest_shell(a, g, command, &o);
	outcome_done(&o);
	return r;
}

/* "cpu3" or "memory40": the guest's user writes to its file in sysfs. */
static int guest_switch(struct args *a, const char *cpu, const char *block)
{
	ls_autofree char *command = NULL;
	const struct word *w;
	struct outcome o;
	struct guest *g;
	bool is_cpu;
	int r = 0;

	if (args_guest(a, &g) < 0 || args_word(a, "a device, such as cpu3", &w) < 0 ||
	    outcome_read(a, LAB_ASK_MS, &o) < 0)
		return -EINVAL;
	is_cpu = !strncmp(w->text, "cpu", 3);
	if (!is_cpu && strncmp(w->text, "memory", 6) != 0)
		r = args_fail(a, "\"%s\" is not a cpu or memory block", w->text);
	else if (asprintf(&command, "echo %s > /sys/devices/system/%s/%s/%s", is_cpu ? cpu : block,
			  is_cpu ? "cpu" : "memory", w->text, is_cpu ? "online" : "state") < 0)
		r = -ENOMEM;
	else if (!a->run->dry)
		r = guest_shell(a, g, command, &o);
	outcome_done(&o);
	return r;
}

static int verb_offline(struct args *a)
{
	return guest_switch(a, "0", "offline");
}

static int verb_online(struct args *a)
{
	return guest_switch(a, "1", "online_movable");
}

/* clang-format off */
static const struct {
	const char *word;
	const char *command;
} agent_actions[] = {
	{ "stop", "kill -STOP $(pidof lockstep-agent)" },
	{ "cont", "kill -CONT $(pidof lockstep-agent)" },
	{ "kill", "kill -KILL $(pidof lockstep-agent)" },
	{ "down", "touch /run/no-agent; kill -KILL $(pidof lockstep-agent)" },
	{ "up",   "rm /run/no-agent" },
};
/* clang-format on */

static int verb_agent(struct args *a)
{
	const struct word *w;
	struct outcome o;
	struct guest *g;

	if (args_guest(a, &g) < 0 || args_word(a, "stop, cont, kill, down or up", &w) < 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(agent_actions) / sizeof(agent_actions[0]); i++) {
		if (strcmp(w->text, agent_actions[i].word) != 0)
			continue;
		if (outcome_read(a, LAB_ASK_MS, &o) < 0)
			return -EINVAL;
		return a->run->dry ? 0 : guest_shell(a, g, agent_actions[i].command, &o);
	}
	return args_fail(a, "an agent can be told stop, cont, kill, down or up");
}

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
	    qmp_arguments(a, &args) < 0 || outcome_read(a, LAB_CALL_MS, &o) < 0) {
		json_object_put(args);
		return -EINVAL;
	}
	if (!a->run->dry) {
		json_object_get(args);
		r = agent ? guest_ask_agent(g, w->text, args, &err, &value)
			  : peer_call(g->peer, w->text, args, qmp_now_ms() + o.within_ms, &err,
				      &value);
		r = answer_check(a, g, r, value, &err, &o);
	}
	json_object_put(value);
	json_object_put(args);
	outcome_done(&o);
	return r;
}

static int verb_qmp(struct args *a)
{
	return command_run(a, false);
}

static int verb_ask(struct args *a)
{
	return command_run(a, true);
}

/* ---- lockstep --------------------------------------------------------- */

static int lockstep_words(struct args *a, struct argv *ret_argv)
{
	char *text;

	argv_add(ret_argv, "%s/lockstep", a->run->lab.build);
	do {
		if (args_text(a, "what lockstep is to do", &text) < 0)
			return -EINVAL;
		argv_add(ret_argv, "%s", text);
		free(text);
	} while (args_more(a) && !outcome_begins(a));
	return 0;
}

/* Everything that it writes down outside of QEMU stays in this scenario's directory. */
static int lockstep_start(struct args *a, struct argv *argv, char output[LS_PATH_BYTES],
			  struct proc **ret_proc)
{
	struct run *r = a->run;
	struct argv env = { 0 };
	struct ls_err err;
	int started;

	argv_add(&env, "LOCKSTEP_GUESTS_D=%s/guests.d", r->lab.dir);
	argv_add(&env, "HOME=%s", r->lab.dir);
	argv_add(&env, "TMPDIR=%s", r->lab.dir);
	argv_add(&env, "XDG_RUNTIME_DIR=%s", r->lab.dir);
	argv_add(&env, "XDG_STATE_HOME=%s/state", r->lab.dir);
	snprintf(output, LS_PATH_BYTES, "%.90s/out.%d", r->lab.dir, ++r->outputs);
	started = proc_start(&r->lab.pump, argv->v, env.v, output, &err, ret_proc);
	argv_done(&env);
	return started < 0 ? args_fail(a, "%s", err.text) : 0;
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

static int verb_lockstep(struct args *a)
{
	struct argv argv = { 0 };
	char output[LS_PATH_BYTES];
	struct outcome o;
	struct proc *p;
	int r;

	r = lockstep_words(a, &argv);
	if (r == 0)
		r = outcome_read(a, RUN_COMMAND_MS, &o);
	if (r == 0 && !a->run->dry) {
		r = lockstep_start(a, &argv, output, &p);
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

static int verb_background(struct args *a)
{
	struct run *r = a->run;
	struct argv argv = { 0 };
	const char *name;
	struct job *j;
	int done;

	if (args_new_name(a, &name) < 0)
		return -EINVAL;
	if (r->n_jobs == RUN_JOBS_MAX)
		return args_fail(a, "too many background commands");
	if (!args_take(a, "lockstep"))
		return args_fail(a, "only a lockstep command can go to the background");
	j = &r->jobs[r->n_jobs];
	done = lockstep_words(a, &argv);
	if (done == 0)
		done = args_end(a);
	if (done == 0 && !r->dry)
		done = lockstep_start(a, &argv, j->output, &j->proc);
	argv_done(&argv);
	if (done < 0)
		return done;
	snprintf(j->name, sizeof(j->name), "%s", name);
	r->n_jobs++;
	return 0;
}

static int verb_wait(struct args *a)
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

/* ---- signals ---------------------------------------------------------- */

/* The process behind a name: a guest's QEMU, or a background command. */
static int args_process(struct args *a, struct proc **ret_proc)
{
	const struct word *w;
	struct guest *g;
	struct job *j;

	if (args_word(a, "a guest or background command", &w) < 0)
		return -EINVAL;
	g = run_guest(a->run, w->text);
	j = run_job(a->run, w->text);
	if (!g && !j)
		return args_fail(a, "no guest or background command is called \"%s\"", w->text);
	*ret_proc = g ? g->proc : j->proc;
	return 0;
}

static int process_signal(struct args *a, int sig)
{
	struct proc *p = NULL;

	if (args_process(a, &p) < 0 || args_end(a) < 0)
		return -EINVAL;
	if (!a->run->dry)
		proc_signal(p, sig);
	return 0;
}

static int verb_kill(struct args *a)
{
	return process_signal(a, SIGKILL);
}

static int verb_stop(struct args *a)
{
	return process_signal(a, SIGSTOP);
}

static int verb_cont(struct args *a)
{
	return process_signal(a, SIGCONT);
}

static int verb_interrupt(struct args *a)
{
	return process_signal(a, SIGINT);
}

static int verb_hangup(struct args *a)
{
	return process_signal(a, SIGHUP);
}

/* ---- triggers --------------------------------------------------------- */

static int trigger_read(struct args *a, struct trigger *t)
{
	const struct word *w;

	if (args_guest(a, &t->guest) < 0)
		return -EINVAL;
	if (args_take(a, "status")) {
		if (args_word(a, "a migration status", &w) < 0)
			return -EINVAL;
		strcpy(t->event, "MIGRATION");
		snprintf(t->status, sizeof(t->status), "%s", w->text);
	} else if (args_take(a, "event")) {
		if (args_word(a, "a QMP event", &w) < 0)
			return -EINVAL;
		snprintf(t->event, sizeof(t->event), "%s", w->text);
	} else {
		a->at += args_more(a);
		return args_fail(a, "\"status VALUE\" or \"event NAME\" is missing here");
	}
	t->line = a->line;
	t->at = a->at;
	return 0;
}

static int verb_at(struct args *a)
{
	struct run *r = a->run;

	if (r->n_triggers == RUN_TRIGGERS_MAX)
		return args_fail(a, "too many triggers");
	if (trigger_read(a, &r->triggers[r->n_triggers]) < 0)
		return -EINVAL;
	if (r->dry)
		return run_words(r, a->line, a->at);
	r->n_triggers++;
	return 0;
}

static int verb_say(struct args *a)
{
	ls_autofree char *text = NULL;

	if (args_text(a, "a text", &text) < 0 || args_end(a) < 0)
		return -EINVAL;
	show_say(a->run, text);
	return 0;
}

/* clang-format off */
const struct verb verbs[] = {
	{ "guest", verb_guest, "NAME [like OTHER] [SETTING ...]", "Start a guest and wait until it can be used." },
	{ "alias", verb_alias, "GUEST NAME", "From now on lockstep means this guest by that name: it has moved." },
	{ "lockstep", verb_lockstep, "WORD ... [OUTCOME]", "Run the lockstep program and wait for its end; exit code 0 is expected." },
	{ "background", verb_background, "NAME lockstep WORD ...", "Start lockstep and go on." },
	{ "wait", verb_wait, "NAME [OUTCOME]", "Wait for the end of a background command." },
	{ "expect", verb_expect, "GUEST PROPERTY VALUE[, ...] by OBSERVER [within Ns]", "Wait until this is so." },
	{ "console", verb_console, "GUEST \"COMMAND\" [OUTCOME]", "Run a shell command in the guest, over its serial console." },
	{ "online", verb_online, "GUEST cpuN|memoryN [OUTCOME]", "The guest's user brings a device online." },
	{ "offline", verb_offline, "GUEST cpuN|memoryN [OUTCOME]", "The guest's user takes a device offline." },
	{ "agent", verb_agent, "GUEST stop|cont|kill|down|up", "Do something to the agent's process in the guest." },
	{ "qmp", verb_qmp, "GUEST COMMAND [{ARGUMENTS}] [OUTCOME]", "Send a command to QEMU, on the second monitor." },
	{ "ask", verb_ask, "GUEST COMMAND [{ARGUMENTS}] [OUTCOME]", "Send a command to the agent in the guest." },
	{ "at", verb_at, "GUEST status VALUE|event NAME ACTION ...", "When QEMU says this, do that; it must happen before the scenario ends." },
	{ "kill", verb_kill, "NAME", "SIGKILL to a guest's QEMU or a background command." },
	{ "stop", verb_stop, "NAME", "SIGSTOP to it: it hangs." },
	{ "cont", verb_cont, "NAME", "SIGCONT to it." },
	{ "interrupt", verb_interrupt, "NAME", "SIGINT to it: Ctrl-C." },
	{ "hangup", verb_hangup, "NAME", "SIGHUP to it: the terminal is closed." },
	{ "hold", verb_hold, "GUEST", "Be the one client of the monitor that lockstep uses." },
	{ "release", verb_release, "GUEST", "Let go of it." },
	{ "fake-agent", verb_fake_agent, "GUEST KIND", "From now on lockstep finds this agent instead of the guest's." },
	{ "fake-qmp", verb_fake_qmp, "NAME KIND", "A guest whose monitor is none." },
	{ "remember", verb_remember, "NAME GUEST", "Keep the guest's state vector under a name." },
	{ "compare", verb_compare, "NAME NAME", "Print two state vectors side by side; they must be equal." },
	{ "say", verb_say, "\"TEXT\"", "A heading for who watches." },
	{ 0 },
};
/* clang-format on */

const struct verb *verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}
