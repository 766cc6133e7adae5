/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs that start a guest or do something inside of it. */
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lockstep/cleanup.h>

#include "fake.h"
#include "outcome.h"
#include "show.h"

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

int verb_guest(struct args *a)
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

int verb_alias(struct args *a)
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

int verb_console(struct args *a)
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

int verb_offline(struct args *a)
{
	return guest_switch(a, "0", "offline");
}

int verb_online(struct args *a)
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

int verb_agent(struct args *a)
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
