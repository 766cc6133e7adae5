/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The local socket: who may use it, what for, and that it is one agent's.
 */
#include "local_fixture.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define USER  12345
#define GROUP 23456

static int setup_group(void **state)
{
	return setup_for(state, geteuid() == 0 ? GROUP : 0);
}

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
	static const char ping[] = "{\"execute\": \"guest-ping\"}\n";
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct local *f = *state;
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

		if (setresuid(USER, USER, USER) < 0 ||
		    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
			_exit(2);
		if (send(fd, ping, strlen(ping), MSG_NOSIGNAL) < 0)
			_exit(0);
		_exit(read(fd, &byte, 1) == 1); /* closed, without a word */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A command of a user whose groups are @gid and @more; what it printed is in @f->out. */
static int command_as(struct local *f, gid_t gid, gid_t more, const char *line)
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
	struct local *f = *state;
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
	struct local *f = *state;
	size_t i;

	need_root();
	assert_int_equal(fake_user(&f->base.kernel, "devices/system/cpu/cpu2/hotplug/target", "0"),
			 0);
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
	struct local *f = *state;
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
	struct local *f = *state;
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
	struct local *f = *state;
	struct agent_options opt = { .state_dir = f->dir, .local = true };
	static struct agent second;
	struct ls_err err = { 0 };
	char who[64];

	assert_int_equal(agent_init(&second, &opt, f->base.sysfs, &err), -EADDRINUSE);
	snprintf(who, sizeof(who), "process %d is an agent with this state directory", getpid());
	assert_ptr_equal(strstr(err.text, who), err.text);
	assert_int_equal(command(f, "status"), INCLI_OK);
}

#define GROUP_TEST(f) cmocka_unit_test_setup_teardown(f, setup_group, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
