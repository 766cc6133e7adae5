/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The in-guest command: what it shows, what it changes, and what it says to a mistake.
 */
#include "local_fixture.h"

#include <errno.h>
#include <poll.h>

#include <json-c/json.h>

#include <lockstep/cleanup.h>

/* ---- looking --------------------------------------------------------------- */

/* status shows lock, window, CPUs and memory as the kernel below has them. */
static void test_when_status_is_asked_then_the_guest_is_shown(void **state)
{
	struct local *f = *state;

	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "lock     free\n");
	expect_text(f, "window   closed\n");
	expect_text(f, "        0          0  online       online    cannot go offline\n");
	expect_text(f, "      1-2        1-2  online       online\n");
	expect_text(f, "        3          3  offline      offline\n");
	expect_text(f, "      0-3  offline        512 MiB\n");
}

/* A CPU whose two truths differ is pointed at, with what heals it. */
static void test_when_a_cpu_is_out_of_step_then_status_says_what_heals_it(void **state)
{
	struct local *f = *state;

	assert_int_equal(fake_user(&f->base.kernel, "devices/system/cpu/cpu2/hotplug/target", "0"),
			 0);
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "        1          1  online       online\n");
	expect_text(f, "online       offline   out of step: lockstep-agent doctor --fix\n");
	assert_int_equal(command(f, "doctor"), INCLI_FINDINGS);
	expect_text(f, "cpu2 is online for the driver core");
	expect_text(f, "`lockstep-agent doctor --fix` heals what can be healed\n");
	assert_int_equal(command(f, "doctor --fix"), INCLI_OK);
	expect_text(f, "healed: cpu2");
	assert_true(fake_agrees(&f->base.kernel, 2, true));
	assert_int_equal(command(f, "doctor"), INCLI_OK);
	expect_text(f, "nothing is out of step\n");
}

/* A watcher's subscription has no sign of its own: change until it has seen one. */
static void await_line(struct local *f, int out, char *line, size_t size)
{
	struct pollfd pfd = { .fd = out, .events = POLLIN };
	ssize_t n;

	while (poll(&pfd, 1, 0) == 0) {
		do_it(&f->base, LS_WIRE_LOCK,
		      "{\"txn\": \"t1\", \"epoch\": 1, \"lease-ms\": 5000}");
		do_it(&f->base, LS_WIRE_UNLOCK, "{\"txn\": \"t1\"}");
	}
	n = read(out, line, size - 1);
	assert_true(n > 0);
	line[n] = '\0';
}

/* Whoever watches sees the change that another command makes. */
static void test_when_something_changes_then_a_watcher_sees_it(void **state)
{
	struct local *f = *state;
	char line[64];
	int out;
	pid_t pid = begin_command(f, "watch 1", &out);

	await_line(f, out, line, sizeof(line));
	if (strcmp(line, "lock held\n") != 0)
		assert_string_equal(line, "lock free\n");
	assert_int_equal(end_command(f, pid, out), INCLI_OK);
}

/* The agent ends: its watcher does, too, and says why. */
static void test_when_the_agent_ends_then_a_watcher_says_so(void **state)
{
	struct local *f = *state;
	char line[64];
	int out, status;
	pid_t pid = begin_command(f, "watch", &out);

	await_line(f, out, line, sizeof(line));
	assert_int_equal(end_agent(&f->base), 0);
	status = end_command(f, pid, out);
	assert_int_equal(start_agent(f), 0);
	assert_int_equal(status, INCLI_NO_AGENT);
	expect_text(f, "the agent has ended: ");
}

/* ---- changing -------------------------------------------------------------- */

/* A CPU comes and goes, by one number, a range or its name; the lock is free afterwards. */
static void test_when_cpus_are_named_then_they_change_and_the_lock_is_free(void **state)
{
	struct local *f = *state;
	struct lock_view v;

	assert_int_equal(command(f, "online cpu 3"), INCLI_OK);
	assert_true(fake_agrees(&f->base.kernel, 3, true));
	assert_int_equal(command(f, "offline cpu 1-2,3"), INCLI_OK);
	assert_true(fake_agrees(&f->base.kernel, 1, false));
	assert_true(fake_agrees(&f->base.kernel, 2, false));
	assert_true(fake_agrees(&f->base.kernel, 3, false));
	assert_int_equal(command(f, "online cpu cpu2 2"), INCLI_OK);
	assert_true(fake_agrees(&f->base.kernel, 2, true));
	assert_string_equal(f->out, "");
	lock_look(&f->base.agent.lock, qmp_now_ms(), &v);
	assert_false(v.held);
}

static bool block_is(struct local *f, int block, const char *state)
{
	ls_guard(&f->base.kernel.lock);
	return !strcmp(f->base.kernel.block[block].state, state);
}

/* Memory blocks by number are the same blocks that the kernel numbers. */
static void test_when_blocks_are_named_then_those_blocks_change(void **state)
{
	struct local *f = *state;

	fake_fail(&f->base.kernel, "devices/system/memory/memory1/state", 0, 99, -EINVAL);
	assert_int_equal(command(f, "online memory 0-2"), INCLI_FAILED);
	expect_text(f, "of 3 blocks 1 could not be changed, 2 were");
	fake_fail(&f->base.kernel, "", 0, 0, 0);
	assert_int_equal(command(f, "offline memory 0 2"), INCLI_OK);
	assert_int_equal(command(f, "online memory 1 memory3"), INCLI_OK);
	assert_true(block_is(f, 0, "offline\n"));
	assert_true(block_is(f, 1, "online\n"));
	assert_true(block_is(f, 2, "offline\n"));
	assert_true(block_is(f, 3, "online\n"));
	assert_int_equal(command(f, "offline memory 0-3"), INCLI_OK);
	assert_true(block_is(f, 1, "offline\n"));
	assert_true(block_is(f, 3, "offline\n"));
}

/* While the host has the lock nothing is changed, and the owner is named. */
static void test_when_the_host_has_the_lock_then_the_command_is_refused(void **state)
{
	struct local *f = *state;

	do_it(&f->base, LS_WIRE_LOCK, "{\"txn\": \"t7\", \"epoch\": 3, \"lease-ms\": 5000}");
	assert_int_equal(command(f, "online cpu 3"), INCLI_LOCKED);
	expect_text(f, "transaction t7 holds the hotplug lock: try again when it is free; nothing "
		       "was changed");
	assert_int_equal(command(f, "doctor --fix"), INCLI_LOCKED);
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "lock     held by t7");
	assert_true(fake_agrees(&f->base.kernel, 3, false));
	do_it(&f->base, LS_WIRE_UNLOCK, "{\"txn\": \"t7\"}");
	assert_int_equal(command(f, "online cpu 3"), INCLI_OK);
}

/* So it is while a migration has its window open. */
static void test_when_a_window_is_open_then_the_command_is_refused(void **state)
{
	struct local *f = *state;

	do_it(&f->base, LS_WIRE_WINDOW_OPEN,
	      "{\"txn\": \"m1\", \"epoch\": 1, \"lease-ms\": 5000, \"mode\": \"force\"}");
	assert_int_equal(command(f, "offline cpu 3"), INCLI_LOCKED);
	expect_text(f, "transaction m1 has a migration window open");
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "window   open (force) by m1, forced online: cpu3\n");
	assert_true(fake_agrees(&f->base.kernel, 3, true));
}

/* What the kernel refuses is a line for each device, and the others change. */
static void test_when_one_of_several_fails_then_it_is_named(void **state)
{
	struct local *f = *state;

	fake_fail(&f->base.kernel, "devices/system/cpu/cpu1/online", 0, 1, -EBUSY);
	assert_int_equal(command(f, "offline cpu 1,2"), INCLI_FAILED);
	expect_text(f, "lockstep-agent: cpu1 kernel:online: ");
	assert_true(fake_agrees(&f->base.kernel, 1, true));
	assert_true(fake_agrees(&f->base.kernel, 2, false));
}

/* A row is made to fail once: the command says where, and the next one succeeds. */
static void test_when_a_row_is_made_to_fail_then_the_next_change_fails_there(void **state)
{
	struct local *f = *state;

	assert_int_equal(command(f, "fail cpu 3 kernel:online"), INCLI_OK);
	assert_int_equal(command(f, "online cpu 3"), INCLI_FAILED);
	expect_text(f, "cpu3 kernel:online: made to fail");
	assert_true(fake_agrees(&f->base.kernel, 3, false));
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "last failure: kernel:online: Resource temporarily unavailable\n");
	assert_int_equal(command(f, "online cpu 3"), INCLI_OK);
	assert_true(fake_agrees(&f->base.kernel, 3, true));
}

/* ---- mistakes -------------------------------------------------------------- */

/* Each mistake has an answer that names what would have been right, and changes nothing. */
static void test_when_a_command_is_mistaken_then_the_answer_helps(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *says;
	} row[] = {
		{ "frob", INCLI_USAGE, "no command 'frob': status, online" },
		{ "migrate", INCLI_USAGE, "run `lockstep migrate`" },
		{ "status now", INCLI_USAGE, "nothing but --json: 'now'" },
		{ "online", INCLI_USAGE, "'online cpu 3'" },
		{ "online 3", INCLI_USAGE, "'online cpu 3' or 'online memory 3'" },
		{ "online cpu", INCLI_USAGE, "takes numbers: 'online cpu 3'" },
		{ "online cpu x", INCLI_USAGE, "'x' is no number of a CPU" },
		{ "online cpu -1", INCLI_USAGE, "'-1' is no number" },
		{ "online cpu 3-", INCLI_USAGE, "'3-' is no number" },
		{ "online cpu 3-1", INCLI_USAGE, "'3-1' is no number" },
		{ "online cpu 3,,4", INCLI_USAGE, "'3,,4' is no number" },
		{ "online cpu 99999999999999999999", INCLI_USAGE, "is no number" },
		{ "online memory cpu3", INCLI_USAGE, "no number of a memory block" },
		{ "fail cpu 3", INCLI_USAGE, "'fail cpu 3 ap:alive'" },
		{ "fail cpu 99999 ap:alive", INCLI_USAGE, "'fail cpu 3 ap:alive'" },
		{ "fail cpu 3 no:row", INCLI_FAILED, "no row 'no:row', but hooks:check, kernel" },
		{ "doctor --heal", INCLI_USAGE, "nothing but --fix and --json: '--heal'" },
		{ "watch out", INCLI_USAGE, "a number of changes: 'out'" },
		{ "watch --json 0", INCLI_USAGE, "a number of changes: '0'" },
		{ "online cpu 9", INCLI_FAILED, "no cpu9; nothing was changed" },
		{ "online cpu 0-5000", INCLI_FAILED, "cpus" },
		{ "offline cpu 0", INCLI_FAILED, "can never go offline" },
		{ "online memory 77", INCLI_FAILED, "no memory77; nothing was changed" },
		{ "online memory 2-5", INCLI_FAILED, "no memory4; nothing was changed" },
		{ "online memory 1 9", INCLI_FAILED, "no memory9; nothing was changed" },
		{ "online memory 2147483646", INCLI_FAILED, "no memory2147483646" },
	};
	struct local *f = *state;
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(command(f, row[i].line), row[i].status);
		expect_text(f, row[i].says);
	}
	assert_int_equal(fake_writes(&f->base.kernel, NULL, NULL), 0);
}

/* Each command explains itself, with or without an agent. */
static void test_when_help_is_asked_then_the_command_is_explained(void **state)
{
	static const char *const name[] = {
		"status", "online", "offline", "doctor", "watch", "fail"
	};
	struct local *f = *state, nobody = { .dir = "/nonexistent" };
	char line[32], usage[64];
	size_t i;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		snprintf(line, sizeof(line), "%s --help", name[i]);
		snprintf(usage, sizeof(usage), "Usage: lockstep-agent [-t DIR] %s ", name[i]);
		assert_int_equal(command(&nobody, line), INCLI_OK);
		expect_text(&nobody, usage);
	}
	assert_int_equal(command(f, "offline cpu 1 -h"), INCLI_OK);
	assert_true(fake_agrees(&f->base.kernel, 1, true));
}

/* For programs: what the agent has said, one JSON value a line. */
static void test_when_json_is_asked_then_each_line_is_json(void **state)
{
	struct local *f = *state;
	struct json_object *o;

	assert_int_equal(command(f, "status --json"), INCLI_OK);
	o = json_tokener_parse(f->out);
	assert_int_equal(json_object_array_length(qmp_get_array(o, "cpus")), 4);
	json_object_put(o);
	assert_int_equal(command(f, "doctor --json"), INCLI_OK);
	assert_string_equal(f->out, "");
	assert_int_equal(fake_user(&f->base.kernel, "devices/system/cpu/cpu2/hotplug/target", "0"),
			 0);
	assert_int_equal(command(f, "doctor --fix --json"), INCLI_OK);
	o = json_tokener_parse(f->out);
	assert_true(qmp_get_bool(o, "healed", false));
	json_object_put(o);
}

/* A full disk is not a success. */
static void test_when_the_answer_cannot_be_written_then_the_command_fails(void **state)
{
	struct local *f = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), status;
	pid_t pid;

	assert_true(full >= 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_command(f->dir, "status", full);
	close(full);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), INCLI_FAILED);
}

/* Without an agent the command says so, and where it looked. */
static void test_when_no_agent_runs_then_that_is_said(void **state)
{
	struct local *f = *state, nobody = { .dir = "/nonexistent" };

	assert_int_equal(command(&nobody, "status"), INCLI_NO_AGENT);
	expect_text(&nobody, "no agent serves /nonexistent/" LOCAL_NAME);
	assert_int_equal(command(f, "status"), INCLI_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCAL_TEST(test_when_status_is_asked_then_the_guest_is_shown),
		LOCAL_TEST(test_when_a_cpu_is_out_of_step_then_status_says_what_heals_it),
		LOCAL_TEST(test_when_something_changes_then_a_watcher_sees_it),
		LOCAL_TEST(test_when_the_agent_ends_then_a_watcher_says_so),
		LOCAL_TEST(test_when_cpus_are_named_then_they_change_and_the_lock_is_free),
		LOCAL_TEST(test_when_blocks_are_named_then_those_blocks_change),
		LOCAL_TEST(test_when_the_host_has_the_lock_then_the_command_is_refused),
		LOCAL_TEST(test_when_a_window_is_open_then_the_command_is_refused),
		LOCAL_TEST(test_when_one_of_several_fails_then_it_is_named),
		LOCAL_TEST(test_when_a_row_is_made_to_fail_then_the_next_change_fails_there),
		LOCAL_TEST(test_when_a_command_is_mistaken_then_the_answer_helps),
		LOCAL_TEST(test_when_help_is_asked_then_the_command_is_explained),
		LOCAL_TEST(test_when_json_is_asked_then_each_line_is_json),
		LOCAL_TEST(test_when_the_answer_cannot_be_written_then_the_command_fails),
		LOCAL_TEST(test_when_no_agent_runs_then_that_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
