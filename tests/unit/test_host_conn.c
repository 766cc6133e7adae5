/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The budget of a connection: a peer that never stops costs the loop a bounded part of its
 * time, and one that is merely busy is not held up.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../coordinator/hv/conn.h"

#define RUN_MS	 3000
#define EVENTS	 100
#define HANG_MS	 10000
#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n"

/* The burst and its share are 170 ms, and a turn is finished: under a sanitizer a long one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MOST_MS 2000
#else
#define MOST_MS 500
#endif

static unsigned events;

static void on_ready(void *arg)
{
	(void)arg;
}

static void on_event(void *arg, const struct qmp_event *event)
{
	(void)arg, (void)event;
	events++;
}

static void on_lost(void *arg, const struct ls_err *err)
{
	(void)arg, (void)err;
}

static const struct conn_ops ops = { on_ready, on_event, on_lost };

static void begin(struct conn *c, sd_event *loop, enum qmp_dialect dialect, int *ret_fd,
		  char address[16])
{
	const struct qmp_options options = { .dialect = dialect };
	int pair[2];

	events = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	snprintf(address, 16, "fd:%d", pair[0]);
	conn_init(c, loop, address, &options, &ops, NULL);
	assert_true(conn_want(c) >= 0);
	*ret_fd = pair[1];
}

static uint64_t cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Three bytes to send, an object to make: the reader has the work. */
static void *flood(void *arg)
{
	static char bytes[3 * 20000];

	for (size_t i = 0; i < sizeof(bytes); i += 3)
		memcpy(bytes + i, "{}\n", 3);
	while (send(*(int *)arg, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void test_when_a_peer_never_stops_then_it_has_its_part_of_the_loop(void **state)
{
	uint64_t until_ms = qmp_now_ms() + RUN_MS, from_ms = cpu_ms();
	char address[16];
	struct conn c;
	pthread_t thread;
	sd_event *loop;
	int fd;

	(void)state;
	assert_int_equal(sd_event_new(&loop), 0);
	begin(&c, loop, QMP_DIALECT_QGA, &fd, address);
	pthread_create(&thread, NULL, flood, &fd);
	while (qmp_now_ms() < until_ms)
		sd_event_run(loop, 10000);
	print_message("# a flood of %d ms took %u ms of the loop's time\n", RUN_MS,
		      (unsigned)(cpu_ms() - from_ms));
	assert_true(cpu_ms() - from_ms < MOST_MS);
	conn_done(&c);
	pthread_join(thread, NULL);
	close(fd);
	sd_event_unref(loop);
}

static void test_when_a_peer_is_busy_then_nothing_is_held_up(void **state)
{
	static const char text[] = "{\"event\": \"X\"}\n";
	uint64_t until_ms = qmp_now_ms() + HANG_MS;
	char address[16];
	struct conn c;
	sd_event *loop;
	int fd;

	(void)state;
	assert_int_equal(sd_event_new(&loop), 0);
	begin(&c, loop, QMP_DIALECT_QMP, &fd, address);
	assert_true(send(fd, GREETING, strlen(GREETING), 0) > 0);
	assert_true(send(fd, "{\"return\": {}, \"id\": 1}\n", 24, 0) > 0);
	for (int i = 0; i < EVENTS; i++)
		assert_true(send(fd, text, sizeof(text) - 1, 0) > 0);
	while (events < EVENTS && qmp_now_ms() < until_ms) {
		sd_event_run(loop, 10000);
		assert_null(c.rest);
	}
	assert_int_equal(events, EVENTS);
	conn_done(&c);
	close(fd);
	sd_event_unref(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_a_peer_never_stops_then_it_has_its_part_of_the_loop),
		cmocka_unit_test(test_when_a_peer_is_busy_then_nothing_is_held_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
