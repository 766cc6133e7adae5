/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep doctor
 */
#include "session.h"

#include <errno.h>
#include <string.h>

#include <json-c/json.h>
#include <lockstep/wire.h>
#include <qmp.h>

#include "hv.h"

struct doctor {
	struct cli *cli;
	bool over;
	unsigned found, healed;
	struct ls_err err;
};

/* clang-format off */
static const struct argp_option options[] = {
	{ "fix", 'f', NULL, 0, "heal what is found, under the guest's hotplug lock, and verify it", 0 },
	{ 0 }
};
/* clang-format on */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	if (key == 'f') {
		cli->fix = true;
		return 0;
	}
	return cli_parse(key, arg, state);
}

static const struct argp_child children[] = { { &cli_common, 0, NULL, 0 }, { 0 } };

static const struct argp doctor_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "GUEST",
	.doc = "Compare every view of the guest and name each disagreement.\v"
	       "The one to know: a CPU that the guest's driver core calls online and its kernel "
	       "does "
	       "not run. Bringing it online \"succeeds\" and does nothing; --fix takes it offline "
	       "and "
	       "online again. Exit status 9 if anything is left that disagrees.",
	.children = children,
};

static void say(struct doctor *d, const char *kind, int64_t id, const char *text, bool healed)
{
	struct json_object *o;

	d->found++;
	d->healed += healed;
	if (d->cli->json) {
		o = json_object_new_object();
		json_object_object_add(o, "kind", json_object_new_string(kind));
		json_object_object_add(o, "id", json_object_new_int64(id));
		json_object_object_add(o, "text", json_object_new_string(text));
		json_object_object_add(o, "healed", json_object_new_boolean(healed));
		show_json(o);
		return;
	}
	printf("%s: ", d->cli->guest.name);
	cli_put(stdout, text);
	puts(healed ? ": healed" : "");
}

static void on_findings(void *arg, struct json_object *list, const struct ls_err *err)
{
	struct doctor *d = arg;

	d->over = true;
	if (err)
		d->err = *err;
	for (size_t i = 0; !err && i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (qmp_fields_check(ls_wire_obj_FINDING, LS_WIRE_N(ls_wire_obj_FINDING), false, o,
				     NULL) < 0)
			continue;
		say(d, qmp_get_str(o, "kind", ""), qmp_get_int(o, "id", -1),
		    qmp_get_str(o, "text", ""), qmp_get_bool(o, "healed", false));
	}
}

/* What only the host can see: the agent compares its own two views itself. */
static void host_findings(struct doctor *d, const struct vm *vm)
{
	char text[200];

	for (unsigned i = 0; i < vm->n_cpus; i++) {
		const struct vm_cpu *c = &vm->cpus[i];
		const char *trouble = vm_cpu_trouble(vm, i);

		if (!trouble || (c->present && c->plugged && c->device != c->kernel))
			continue;
		snprintf(text, sizeof(text), "vCPU slot %u: %s", i, trouble);
		say(d, "cpu", (int64_t)i, text, false);
	}
	for (unsigned i = 0; i < vm->n_mems; i++) {
		const char *trouble = vm_mem_trouble(vm, &vm->mems[i]);

		if (!trouble)
			continue;
		snprintf(text, sizeof(text), "memory device %s: %s", vm->mems[i].id, trouble);
		say(d, "memory", -1, text, false);
	}
}

static int examine(struct session *s, struct doctor *d)
{
	const struct vm *vm = &run_view(s->run)->vm[SIDE_SRC];

	if (!vm->agent_answers || vm->agent != AGENT_LOCKSTEP) {
		ls_err_set(&d->err, -EOPNOTSUPP,
			   "no lockstep-agent answers in the guest (%s): only "
			   "QEMU's side was looked at",
			   vm->agent_answers ? "only QEMU's own" : vm->agent_text);
		host_findings(d, vm);
		return cli_error(d->cli, XC_REFUSED, &d->err);
	}
	hv_doctor(run_hv(s->run, SIDE_SRC), d->cli->fix, on_findings, d);
	while (!d->over && sd_event_run(s->loop, UINT64_MAX) >= 0)
		;
	if (d->err.code)
		return cli_error(d->cli, XC_REFUSED, &d->err);
	if (run_look(s->run, &d->err) < 0)
		return cli_error(d->cli, XC_REACH, &d->err);
	host_findings(d, vm);
	if (!d->found && !d->cli->json && !d->cli->quiet)
		printf("%s: every view agrees\n", d->cli->guest.name);
	return d->found > d->healed ? XC_FINDINGS : XC_OK;
}

static int run_doctor(struct cli *cli)
{
	struct doctor d = { .cli = cli };
	struct session s;
	int code = session_open(&s, cli, cli->fix ? "doctor" : NULL, NULL, NULL);

	if (!code)
		code = examine(&s, &d);
	session_close(&s);
	return code;
}

const struct command cmd_doctor = { "doctor", "name what disagrees, and heal it", &doctor_argp,
				    run_doctor };
