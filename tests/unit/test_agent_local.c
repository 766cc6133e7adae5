/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The in-guest command against a real agent, over a real local socket: the agent in a
 * thread with a kernel in memory below it, the command in a process of its own.
 */
#include "fake_sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <lockstep/cleanup.h>
#include <lockstep/wire.h>
#include <qmp.h>

#include "../../guest-agent/agent.h"
#include "../../guest-agent/incli.h"
#include "../../guest-agent/local.h"
#include "../../guest-agent/model.h"

#define PATIENCE_MS 10000 /* only a bound on hanging */
#define WORDS_MAX   8
#define USER	    12345
#define GROUP	    23456

/**
 * struct fixture - An agent that serves its guest's root
 * @dir: its state directory
 * @out: what the last command printed, both streams
 * @q:   a client as the host is one
 */
struct fixture {
	struct fake kernel;
	struct sysfs *sysfs;
	struct agent agent;
	struct agent_options opt;
	pthread_t thread;
	char dir[64];
	char out[8192];
	struct qmp *q;
};

static void *agent_thread(void *arg)
{
	agent_run(arg);
	return NULL;
}

static struct qmp *connect_host(const struct fixture *f)
{
	const struct qmp_options opt = { .dialect = QMP_DIALECT_QGA };
	struct qmp *q = NULL;
	char address[128];

	snprintf(address, sizeof(address), "unix:%s/" LOCAL_NAME, f->dir);
	assert_int_equal(qmp_open(address, &opt, qmp_now_ms() + PATIENCE_MS, NULL, &q), 0);
	return q;
}

static int start_agent(struct fixture *f)
{
	if (agent_init(&f->agent, &f->opt, f->sysfs, NULL) < 0)
		return -1;
	f->agent.model.workers.ops = &fake_machine;
	f->agent.model.pause_ms = 0;
	if (pthread_create(&f->thread, NULL, agent_thread, &f->agent))
		return -1;
	f->q = connect_host(f);
	return 0;
}

static int end_agent(struct fixture *f)
{
	qmp_close(f->q);
	agent_stop(&f->agent);
	pthread_join(f->thread, NULL);
	return agent_done(&f->agent);
}

/* CPUs 0-3, of which 0-2 are online, and 4 blocks offline. */
static int setup_for(void **state, gid_t gid)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	strcpy(f.dir, "/tmp/test-local-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	f.opt = (struct agent_options){ .state_dir = f.dir, .local = true, .local_gid = gid };
	fake_init(&f.kernel, 4, 3, 4);
	f.sysfs = sysfs_new_ops(&fake_ops, &f.kernel);
	*state = &f;
	return start_agent(&f);
}

static int setup(void **state)
{
	return setup_for(state, 0);
}

static int setup_group(void **state)
{
	return setup_for(state, geteuid() == 0 ? GROUP : 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];

	if (end_agent(f) < 0)
		return -1;
	sysfs_free(f->sysfs);
	fake_done(&f->kernel);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	return system(command);
}

static void ask_host(struct fixture *f, const char *verb, const char *args)
{
	struct json_object *value = NULL;

	assert_int_equal(qmp_command(f->q, verb, json_tokener_parse(args),
				     qmp_now_ms() + PATIENCE_MS, NULL, &value),
			 0);
	json_object_put(value);
}

/* ---- the command in a process of its own ------------------------------------------- */

__attribute__((noreturn)) static void be_command(const char *dir, const char *line, int out)
{
	char words[256], *argv[WORDS_MAX + 1], *word;
	int argc = 0, r;

	snprintf(words, sizeof(words), "%s", line);
	for (word = strtok(words, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	r = incli_run(argc, argv, dir);
	fflush(NULL);
	_exit(r);
}

static pid_t begin_command(const struct fixture *f, const char *line, int *ret_out)
{
	int out[2];
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_command(f->dir, line, out[1]);
	assert_true(pid > 0);
	close(out[1]);
	*ret_out = out[0];
	return pid;
}

static int end_command(struct fixture *f, pid_t pid, int out)
{
	size_t n = 0;
	ssize_t got;
	int status;

	while ((got = read(out, f->out + n, sizeof(f->out) - 1 - n)) > 0)
		n += (size_t)got;
	f->out[n] = '\0';
	close(out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Return: its exit status; what it printed is in @f->out. */
static int command(struct fixture *f, const char *line)
{
	int out;
	pid_t pid = begin_command(f, line, &out);

	return end_command(f, pid, out);
}

static void expect_text(const struct fixture *f, const char *text)
{
	if (!strstr(f->out, text))
		fail_msg("no \"%s\" in:\n%s", text, f->out);
}

/* ---- looking ------------------------------------------------------------------------ */

/* status shows lock, window, CPUs and memory as the kernel below has them. */
static void test_when_status_is_asked_then_the_guest_is_shown(void **state)
{
	struct fixture *f = *state;

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
	struct fixture *f = *state;

	assert_int_equal(fake_user(&f->kernel, "devices/system/cpu/cpu2/hotplug/target", "0"), 0);
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "        1          1  online       online\n");
	expect_text(f, "online       offline   out of step: lockstep-agent doctor --fix\n");
	assert_int_equal(command(f, "doctor"), INCLI_FINDINGS);
	expect_text(f, "cpu2 is online for the driver core");
	expect_text(f, "`lockstep-agent doctor --fix` heals what can be healed\n");
	assert_int_equal(command(f, "doctor --fix"), INCLI_OK);
	expect_text(f, "healed: cpu2");
	assert_true(fake_agrees(&f->kernel, 2, true));
	assert_int_equal(command(f, "doctor"), INCLI_OK);
	expect_text(f, "nothing is out of step\n");
}

/* A watcher's subscription has no sign of its own: change until it has seen one. */
static void await_line(struct fixture *f, int out, char *line, size_t size)
{
	struct pollfd pfd = { .fd = out, .events = POLLIN };
	ssize_t n;

	while (poll(&pfd, 1, 0) == 0) {
		ask_host(f, "lockstep-lock", "{\"txn\": \"t1\", \"epoch\": 1, \"lease-ms\": 5000}");
		ask_host(f, "lockstep-unlock", "{\"txn\": \"t1\"}");
	}
	n = read(out, line, size - 1);
	assert_true(n > 0);
	line[n] = '\0';
}

/* Whoever watches sees the change that another command makes. */
static void test_when_something_changes_then_a_watcher_sees_it(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state;
	char line[64];
	int out, status;
	pid_t pid = begin_command(f, "watch", &out);

	await_line(f, out, line, sizeof(line));
	assert_int_equal(end_agent(f), 0);
	status = end_command(f, pid, out);
	assert_int_equal(start_agent(f), 0);
	assert_int_equal(status, INCLI_NO_AGENT);
	expect_text(f, "the agent has ended: ");
}

/* ---- changing ------------------------------------------------------------------------ */

/* A CPU comes and goes, by one number, a range or its name; the lock is free afterwards. */
static void test_when_cpus_are_named_then_they_change_and_the_lock_is_free(void **state)
{
	struct fixture *f = *state;
	struct lock_view v;

	assert_int_equal(command(f, "online cpu 3"), INCLI_OK);
	assert_true(fake_agrees(&f->kernel, 3, true));
	assert_int_equal(command(f, "offline cpu 1-2,3"), INCLI_OK);
	assert_true(fake_agrees(&f->kernel, 1, false));
	assert_true(fake_agrees(&f->kernel, 2, false));
	assert_true(fake_agrees(&f->kernel, 3, false));
	assert_int_equal(command(f, "online cpu cpu2 2"), INCLI_OK);
	assert_true(fake_agrees(&f->kernel, 2, true));
	assert_string_equal(f->out, "");
	lock_look(&f->agent.lock, qmp_now_ms(), &v);
	assert_false(v.held);
}

static bool block_is(struct fixture *f, int block, const char *state)
{
	ls_guard(&f->kernel.lock);
	return !strcmp(f->kernel.block[block].state, state);
}

/* Memory blocks by number are the same blocks that the kernel numbers. */
static void test_when_blocks_are_named_then_those_blocks_change(void **state)
{
	struct fixture *f = *state;

	fake_fail(&f->kernel, "devices/system/memory/memory1/state", 0, 99, -EINVAL);
	assert_int_equal(command(f, "online memory 0-2"), INCLI_FAILED);
	expect_text(f, "of 3 blocks 1 could not be changed, 2 were");
	fake_fail(&f->kernel, "", 0, 0, 0);
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
	struct fixture *f = *state;

	ask_host(f, "lockstep-lock", "{\"txn\": \"t7\", \"epoch\": 3, \"lease-ms\": 5000}");
	assert_int_equal(command(f, "online cpu 3"), INCLI_LOCKED);
	expect_text(f, "transaction t7 holds the hotplug lock: try again when it is free; nothing "
		       "was changed");
	assert_int_equal(command(f, "doctor --fix"), INCLI_LOCKED);
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "lock     held by t7");
	assert_true(fake_agrees(&f->kernel, 3, false));
	ask_host(f, "lockstep-unlock", "{\"txn\": \"t7\"}");
	assert_int_equal(command(f, "online cpu 3"), INCLI_OK);
}

/* So it is while a migration has its window open. */
static void test_when_a_window_is_open_then_the_command_is_refused(void **state)
{
	struct fixture *f = *state;

	ask_host(f, "lockstep-window-open",
		 "{\"txn\": \"m1\", \"epoch\": 1, \"lease-ms\": 5000, \"mode\": \"force\"}");
	assert_int_equal(command(f, "offline cpu 3"), INCLI_LOCKED);
	expect_text(f, "transaction m1 has a migration window open");
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "window   open (force) by m1, forced online: cpu3\n");
	assert_true(fake_agrees(&f->kernel, 3, true));
}

/* What the kernel refuses is a line for each device, and the others change. */
static void test_when_one_of_several_fails_then_it_is_named(void **state)
{
	struct fixture *f = *state;

	fake_fail(&f->kernel, "devices/system/cpu/cpu1/online", 0, 1, -EBUSY);
	assert_int_equal(command(f, "offline cpu 1,2"), INCLI_FAILED);
	expect_text(f, "lockstep-agent: cpu1 kernel:online: ");
	assert_true(fake_agrees(&f->kernel, 1, true));
	assert_true(fake_agrees(&f->kernel, 2, false));
}

/* A row is made to fail once: the command says where, and the next one succeeds. */
static void test_when_a_row_is_made_to_fail_then_the_next_change_fails_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(command(f, "fail cpu 3 kernel:online"), INCLI_OK);
	assert_int_equal(command(f, "online cpu 3"), INCLI_FAILED);
	expect_text(f, "cpu3 kernel:online: made to fail");
	assert_true(fake_agrees(&f->kernel, 3, false));
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "last failure: kernel:online: Resource temporarily unavailable\n");
	assert_int_equal(command(f, "online cpu 3"), INCLI_OK);
	assert_true(fake_agrees(&f->kernel, 3, true));
}

/* ---- mistakes ---------------------------------------------------------------------------- */

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
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(command(f, row[i].line), row[i].status);
		expect_text(f, row[i].says);
	}
	assert_int_equal(fake_writes(&f->kernel, NULL, NULL), 0);
}

/* Each command explains itself, with or without an agent. */
static void test_when_help_is_asked_then_the_command_is_explained(void **state)
{
	static const char *const name[] = {
		"status", "online", "offline", "doctor", "watch", "fail"
	};
	struct fixture *f = *state, nobody = { .dir = "/nonexistent" };
	char line[32], usage[64];
	size_t i;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		snprintf(line, sizeof(line), "%s --help", name[i]);
		snprintf(usage, sizeof(usage), "Usage: lockstep-agent [-t DIR] %s ", name[i]);
		assert_int_equal(command(&nobody, line), INCLI_OK);
		expect_text(&nobody, usage);
	}
	assert_int_equal(command(f, "offline cpu 1 -h"), INCLI_OK);
	assert_true(fake_agrees(&f->kernel, 1, true));
}

/* For programs: what the agent has said, one JSON value a line. */
static void test_when_json_is_asked_then_each_line_is_json(void **state)
{
	struct fixture *f = *state;
	struct json_object *o;

	assert_int_equal(command(f, "status --json"), INCLI_OK);
	o = json_tokener_parse(f->out);
	assert_int_equal(json_object_array_length(qmp_get_array(o, "cpus")), 4);
	json_object_put(o);
	assert_int_equal(command(f, "doctor --json"), INCLI_OK);
	assert_string_equal(f->out, "");
	assert_int_equal(fake_user(&f->kernel, "devices/system/cpu/cpu2/hotplug/target", "0"), 0);
	assert_int_equal(command(f, "doctor --fix --json"), INCLI_OK);
	o = json_tokener_parse(f->out);
	assert_true(qmp_get_bool(o, "healed", false));
	json_object_put(o);
}

/* A full disk is not a success. */
static void test_when_the_answer_cannot_be_written_then_the_command_fails(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state, nobody = { .dir = "/nonexistent" };

	assert_int_equal(command(&nobody, "status"), INCLI_NO_AGENT);
	expect_text(&nobody, "no agent serves /nonexistent/" LOCAL_NAME);
	assert_int_equal(command(f, "status"), INCLI_OK);
}

/* ---- who may ------------------------------------------------------------------------------- */

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("# skipped: only root can become another user\n");
	skip();
}

/* The file is root's; and whoever gets past the file is asked for by the kernel. */
static void test_when_another_user_connects_then_he_is_turned_away(void **state)
{
	static const char ask[] = "{\"execute\": \"guest-ping\"}\n";
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct fixture *f = *state;
	struct stat st;
	char byte;
	int status;
	pid_t pid;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/" LOCAL_NAME, f->dir);
	assert_int_equal(stat(sun.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	need_root();
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(chmod(sun.sun_path, 0666), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (setresuid(12345, 12345, 12345) < 0 ||
		    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
			_exit(2);
		if (send(fd, ask, strlen(ask), MSG_NOSIGNAL) < 0)
			_exit(0);
		_exit(read(fd, &byte, 1) == 1); /* closed, without a word */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A command of a user whose groups are @gid and @more; what it printed is in @f->out. */
static int command_as(struct fixture *f, gid_t gid, gid_t more, const char *line)
{
	int out[2];
	pid_t pid;

	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (setgroups(1, &more) < 0 || setresgid(gid, gid, gid) < 0 ||
		    setresuid(USER, USER, USER) < 0)
			_exit(99);
		be_command(f->dir, line, out[1]);
	}
	close(out[1]);
	return end_command(f, pid, out[0]);
}

/* The file is the group's, and its members see what there is to see, whichever way they belong to
 * it. */
static void test_when_a_member_of_the_group_looks_then_he_sees(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct stat st;

	need_root();
	snprintf(path, sizeof(path), "%s/" LOCAL_NAME, f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, GROUP);
	assert_int_equal(command_as(f, GROUP, USER, "status"), INCLI_OK);
	expect_text(f, "lock     free\n");
	assert_int_equal(command_as(f, USER, GROUP, "status"), INCLI_OK);
	assert_int_equal(command_as(f, USER, GROUP, "doctor"), INCLI_OK);
	expect_text(f, "nothing is out of step");
}

/* Whatever would change something is refused, and changes nothing. */
static void test_when_a_member_of_the_group_changes_then_he_is_refused(void **state)
{
	static const char *const rows[] = {
		"online cpu 3",	       "offline cpu 2", "online memory 0",
		"fail cpu 2 ap:alive", "doctor --fix",
	};
	struct fixture *f = *state;
	size_t i;

	need_root();
	assert_int_equal(fake_user(&f->kernel, "devices/system/cpu/cpu2/hotplug/target", "0"), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(command_as(f, GROUP, GROUP, rows[i]), INCLI_FAILED);
		expect_text(f, "only root may; nothing was changed");
	}
	assert_int_equal(command(f, "status"), INCLI_OK);
	expect_text(f, "online       offline   out of step");
	expect_text(f, "        3          3  offline      offline\n");
	expect_text(f, "lock     free\n");
}

/* Of all verbs only those that look are a member's: a new one is not, until it is named. */
static void test_when_a_verb_is_not_named_then_it_is_not_for_members(void **state)
{
	static const char looks[] = " lockstep-status lockstep-subscribe guest-ping guest-info "
				    "guest-get-vcpus guest-get-memory-blocks "
				    "guest-get-memory-block-info ";
	const struct qmp_verb *all = ops_verbs(CLIENT_ROOT), *member = ops_verbs(CLIENT_MEMBER);
	char word[64];
	unsigned n = 0;

	(void)state;
	for (; all->name; all++, member++) {
		snprintf(word, sizeof(word), " %s ", all->name);
		assert_string_equal(all->name, member->name);
		assert_int_equal(all->fn == member->fn, strstr(looks, word) != NULL);
		n += all->fn == member->fn;
	}
	assert_int_equal(n, 7);
}

/* Who belongs to another group is turned away by the kernel's word, even past the file's mode. */
static void test_when_another_group_connects_then_it_is_turned_away(void **state)
{
	struct fixture *f = *state;
	char path[128];

	need_root();
	assert_int_equal(command_as(f, GROUP + 1, USER, "status"), INCLI_NO_AGENT);
	expect_text(f, "only root may use");
	snprintf(path, sizeof(path), "%s/" LOCAL_NAME, f->dir);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(command_as(f, GROUP + 1, USER, "status"), INCLI_NO_AGENT);
}

/* One member more than there is room for; tells what the last one got, and stays. */
__attribute__((noreturn)) static void be_crowd(const char *dir, int say)
{
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = -1, i;
	char byte;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/" LOCAL_NAME, dir);
	if (setresgid(GROUP, GROUP, GROUP) < 0 || setresuid(USER, USER, USER) < 0)
		_exit(99);
	for (i = 0; i <= AGENT_MEMBERS_MAX; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
			_exit(98);
	}
	byte = recv(fd, &byte, 1, 0) == 0 ? '0' : '?';
	if (write(say, &byte, 1) == 1)
		pause();
	_exit(97);
}

/* A crowd of members does not keep root out. */
static void test_when_members_crowd_in_then_root_has_room(void **state)
{
	struct fixture *f = *state;
	int said[2], status;
	char byte;
	pid_t pid;

	need_root();
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_crowd(f->dir, said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	assert_int_equal(byte, '0');
	assert_int_equal(command(f, "status"), INCLI_OK);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(said[0]);
	close(said[1]);
}

/* A group is a name of /etc/group or a number; root's own is none, and a mistake is noticed. */
static void test_when_a_group_is_named_then_it_is_found(void **state)
{
	gid_t gid;

	(void)state;
	assert_int_equal(local_group("daemon", &gid), 0);
	assert_int_equal(gid, 1);
	assert_int_equal(local_group("23456", &gid), 0);
	assert_int_equal(gid, 23456);
	assert_int_equal(local_group("no-such-group", &gid), -ENOENT);
	assert_int_equal(local_group("", &gid), -ENOENT);
	assert_int_equal(local_group("root", &gid), -ENOENT);
	assert_int_equal(local_group("-1", &gid), -ENOENT);
	assert_int_equal(local_group("4294967295", &gid), -ENOENT);
}

/* A second agent on the same directory would be a second hotplug lock: it does not start. */
static void test_when_another_agent_serves_there_then_the_second_does_not_start(void **state)
{
	struct fixture *f = *state;
	struct agent_options opt = { .state_dir = f->dir, .local = true };
	static struct agent second;
	struct ls_err err = { 0 };
	char who[64];

	assert_int_equal(agent_init(&second, &opt, f->sysfs, &err), -EADDRINUSE);
	snprintf(who, sizeof(who), "process %d is an agent with this state directory", getpid());
	assert_ptr_equal(strstr(err.text, who), err.text);
	assert_int_equal(command(f, "status"), INCLI_OK);
}

#define LOCAL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define GROUP_TEST(f) cmocka_unit_test_setup_teardown(f, setup_group, teardown)

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
		LOCAL_TEST(test_when_another_user_connects_then_he_is_turned_away),
		GROUP_TEST(test_when_a_member_of_the_group_looks_then_he_sees),
		GROUP_TEST(test_when_a_member_of_the_group_changes_then_he_is_refused),
		cmocka_unit_test(test_when_a_verb_is_not_named_then_it_is_not_for_members),
		GROUP_TEST(test_when_another_group_connects_then_it_is_turned_away),
		GROUP_TEST(test_when_members_crowd_in_then_root_has_room),
		cmocka_unit_test(test_when_a_group_is_named_then_it_is_found),
		LOCAL_TEST(test_when_another_agent_serves_there_then_the_second_does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
