/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words that a line of a scenario may begin with: signals, triggers, and the table of all. */
#include "verbs.h"

#include <errno.h>
#include <string.h>

#include <lockstep/cleanup.h>

#include "expect.h"
#include "fake.h"
#include "show.h"
#include "vector.h"

#define REPEAT_MAX 10000

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

/* The rest of the line, N times. */
static int verb_repeat(struct args *a)
{
	int n, r = 0;

	if (args_number(a, "a number of times", &n) < 0)
		return -EINVAL;
	if (n < 1 || n > REPEAT_MAX)
		return args_fail(a, "from 1 to %d times", REPEAT_MAX);
	for (int i = 0; i < (a->run->dry ? 1 : n) && r == 0; i++)
		r = run_words(a->run, a->line, a->at);
	return r;
}

/* ---- loops -------------------------------------------------------------- */

static int verb_for(struct args *a)
{
	unsigned ms;

	if (a->run->loop)
		return args_fail(a, "one loop at a time");
	if (args_time(a, &ms) < 0 || args_end(a) < 0)
		return -EINVAL;
	a->run->loop = a->run->next;
	a->run->loop_until_ms = qmp_now_ms() + ms;
	return 0;
}

static int verb_again(struct args *a)
{
	struct run *r = a->run;

	if (args_end(a) < 0)
		return -EINVAL;
	if (!r->loop)
		return args_fail(a, "no \"for\" stands before this");
	if (!r->dry && qmp_now_ms() < r->loop_until_ms)
		r->next = r->loop;
	else
		r->loop = 0;
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
	{ "lockstepd", verb_lockstepd, "[WORD ...] [OUTCOME]", "Run the daemon where it must end by itself: a check, or a mistake." },
	{ "background", verb_background, "NAME lockstep WORD ...", "Start lockstep and go on." },
	{ "daemon", verb_daemon, "NAME [WORD ...]", "Start lockstepd in the background; it is ready when the next line begins." },
	{ "await", verb_await, "NAME TEXT", "Wait until a background command has printed this." },
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
	{ "kill-all", verb_kill_all, "NAME", "SIGKILL to a background command and to all that it has started." },
	{ "kill-points", verb_kill_points, "GUEST all|around \"NAME,...\" \"COMMAND\" [after \"COMMAND\"]", "Kill lockstepd in the command before each message and journal write, or before and after the first command NAME, or fdatasync; the next one ends it: all or nothing." },
	{ "stop", verb_stop, "NAME", "SIGSTOP to it: it hangs." },
	{ "cont", verb_cont, "NAME", "SIGCONT to it." },
	{ "interrupt", verb_interrupt, "NAME", "SIGINT to it: Ctrl-C." },
	{ "hangup", verb_hangup, "NAME", "SIGHUP to it: the terminal is closed." },
	{ "hold", verb_hold, "GUEST [agent]", "Be the one client of the monitor that lockstep uses, or of the agent's port; and silent." },
	{ "release", verb_release, "GUEST", "Let go of it." },
	{ "fake-agent", verb_fake_agent, "GUEST KIND", "From now on lockstep finds this agent instead of the guest's." },
	{ "fake-qmp", verb_fake_qmp, "NAME KIND", "A guest whose monitor is none." },
	{ "disk", verb_disk, "NAME SIZE|full|room|read-only|writable", "Make a file system at @tmp/NAME; fill it, or empty it again; change how it is mounted." },
	{ "remember", verb_remember, "NAME GUEST", "Keep the guest's state vector under a name." },
	{ "compare", verb_compare, "NAME NAME", "Print two state vectors side by side; they must be equal." },
	{ "repeat", verb_repeat, "N ACTION ...", "The same, N times in a row." },
	{ "for", verb_for, "Ns", "Do the lines up to \"again\" over and over, for this long." },
	{ "again", verb_again, "", "The end of those lines." },
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
