/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lockstep doctor
 */
#include "session.h"

#include <errno.h>
#include <string.h>

#include <json-c/json.h>
#include <qmp.h>

#include "client.h"
#include "../report/doctor.h"
#include "../hv/hv.h"
#include "../report/json.h"
#include "../report/words.h"

struct doctor {
	bool over;
	struct json_object *findings;
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
	.children = cli_changing,
};

int doctor_show(const struct cli *cli, struct json_object *findings)
{
	size_t n = json_object_array_length(findings), healed = 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(findings, i);

		healed += qmp_get_bool(o, "healed", false);
		if (cli->json) {
			json_print(json_object_get(o));
			continue;
		}
		printf("%s: ", cli->guest.name);
		words_put(stdout, qmp_get_str(o, "text", ""));
		puts(qmp_get_bool(o, "healed", false) ? ": healed" : "");
	}
	if (!n && !cli->json && !cli->quiet)
		printf("%s: every view agrees\n", cli->guest.name);
	return n > healed ? XC_FINDINGS : XC_OK;
}

static void on_findings(void *arg, struct json_object *list, const struct ls_err *err)
{
	struct doctor *d = arg;

	d->over = true;
	if (err)
		d->err = *err;
	else
		doctor_add_guest(d->findings, list);
}

static int examine(struct session *s, struct doctor *d)
{
	const struct vm *vm = &run_view(s->run)->vm[SIDE_SRC];

	if (doctor_check(vm, &d->err) < 0) {
		doctor_add_host(d->findings, vm);
		if (json_object_array_length(d->findings))
			doctor_show(s->cli, d->findings);
		return cli_error(s->cli, XC_REFUSED, &d->err);
	}
	hv_doctor(run_hv(s->run, SIDE_SRC), s->cli->fix, s->cli->timeout_ms, on_findings, d);
	while (!d->over && sd_event_run(s->loop, UINT64_MAX) >= 0)
		;
	if (d->err.code)
		return cli_error(s->cli, exit_of_doctor(d->err.code), &d->err);
	if (run_look(s->run, &d->err) < 0)
		return cli_error(s->cli, XC_REACH, &d->err);
	doctor_add_host(d->findings, vm);
	return doctor_show(s->cli, d->findings);
}

static int run_here(struct cli *cli)
{
	struct doctor d = { .findings = json_object_new_array() };
	struct session s;
	int code = session_open(&s, cli, cli->fix ? "doctor" : NULL, NULL, NULL);

	if (!code)
		code = examine(&s, &d);
	session_close(&s);
	json_object_put(d.findings);
	return code;
}

static int run_doctor(struct cli *cli)
{
	struct ls_err err;

	if (cli->no_wait && !cli->fix) {
		ls_err_set(
			&err, -EINVAL,
			"doctor: --no-wait goes with --fix: what is found is what one waits for");
		return cli_error(cli, XC_USAGE, &err);
	}
	return cli->daemon ? client_doctor(cli) : run_here(cli);
}

const struct command cmd_doctor = { "doctor", "name what disagrees, and heal it", &doctor_argp,
				    run_doctor };
