/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lockstepd that finds no memory at one exact allocation of a plug and an unplug, for one
 * after the other of them. It ends there, and the next one makes it good: the guest has the
 * vCPUs of before or of after, nobody holds it, and nothing is left in its QEMU.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../fleet/daemon.h"

#define CONFIG	 "[lockstepd]\nhello-limit = 10min\n"
#define LIMIT_MS 60000
/* Of some 16,000 allocations each so-manieth is tried. */
#define STEP	  601
#define STEP_LONG 31

static char program[512], shim[512];

static struct under_test *start(struct fleet *f, unsigned point, const char *log)
{
	struct under_test *d;
	char number[16];

	snprintf(number, sizeof(number), "%u", point);
	if (point) {
		setenv("LD_PRELOAD", shim, true);
		setenv("LOCKSTEP_MALLOC_POINT", number, true);
		setenv("LOCKSTEP_MALLOC_LOG", log, true);
	}
	d = daemon_start(f, program, CONFIG);
	unsetenv("LD_PRELOAD");
	assert_true(daemon_await_ready(d, 0, LIMIT_MS) >= 0);
	return d;
}

/* A vCPU more, and one less; or it has ended. */
static void plug_and_unplug(struct under_test *d)
{
	uint64_t until_ms = qmp_now_ms() + LIMIT_MS;

	d->may_die = true;
	kill(d->pid, SIGUSR2); /* from here on it is counted */
	load_begin(d, 0, 2);
	while (d->asker[0].out && !d->lost && qmp_now_ms() < until_ms)
		sd_event_run(d->fleet->loop, 10000);
	assert_true(d->lost || !d->asker[0].out);
}

/* Plugged and online agree, nobody holds it, no object is left in QEMU. */
static void check_whole(const struct fleet_guest *g, unsigned point)
{
	for (unsigned i = 0; i < FLEET_SLOTS; i++)
		if (g->cpu[i].plugged != g->cpu[i].online ||
		    (g->cpu[i].plugged && i > FLEET_BOOT_CPUS))
			fail_msg("point %u: vCPU %u is neither there nor gone", point, i);
	for (unsigned i = 0; i < FLEET_OBJECTS; i++)
		if (g->object[i].data)
			fail_msg("point %u: %s is left in QEMU", point, g->object[i].id);
	if (g->lock[0])
		fail_msg("point %u: the guest is still locked", point);
}

/* Return: false, there are not that many allocations. */
static bool try(sd_event *loop, unsigned point)
{
	struct fleet *f = fleet_new(loop, 1);
	struct under_test *d;
	bool reached;
	int end;
	char log[100];

	snprintf(log, sizeof(log), "%s/no-memory", f->dir);
	d = start(f, point, log);
	plug_and_unplug(d);
	end = daemon_stop(d);
	reached = access(log, F_OK) == 0; /* it may be behind the last answer */
	assert_int_equal(end, reached ? -1 : 0);
	assert_int_equal(daemon_stop(start(f, 0, log)), 0);
	check_whole(&f->guest[0], point);
	fleet_free(f);
	return reached;
}

static void test_when_there_is_no_memory_then_ended_and_made_good(void **state)
{
	unsigned step = getenv("LOCKSTEP_LONG") ? STEP_LONG : STEP, n = 0;
	sd_event *loop;

	(void)state;
	assert_true(sd_event_new(&loop) >= 0);
	while (try(loop, 1 + n * step))
		n++;
	sd_event_unref(loop);
	print_message("# lockstepd ended at %u allocations\n", n);
	assert_true(n > 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_there_is_no_memory_then_ended_and_made_good),
	};

	(void)argc;
	daemon_program(argv[0], program, sizeof(program));
	snprintf(shim, sizeof(shim), "%.*s/malloc-point.so", (int)(strrchr(program, '/') - program),
		 program);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	puts("1..1\nok 1 - no memory # SKIP a sanitizer has its own malloc");
	return 0;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
