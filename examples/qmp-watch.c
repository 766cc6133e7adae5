/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Print a QEMU's events as they come: the connection inside of a poll() loop.
 *
 *	qmp-watch unix:/run/vm1.qmp
 *
 * In a real program the loop polls more than one descriptor; nothing here blocks
 * except poll() itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include <json-c/json.h>

#include <qmp.h>

static void on_status(struct qmp *q, struct json_object *value, const struct ls_err *err, void *arg)
{
	(void)q, (void)arg;
	printf("status now: %s\n", err ? err->text : qmp_get_str(value, "status", "unknown"));
}

static void print_events(struct qmp *q)
{
	struct qmp_event e;

	while (qmp_event_next(q, &e)) {
		if (e.dropped)
			printf("(%u events lost)\n", e.dropped);
		printf("%" PRIu64 ".%06" PRIu64 " %s %s\n", e.time_us / 1000000,
		       e.time_us % 1000000, e.name, e.data ? json_object_get_string(e.data) : "");
		qmp_event_done(&e);
	}
	fflush(stdout);
}

static int watch(struct qmp *q, struct ls_err *err)
{
	bool asked = false;
	int r = 0;

	while (!r) {
		struct pollfd pfd = { qmp_fd(q), qmp_poll_events(q), 0 };

		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			return ls_err_set(err, -errno, "poll: %s", strerror(errno));
		r = qmp_dispatch(q, pfd.revents, err);
		if (!asked && qmp_state(q) == QMP_READY)
			asked = qmp_submit(q, "query-status", NULL, on_status, NULL, err, NULL) ==
				0;
		print_events(q);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct ls_err err;
	struct qmp *q;

	if (argc != 2) {
		fprintf(stderr, "usage: qmp-watch unix:PATH | tcp:HOST:PORT | ssh:HOST:PATH\n");
		return 2;
	}
	if (qmp_start(argv[1], NULL, &err, &q) == 0) {
		watch(q, &err);
		qmp_close(q);
	}
	fprintf(stderr, "qmp-watch: %s\n", err.text);
	return 1;
}
