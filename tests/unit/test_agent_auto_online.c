/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that the kernel brings online by itself: which setting is changed, and which is not. */
#include "fake_sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <lockstep/err.h>

#include "../../guest-agent/auto_online.h"

#define SETTING "devices/system/memory/auto_online_blocks"

static int setup(void **state)
{
	static struct guest g;

	guest_init(&g, 1, 1, 0);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	guest_done(*state);
	return 0;
}

/* What the kernel would put where it cannot be had back is put where it can. */
static void test_when_it_is_online_then_it_becomes_movable(void **state)
{
	struct guest *g = *state;

	fake_put(&g->kernel, SETTING, "online\n");
	assert_int_equal(auto_online_movable(g->sysfs, NULL), 0);
	assert_true(fake_has(&g->kernel, SETTING, "online_movable\n"));
	assert_int_equal(auto_online_movable(g->sysfs, NULL), 1);
}

/* Any other value is somebody's choice. */
static void test_when_somebody_has_chosen_then_it_is_left_alone(void **state)
{
	static const char *const chosen[] = { "offline\n", "online_kernel\n", "online_movable\n" };
	struct guest *g = *state;

	for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
		fake_put(&g->kernel, SETTING, chosen[i]);
		assert_int_equal(auto_online_movable(g->sysfs, NULL), 1);
		assert_true(fake_has(&g->kernel, SETTING, chosen[i]));
	}
	assert_int_equal(fake_writes(&g->kernel, SETTING, NULL), 0);
}

/* A kernel without memory hotplug has no such file. */
static void test_when_there_is_no_setting_then_nothing_is_written(void **state)
{
	struct guest *g = *state;

	assert_int_equal(auto_online_movable(g->sysfs, NULL), 1);
	assert_int_equal(fake_writes(&g->kernel, SETTING, NULL), 0);
}

/* What cannot be read or written is told, with its name. */
static void test_when_it_cannot_be_changed_then_that_is_told(void **state)
{
	struct guest *g = *state;
	struct ls_err err = { 0 };

	fake_put(&g->kernel, SETTING, "online\n");
	fake_fail(&g->kernel, SETTING, 0, 1, -EACCES);
	assert_int_equal(auto_online_movable(g->sysfs, &err), -EACCES);
	assert_non_null(strstr(err.text, "auto_online_blocks"));
	fake_blind(&g->kernel, SETTING, -EIO);
	assert_int_equal(auto_online_movable(g->sysfs, &err), -EIO);
	assert_non_null(strstr(err.text, "cannot be read"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_when_it_is_online_then_it_becomes_movable),
		T(test_when_somebody_has_chosen_then_it_is_left_alone),
		T(test_when_there_is_no_setting_then_nothing_is_written),
		T(test_when_it_cannot_be_changed_then_that_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
