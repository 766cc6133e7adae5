/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The window over a restart of the agent: what its record says, and when there is none. */
#include "window_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[] = "/tmp/lockstep-window-XXXXXX";

static int setup_dir(void **state)
{
	setup(state);
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	persist_init(&((struct guest *)*state)->persist, dir, NULL);
	return 0;
}

static int teardown_dir(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/state.json", dir);
	unlink(path);
	rmdir(dir);
	return teardown(state);
}

/* The agent is killed, another one starts: all it has is the record. */
static void restart(struct guest *g, uint64_t now_ms)
{
	window_done(&g->window);
	lock_done(&g->lock);
	lock_init(&g->lock, 0);
	window_init(&g->window, &g->model, &g->lock, &g->persist);
	window_load(&g->window, now_ms);
}

/* A restarted agent knows the window, has its lock, and closes it as it should be. */
static void test_when_restarted_then_the_window_goes_on(void **state)
{
	struct guest *g = *state;
	struct window_view v;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	restart(g, 50000);
	window_look(&g->window, 50000, &v);
	assert_int_equal(v.state, WINDOW_OPEN);
	assert_string_equal(v.txn, "m1");
	assert_int_equal(cpus_count(&v.forced), 4);
	assert_int_equal(v.left_ms, LS_LEASE_FIRST_MAX_MS);
	assert_true(locked(g));
	assert_int_equal(lock_take(&g->lock, "t1", 1, 1000, 50000, NULL), -EBUSY);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_true(fake_agrees(&g->kernel, 7, false));
	assert_true(fake_agrees(&g->kernel, 3, true));
}

/* The state directory is removed while the agent runs: the next window is recorded all the same. */
static void test_when_the_directory_was_removed_then_the_window_is_recorded(void **state)
{
	struct guest *g = *state;

	assert_int_equal(rmdir(dir), 0);
	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_OPEN);
	assert_int_equal(close_window(g, "m1", NULL), 0);
	assert_true(fake_agrees(&g->kernel, 7, false));
}

/* Killed in the middle of forcing: the mask was on disk before the first write. */
static void test_when_killed_while_forcing_then_close_restores_all(void **state)
{
	struct guest *g = *state;
	char path[64];
	int nth, cpu;

	for (nth = 0; nth <= 4; nth++) {
		open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
		for (cpu = 4 + nth; cpu < 8; cpu++) { /* those it had not come to */
			snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/online", cpu);
			fake_user(&g->kernel, path, "0");
		}
		restart(g, 0);
		assert_int_equal(close_window(g, "m1", NULL), 0);
		for (cpu = 0; cpu < 8; cpu++)
			assert_true(fake_agrees(&g->kernel, cpu, cpu < 4));
	}
}

/* The highest epoch outlives the agent, too. */
static void test_when_restarted_then_the_epoch_is_known(void **state)
{
	struct guest *g = *state;

	lock_take(&g->lock, "t1", 12, 1000, 0, NULL);
	window_save(&g->window);
	restart(g, 0);
	assert_false(locked(g));
	assert_int_equal(lock_take(&g->lock, "t2", 11, 1000, 0, NULL), -ESTALE);
}

/* Also one that came with a window that was refused. */
static void test_when_a_window_was_refused_then_its_epoch_is_known(void **state)
{
	struct guest *g = *state;

	lock_take(&g->lock, "t1", 1, 1000, 0, NULL);
	assert_int_equal(window_admit(&g->window, "m1", 12, 1000, WINDOW_HOLD, 0, NULL), -EBUSY);
	restart(g, 0);
	assert_int_equal(lock_take(&g->lock, "t2", 11, 1000, 0, NULL), -ESTALE);
}

/* A record of another boot is nothing: its CPUs have long been renumbered. */
static void test_when_another_boot_then_the_record_is_nothing(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	strcpy(g->persist.boot_id, "another");
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	assert_false(locked(g));
}

/* Restore-pending outlives a restart. */
static void test_when_restarted_while_pending_then_still_pending(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
	close_window(g, "m1", NULL);
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_PENDING);
	assert_false(locked(g));
	assert_int_equal(close_window(g, "m1", NULL), 1);
	assert_true(fake_agrees(&g->kernel, 6, false));
}

static struct rlimit room;

/* Files have room for this many bytes, until leave_room(). */
static void take_room(rlim_t bytes)
{
	struct rlimit less;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &room), 0);
	less = (struct rlimit){ bytes, room.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
}

static void leave_room(void)
{
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
}

/* Whatever room there is: a window is recorded with its CPUs, or refused and nothing changes. */
static void test_when_it_cannot_be_recorded_then_no_window(void **state)
{
	struct guest *g = *state;
	int refused = 0, opened = 0, bytes, r;
	struct ls_err err;

	for (bytes = 1; bytes < 256; bytes++) {
		err = (struct ls_err){ 0 };
		g->kernel.n_writes = 0;
		take_room((rlim_t)bytes);
		r = open_window(g, "m1", WINDOW_FORCE, 1000, &err);
		leave_room();
		opened += r == 0;
		if (r < 0) {
			refused++;
			assert_string_equal(err.class, LS_CLASS_NOT_RECORDED);
			assert_non_null(strstr(err.text, dir));
			assert_int_equal(fake_writes(&g->kernel, NULL, NULL), 0);
			assert_false(locked(g));
		}
		restart(g, 0);
		assert_int_equal(state_of(g), r < 0 ? WINDOW_CLOSED : WINDOW_OPEN);
		assert_int_equal(close_window(g, "m1", NULL), r < 0);
		assert_true(fake_agrees(&g->kernel, 7, false));
	}
	assert_true(refused > 100 && opened > 50);
}

/* What keeps nothing need not be kept: a guest whose disk is full can still migrate. */
static void test_when_it_cannot_be_recorded_then_off_opens(void **state)
{
	struct guest *g = *state;

	take_room(1);
	assert_int_equal(open_window(g, "m1", WINDOW_HOLD, 1000, NULL), -EFBIG);
	assert_false(locked(g));
	assert_int_equal(open_window(g, "m1", WINDOW_OFF, 1000, NULL), 0);
	leave_room();
	assert_int_equal(close_window(g, "m1", NULL), 0);
}

/* Who had the lock before has it still, and its lease. */
static void test_when_the_owner_of_the_lock_is_refused_then_it_keeps_it(void **state)
{
	struct guest *g = *state;

	assert_int_equal(lock_take(&g->lock, "m1", 1, 1000, 0, NULL), 0);
	take_room(1);
	assert_int_equal(open_window(g, "m1", WINDOW_HOLD, 1000, NULL), -EFBIG);
	leave_room();
	assert_true(locked(g));
	assert_int_equal(lock_deadline_ms(&g->lock), 1000);
}

/* No room for the record of the close: the one that says "open" does not stay. */
static void test_when_the_close_cannot_be_saved_then_an_old_record_is_not_kept(void **state)
{
	struct guest *g = *state;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	take_room(1);
	close_window(g, "m1", NULL);
	leave_room();
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	assert_false(locked(g));
}

/* Pending, and somebody took it offline while no agent ran: told, and nothing is owed. */
static void test_when_a_pending_cpu_went_while_no_agent_ran_then_nothing_is_owed(void **state)
{
	struct guest *g = *state;
	int before;

	open_window(g, "m1", WINDOW_FORCE, 1000, NULL);
	fake_fail(&g->kernel, CPU(6), 0, 1, -EBUSY);
	close_window(g, "m1", NULL);
	fake_user(&g->kernel, CPU(6), "0");
	guest_scan(g);
	restart(g, 0);
	before = g->n_told;
	window_compare(&g->window);
	assert_int_equal(g->n_told, before + 1);
	assert_int_equal(g->told[before].id, 6);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
	restart(g, 0);
	assert_int_equal(state_of(g), WINDOW_CLOSED);
}

/* A damaged record, whatever is in it, ends nothing and opens nothing. */
static void test_when_the_record_is_damaged_then_closed(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "7", "{\"state\":1}" };
	struct guest *g = *state;
	char path[64], whole[256];
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/state.json", dir);
	for (i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(whole, sizeof(whole),
			 "{\"boot-id\":\"%s\",\"epoch\":-1,\"state\":99,\"mode\":-4,\"forced\":[-1,"
			 "5000,\"x\"]}",
			 g->persist.boot_id);
		f = fopen(path, "w");
		fputs(i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : whole, f);
		fclose(f);
		restart(g, 0);
		assert_int_equal(state_of(g), WINDOW_CLOSED);
		assert_false(locked(g));
	}
	assert_int_equal(lock_take(&g->lock, "t1", 0, 1000, 0, NULL), 0);
}

#define RESTART_TEST(name) cmocka_unit_test_setup_teardown(name, setup_dir, teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RESTART_TEST(test_when_restarted_then_the_window_goes_on),
		RESTART_TEST(test_when_the_directory_was_removed_then_the_window_is_recorded),
		RESTART_TEST(test_when_killed_while_forcing_then_close_restores_all),
		RESTART_TEST(test_when_restarted_then_the_epoch_is_known),
		RESTART_TEST(test_when_a_window_was_refused_then_its_epoch_is_known),
		RESTART_TEST(test_when_another_boot_then_the_record_is_nothing),
		RESTART_TEST(test_when_restarted_while_pending_then_still_pending),
		RESTART_TEST(test_when_it_cannot_be_recorded_then_no_window),
		RESTART_TEST(test_when_it_cannot_be_recorded_then_off_opens),
		RESTART_TEST(test_when_the_owner_of_the_lock_is_refused_then_it_keeps_it),
		RESTART_TEST(test_when_the_close_cannot_be_saved_then_an_old_record_is_not_kept),
		RESTART_TEST(test_when_a_pending_cpu_went_while_no_agent_ran_then_nothing_is_owed),
		RESTART_TEST(test_when_the_record_is_damaged_then_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
