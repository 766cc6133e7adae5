/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of a lane: published for readers of any thread, and told from there.
 */
#include "lane_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>
#include <qmp.h>

#include "../report/json.h"
#include "../report/show.h"

const char *lane_state_name(enum lane_state s)
{
	static const char *const names[] = { "away", "recovering", "ready", "busy" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == LANE_STATE_COUNT, "a name for each");
	return names[s];
}

const struct guest *lane_guest(const struct lane *l)
{
	return &l->guest;
}

enum lane_state lane_state(const struct lane *l)
{
	return l->state;
}

const struct ls_err *lane_away(const struct lane *l)
{
	return l->state == LANE_AWAY && l->why.code != -EAGAIN ? &l->why : NULL;
}

static const struct vm *seen(const struct lane *l)
{
	const struct vm *vm = l->run ? &run_view(l->run)->vm[SIDE_SRC] : NULL;

	return vm && vm->answers ? vm : NULL;
}

void lane_publish(struct lane *l)
{
	struct seen s = { .state = l->state,
			  .waiting = l->queued,
			  .unplugs = l->n_unplugs,
			  .seen_ms = l->seen_ms,
			  .vm = seen(l) };

	if (l->state == LANE_AWAY)
		snprintf(s.reason, sizeof(s.reason), "%s", l->why.text);
	if (l->running)
		snprintf(s.txn, sizeof(s.txn), "%s", l->running->job.id);
	board_publish(l->known, &s);
}

static struct json_object *summary(const struct seen *s)
{
	struct json_object *o = json_object_new_object();

	json_add_str(o, "guest", s->name);
	json_add_str(o, "state", lane_state_name(s->state));
	json_add_str(o, "reason", s->reason);
	json_add_str(o, "txn", s->txn);
	json_add_num(o, "waiting", s->waiting);
	json_add_num(o, "pending-unplugs", s->unplugs);
	if (!s->vm)
		return o;
	json_add_str(o, "status", vm_run_name(s->vm->run));
	json_add_num(o, "vcpus", vm_vcpus(s->vm));
	if (s->vm->agent_answers)
		json_add_num(o, "vcpus-online", vm_vcpus_online(s->vm));
	json_add_num(o, "memory", vm_memory(s->vm));
	json_add_num(o, "age-ms", qmp_now_ms() - s->seen_ms);
	return o;
}

static void add_view(struct json_object *o, const struct seen *s)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	show_vm(f, s->name, s->vm);
	fclose(f);
	json_add_str(o, "text", text);
	json_object_object_add(o, "vm", show_vm_json(s->name, s->vm));
	free(text);
}

struct json_object *lane_summary(const struct lane *l)
{
	struct json_object *o;

	board_begin();
	o = summary(board_seen(l->known));
	board_end();
	return o;
}

struct json_object *lane_status(const struct lane *l)
{
	const struct seen *s;
	struct json_object *o;

	board_begin();
	s = board_seen(l->known);
	o = summary(s);
	json_object_object_add(o, "unplugs", lane_unplugs_json(l));
	if (s->vm)
		add_view(o, s);
	board_end();
	return o;
}
